//! `quantize_row` against gguf-py's bytes (`golden/make_quantized.py`).

use std::path::Path;

use rushlight_kernels::{Format, best, quantize_row};

fn golden(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/quantized").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn input() -> Vec<f32> {
    golden("input.f32").as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

#[test]
fn bytes_equal_the_reference() {
    let x = input();
    let mut failures = Vec::new();
    for format in Format::ALL.into_iter().filter(|format| format.is_writable()) {
        let name = if format == Format::F32 { "input.f32" } else { &format!("{format}.bin") };
        let want = golden(name);
        let mut got = Vec::new();
        quantize_row(format, &x, &mut got);
        if got.len() != want.len() {
            failures.push(format!("{format}: {} bytes, want {}", got.len(), want.len()));
        } else if let Some(i) = (0..got.len()).find(|&i| got[i] != want[i]) {
            failures.push(format!("{format}: byte {i}: {:#04x}, want {:#04x}", got[i], want[i]));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A step of the format is at most `1 / steps` of a block's range or largest value; f16 scales
/// add a part in 2048 of it.
#[test]
fn values_come_back_within_a_step() {
    let x = input();
    let mut failures = Vec::new();
    for (format, steps) in [
        (Format::Q4_0, 8.0),
        (Format::Q4_1, 15.0),
        (Format::Q5_0, 16.0),
        (Format::Q5_1, 31.0),
        (Format::Q8_0, 127.0),
    ] {
        let mut bytes = Vec::new();
        quantize_row(format, &x, &mut bytes);
        let mut back = vec![f32::NAN; x.len()];
        best().dequantize(format, &bytes, &mut back);
        for (i, (x, back)) in x.chunks(32).zip(back.chunks(32)).enumerate() {
            let size = x.iter().fold(0.0f32, |max, x| max.max(x.abs()));
            let bound = 2.0 * size * (1.0 / steps + 1.0 / 2048.0) + 6e-8 * steps;
            for (x, back) in x.iter().zip(back) {
                if back.is_nan() || (x - back).abs() > bound {
                    failures.push(format!("{format}, block {i}: {x} came back as {back}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_rest_is_refused() {
    let refused = |format, n| {
        std::panic::catch_unwind(|| quantize_row(format, &vec![0.0; n], &mut Vec::new())).is_err()
    };
    assert!(refused(Format::Q8_0, 33));
    for format in Format::ALL.into_iter().filter(|format| !format.is_writable()) {
        assert!(refused(format, 256), "{format}");
    }
}
