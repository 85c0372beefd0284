//! Writes `keys.gguf` and `tensors.gguf` of `fuzz/seeds`, from which fuzzing starts; run from the
//! root of the repository: `cargo run --manifest-path fuzz/Cargo.toml --example seeds`.

use std::error::Error;
use std::fs;
use std::path::Path;

use rushlight_formats::TensorType;
use rushlight_formats::gguf::Writer;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new("fuzz/seeds/gguf");
    fs::create_dir_all(folder)?;
    fs::write(folder.join("keys.gguf"), keys()?)?;
    fs::write(folder.join("tensors.gguf"), tensors()?)?;
    Ok(())
}

/// Every type of value.
fn keys() -> Result<Vec<u8>, Box<dyn Error>> {
    let mut writer = Writer::new();
    writer.set("u8", 1u8)?;
    writer.set("i8", -1i8)?;
    writer.set("u16", 2u16)?;
    writer.set("i16", -2i16)?;
    writer.set("u32", 3u32)?;
    writer.set("i32", -3i32)?;
    writer.set("f32", 0.5f32)?;
    writer.set("bool", true)?;
    writer.set("str", "llama")?;
    writer.set("u64", 4u64)?;
    writer.set("i64", -4i64)?;
    writer.set("f64", 0.25f64)?;
    writer.set("tokens", &["<s>", "é", ""][..])?;
    writer.set("scores", &[0.0f32, -1.0][..])?;
    writer.set("types", &[1i32, 3][..])?;
    writer.set("flags", &[true, false][..])?;
    Ok(writer.begin(Vec::new())?.finish()?)
}

/// Several shapes and types behind an alignment of 8.
fn tensors() -> Result<Vec<u8>, Box<dyn Error>> {
    let mut writer = Writer::new();
    writer.set_alignment(8)?;
    let tensors: [(&str, &[usize], TensorType); 4] = [
        ("norm", &[3], TensorType::F32),
        ("weight", &[2, 32], TensorType::Q4_0),
        ("conv", &[1, 2, 1, 3], TensorType::F16),
        ("scalar", &[], TensorType::I64),
    ];
    for (name, shape, ty) in tensors {
        writer.tensor(name, shape, ty)?;
    }
    let mut data = writer.begin(Vec::new())?;
    for (name, bytes) in [("norm", 12), ("weight", 36), ("conv", 12), ("scalar", 8)] {
        data.push(name, &vec![7; bytes])?;
    }
    Ok(data.finish()?)
}
