//! safetensors: whatever the header says, it is refused or every tensor's bytes are there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rushlight_formats::SafeTensors;

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = SafeTensors::parse(bytes) else { return };
    let mut covered = 0;
    for tensor in file.tensors() {
        assert_eq!(file.data(tensor).len(), tensor.bytes());
        assert_eq!(tensor.elements() * tensor.ty.block_bytes(), tensor.bytes());
        assert_eq!(file.tensor(tensor.name), Some(tensor));
        covered += tensor.bytes();
    }
    assert!(covered <= bytes.len());
});
