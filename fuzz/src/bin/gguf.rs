//! GGUF: whatever the file says, it is refused or everything that it hands out can be used.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rushlight_formats::Gguf;
use rushlight_formats::gguf::{Writer, check_shards};

fuzz_target!(|bytes: &[u8]| {
    let Ok(gguf) = Gguf::parse(bytes) else { return };
    for key in gguf.keys() {
        read_by_every_type(&gguf, key);
    }
    for tensor in gguf.tensors() {
        assert_eq!(gguf.data(tensor).len(), tensor.bytes());
        assert_eq!(gguf.tensor(tensor.name), Some(tensor));
    }
    check_shards(std::slice::from_ref(&gguf)).ok();
    check_written_again(&gguf);
});

fn read_by_every_type(gguf: &Gguf<'_>, key: &str) {
    let _ = format!("{:?}", gguf.get(key));
    gguf.u32(key).ok();
    gguf.u64(key).ok();
    gguf.i32(key).ok();
    gguf.f32(key).ok();
    gguf.bool(key).ok();
    gguf.str(key).ok();
    gguf.f32s(key).ok();
    gguf.i32s(key).ok();
    gguf.u32s(key).ok();
    gguf.bools(key).ok();
    gguf.byte_strings(key).map(|strings| strings.map(Iterator::count)).ok();
    gguf.strings(key).ok();
    if let Some(rushlight_formats::gguf::Value::Array(array)) = gguf.get(key) {
        let read = array.iter().take_while(Result::is_ok).count();
        assert!(read <= array.len());
    }
}

/// What was read can be written, and reads the same.
fn check_written_again(gguf: &Gguf<'_>) {
    let mut writer = Writer::new();
    for key in gguf.keys() {
        if key != "general.alignment" {
            let value = gguf.get(key).expect("a key of the file");
            writer.set(key, *value).expect("a key that was read");
        }
    }
    for tensor in gguf.tensors() {
        writer.tensor(tensor.name, &tensor.shape, tensor.ty).expect("a tensor that was read");
    }
    let mut data = writer.begin(Vec::new()).expect("memory does not fail");
    for tensor in gguf.tensors() {
        data.push(tensor.name, gguf.data(tensor)).expect("in the same order");
    }
    let bytes = data.finish().expect("all tensors");
    let again = Gguf::parse(&bytes).expect("the writer writes what the reader reads");
    assert_eq!(again.tensors().len(), gguf.tensors().len());
    for (one, two) in gguf.tensors().iter().zip(again.tensors()) {
        assert_eq!((one.name, one.shape, one.ty), (two.name, two.shape, two.ty));
        assert_eq!(gguf.data(one), again.data(two));
    }
}
