//! safetensors files and indexes: whole ones, and ones that are cut short, lie or attack.

use std::fs;
use std::time::Duration;

use rushlight_formats::{ErrorKind, Index, SafeTensors, TensorType};
use rushlight_testkit::cost;

fn file(header: &str, data: usize) -> Vec<u8> {
    raw(header.len() as u64, header.as_bytes(), data)
}

fn raw(length: u64, header: &[u8], data: usize) -> Vec<u8> {
    [&length.to_le_bytes()[..], header, &vec![0; data]].concat()
}

#[test]
fn tensors_are_views() {
    let header = r#"{"__metadata__":{"format":"pt"},
        "b":{"dtype":"F32","shape":[],"data_offsets":[12,16]},
        "é":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]},
        "none":{"dtype":"I64","shape":[0,7],"data_offsets":[16,16]}}  "#;
    let mut bytes = file(header, 0);
    bytes.extend(0..16);
    let file = SafeTensors::parse(&bytes).unwrap();
    assert_eq!(file.metadata("format"), Some("pt"));
    assert_eq!(
        file.tensors().iter().map(|tensor| tensor.name).collect::<Vec<_>>(),
        ["b", "é", "none"]
    );
    let tensor = file.tensor("é").unwrap();
    assert_eq!((&*tensor.shape, tensor.ty), (&[2, 3][..], TensorType::BF16));
    assert_eq!(file.data(tensor), (0..12).collect::<Vec<u8>>());
    assert_eq!(file.data(file.tensor("b").unwrap()), [12, 13, 14, 15]);
    assert_eq!(file.tensor("none").unwrap().elements(), 0);
    SafeTensors::parse(&raw(2, b"{}", 0)).unwrap();
}

/// S1 to S5, each refused with this kind and text, at little cost.
#[test]
fn hostile_files() {
    let one = |entry: &str, data| file(&format!("{{\"w\":{{{entry}}}}}"), data);
    let f32s = |shape: &str, offsets: &str, data| {
        one(&format!(r#""dtype":"F32","shape":{shape},"data_offsets":{offsets}"#), data)
    };
    let two = |first: &str, second: &str, data| {
        let entry = |name: &str, offsets: &str| {
            format!(r#""{name}":{{"dtype":"U8","shape":[4],"data_offsets":{offsets}}}"#)
        };
        file(&format!("{{{},{}}}", entry("a", first), entry("b", second)), data)
    };
    let deep = format!("{{\"w\":{}", "[".repeat(1 << 20));
    let long_shape = format!("[{}1]", "1,".repeat(4 << 20));
    let texts: Vec<String> = (0..70_000).map(|number| format!("\"{number}\":\"\"")).collect();
    let texts = format!("{{\"__metadata__\":{{{}}}}}", texts.join(","));
    let tensors: Vec<String> = (0..263_000)
        .map(|number| format!(r#""{number}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#))
        .collect();
    let tensors = format!("{{{}}}", tensors.join(","));
    let twice = r#""w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"#;
    let field_twice = r#""dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]"#;
    let extra = r#""dtype":"U8","shape":[0],"data_offsets":[0,0],"more":1"#;
    use ErrorKind::*;
    let cases: Vec<(&str, Vec<u8>, ErrorKind, &str)> = vec![
        // S1
        ("no length", vec![0; 7], Truncated, "found a file of `7` bytes"),
        ("length 0", raw(0, b"{}", 0), Value, "found `0`, expected at least `2`"),
        ("length over the file", raw(3, b"{}", 0), Truncated, "at most the `2` bytes"),
        ("length over the bound", raw(100_000_001, b"{}", 0), Limit, "at most `100000000`"),
        ("length 2^64 - 1", raw(u64::MAX, b"{}", 0), Limit, "found `18446744073709551615`"),
        // S2
        ("inverted", f32s("[1]", "[4,0]", 4), Layout, "found `4` to `0`"),
        ("past the end", f32s("[2]", "[0,8]", 4), Truncated, "within the `4` bytes"),
        (
            "far past the end",
            f32s("[1]", "[18446744073709551611,18446744073709551615]", 4),
            Truncated,
            "tensor `w`",
        ),
        ("gap", two("[0,4]", "[5,9]", 9), Layout, "found a begin of `5`, expected `4`"),
        ("gap in front", f32s("[1]", "[4,8]", 8), Layout, "found a begin of `4`, expected `0`"),
        ("overlap", two("[0,4]", "[2,6]", 6), Layout, "found a begin of `2`, expected `4`"),
        ("same place", two("[0,4]", "[0,4]", 4), Layout, "found a begin of `0`, expected `4`"),
        ("more data", f32s("[1]", "[0,4]", 5), Layout, "data: found `5` bytes"),
        ("negative", f32s("[1]", "[-4,0]", 4), Value, "header, line `1`"),
        // S3
        ("another size", f32s("[3]", "[0,4]", 4), Layout, "the `12` bytes of shape `[3]`"),
        ("product wraps", f32s("[4294967296,4294967296]", "[0,4]", 4), Layout, "`shape`"),
        ("bytes wrap", f32s("[4611686018427387905]", "[0,4]", 4), Layout, "`shape`"),
        ("rank 9", f32s("[1,1,1,1,1,1,1,1,1]", "[0,4]", 4), Value, "expected at most 8 lengths"),
        (
            "unknown type",
            one(r#""dtype":"F12","shape":[0],"data_offsets":[0,0]"#, 0),
            Type,
            "found `F12`",
        ),
        (
            "GGUF's type",
            one(r#""dtype":"Q4_0","shape":[0],"data_offsets":[0,0]"#, 0),
            Type,
            "`Q4_0`",
        ),
        ("long shape", f32s(&long_shape, "[0,4]", 4), Value, "expected at most 8 lengths"),
        ("many texts", file(&texts, 0), Value, "more than 65536 texts"),
        ("many tensors", file(&tensors, 0), Value, "more than 262144 tensors"),
        // S4
        ("tensor twice", file(&format!("{{{twice},{twice}}}"), 0), Duplicate, "tensor `w` again"),
        ("field twice", one(field_twice, 0), Value, "duplicate field"),
        ("unknown field", one(extra, 0), Value, "unknown field"),
        (
            "metadata twice",
            file(r#"{"__metadata__":{},"__metadata__":{}}"#, 0),
            Value,
            "duplicate field",
        ),
        ("metadata key twice", file(r#"{"__metadata__":{"a":"","a":""}}"#, 0), Value, "again"),
        // S5
        ("deep", file(&deep, 0), Value, "header, line `1`"),
        ("deep metadata", file(&deep.replace('w', "__metadata__"), 0), Value, "header"),
        ("not UTF-8", raw(6, b"{\"\xff\":1", 0), Encoding, "not UTF-8 at offset `2`"),
        ("escaped name", file(r#"{"\u0077":{}}"#, 0), Value, "a name without escapes"),
        ("not JSON", file("{w}", 0), Syntax, "header, line `1` column `2`"),
        ("not an object", file("[]", 0), Value, "an object of tensors"),
        ("two objects", file("{} {}", 0), Syntax, "trailing characters"),
    ];
    let mut failures = Vec::new();
    for (name, bytes, kind, text) in cases {
        let (result, time, grown) = cost(|| SafeTensors::parse(&bytes).map(drop));
        match result {
            Err(error) if error.kind() == kind && error.to_string().contains(text) => {}
            Err(error) => failures.push(format!("{name}: {:?}: {error}", error.kind())),
            Ok(()) => failures.push(format!("{name}: accepted")),
        }
        if time > Duration::from_secs(5) || grown > 512 << 20 {
            failures.push(format!("{name}: {time:?}, {grown} bytes"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn an_index_names_plain_files() {
    let json = r#"{"metadata":{"total_size":24},"weight_map":{
        "a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors",
        "c":"model-00001-of-00002.safetensors"}}"#;
    let index = Index::parse(json.as_bytes()).unwrap();
    let names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    assert_eq!(index.files(), names);
    assert_eq!(index.file("c"), Some(names[0]));
    assert_eq!(index.file("d"), None);
    assert_eq!(index.tensor_count(), 3);
    let entry = r#"{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"#;
    let with = |tensors: &[&str]| {
        let pairs: Vec<String> = tensors.iter().map(|name| format!("\"{name}\":{entry}")).collect();
        file(&format!("{{{}}}", pairs.join(",")), 0)
    };
    for (tensors, kind) in [
        (&["a", "c"][..], None),
        (&["a"], Some(ErrorKind::Missing)),
        (&["a", "b", "c"], Some(ErrorKind::Layout)),
    ] {
        let bytes = with(tensors);
        let shard = SafeTensors::parse(&bytes).unwrap();
        let found = index.check(names[0], &shard).err().map(|error| error.kind());
        assert_eq!(found, kind, "{tensors:?}");
    }
}

/// S4 to S6: names that lead elsewhere, keys that repeat, forms that are none.
#[test]
fn hostile_indexes() {
    use ErrorKind::*;
    let mut cases = vec![
        ("twice".to_owned(), r#"{"weight_map":{"a":"x","a":"y"}}"#.to_owned(), Value),
        ("map twice".to_owned(), r#"{"weight_map":{},"weight_map":{}}"#.to_owned(), Value),
        ("no map".to_owned(), "{}".to_owned(), Missing),
        ("empty".to_owned(), r#"{"weight_map":{}}"#.to_owned(), Limit),
        ("map is an array".to_owned(), r#"{"weight_map":[]}"#.to_owned(), Missing),
        ("name is a number".to_owned(), r#"{"weight_map":{"a":1}}"#.to_owned(), Type),
        ("deep".to_owned(), format!("{{\"a\":{}", "[".repeat(1 << 20)), Syntax),
    ];
    let long = "x".repeat(256);
    for name in [
        "../x",
        "/etc/passwd",
        "a/b",
        "..",
        ".",
        "",
        "a\\\\b",
        "C:x",
        "a\\u0000b",
        "a\\nb",
        "a\\u002fb",
        &long,
    ] {
        let json = format!("{{\"weight_map\":{{\"a\":\"{name}\"}}}}");
        cases.push((format!("name {name}"), json, Name));
    }
    let mut failures = Vec::new();
    for (name, json, kind) in cases {
        match Index::parse(json.as_bytes()) {
            Err(error) if error.kind() == kind => {}
            other => failures.push(format!("{name}: {other:?}")),
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    let error = Index::parse(br#"{"weight_map":{"a":"../x"}}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "key `weight_map`, tensor `a`, file name: found `../x`, expected a plain file name, \
         without separators"
    );
}

/// Faults are reported with the file's name in front and a hint where there is one.
#[test]
fn errors_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    fs::write(&path, raw(9, b"{}", 0)).unwrap();
    let bytes = fs::read(&path).unwrap();
    let error = SafeTensors::parse(&bytes).unwrap_err().with_path(&path);
    assert_eq!(error.path(), Some(&*path));
    let expected = "header length at offset `0`: found `9`, expected at most the `2` bytes up to \
                    the end";
    assert_eq!(error.to_string(), format!("`{}`: {expected}", path.display()));
}
