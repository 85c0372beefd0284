//! From a file's blocks to panels.

use super::shape::{Planes, Scales, Shape};
use super::{LINE, PANEL_ROWS};
use crate::activations::GROUP;
use crate::block::Block;
use crate::blocks::{
    IQ4_NL, IQ4_XS, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0, Super,
};

/// A block that panels are made of.
pub(crate) trait Panel: Block {
    /// What its panels are made of.
    const SHAPE: Shape;

    /// Writes its integers as they are stored, `LEN` unsigned codes.
    fn codes(&self, out: &mut [u8]);

    /// Its scales.
    fn scales(&self) -> Super;
}

/// [`Panel`] for blocks whose codes are their integers plus `$bias`.
macro_rules! panel {
    ($B:ident, $planes:ident, $scales:expr, $bias:expr) => {
        impl Panel for $B {
            const SHAPE: Shape =
                Shape { block: <$B>::LEN, planes: Planes::$planes, scales: $scales };

            fn codes(&self, out: &mut [u8]) {
                codes(self, out, |q| q.wrapping_add($bias as i8) as u8);
            }

            fn scales(&self) -> Super {
                self.stored_scales()
            }
        }
    };
}

panel!(Q4_0, Nibbles, Scales::Half, 8);
panel!(Q4_1, Nibbles, Scales::HalfMin, 0);
panel!(Q5_0, NibblesBit, Scales::Half, 16);
panel!(Q5_1, NibblesBit, Scales::HalfMin, 0);
panel!(Q8_0, Bytes, Scales::Half, 128u8);
panel!(Q2_K, Pairs, Scales::NibblesMin(16), 0);
panel!(Q3_K, PairsBit, Scales::Groups(16), 4);
panel!(Q4_K, Nibbles, Scales::GroupsMin(8), 0);
panel!(Q5_K, NibblesBit, Scales::GroupsMin(8), 0);
panel!(Q6_K, NibblesPairs, Scales::Groups(16), 32);

/// [`Panel`] for blocks whose codes index a table.
macro_rules! table_panel {
    ($B:ident, $scales:expr) => {
        impl Panel for $B {
            const SHAPE: Shape =
                Shape { block: <$B>::LEN, planes: Planes::Nibbles, scales: $scales };

            fn codes(&self, out: &mut [u8]) {
                self.stored_codes(out);
            }

            fn scales(&self) -> Super {
                self.stored_scales()
            }
        }
    };
}

table_panel!(IQ4_NL, Scales::Half);
table_panel!(IQ4_XS, Scales::Groups(8));

#[inline(always)]
fn codes<B: Block>(block: &B, out: &mut [u8], code: impl Fn(i8) -> u8) {
    let (mut q, mut scale, mut min) = ([0i8; 256], [0.0; 16], [0.0; 16]);
    let groups = B::LEN / B::GROUP;
    block.unpack(&mut q[..B::LEN], &mut scale[..groups], &mut min[..groups]);
    for (out, q) in out.iter_mut().zip(&q[..B::LEN]) {
        *out = code(*q);
    }
}

/// Writes up to 16 rows of `n` values as a panel.
pub(super) fn pack<B: Panel>(n: usize, rows: &[u8], panel: &mut [u8]) {
    let (scales_bytes, record) = (B::SHAPE.scales.bytes(), B::SHAPE.planes.bytes());
    panel.fill(0);
    let (scales, records) = panel.split_at_mut(B::SHAPE.scales_bytes(n));
    let rows: &[B] = bytemuck::cast_slice(rows);
    for (r, row) in rows.chunks_exact(n / B::LEN).enumerate() {
        let scales = scales.chunks_exact_mut(scales_bytes);
        let records = records.chunks_exact_mut(record * (B::LEN / GROUP));
        for ((block, scales), records) in row.iter().zip(scales).zip(records) {
            put_scales(B::SHAPE.scales, &block.scales(), r, scales);
            let mut codes = [0; 256];
            block.codes(&mut codes[..B::LEN]);
            for (codes, out) in codes.as_chunks::<GROUP>().0.iter().zip(records.chunks_mut(record))
            {
                put_codes(B::SHAPE.planes, codes, r, out);
            }
        }
    }
}

/// Writes the scales of a block of row `r`.
#[inline(always)]
fn put_scales(kind: Scales, from: &Super, r: usize, out: &mut [u8]) {
    let (d, rest) = out.split_at_mut(2 * PANEL_ROWS);
    d[2 * r..][..2].copy_from_slice(&from.d);
    let rest = match kind {
        Scales::Half | Scales::Groups(_) => rest,
        _ => {
            let (min, rest) = rest.split_at_mut(2 * PANEL_ROWS);
            min[2 * r..][..2].copy_from_slice(&from.min);
            rest
        }
    };
    let rest = rest.as_chunks_mut::<PANEL_ROWS>().0;
    match kind {
        Scales::Half | Scales::HalfMin => {}
        Scales::Groups(_) => {
            rest.iter_mut().zip(from.scales).for_each(|(out, s)| out[r] = s as u8);
        }
        Scales::GroupsMin(groups) => {
            let (scales, minima) = rest.split_at_mut(groups);
            scales.iter_mut().zip(from.scales).for_each(|(out, s)| out[r] = s as u8);
            minima.iter_mut().zip(from.minima).for_each(|(out, m)| out[r] = m as u8);
        }
        Scales::NibblesMin(_) => {
            let both = from.scales.iter().zip(from.minima);
            let packed = both.map(|(s, m)| *s as u8 | (m as u8) << 4);
            rest.iter_mut().zip(packed).for_each(|(out, packed)| out[r] = packed);
        }
    }
}

/// Writes 32 codes of row `r` into a record, whose bytes for it are zeros.
#[inline(always)]
fn put_codes(planes: Planes, codes: &[u8; GROUP], r: usize, record: &mut [u8]) {
    let mut words = [0u32; GROUP / 4];
    for (word, codes) in words.iter_mut().zip(codes.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*codes);
    }
    let lines = record.as_chunks_mut::<LINE>().0;
    let mut put = |line: usize, word: u32| {
        lines[line].as_chunks_mut::<4>().0[r] = word.to_le_bytes();
    };
    const NIBBLES: u32 = 0x0f0f_0f0f;
    const PAIRS: u32 = 0x0303_0303;
    const ONES: u32 = 0x0101_0101;
    let nibbles = |i: usize| words[2 * i] & NIBBLES | (words[2 * i + 1] & NIBBLES) << 4;
    let pairs = |i: usize, shift: u32| {
        (0..4).fold(0, |all, m| all | (words[4 * i + m] >> shift & PAIRS) << (2 * m))
    };
    let bits = |shift: u32| (0..8).fold(0, |all, k| all | (words[k] >> shift & ONES) << k);
    match planes {
        Planes::Bytes => (0..8).for_each(|k| put(k, words[k])),
        Planes::Nibbles | Planes::NibblesBit | Planes::NibblesPairs => {
            (0..4).for_each(|i| put(i, nibbles(i)));
        }
        Planes::Pairs | Planes::PairsBit => (0..2).for_each(|i| put(i, pairs(i, 0))),
    }
    match planes {
        Planes::NibblesBit => put(4, bits(4)),
        Planes::NibblesPairs => (0..2).for_each(|i| put(4 + i, pairs(i, 4))),
        Planes::PairsBit => put(2, bits(2)),
        Planes::Bytes | Planes::Nibbles | Planes::Pairs => {}
    }
}
