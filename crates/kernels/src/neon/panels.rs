//! Products of panels, as quarters of 4 rows: they meet tiles of tokens in registers from the panel's
//! own bytes where tiles are few, else unpacked once for all of them.

mod multiply;
mod scales;
mod words;

use std::arch::aarch64::*;

use super::load::store_words;
use super::matmat::{self, Panel as Half, Part};
use super::{i8mm, tiling};
use crate::activations::GROUP as X_GROUP;
use crate::blocks::{IQ4_NL, IQ4_XS, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0};
use crate::panels::{PANEL_ROWS, Panel};
use crate::{Columns, Format, QuantizedRows, Scratch};

/// From this many tiles on, unpacking a panel pays.
const UNPACK_TILES: usize = 3;
/// Packed activations that are walked once per panel, at most: they should stay in
/// a private L2.
const SLAB_BYTES: usize = 256 << 10;

/// What every call of the kernels needs.
struct Call<'a, 'b> {
    panels: &'a [u8],
    x: &'a QuantizedRows,
    scratch: &'a mut Scratch,
    out: &'a mut Columns<'b>,
}

/// `RUN` is [`matmat::matmat`]'s.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn matmul<const DOTPROD: bool, const RUN: usize>(
    format: Format,
    panels: &[u8],
    x: &QuantizedRows,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
) {
    use {scales as s, words as w};
    let call = Call { panels, x, scratch, out };
    // Closures, because they have this function's instruction set and a path would be unsafe.
    match format {
        Format::Q4_0 => run::<DOTPROD, RUN, Q4_0, 256, 32, 32, false, 8>(
            call,
            |r, i, k| w::nibble(r, i, k),
            |b, i, _| (s::half(b, i, 0), zero()),
        ),
        Format::Q4_1 => run::<DOTPROD, RUN, Q4_1, 256, 64, 32, true, 0>(
            call,
            |r, i, k| w::nibble(r, i, k),
            |b, i, _| (s::half(b, i, 0), s::half(b, i, 1)),
        ),
        Format::Q5_0 => run::<DOTPROD, RUN, Q5_0, 320, 32, 32, false, 16>(
            call,
            |r, i, k| w::nibble_bit(r, i, k),
            |b, i, _| (s::half(b, i, 0), zero()),
        ),
        Format::Q5_1 => run::<DOTPROD, RUN, Q5_1, 320, 64, 32, true, 0>(
            call,
            |r, i, k| w::nibble_bit(r, i, k),
            |b, i, _| (s::half(b, i, 0), s::half(b, i, 1)),
        ),
        Format::Q8_0 => run::<DOTPROD, RUN, Q8_0, 512, 32, 32, false, 0>(
            call,
            |r, i, k| w::byte(r, i, k),
            |b, i, _| (s::half(b, i, 0), zero()),
        ),
        Format::IQ4_NL => run::<DOTPROD, RUN, IQ4_NL, 256, 32, 32, false, 0>(
            call,
            |r, i, k| w::table(r, i, k),
            |b, i, _| (s::half(b, i, 0), zero()),
        ),
        Format::IQ4_XS => run::<DOTPROD, RUN, IQ4_XS, 256, 160, 32, false, 0>(
            call,
            |r, i, k| w::table(r, i, k),
            |b, i, g| (s::scaled(b, i, 0, 32 + 16 * g), zero()),
        ),
        Format::Q2_K => run::<DOTPROD, RUN, Q2_K, 128, 320, 16, true, 0>(
            call,
            |r, i, k| w::pair(r, i, k),
            |b, i, g| s::nibbles(b, i, g),
        ),
        Format::Q3_K => run::<DOTPROD, RUN, Q3_K, 192, 288, 16, false, 4>(
            call,
            |r, i, k| w::pair_bit(r, i, k),
            |b, i, g| (s::scaled(b, i, 0, 32 + 16 * g), zero()),
        ),
        Format::Q4_K => run::<DOTPROD, RUN, Q4_K, 256, 320, 32, true, 0>(
            call,
            |r, i, k| w::nibble(r, i, k),
            |b, i, g| (s::scaled(b, i, 0, 64 + 16 * g), s::scaled(b, i, 1, 192 + 16 * g)),
        ),
        Format::Q5_K => run::<DOTPROD, RUN, Q5_K, 320, 320, 32, true, 0>(
            call,
            |r, i, k| w::nibble_bit(r, i, k),
            |b, i, g| (s::scaled(b, i, 0, 64 + 16 * g), s::scaled(b, i, 1, 192 + 16 * g)),
        ),
        Format::Q6_K => run::<DOTPROD, RUN, Q6_K, 384, 288, 16, false, 32>(
            call,
            |r, i, k| w::nibble_pair(r, i, k),
            |b, i, g| (s::scaled(b, i, 0, 32 + 16 * g), zero()),
        ),
        other => unreachable!("`{other}` has no panels"),
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn zero() -> float32x4_t {
    vdupq_n_f32(0.0)
}

/// Every column of `out`, 16 to a panel.
///
/// `word(record, i, k)` is word `k` of a record of `BYTES` bytes, `BIAS` above the weights;
/// `scales(block, i, g)` are scale and minimum of group `g` of a block of `SCALES` bytes. Both are of
/// quarter `i` of the panel.
#[inline]
#[target_feature(enable = "neon")]
fn run<
    const DOTPROD: bool,
    const RUN: usize,
    B: Panel,
    const BYTES: usize,
    const SCALES: usize,
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
>(
    call: Call<'_, '_>,
    word: impl Fn(&[u8; BYTES], usize, usize) -> int8x16_t + Copy,
    scales: impl Fn(&[u8; SCALES], usize, usize) -> (float32x4_t, float32x4_t) + Copy,
) {
    const { assert!(BYTES == B::SHAPE.planes.bytes() && SCALES == B::SHAPE.scales.bytes()) };
    let Call { panels, x, scratch, out } = call;
    let (n, columns) = (x.n(), out.columns());
    let before = B::SHAPE.scales_bytes(n);
    let panel_bytes = before + n / X_GROUP * BYTES;
    // `smmla` wants words paired: a panel is unpacked for it from two tokens on.
    let unpack_tiles = if RUN == i8mm::RUN && x.rows() > 1 { 1 } else { UNPACK_TILES };
    let many = x.tiles(tiling(RUN)).count() >= unpack_tiles;
    let depth = if many { x.slab(scratch.caches.second(SLAB_BYTES), B::LEN) } else { n };
    let mut lines = Half::new(if many { depth } else { 0 }, GROUP, scratch);
    for start in (0..n).step_by(depth) {
        let values = depth.min(n - start);
        let panels = panels.chunks_exact(panel_bytes);
        for (column, panel) in (0..columns).step_by(PANEL_ROWS).zip(panels) {
            let (blocks, records) = panel.split_at(before);
            let blocks: &[[u8; SCALES]] = &blocks.as_chunks().0[start / B::LEN..];
            let records: &[[u8; BYTES]] =
                &records.as_chunks().0[start / X_GROUP..][..values / X_GROUP];
            let word = |i: usize, g: usize, k: usize| word(&records[g], i, k);
            let scales = |i: usize, g: usize| {
                // In here, so that kernels that are not inlined divide by a constant.
                let groups = const { B::LEN / GROUP };
                scales(&blocks[g / groups], i, g % groups)
            };
            let part = Part { x, start, values, column };
            if many {
                for h in 0..2 {
                    let weights = |i: usize, g: usize, k: usize| {
                        vsubq_s8(word(i, g, k), vdupq_n_s8(BIAS as i8))
                    };
                    unpack::<RUN, GROUP, HAS_MIN>(h, values, weights, scales, &mut lines);
                    let part = Part { column: column + h * PANEL_ROWS / 2, ..part };
                    matmat::sweep::<DOTPROD, RUN, GROUP, HAS_MIN>(&lines, part, out);
                }
            } else {
                multiply::sweep::<DOTPROD, RUN, GROUP, HAS_MIN, BIAS>(part, out, word, scales);
            }
        }
    }
}

/// Unpacks values of half `h` of a panel.
#[inline]
#[target_feature(enable = "neon")]
fn unpack<const RUN: usize, const GROUP: usize, const HAS_MIN: bool>(
    h: usize,
    values: usize,
    word: impl Fn(usize, usize, usize) -> int8x16_t,
    scales: impl Fn(usize, usize) -> (float32x4_t, float32x4_t),
    lines: &mut Half<'_>,
) {
    let words = |i: usize, g: usize, k: usize| vreinterpretq_u32_s8(word(2 * h + i, g, k));
    for g in 0..values / X_GROUP {
        for k in (0..X_GROUP / 4).step_by(RUN) {
            let out = lines.q[8 * g + k..][..RUN].as_flattened_mut().as_chunks_mut().0;
            for i in 0..2 {
                if RUN == i8mm::RUN {
                    let (first, second) = (words(i, g, k), words(i, g, k + 1));
                    store_words(&mut out[2 * i], vzip1q_u32(first, second));
                    store_words(&mut out[2 * i + 1], vzip2q_u32(first, second));
                } else {
                    store_words(&mut out[i], words(i, g, k));
                }
            }
        }
    }
    for g in 0..values / GROUP {
        for i in 0..2 {
            let (scale, min) = scales(2 * h + i, g);
            let at = |lines: &mut [u32; 8], x| {
                store_words(&mut lines.as_chunks_mut().0[i], vreinterpretq_u32_f32(x));
            };
            at(&mut lines.scale[g], scale);
            if HAS_MIN {
                at(&mut lines.min[g], min);
            }
        }
    }
}
