//! Products of panels: 16 rows of weights meet tiles of tokens, in registers from the panel's own
//! bytes where tiles are few, else unpacked once for all of them.

mod multiply;
mod scales;
mod words;

use std::arch::x86_64::*;

use super::TILING;
use super::load::{prefetch, store_words};
use super::matmat::{self, PANELS, Panels, Part};
use crate::activations::GROUP as X_GROUP;
use crate::blocks::{IQ4_NL, IQ4_XS, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0};
use crate::panels::{PANEL_ROWS, Panel, Set, sets};
use crate::{Columns, Format, QuantizedRows, Scratch};

/// How far ahead of a panel's records the next ones are asked for.
const AHEAD: usize = 2048;
/// Tokens up to which panels are read as [`STREAMS`].
const FEW: usize = 2;
/// Panels that few tokens meet together.
const STREAMS: usize = 4;
/// From this many tiles on, unpacking a panel pays.
const UNPACK_TILES: usize = 3;
/// Packed activations that are walked once per pair of panels, at most: they should stay in
/// a private L2.
const SLAB_BYTES: usize = 768 << 10;

/// What every call of the kernels needs.
struct Call<'a, 'b> {
    panels: &'a [u8],
    x: &'a QuantizedRows,
    scratch: &'a mut Scratch,
    out: &'a mut Columns<'b>,
}

#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn matmul(
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
        Format::Q4_0 => run::<Q4_0, 256, 32, 32, false, 8>(
            call,
            |r, k| w::nibble(r, k),
            |b, _| (s::half(b, 0), zero()),
        ),
        Format::Q4_1 => run::<Q4_1, 256, 64, 32, true, 0>(
            call,
            |r, k| w::nibble(r, k),
            |b, _| (s::half(b, 0), s::half(b, 1)),
        ),
        Format::Q5_0 => run::<Q5_0, 320, 32, 32, false, 16>(
            call,
            |r, k| w::nibble_bit(r, k),
            |b, _| (s::half(b, 0), zero()),
        ),
        Format::Q5_1 => run::<Q5_1, 320, 64, 32, true, 0>(
            call,
            |r, k| w::nibble_bit(r, k),
            |b, _| (s::half(b, 0), s::half(b, 1)),
        ),
        Format::Q8_0 => run::<Q8_0, 512, 32, 32, false, 128>(
            call,
            |r, k| w::byte(r, k),
            |b, _| (s::half(b, 0), zero()),
        ),
        Format::IQ4_NL => run::<IQ4_NL, 256, 32, 32, false, 128>(
            call,
            |r, k| w::table(r, k),
            |b, _| (s::half(b, 0), zero()),
        ),
        Format::IQ4_XS => run::<IQ4_XS, 256, 160, 32, false, 128>(
            call,
            |r, k| w::table(r, k),
            |b, g| (s::scaled(b, 0, 32 + 16 * g), zero()),
        ),
        Format::Q2_K => {
            run::<Q2_K, 128, 320, 16, true, 0>(call, |r, k| w::pair(r, k), |b, g| s::nibbles(b, g))
        }
        Format::Q3_K => run::<Q3_K, 192, 288, 16, false, 4>(
            call,
            |r, k| w::pair_bit(r, k),
            |b, g| (s::scaled(b, 0, 32 + 16 * g), zero()),
        ),
        Format::Q4_K => run::<Q4_K, 256, 320, 32, true, 0>(
            call,
            |r, k| w::nibble(r, k),
            |b, g| (s::scaled(b, 0, 64 + 16 * g), s::scaled(b, 1, 192 + 16 * g)),
        ),
        Format::Q5_K => run::<Q5_K, 320, 320, 32, true, 0>(
            call,
            |r, k| w::nibble_bit(r, k),
            |b, g| (s::scaled(b, 0, 64 + 16 * g), s::scaled(b, 1, 192 + 16 * g)),
        ),
        Format::Q6_K => run::<Q6_K, 384, 288, 16, false, 32>(
            call,
            |r, k| w::nibble_pair(r, k),
            |b, g| (s::scaled(b, 0, 32 + 16 * g), zero()),
        ),
        other => unreachable!("`{other}` has no panels"),
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn zero() -> __m512 {
    _mm512_setzero_ps()
}

/// Every column of `out`, 16 to a panel.
///
/// `word(record, k)` is word `k` of a record of `BYTES` bytes, unsigned, `BIAS` above the weights; `scales(block, g)` are scale and minimum of group `g` of a block
/// of `SCALES` bytes.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn run<
    B: Panel,
    const BYTES: usize,
    const SCALES: usize,
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
>(
    call: Call<'_, '_>,
    word: impl Fn(&[u8; BYTES], usize) -> __m512i + Copy,
    scales: impl Fn(&[u8; SCALES], usize) -> (__m512, __m512) + Copy,
) {
    const { assert!(BYTES == B::SHAPE.planes.bytes() && SCALES == B::SHAPE.scales.bytes()) };
    let Call { panels, x, scratch, out } = call;
    let (n, columns) = (x.n(), out.columns());
    let before = B::SHAPE.scales_bytes(n);
    let panel_bytes = before + n / X_GROUP * BYTES;
    let many = x.tiles(TILING).count() >= UNPACK_TILES;
    let depth = if many { x.slab(scratch.caches.second(SLAB_BYTES), B::LEN) } else { n };
    let mut lines = Panels::new(if many { depth } else { 0 }, GROUP, scratch);
    let streams = if x.rows() <= FEW { STREAMS } else { 1 };
    let sets = sets(columns.div_ceil(PANEL_ROWS), streams, PANELS);
    for start in (0..n).step_by(depth) {
        let values = depth.min(n - start);
        for Set { first, count, apart } in sets.clone() {
            let mut blocks: [&[[u8; SCALES]]; STREAMS] = [&[]; STREAMS];
            let mut records: [&[[u8; BYTES]]; STREAMS] = [&[]; STREAMS];
            for p in 0..count {
                let panel = &panels[(first + p * apart) * panel_bytes..][..panel_bytes];
                let (scales, codes) = panel.split_at(before);
                blocks[p] = &scales.as_chunks().0[start / B::LEN..];
                records[p] = &codes.as_chunks().0[start / X_GROUP..][..values / X_GROUP];
            }
            let (column, apart) = (first * PANEL_ROWS, apart * PANEL_ROWS);
            let part = Part { x, start, values, column, apart };
            let word = |p: usize, g: usize, k: usize| word(&records[p][g], k);
            let ahead = |p: usize, g: usize| prefetch::<AHEAD>(&records[p][g]);
            let scales = |p: usize, i: usize| {
                // In here, so that kernels that are not inlined divide by a constant.
                let groups = const { B::LEN / GROUP };
                scales(&blocks[p][i / groups], i % groups)
            };
            if many {
                for p in 0..count {
                    unpack::<GROUP, HAS_MIN>(p, values, word, scales, &mut lines);
                }
                matmat::sweep::<GROUP, HAS_MIN, BIAS>(&lines, count, part, out);
            } else {
                multiply::sweep::<GROUP, HAS_MIN, BIAS>(count, part, out, word, scales, ahead);
            }
        }
    }
}

/// Unpacks values of panel `p`.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn unpack<const GROUP: usize, const HAS_MIN: bool>(
    p: usize,
    values: usize,
    word: impl Fn(usize, usize, usize) -> __m512i,
    scales: impl Fn(usize, usize) -> (__m512, __m512),
    lines: &mut Panels<'_>,
) {
    for g in 0..values / X_GROUP {
        for k in 0..X_GROUP / 4 {
            store_words(&mut lines.q[8 * g + k][p].0, word(p, g, k));
        }
    }
    for i in 0..values / GROUP {
        let (scale, min) = scales(p, i);
        store_words(&mut lines.scale[i][p].0, _mm512_castps_si512(scale));
        if HAS_MIN {
            store_words(&mut lines.min[i][p].0, _mm512_castps_si512(min));
        }
    }
}
