//! Well-formed GGUF files, byte by byte.

use rushlight_formats::gguf::{Value, ValueType};
use rushlight_formats::{ErrorKind, Gguf, TensorType};
use rushlight_testkit::RawGguf;
use rushlight_testkit::raw_gguf::{array, string};

fn file(version: u32, pairs: &[(&str, u32, Vec<u8>)]) -> Vec<u8> {
    let file = RawGguf::default().version(version);
    pairs.iter().fold(file, |file, (key, ty, value)| file.pair(key, *ty, value)).build()
}

#[test]
fn every_value_type_is_read() {
    let words = [string(b"a"), string("é".as_bytes())].concat();
    let pairs = [
        ("u8", 0, vec![200]),
        ("i8", 1, vec![0xff]),
        ("u16", 2, 500u16.to_le_bytes().to_vec()),
        ("i16", 3, (-5i16).to_le_bytes().to_vec()),
        ("u32", 4, 70_000u32.to_le_bytes().to_vec()),
        ("i32", 5, (-7i32).to_le_bytes().to_vec()),
        ("f32", 6, 1.5f32.to_le_bytes().to_vec()),
        ("bool", 7, vec![1]),
        ("str", 8, string(b"text")),
        ("words", 9, array(8, 2, &words)),
        ("nested", 9, array(9, 2, &[array(0, 1, &[3]), array(0, 2, &[4, 5])].concat())),
        ("u64", 10, u64::MAX.to_le_bytes().to_vec()),
        ("i64", 11, i64::MIN.to_le_bytes().to_vec()),
        ("f64", 12, 0.1f64.to_le_bytes().to_vec()),
        ("raw", 9, array(8, 1, &string(&[0xff]))),
        ("flags", 9, array(7, 3, &[0, 1, 0])),
        ("scores", 9, array(6, 1, &2.5f32.to_le_bytes())),
        ("types", 9, array(5, 2, &[1i32.to_le_bytes(), (-1i32).to_le_bytes()].concat())),
    ];
    let bytes = file(2, &pairs);
    let gguf = Gguf::parse(&bytes).unwrap();
    assert_eq!(gguf.version(), 2);
    assert_eq!(gguf.keys().collect::<Vec<_>>(), pairs.each_ref().map(|(key, ..)| *key));
    let expected = [
        ("u8", Value::U8(200)),
        ("i8", Value::I8(-1)),
        ("u16", Value::U16(500)),
        ("i16", Value::I16(-5)),
        ("u32", Value::U32(70_000)),
        ("i32", Value::I32(-7)),
        ("f32", Value::F32(1.5)),
        ("bool", Value::Bool(true)),
        ("str", Value::Str("text")),
        ("u64", Value::U64(u64::MAX)),
        ("i64", Value::I64(i64::MIN)),
        ("f64", Value::F64(0.1)),
    ];
    for (key, value) in expected {
        assert_eq!(gguf.get(key), Some(&value), "{key}");
    }
    assert_eq!(gguf.strings("words").unwrap().unwrap(), ["a", "é"]);
    assert_eq!(gguf.strings("raw").unwrap_err().kind(), ErrorKind::Encoding);
    assert_eq!(gguf.need_byte_strings("raw").unwrap().collect::<Vec<_>>(), [b"\xff"]);
    assert_eq!(gguf.need_bools("flags").unwrap(), [false, true, false]);
    assert_eq!(gguf.need_f32s("scores").unwrap(), [2.5]);
    assert_eq!(gguf.need_i32s("types").unwrap(), [1, -1]);
    assert_eq!(gguf.u32s("types").unwrap_err().kind(), ErrorKind::Value);
    let Some(Value::Array(nested)) = gguf.get("nested") else { panic!("not an array") };
    assert_eq!(nested.element_type(), ValueType::Array);
    let inner: Vec<Vec<Value<'_>>> = nested
        .iter()
        .map(|element| match element.unwrap() {
            Value::Array(array) => array.iter().collect::<Result<_, _>>().unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(inner, [vec![Value::U8(3)], vec![Value::U8(4), Value::U8(5)]]);
}

#[test]
fn getters_convert_what_fits_and_name_the_rest() {
    let pairs = [
        ("small", 0, vec![32]),
        ("big", 10, (1u64 << 40).to_le_bytes().to_vec()),
        ("odd", 4, 16_777_217u32.to_le_bytes().to_vec()),
        ("minus", 5, (-1i32).to_le_bytes().to_vec()),
        ("nan", 6, f32::NAN.to_le_bytes().to_vec()),
        ("tenth", 12, 0.1f64.to_le_bytes().to_vec()),
        ("text", 8, string(b"\x1b[31m12")),
        ("list", 9, array(0, 2, &[1, 2])),
    ];
    let bytes = file(3, &pairs);
    let gguf = Gguf::parse(&bytes).unwrap();
    assert_eq!(gguf.u32("small").unwrap(), Some(32));
    assert_eq!(gguf.f32("small").unwrap(), Some(32.0));
    assert_eq!(gguf.f32("big").unwrap(), Some((1u64 << 40) as f32));
    assert_eq!(gguf.f32("tenth").unwrap(), Some(0.1));
    assert_eq!(gguf.u64("big").unwrap(), Some(1 << 40));
    assert_eq!(gguf.i32("minus").unwrap(), Some(-1));
    assert_eq!(gguf.u32("absent").unwrap(), None);
    let refused = [
        (
            gguf.u32("big").unwrap_err(),
            "key `big`: found the `u64` `1099511627776`, expected an integer that fits `u32`",
        ),
        (
            gguf.u32("minus").unwrap_err(),
            "key `minus`: found the `i32` `-1`, expected an integer that fits `u32`",
        ),
        (
            gguf.f32("odd").unwrap_err(),
            "key `odd`: found the `u32` `16777217`, expected a finite number that fits `f32`",
        ),
        (
            gguf.f32("nan").unwrap_err(),
            "key `nan`: found the `f32` `NaN`, expected a finite number that fits `f32`",
        ),
        (
            gguf.bool("text").unwrap_err(),
            "key `text`: found the `string` `\\u{1b}[31m12`, expected a `bool`",
        ),
        (
            gguf.f32s("list").unwrap_err(),
            "key `list`: found an array of `2` `u8`, expected an array of `f32`",
        ),
        (gguf.need_str("absent").unwrap_err(), "key `absent`: found nothing, expected a `string`"),
    ];
    for (error, text) in refused {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn tensors_are_row_major_and_placed() {
    let data: Vec<u8> = (0..54).collect();
    let bytes = RawGguf::default().tensor("w", &[32, 3], 2, 0).data(&data).build(); // Q4_0
    let start = bytes.len() - data.len();
    let gguf = Gguf::parse(&bytes).unwrap();
    let tensor = gguf.tensor("w").unwrap();
    assert_eq!(&*tensor.shape, [3, 32]);
    assert_eq!(tensor.ty, TensorType::Q4_0);
    assert_eq!(tensor.range, start..start + 54);
    assert_eq!(gguf.data(tensor), &bytes[start..]);
    assert_eq!(gguf.data_start(), start);
    assert_eq!(gguf.alignment(), 32);
}
