//! Products of panels, as halves of 8 rows: they meet tiles of tokens in registers from the panel's
//! own bytes where tiles are few, else unpacked once for all of them.

/// `$do` with `$k` the number of each word of a record, a constant: the compiler does not unroll a loop
/// that is so long, and would ask for every word anew how it is shifted.
macro_rules! each_word {
    ($k:ident => $do:expr) => { each_word!($k => $do, 0 1 2 3 4 5 6 7) };
    ($k:ident => $do:expr, $($each:literal)+) => {$({
        let $k: usize = $each;
        $do
    })+};
}

mod multiply;
mod scales;
mod words;

use std::arch::x86_64::*;

use super::dot::SYMMETRIC;
use super::load::{prefetch, store_words};
use super::matmat::{self, Blocks, Lines, LinesMut, Part};
use super::tiling;
use crate::activations::GROUP as X_GROUP;
use crate::blocks::{IQ4_NL, IQ4_XS, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0};
use crate::panels::{PANEL_ROWS, Panel, Set, sets};
use crate::{Columns, Format, QuantizedRows, Scratch};

/// Panels that few tokens meet by turns, group after group: as many streams from memory. Four are best on
/// Sapphire Rapids, which has VNNI, and two on Zen 3, which has none (docs/kernels.md).
const fn by_turns(vnni: bool) -> usize {
    if vnni { MOST_BY_TURNS } else { 2 }
}

/// The most of [`by_turns`].
const MOST_BY_TURNS: usize = 4;
/// From this many tiles on, unpacking a panel pays.
const UNPACK_TILES: usize = 3;

/// What every call of the kernels needs.
struct Call<'a, 'b> {
    panels: &'a [u8],
    x: &'a QuantizedRows,
    scratch: &'a mut Scratch,
    out: &'a mut Columns<'b>,
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn matmul<const VNNI: bool>(
    format: Format,
    panels: &[u8],
    x: &QuantizedRows,
    scratch: &mut Scratch,
    out: &mut Columns<'_>,
) {
    use {scales as s, words as w};
    let call = Call { panels, x, scratch, out };
    // Closures, because they have this function's instruction set and a path would be unsafe.
    // The last number is what words exceed the weights by, or where they are signed which kind they are;
    // that of 5 bits with a minimum is not 0, so that sums fit 16 bits ([`super::dot::short`]).
    match format {
        Format::Q4_0 => run::<VNNI, Q4_0, 256, 32, 32, false, 8>(
            call,
            |r, h, k| w::nibble(r, h, k),
            |b, h, _| (s::half(b, h, 0), zero()),
        ),
        Format::Q4_1 => run::<VNNI, Q4_1, 256, 64, 32, true, 0>(
            call,
            |r, h, k| w::nibble(r, h, k),
            |b, h, _| (s::half(b, h, 0), s::half(b, h, 1)),
        ),
        Format::Q5_0 => run::<VNNI, Q5_0, 320, 32, 32, false, 16>(
            call,
            |r, h, k| w::nibble_bit(r, h, k),
            |b, h, _| (s::half(b, h, 0), zero()),
        ),
        Format::Q5_1 => run::<VNNI, Q5_1, 320, 64, 32, true, 16>(
            call,
            |r, h, k| w::nibble_bit(r, h, k),
            |b, h, _| s::centered::<16>(s::half(b, h, 0), s::half(b, h, 1)),
        ),
        Format::Q8_0 => run::<VNNI, Q8_0, 512, 32, 32, false, 128>(
            call,
            |r, h, k| w::byte::<VNNI, 512>(r, h, k),
            |b, h, _| (s::half(b, h, 0), zero()),
        ),
        Format::IQ4_NL if VNNI => run::<true, IQ4_NL, 256, 32, 32, false, 128>(
            call,
            |r, h, k| w::table::<true, 256>(r, h, k),
            |b, h, _| (s::half(b, h, 0), zero()),
        ),
        Format::IQ4_NL => run::<false, IQ4_NL, 256, 32, 32, false, SYMMETRIC>(
            call,
            |r, h, k| w::table::<false, 256>(r, h, k),
            |b, h, _| (s::half(b, h, 0), zero()),
        ),
        Format::IQ4_XS if VNNI => run::<true, IQ4_XS, 256, 160, 32, false, 128>(
            call,
            |r, h, k| w::table::<true, 256>(r, h, k),
            |b, h, g| (s::scaled(b, h, 0, 32 + 16 * g), zero()),
        ),
        Format::IQ4_XS => run::<false, IQ4_XS, 256, 160, 32, false, SYMMETRIC>(
            call,
            |r, h, k| w::table::<false, 256>(r, h, k),
            |b, h, g| (s::scaled(b, h, 0, 32 + 16 * g), zero()),
        ),
        Format::Q2_K => run::<VNNI, Q2_K, 128, 320, 16, true, 0>(
            call,
            |r, h, k| w::pair(r, h, k),
            |b, h, g| s::nibbles(b, h, g),
        ),
        Format::Q3_K => run::<VNNI, Q3_K, 192, 288, 16, false, 4>(
            call,
            |r, h, k| w::pair_bit(r, h, k),
            |b, h, g| (s::scaled(b, h, 0, 32 + 16 * g), zero()),
        ),
        Format::Q4_K => run::<VNNI, Q4_K, 256, 320, 32, true, 0>(
            call,
            |r, h, k| w::nibble(r, h, k),
            |b, h, g| (s::scaled(b, h, 0, 64 + 16 * g), s::scaled(b, h, 1, 192 + 16 * g)),
        ),
        Format::Q5_K => run::<VNNI, Q5_K, 320, 320, 32, true, 16>(
            call,
            |r, h, k| w::nibble_bit(r, h, k),
            |b, h, g| {
                let (scale, min) =
                    (s::scaled(b, h, 0, 64 + 16 * g), s::scaled(b, h, 1, 192 + 16 * g));
                s::centered::<16>(scale, min)
            },
        ),
        Format::Q6_K => run::<VNNI, Q6_K, 384, 288, 16, false, 32>(
            call,
            |r, h, k| w::nibble_pair(r, h, k),
            |b, h, g| (s::scaled(b, h, 0, 32 + 16 * g), zero()),
        ),
        other => unreachable!("`{other}` has no panels"),
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn zero() -> __m256 {
    _mm256_setzero_ps()
}

/// Every column of `out`, 16 to a panel.
///
/// `word(record, h, k)` is word `k` of a record of `BYTES` bytes, unsigned, `BIAS` above the weights, or
/// [`signed`](super::dot::signed); `scales(block, h, g)` are scale and minimum of group `g` of a block of
/// `SCALES` bytes. Both are of half `h` of the panel.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn run<
    const VNNI: bool,
    B: Panel,
    const BYTES: usize,
    const SCALES: usize,
    const GROUP: usize,
    const HAS_MIN: bool,
    const BIAS: u8,
>(
    call: Call<'_, '_>,
    word: impl Fn(&[u8; BYTES], usize, usize) -> __m256i + Copy,
    scales: impl Fn(&[u8; SCALES], usize, usize) -> (__m256, __m256) + Copy,
) {
    const { assert!(BYTES == B::SHAPE.planes.bytes() && SCALES == B::SHAPE.scales.bytes()) };
    let Call { panels, x, scratch, out } = call;
    let Scratch { caches, lines, words: wide, .. } = scratch;
    let (n, columns) = (x.n(), out.columns());
    let before = B::SHAPE.scales_bytes(n);
    let panel_bytes = before + n / X_GROUP * BYTES;
    let many = x.tiles(tiling(VNNI)).count() >= UNPACK_TILES;
    let cut = many.then(|| Blocks::new::<VNNI, GROUP, BIAS>(n, *caches));
    let depth = cut.as_ref().map_or(n, |cut| cut.depth);
    let (streams, neighbours) = cut.as_ref().map_or((by_turns(VNNI), 1), |cut| (1, cut.panels));
    let values = if many { depth } else { 0 };
    let mut lines = Lines::new::<VNNI, GROUP, BIAS>(neighbours, values, lines);
    for start in (0..n).step_by(depth) {
        let values = depth.min(n - start);
        for Set { first, count, apart } in sets(columns.div_ceil(PANEL_ROWS), streams, neighbours) {
            let parts = |p: usize| {
                let panel = &panels[(first + p * apart) * panel_bytes..][..panel_bytes];
                let (blocks, records) = panel.split_at(before);
                let blocks: &[[u8; SCALES]] = &blocks.as_chunks().0[start / B::LEN..];
                let records: &[[u8; BYTES]] =
                    &records.as_chunks().0[start / X_GROUP..][..values / X_GROUP];
                (blocks, records)
            };
            let scales = |blocks: &[[u8; SCALES]], h: usize, g: usize| {
                // In here, so that kernels that are not inlined divide by a constant.
                let groups = const { B::LEN / GROUP };
                scales(&blocks[g / groups], h, g % groups)
            };
            let (column, between) = (first * PANEL_ROWS, apart * PANEL_ROWS);
            let part = Part { x, start, values, column, apart: between };
            if many {
                for p in 0..count {
                    let (blocks, records) = parts(p);
                    let word = |h: usize, g: usize, k: usize| word(&records[g], h, k);
                    let scales = |h: usize, g: usize| scales(blocks, h, g);
                    unpack::<VNNI, GROUP, HAS_MIN, BIAS>(values, word, scales, lines.panel(p));
                }
                matmat::sweep::<VNNI, GROUP, HAS_MIN, BIAS>(count, &mut lines, wide, part, out);
            } else {
                let mut blocks: [&[[u8; SCALES]]; MOST_BY_TURNS] = [&[]; MOST_BY_TURNS];
                let mut records: [&[[u8; BYTES]]; MOST_BY_TURNS] = [&[]; MOST_BY_TURNS];
                for p in 0..count {
                    (blocks[p], records[p]) = parts(p);
                }
                let word = |i: usize, g: usize, k: usize| word(&records[i / 2][g], i % 2, k);
                let scales = |i: usize, g: usize| scales(blocks[i / 2], i % 2, g);
                let ahead = |p: usize, g: usize| prefetch(&records[p][g], BYTES);
                multiply::sweep::<VNNI, GROUP, HAS_MIN, BIAS>(
                    count, part, out, word, scales, ahead,
                );
            }
        }
    }
}

/// Unpacks values of a panel.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn unpack<const VNNI: bool, const GROUP: usize, const HAS_MIN: bool, const BIAS: u8>(
    values: usize,
    word: impl Fn(usize, usize, usize) -> __m256i,
    scales: impl Fn(usize, usize) -> (__m256, __m256),
    mut lines: LinesMut<'_>,
) {
    for g in 0..values / X_GROUP {
        each_word!(k => for half in 0..2 {
            lines.set::<VNNI, BIAS>(g * 8 + k, half, word(half, g, k));
        });
    }
    for i in 0..values / GROUP {
        for half in 0..2 {
            let (scale, min) = scales(half, i);
            store_words(&mut lines.scale[i][half], _mm256_castps_si256(scale));
            if HAS_MIN {
                store_words(&mut lines.min[i][half], _mm256_castps_si256(min));
            }
        }
    }
}
