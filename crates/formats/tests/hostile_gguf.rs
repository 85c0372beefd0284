//! GGUF files that are cut short, lie or attack. One test for each class of faults that other
//! readers have had; the comments name published ones.

use std::time::Duration;

use rushlight_formats::{ErrorKind, Gguf};
use rushlight_testkit::raw_gguf::{array, string};
use rushlight_testkit::{RawGguf, cost};

/// What any of these small files may cost. An allocation that believed one of their numbers would
/// ask for more by orders of magnitude.
const MAX_TIME: Duration = Duration::from_secs(5);
const MAX_BYTES: u64 = 512 << 20;

type Case = (&'static str, Vec<u8>, ErrorKind, &'static str);

/// Parses every file; each must be refused with this kind and text at little cost.
fn check(cases: Vec<Case>) {
    let mut failures = Vec::new();
    for (name, bytes, kind, text) in cases {
        let (result, time, grown) = cost(|| Gguf::parse(&bytes).map(drop));
        match result {
            Err(error) if error.kind() == kind && error.to_string().contains(text) => {}
            Err(error) => failures.push(format!("{name}: {:?}: {error}", error.kind())),
            Ok(()) => failures.push(format!("{name}: accepted")),
        }
        if time > MAX_TIME || grown > MAX_BYTES {
            failures.push(format!("{name}: {time:?}, {grown} bytes"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

fn file() -> RawGguf {
    RawGguf::default()
}

const F32: u32 = 0;

#[test]
fn other_formats_and_versions_are_named() {
    let mut big_endian = b"GGUF".to_vec();
    big_endian.extend(3u32.to_be_bytes());
    big_endian.extend([0; 16]);
    check(vec![
        ("empty", vec![], ErrorKind::Truncated, "magic at offset `0`: found `0` bytes"),
        ("zip", b"PK\x03\x04....".to_vec(), ErrorKind::Format, "found `PK\\x03\\x04`"),
        ("before GGUF", b"tjgg....".to_vec(), ErrorKind::Format, "expected `GGUF`"),
        ("version 1", file().version(1).build(), ErrorKind::Version, "found GGUF version `1`"),
        ("version 0", file().version(0).build(), ErrorKind::Version, "found GGUF version `0`"),
        ("version 4", file().version(4).build(), ErrorKind::Version, "found GGUF version `4`"),
        ("big-endian", big_endian, ErrorKind::Version, "a big-endian file of version `3`"),
    ]);
}

/// G1: CVE-2026-7482.
#[test]
fn tensors_beyond_the_end() {
    let four = |offset| file().tensor("w", &[4], F32, offset).data(&[0; 16]).build();
    let mut cut = four(0);
    cut.pop();
    check(vec![
        ("offset behind", four(32), ErrorKind::Truncated, "tensor `w`: found `16` bytes at"),
        ("offset wraps", four(u64::MAX - 31), ErrorKind::Truncated, "tensor `w`"),
        ("offset 2^63", four(1 << 63), ErrorKind::Truncated, "tensor `w`"),
        ("misaligned", four(8), ErrorKind::Layout, "found the data offset `8`"),
        ("one byte short", cut, ErrorKind::Truncated, "a data section of `15` bytes"),
        (
            "no data",
            file().tensor("w", &[4], F32, 0).build(),
            ErrorKind::Truncated,
            "a data section of `0` bytes",
        ),
    ]);
}

/// G2: CVE-2026-33298, CVE-2025-53630, CVE-2026-27940.
#[test]
fn shapes_that_overflow() {
    let shaped = |lengths: &[u64], ty| file().tensor("w", lengths, ty, 0).data(&[0; 64]).build();
    let (half, word) = (1 << 63, 1 << 32);
    let product = "a product below `2^63`";
    check(vec![
        ("product 2^64", shaped(&[word, word], F32), ErrorKind::Layout, product),
        ("product 2^63", shaped(&[half], 24), ErrorKind::Layout, product),
        ("wraps to 4", shaped(&[half + 2, 2], F32), ErrorKind::Layout, product),
        (
            "bytes wrap",
            shaped(&[1 << 62], F32),
            ErrorKind::Layout,
            "size: found `4611686018427387904`",
        ),
        ("bytes of rows wrap", shaped(&[8, 1 << 59], 28), ErrorKind::Layout, "a number of bytes"),
        (
            "2^62 in blocks",
            shaped(&[256, 1 << 54], 15),
            ErrorKind::Truncated,
            "tensor `w`: found `52",
        ),
        ("length 0", shaped(&[4, 0], F32), ErrorKind::Layout, "lengths of at least `1`"),
        ("rank 5", shaped(&[1; 5], F32), ErrorKind::Limit, "found `5`, expected at most `4`"),
        ("half a block", shaped(&[16], 2), ErrorKind::Layout, "expected a multiple of `32`"),
        ("no whole rows", shaped(&[48, 2], 2), ErrorKind::Layout, "expected a multiple of `32`"),
    ]);
    let rank = [&string(b"w")[..], &u32::MAX.to_le_bytes(), &[0; 64]].concat();
    let bytes = [file().tensor_count(1).build(), rank].concat();
    check(vec![("rank 2^32 - 1", bytes, ErrorKind::Limit, "found `4294967295`")]);
}

/// G3: CVE-2024-21802, -21825, -21836, -23496, -23605; the 43-byte file that hangs a reader.
#[test]
fn counts_and_lengths_beyond_the_file() {
    let padded = |file: RawGguf| [file.build(), vec![0; 64]].concat();
    let with = |ty, value: &[u8]| file().pair("k", ty, value).build();
    let long = |length: u64| [&length.to_le_bytes()[..], b"text"].concat();
    let mut nested = array(0, 1, &[7]);
    for _ in 0..5 {
        nested = array(9, 1, &nested);
    }
    let mut deep = Vec::new();
    for _ in 0..100_000 {
        deep.extend(array(9, 1, &[]));
    }
    let mut wide = Vec::new();
    for _ in 0..10_000 {
        wide.extend(array(9, 1, &array(9, 1, &array(0, 0, &[]))));
    }
    let mut huge_key = file().key_count(1).build();
    huge_key.extend(u64::MAX.to_le_bytes());
    huge_key.extend([0; 64]);
    let name = "n".repeat(300);
    check(vec![
        ("keys 2^63", padded(file().key_count(1 << 63)), ErrorKind::Limit, "number of keys"),
        (
            "keys",
            padded(file().key_count(9)),
            ErrorKind::Truncated,
            "found `9`, expected at most `4`",
        ),
        ("tensors 2^63", padded(file().tensor_count(1 << 63)), ErrorKind::Limit, "of tensors"),
        ("tensors", padded(file().tensor_count(9)), ErrorKind::Truncated, "number of tensors"),
        ("key length", huge_key, ErrorKind::Limit, "a length of `18446744073709551615` bytes"),
        (
            "string 2^63",
            with(8, &long(1 << 63)),
            ErrorKind::Truncated,
            "found `4` bytes up to the end",
        ),
        ("string one over", with(8, &long(5)), ErrorKind::Truncated, "expected `5` bytes"),
        (
            "array 2^63",
            with(9, &array(4, 1 << 63, &[0; 8])),
            ErrorKind::Truncated,
            "at most `2` elements",
        ),
        ("array one over", with(9, &array(4, 3, &[0; 8])), ErrorKind::Truncated, "a length of `3`"),
        ("strings 2^61", with(9, &array(8, 1 << 61, &[0; 8])), ErrorKind::Truncated, "at most `1`"),
        (
            "strings lie",
            with(9, &array(8, 1, &long(9))),
            ErrorKind::Truncated,
            "string of an array",
        ),
        (
            "arrays of nothing",
            with(9, &array(9, u64::MAX, &[0; 8])),
            ErrorKind::Truncated,
            "`array`",
        ),
        ("nested", with(9, &nested), ErrorKind::Limit, "arrays at most `4` deep"),
        ("nested deep", with(9, &deep), ErrorKind::Limit, "arrays at most `4` deep"),
        ("nested wide", with(9, &array(9, 1 << 40, &wide)), ErrorKind::Truncated, "`array`"),
        (
            "tensor name",
            file().tensor(&name, &[1], F32, 0).build(),
            ErrorKind::Limit,
            "at most `256`",
        ),
    ]);
}

/// G4: alignment 0, odd, huge or of another type.
#[test]
fn alignments_that_are_none() {
    let with = |ty, value: &[u8]| file().pair("general.alignment", ty, value).build();
    let number = |alignment: u32| with(4, &alignment.to_le_bytes());
    let text = "a power of two from `8` to `2097152`";
    check(vec![
        ("0", number(0), ErrorKind::Value, text),
        ("1", number(1), ErrorKind::Value, text),
        ("24", number(24), ErrorKind::Value, text),
        ("2^30", number(1 << 30), ErrorKind::Value, text),
        ("u64", with(10, &32u64.to_le_bytes()), ErrorKind::Type, "found the `u64` `32`"),
        ("i32", with(5, &32u32.to_le_bytes()), ErrorKind::Type, "found the `i32` `32`"),
        ("string", with(8, &string(b"32")), ErrorKind::Type, "found the `string` `32`"),
    ]);
}

/// G5: types that lie, names that repeat.
#[test]
fn types_and_duplicates() {
    let byte = |key| file().pair(key, 0, &[1]);
    let typed = |ty| file().tensor("w", &[1], ty, 0).data(&[0; 32]).build();
    check(vec![
        ("value type", file().pair("k", 13, &[0; 8]).build(), ErrorKind::Type, "found `13`"),
        ("element type", file().pair("k", 9, &array(99, 0, &[])).build(), ErrorKind::Type, "`99`"),
        ("bool of 2", file().pair("k", 7, &[2]).build(), ErrorKind::Value, "found `2`"),
        (
            "key twice",
            byte("k").pair("k", 0, &[1]).build(),
            ErrorKind::Duplicate,
            "found `k` again",
        ),
        (
            "tensor twice",
            file().tensor("w", &[1], F32, 0).tensor("w", &[1], F32, 32).data(&[0; 64]).build(),
            ErrorKind::Duplicate,
            "found `w` again",
        ),
        ("removed type", typed(4), ErrorKind::Type, "tensor `w`, tensor type at offset"),
        ("unknown type", typed(43), ErrorKind::Type, "found `43`"),
        ("negative type", typed(u32::MAX), ErrorKind::Type, "found `4294967295`"),
        ("no key", [byte("").build(), vec![0]].concat(), ErrorKind::Value, "expected a name"),
    ]);
}

/// G5, G7: what has the right place but the wrong type is refused on use.
#[test]
fn wrong_types_are_refused_on_use() {
    let bytes = file()
        .pair("scores", 9, &array(0, 4, &[0; 4]))
        .pair("types", 9, &array(0, 4, &[0; 4]))
        .pair("tokens", 9, &array(5, 1, &[0; 4]))
        .pair("flags", 9, &array(7, 2, &[1, 2]))
        .pair("blocks", 10, &(1u64 << 40).to_le_bytes())
        .pair("heads", 5, &(-1i32).to_le_bytes())
        .pair("epsilon", 6, &f32::INFINITY.to_le_bytes())
        .build();
    let gguf = Gguf::parse(&bytes).unwrap();
    let found = [
        ("scores", gguf.f32s("scores").map(drop)),
        ("types", gguf.i32s("types").map(drop)),
        ("tokens", gguf.strings("tokens").map(drop)),
        ("flags", gguf.bools("flags").map(drop)),
        ("blocks", gguf.u32("blocks").map(drop)),
        ("heads", gguf.u32("heads").map(drop)),
        ("epsilon", gguf.f32("epsilon").map(drop)),
    ];
    let failures: Vec<_> = found
        .into_iter()
        .filter(|(key, result)| {
            !result.as_ref().is_err_and(|error| error.to_string().contains(&format!("key `{key}`")))
        })
        .collect();
    assert!(failures.is_empty(), "{failures:#?}");
}

/// G6: texts beyond their array, and texts that are none.
#[test]
fn texts_that_are_none() {
    let key = [file().key_count(1).build(), string(b"\xff\xfe"), vec![0; 16]].concat();
    let name = [file().tensor_count(1).build(), string(b"w\xc0"), vec![0; 32]].concat();
    let value = file().pair("k", 8, &string(b"caf\xe9")).build();
    check(vec![
        ("key", key, ErrorKind::Encoding, "key number `0`"),
        ("tensor name", name, ErrorKind::Encoding, "tensor number `0`"),
        ("value", value, ErrorKind::Encoding, "found bytes that are not UTF-8 after `3` that are"),
    ]);
    let tokens = array(8, 2, &[string(b"a"), string(b"\xf0\x9f")].concat());
    let bytes = file().pair("tokens", 9, &tokens).build();
    let error = Gguf::parse(&bytes).unwrap().strings("tokens").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encoding);
    assert!(error.to_string().starts_with("key `tokens`, string `1`: "), "{error}");
}

/// G8: overlapping tensors, and parts that cannot be.
#[test]
fn overlaps_and_impossible_parts() {
    let pair = |second| {
        file().tensor("a", &[16], F32, 0).tensor("b", &[8], F32, second).data(&[0; 96]).build()
    };
    let inside = file().tensor("b", &[1], F32, 32).tensor("a", &[24], F32, 0).data(&[0; 96]);
    let part = |number: u16, count: u16| {
        let number = number.to_le_bytes();
        file().pair("split.no", 2, &number).pair("split.count", 2, &count.to_le_bytes()).build()
    };
    let no_number = file().pair("split.count", 2, &[3, 0]).build();
    check(vec![
        ("same place", pair(0), ErrorKind::Layout, "expected tensors that do not overlap"),
        ("partly", pair(32), ErrorKind::Layout, "of which `a` has those up to"),
        ("inside", inside.build(), ErrorKind::Layout, "tensor `b`"),
        ("part 3 of 3, from 0", part(3, 3), ErrorKind::Value, "key `split.no`: found `3`"),
        ("65535 parts", part(0, 65_535), ErrorKind::Limit, "expected at most `4096`"),
        ("no number", no_number, ErrorKind::Value, "key `split.no`: found nothing"),
    ]);
    Gguf::parse(&pair(64)).unwrap();
}

/// A whole file, cut at each byte and with each byte changed: an error or a file, never a panic.
#[test]
fn every_cut_and_every_changed_byte() {
    let whole = file()
        .pair("general.alignment", 4, &32u32.to_le_bytes())
        .pair("tokens", 9, &array(8, 2, &[string(b"a"), string("é".as_bytes())].concat()))
        .pair("nested", 9, &array(9, 1, &array(5, 1, &[1, 0, 0, 0])))
        .tensor("a", &[32, 2], 8, 0)
        .tensor("b", &[4], F32, 96)
        .data(&[0; 112])
        .build();
    use_all(&whole).unwrap();
    for length in 0..whole.len() {
        assert!(Gguf::parse(&whole[..length]).is_err(), "cut at {length}");
    }
    let mut changed = whole.clone();
    for at in 0..whole.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff, whole[at] ^ 1, whole[at].wrapping_add(1)] {
            changed[at] = value;
            let _ = use_all(&changed);
        }
        changed[at] = whole[at];
    }
}

/// Reads everything that the file hands out.
fn use_all(bytes: &[u8]) -> Result<(), rushlight_formats::Error> {
    let gguf = Gguf::parse(bytes)?;
    for key in gguf.keys() {
        gguf.u32(key).ok();
        gguf.i32s(key).ok();
        gguf.strings(key).ok();
    }
    for tensor in gguf.tensors() {
        assert_eq!(gguf.data(tensor).len(), tensor.bytes());
    }
    Ok(())
}
