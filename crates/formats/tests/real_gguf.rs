//! A published file, through reader and writer.

use std::fs;

use rushlight_formats::gguf::Writer;
use rushlight_formats::{Gguf, TensorType};
use rushlight_testkit::model_path;

#[test]
fn a_published_file_is_read_and_written_byte_by_byte() {
    let Some(path) = model_path() else { return };
    let bytes = fs::read(path).unwrap();
    let gguf = Gguf::parse(&bytes).unwrap();
    assert_eq!(gguf.need_str("general.architecture").unwrap(), "llama");
    assert_eq!(gguf.need_u32("llama.block_count").unwrap(), 30);
    assert_eq!(gguf.need_f32("llama.rope.freq_base").unwrap(), 100_000.0);
    let tokens = gguf.need_strings("tokenizer.ggml.tokens").unwrap();
    assert_eq!((tokens.len(), tokens[1]), (49_152, "<|im_start|>"));
    assert_eq!(gguf.need_i32s("tokenizer.ggml.token_type").unwrap().len(), 49_152);
    assert_eq!(gguf.tensors().len(), 272);
    let embedding = gguf.tensor("token_embd.weight").unwrap();
    assert_eq!((&*embedding.shape, embedding.ty), (&[49_152, 576][..], TensorType::Q8_0));
    assert_eq!(gguf.split(), None);

    let mut writer = Writer::new();
    for key in gguf.keys() {
        writer.set(key, *gguf.get(key).unwrap()).unwrap();
    }
    for tensor in gguf.tensors() {
        writer.tensor(tensor.name, &tensor.shape, tensor.ty).unwrap();
    }
    let mut data = writer.begin(Vec::new()).unwrap();
    for tensor in gguf.tensors() {
        data.push(tensor.name, gguf.data(tensor)).unwrap();
    }
    assert!(data.finish().unwrap() == bytes, "the written file differs");
}
