//! From a format's bytes to a [`Step`].

mod k_quants;

use std::arch::x86_64::*;

pub(super) use k_quants::{q2_k, q3_k, q4_k, q5_k, q6_k};

use super::load::{load, load_16, load_32, load_f32};
use super::step::Step;
use crate::block::Block;
use crate::blocks::{FP4, IQ4, IQ4_XS, MXFP4};
use crate::steps::STEP;

/// Any format through [`Block::unpack`]; `BIAS` is 128.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn generic<B: Block>(bytes: &[u8]) -> Step {
    let blocks: &[B] = bytemuck::cast_slice(&bytes[..STEP / B::LEN * size_of::<B>()]);
    let (mut q, mut scale, mut min) = ([0i8; STEP], [0.0f32; 16], [0.0f32; 16]);
    let groups = B::LEN / B::GROUP;
    for (b, block) in blocks.iter().enumerate() {
        block.unpack(
            &mut q[b * B::LEN..][..B::LEN],
            &mut scale[b * groups..][..groups],
            &mut min[b * groups..][..groups],
        );
    }
    let sign = _mm512_set1_epi8(-128);
    let q = bytemuck::cast_ref::<[i8; STEP], [[u8; 64]; 4]>(&q);
    Step {
        q: [0, 1, 2, 3].map(|i| _mm512_xor_si512(load(&q[i]), sign)),
        scale: load_f32(&scale),
        min: load_f32(&min),
    }
}

/// The first 8 blocks of `N` bytes.
#[inline(always)]
fn blocks<const N: usize>(bytes: &[u8]) -> &[[u8; N]; 8] {
    bytes.as_chunks().0.first_chunk().expect("a whole step")
}

/// The `f16` at `AT` of each block, widened; the upper 8 lanes are zero.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn halves<const AT: usize, const N: usize>(blocks: &[[u8; N]; 8]) -> __m512 {
    let [a, b, c, d, e, f, g, h] =
        blocks.each_ref().map(|b| i16::from_le_bytes([b[AT], b[AT + 1]]));
    _mm512_zextps256_ps512(_mm256_cvtph_ps(_mm_setr_epi16(a, b, c, d, e, f, g, h)))
}

/// 64 nibbles: of each 16 bytes the low ones, then the high ones.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn nibbles(first: &[u8; 16], second: &[u8; 16]) -> __m512i {
    let first = _mm512_castsi256_si512(_mm256_broadcastsi128_si256(load_16(first)));
    let second = _mm256_broadcastsi128_si256(load_16(second));
    let both = _mm512_inserti64x4::<1>(first, second);
    let shifted = _mm512_srlv_epi64(both, _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4));
    _mm512_and_si512(shifted, _mm512_set1_epi8(15))
}

#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn nibble_blocks<const AT: usize, const N: usize>(blocks: &[[u8; N]; 8]) -> [__m512i; 4] {
    let at = |b: usize| blocks[b][AT..].first_chunk::<16>().expect("the block's last 16 bytes");
    [0, 2, 4, 6].map(|b| nibbles(at(b), at(b + 1)))
}

/// `BIAS` is 8.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn q4_0(bytes: &[u8]) -> Step {
    let blocks = blocks::<18>(bytes);
    Step {
        q: nibble_blocks::<2, 18>(blocks),
        scale: halves::<0, 18>(blocks),
        min: _mm512_setzero_ps(),
    }
}

/// `BIAS` is 0.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn q4_1(bytes: &[u8]) -> Step {
    let blocks = blocks::<20>(bytes);
    Step {
        q: nibble_blocks::<4, 20>(blocks),
        scale: halves::<0, 20>(blocks),
        min: halves::<2, 20>(blocks),
    }
}

/// Adds 16 to the values whose bit is set in the words at `AT`.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn fifth_bits<const AT: usize, const N: usize>(
    nibbles: [__m512i; 4],
    blocks: &[[u8; N]; 8],
) -> [__m512i; 4] {
    let bits = |b: usize| {
        let bytes = *blocks[b][AT..].first_chunk::<4>().expect("a word");
        u64::from(u32::from_le_bytes(bytes))
    };
    let mut b = 0;
    nibbles.map(|nibbles| {
        let set = bits(b) | bits(b + 1) << 32;
        b += 2;
        _mm512_mask_add_epi8(nibbles, set, nibbles, _mm512_set1_epi8(16))
    })
}

/// `BIAS` is 16.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn q5_0(bytes: &[u8]) -> Step {
    let blocks = blocks::<22>(bytes);
    Step {
        q: fifth_bits::<2, 22>(nibble_blocks::<6, 22>(blocks), blocks),
        scale: halves::<0, 22>(blocks),
        min: _mm512_setzero_ps(),
    }
}

/// `BIAS` is 0.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn q5_1(bytes: &[u8]) -> Step {
    let blocks = blocks::<24>(bytes);
    Step {
        q: fifth_bits::<4, 24>(nibble_blocks::<8, 24>(blocks), blocks),
        scale: halves::<0, 24>(blocks),
        min: halves::<2, 24>(blocks),
    }
}

/// The values of nibbles, 128 added.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn look_up(table: &[i8; 16], nibbles: [__m512i; 4]) -> [__m512i; 4] {
    let unsigned = _mm_xor_si128(load_16(bytemuck::cast_ref(table)), _mm_set1_epi8(-128));
    let table = _mm512_broadcast_i32x4(unsigned);
    nibbles.map(|nibbles| _mm512_shuffle_epi8(table, nibbles))
}

/// `BIAS` is 128.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn iq4_nl(bytes: &[u8]) -> Step {
    let blocks = blocks::<18>(bytes);
    Step {
        q: look_up(&IQ4, nibble_blocks::<2, 18>(blocks)),
        scale: halves::<0, 18>(blocks),
        min: _mm512_setzero_ps(),
    }
}

/// `BIAS` is 128.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn mxfp4(bytes: &[u8]) -> Step {
    let blocks = blocks::<17>(bytes);
    let mut scale = [0.0; 16];
    for (scale, block) in scale.iter_mut().zip(blocks) {
        *scale = bytemuck::cast_ref::<_, MXFP4>(block).scale();
    }
    Step {
        q: look_up(&FP4, nibble_blocks::<1, 17>(blocks)),
        scale: load_f32(&scale),
        min: _mm512_setzero_ps(),
    }
}

/// `BIAS` is 128.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn iq4_xs(bytes: &[u8]) -> Step {
    let block: &[u8; 136] = bytes.first_chunk().expect("a whole step");
    let mut scale = [0.0; 16];
    bytemuck::cast_ref::<_, IQ4_XS>(block).scales(&mut scale[..8]);
    let at = |g: usize| block[8 + 16 * g..].first_chunk::<16>().expect("16 bytes a group");
    Step {
        q: look_up(&IQ4, [0, 2, 4, 6].map(|g| nibbles(at(g), at(g + 1)))),
        scale: load_f32(&scale),
        min: _mm512_setzero_ps(),
    }
}

/// `BIAS` is 128.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
pub(super) fn q8_0(bytes: &[u8]) -> Step {
    let blocks = blocks::<34>(bytes);
    let sign = _mm512_set1_epi8(-128);
    let at = |b: usize| load_32(blocks[b][2..].first_chunk().expect("the block's last 32 bytes"));
    let q = [0, 2, 4, 6].map(|b| {
        let both = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(at(b)), at(b + 1));
        _mm512_xor_si512(both, sign)
    });
    Step { q, scale: halves::<0, 34>(blocks), min: _mm512_setzero_ps() }
}
