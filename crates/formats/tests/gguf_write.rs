//! What the writer writes, the reader reads; and what the reader refuses cannot be written.

use rushlight_formats::gguf::{Value, Writer, check_shards};
use rushlight_formats::{Error, ErrorKind, Gguf, TensorType};

fn sample() -> Result<Writer, Error> {
    let mut writer = Writer::new();
    writer.set_alignment(64)?;
    writer.set("general.architecture", "llama")?;
    writer.set("llama.block_count", 2u32)?;
    writer.set("flag", true)?;
    writer.set("tokens", &["a", "é", ""][..])?;
    writer.set("scores", &[0.5f32, -1.0][..])?;
    writer.tensor("a", &[3, 32], TensorType::Q8_0)?;
    writer.tensor("b", &[5], TensorType::F32)?;
    Ok(writer)
}

#[test]
fn a_file_survives_the_way_through_reader_and_writer() {
    let a: Vec<u8> = (0..102).collect();
    let mut data = sample().unwrap().begin(Vec::new()).unwrap();
    data.push("a", &a[..50]).unwrap();
    data.push("a", &a[50..]).unwrap();
    data.push("b", &[7; 20]).unwrap();
    let file = data.finish().unwrap();
    let gguf = Gguf::parse(&file).unwrap();
    assert_eq!(gguf.alignment(), 64);
    assert_eq!(gguf.need_u32("llama.block_count").unwrap(), 2);
    assert_eq!(gguf.need_strings("tokens").unwrap(), ["a", "é", ""]);
    assert_eq!(gguf.need_f32s("scores").unwrap(), [0.5, -1.0]);
    assert_eq!(gguf.get("flag"), Some(&Value::Bool(true)));
    let tensor = gguf.tensor("a").unwrap();
    assert_eq!((&*tensor.shape, gguf.data(tensor)), (&[3, 32][..], &a[..]));
    assert_eq!(gguf.data(gguf.tensor("b").unwrap()), [7; 20]);

    let mut again = Writer::new();
    again.set_alignment(64).unwrap();
    for key in gguf.keys().filter(|key| *key != "general.alignment") {
        again.set(key, *gguf.get(key).unwrap()).unwrap();
    }
    for tensor in gguf.tensors() {
        again.tensor(tensor.name, &tensor.shape, tensor.ty).unwrap();
    }
    let mut data = again.begin(Vec::new()).unwrap();
    for tensor in gguf.tensors() {
        data.push(tensor.name, gguf.data(tensor)).unwrap();
    }
    assert_eq!(data.finish().unwrap(), file);
}

#[test]
fn what_cannot_be_read_cannot_be_written() {
    let mut writer = sample().unwrap();
    let mut data = sample().unwrap().begin(Vec::new()).unwrap();
    let long = "x".repeat(70_000);
    let cases = [
        ("key twice", writer.set("flag", 1u8), ErrorKind::Duplicate),
        ("empty key", writer.set("", 1u8), ErrorKind::Limit),
        ("long key", writer.set(&long, 1u8), ErrorKind::Limit),
        ("alignment", writer.set("general.alignment", 3u32), ErrorKind::Value),
        ("alignment 0", Writer::new().set_alignment(0), ErrorKind::Value),
        ("tensor twice", writer.tensor("a", &[1], TensorType::F32), ErrorKind::Duplicate),
        ("long name", writer.tensor(&long, &[1], TensorType::F32), ErrorKind::Limit),
        ("rank 5", writer.tensor("c", &[1; 5], TensorType::F32), ErrorKind::Layout),
        ("length 0", writer.tensor("c", &[3, 0], TensorType::F32), ErrorKind::Layout),
        ("half a block", writer.tensor("c", &[2, 16], TensorType::Q4_0), ErrorKind::Layout),
        ("no id", writer.tensor("c", &[2], TensorType::U8), ErrorKind::Type),
        ("another's turn", data.push("b", &[0; 20]), ErrorKind::Layout),
        ("too many bytes", data.push("a", &[0; 103]), ErrorKind::Layout),
        ("too few bytes", data.finish().map(drop), ErrorKind::Missing),
    ];
    let mut failures = Vec::new();
    for (name, result, kind) in cases {
        match result {
            Err(error) if error.kind() == kind => {}
            other => failures.push(format!("{name}: {other:?}")),
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

fn shard(number: u16, count: u16, tensor: &str, tensors: i32) -> Result<Vec<u8>, Error> {
    let mut writer = Writer::new();
    writer.set("split.no", number)?;
    writer.set("split.count", count)?;
    writer.set("split.tensors.count", tensors)?;
    writer.tensor(tensor, &[1], TensorType::F32)?;
    let mut data = writer.begin(Vec::new())?;
    data.push(tensor, &[0; 4])?;
    data.finish()
}

#[test]
fn shards_of_one_model_fit_together() {
    let check = |files: &[Vec<u8>]| {
        let shards: Vec<Gguf<'_>> = files.iter().map(|file| Gguf::parse(file).unwrap()).collect();
        check_shards(&shards).map_err(|error| error.kind())
    };
    let whole = [shard(0, 2, "a", 2).unwrap(), shard(1, 2, "b", 2).unwrap()];
    let split = Gguf::parse(&whole[1]).unwrap().split().unwrap();
    assert_eq!((split.index, split.count, split.tensors), (1, 2, Some(2)));
    let cases = [
        ("whole", check(&whole), Ok(())),
        ("one missing", check(&whole[..1]), Err(ErrorKind::Missing)),
        ("wrong order", check(&[whole[1].clone(), whole[0].clone()]), Err(ErrorKind::Missing)),
        (
            "a tensor twice",
            check(&[whole[0].clone(), shard(1, 2, "a", 2).unwrap()]),
            Err(ErrorKind::Duplicate),
        ),
        (
            "another model's",
            check(&[whole[0].clone(), shard(1, 2, "b", 3).unwrap()]),
            Err(ErrorKind::Missing),
        ),
    ];
    let failures: Vec<_> = cases.iter().filter(|(_, found, expected)| found != expected).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    let lying = shard(2, 2, "a", 2).unwrap();
    assert_eq!(Gguf::parse(&lying).unwrap_err().kind(), ErrorKind::Value);
}
