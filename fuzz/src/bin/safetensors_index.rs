//! `model.safetensors.index.json`: whatever it says, its file names stay in the directory.
#![no_main]

use std::path::{Component, Path};

use libfuzzer_sys::fuzz_target;
use rushlight_formats::{Index, SafeTensors};

fuzz_target!(|bytes: &[u8]| {
    let Ok(index) = Index::parse(bytes) else { return };
    let empty = SafeTensors::parse(b"\x02\0\0\0\0\0\0\0{}").expect("a file without tensors");
    for name in index.files() {
        let mut components = Path::new(name).components();
        assert!(matches!(components.next(), Some(Component::Normal(_))), "{name:?}");
        assert_eq!(components.next(), None, "{name:?}");
        index.check(name, &empty).expect_err("every file of an index has a tensor");
    }
});
