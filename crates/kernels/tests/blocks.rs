//! Every quantised format against gguf-py's values (`golden/make_blocks.py`).

use std::path::Path;

use rushlight_kernels::{Format, rows};

/// Equality is exact, the sign of zero aside: every product of a block's fields fits an `f32`, and
/// a minimum is added with the same single rounding.
#[test]
fn every_block_format_reads_as_its_reference() {
    let mut failures = Vec::new();
    for format in Format::ALL.into_iter().filter(|format| format.is_quantized()) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/blocks");
        let file = match std::fs::read(path.join(format!("{format}.bin"))) {
            Ok(file) => file,
            Err(e) => {
                failures.push(format!("{format}: {e}"));
                continue;
            }
        };
        let (bytes, len) = (format.block_bytes(), format.block_len());
        assert!(file.len().is_multiple_of(bytes + 4 * len), "{format}: whole blocks");
        let blocks = file.len() / (bytes + 4 * len);
        assert!(blocks > 0, "{format}: no blocks");
        let (input, want) = file.split_at(blocks * bytes);
        let want: Vec<f32> =
            want.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        for row in rows() {
            let mut got = vec![f32::NAN; blocks * len];
            row.dequantize(format, input, &mut got);
            let wrong = (0..got.len()).filter(|&i| got[i] != want[i]).collect::<Vec<_>>();
            if let Some(&i) = wrong.first() {
                failures.push(format!(
                    "{format}, {}: {} of {} differ, first at {i}: got {} want {}",
                    row.name(),
                    wrong.len(),
                    got.len(),
                    got[i],
                    want[i]
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
