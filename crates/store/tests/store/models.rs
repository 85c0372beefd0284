//! Tiny models to import and pull.

use std::path::Path;

use rushlight_formats::{TensorType, gguf::Writer};
use rushlight_store::{Settings, Store};

/// A GGUF with `len` values of weights, different for every `seed`.
pub(crate) fn gguf(seed: u8, len: usize) -> Vec<u8> {
    write(seed, len, None)
}

/// Part `index` (from 0) of a GGUF in `count` files.
pub(crate) fn part(seed: u8, index: u16, count: u16) -> Vec<u8> {
    write(seed, 100, Some((index, count)))
}

fn write(seed: u8, len: usize, split: Option<(u16, u16)>) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.set("general.architecture", "llama").unwrap();
    writer.set("general.name", "Tiny").unwrap();
    writer.set("general.license", "apache-2.0").unwrap();
    if let Some((index, count)) = split {
        writer.set("split.no", index).unwrap();
        writer.set("split.count", count).unwrap();
    }
    writer.tensor("output.weight", &[len], TensorType::F32).unwrap();
    let mut data = writer.begin(Vec::new()).unwrap();
    let bytes: Vec<u8> = (0..len * 4).map(|i| (i as u8).wrapping_mul(31) ^ seed).collect();
    data.push("output.weight", &bytes).unwrap();
    data.finish().unwrap()
}

/// A safetensors file with one tensor of two F32.
pub(crate) fn safetensors() -> Vec<u8> {
    let header = br#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header);
    bytes.extend_from_slice(&[0; 8]);
    bytes
}

/// The files of a Hugging Face directory.
pub(crate) fn checkpoint() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("config.json", br#"{"model_type": "llama"}"#.to_vec()),
        ("tokenizer.json", b"{}".to_vec()),
        ("model.safetensors", safetensors()),
        ("README.md", b"---\nlicense: mit\n---\n# Tiny\n".to_vec()),
        ("train.py", b"raise SystemExit".to_vec()),
    ]
}

/// A store in `dir` that asks nobody but this machine, and does not wait long.
pub(crate) fn store(dir: &Path) -> Store {
    let mut settings = Settings::default();
    settings.retry_pause = std::time::Duration::from_millis(1);
    settings.patience = std::time::Duration::from_secs(20);
    settings.hf_endpoint = "https://hub.invalid".to_owned();
    Store::open(dir).unwrap().with_settings(settings)
}

/// Asserts that nothing half-done is in the store, and that all that is there is whole.
#[track_caller]
pub(crate) fn assert_clean(store: &Store, models: usize) {
    assert_eq!(store.list().unwrap().len(), models);
    let verified = store.verify(None, &()).unwrap();
    assert!(verified.faults.is_empty(), "{:?}", verified.faults);
    let ingest = std::fs::read_dir(store.dir().join("ingest"));
    let left: Vec<_> = ingest.unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let left: Vec<_> = left.iter().filter(|name| *name != "replacement").collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The number of blobs.
pub(crate) fn blobs(store: &Store) -> usize {
    std::fs::read_dir(store.dir().join("blobs/sha256")).map_or(0, Iterator::count)
}
