//! The table of tensor types agrees with itself and with the kernels that read the blocks.

use std::collections::HashSet;

use rushlight_formats::TensorType;
use rushlight_kernels::Format;

#[test]
fn ids_and_names_are_unique_and_lead_back() {
    let mut ids = HashSet::new();
    let mut names = HashSet::new();
    for &ty in TensorType::ALL {
        assert!(names.insert(ty.name()), "{ty}");
        assert_eq!(TensorType::from_name(ty.name()), Some(ty));
        if let Some(id) = ty.id() {
            assert!(ids.insert(id), "{ty}");
            assert_eq!(TensorType::from_id(id), Some(ty));
        }
    }
    assert_eq!(TensorType::from_id(4), None);
    assert_eq!(TensorType::from_name("q4_0"), None);
}

#[test]
fn rows_are_whole_blocks() {
    assert_eq!(TensorType::Q4_K.row_bytes(512), Some(288));
    assert_eq!(TensorType::Q4_K.row_bytes(0), Some(0));
    assert_eq!(TensorType::Q4_K.row_bytes(300), None);
    assert_eq!(TensorType::F64.row_bytes(usize::MAX), None);
}

#[test]
fn every_kernel_reads_the_blocks_of_the_type_of_its_name() {
    let mut failures = Vec::new();
    for format in Format::ALL {
        let kernel = (format.block_len(), format.block_bytes());
        let file = TensorType::from_name(&format.to_string())
            .filter(|ty| ty.id().is_some())
            .map(|ty| (ty.block_len(), ty.block_bytes()));
        if file != Some(kernel) {
            failures.push(format!("{format}: {kernel:?} in kernels, {file:?} in files"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
