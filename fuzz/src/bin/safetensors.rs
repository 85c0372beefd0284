//! A safetensors file, and the same bytes as an index of several.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rushlight_formats::{Index, SafeTensors};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(index) = Index::parse(bytes) {
        for file in index.files() {
            // A file's name never leads out of the checkout.
            assert!(!file.contains('/') && file != ".." && !file.is_empty(), "{file:?}");
        }
    }
    let Ok(file) = SafeTensors::parse(bytes) else { return };
    for info in file.tensors() {
        assert_eq!(file.data(info).len(), info.bytes());
        assert_eq!(file.tensor(info.name), Some(info));
    }
});
