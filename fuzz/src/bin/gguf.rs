//! A GGUF file: the header, every value of every key, every tensor's bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rushlight_formats::Gguf;
use rushlight_formats::gguf::Value;

fuzz_target!(|bytes: &[u8]| {
    let Ok(gguf) = Gguf::parse(bytes) else { return };
    for key in gguf.keys() {
        if let Some(Value::Array(array)) = gguf.get(key) {
            // An array's elements are checked as they are read; an error ends it.
            assert!(array.iter().count() <= array.len());
        }
        // Each getter answers with a value or an error, whatever type the file says.
        let _ = (gguf.u32(key), gguf.u64(key), gguf.f32(key), gguf.bool(key), gguf.str(key));
        let _ = (gguf.f32s(key), gguf.i32s(key), gguf.u32s(key), gguf.bools(key));
        let _ = gguf.strings(key).map(|strings| strings.map(Iterator::count));
        let _ = gguf.byte_strings(key).map(|strings| strings.map(Iterator::count));
    }
    for info in gguf.tensors() {
        assert_eq!(gguf.data(info).len(), info.bytes());
    }
});
