//! From a format's bytes to a [`Step`].

mod k_quants;

use std::arch::x86_64::*;

pub(super) use k_quants::{q2_k, q3_k, q4_k, q5_k, q6_k};

use super::load::{load, load_16, load_f32};
use super::step::Step;
use crate::block::Block;
use crate::blocks::{FP4, IQ4, IQ4_XS, MXFP4};
use crate::steps::STEP;

/// Any format through [`Block::unpack`]; `BIAS` is 128.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
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
    let sign = _mm256_set1_epi8(-128);
    let q = bytemuck::cast_ref::<[i8; STEP], [[u8; 32]; 8]>(&q);
    let [low, high] = bytemuck::cast_ref::<[f32; 16], [[f32; 8]; 2]>(&scale);
    let [min_low, min_high] = bytemuck::cast_ref::<[f32; 16], [[f32; 8]; 2]>(&min);
    Step {
        q: q.each_ref().map(|q| _mm256_xor_si256(load(q), sign)),
        scale: [load_f32(low), load_f32(high)],
        min: [load_f32(min_low), load_f32(min_high)],
    }
}

/// The first 8 blocks of `N` bytes.
#[inline(always)]
fn blocks<const N: usize>(bytes: &[u8]) -> &[[u8; N]; 8] {
    bytes.as_chunks().0.first_chunk().expect("a whole step")
}

/// The `f16` at `AT` of each block, widened.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn halves<const AT: usize, const N: usize>(blocks: &[[u8; N]; 8]) -> [__m256; 2] {
    let [a, b, c, d, e, f, g, h] =
        blocks.each_ref().map(|b| i16::from_le_bytes([b[AT], b[AT + 1]]));
    [_mm256_cvtph_ps(_mm_setr_epi16(a, b, c, d, e, f, g, h)); 2]
}

/// The low nibbles of the 16 bytes at `AT` of each block, then the high ones.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn nibbles<const AT: usize, const N: usize>(blocks: &[[u8; N]; 8]) -> [__m256i; 8] {
    blocks.each_ref().map(|block| {
        let q = load_16(block[AT..].first_chunk().expect("the block's last 16 bytes"));
        let both = _mm256_set_m128i(_mm_srli_epi16::<4>(q), q);
        _mm256_and_si256(both, _mm256_set1_epi8(15))
    })
}

/// `BIAS` is 8.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn q4_0(bytes: &[u8]) -> Step {
    let blocks = blocks::<18>(bytes);
    Step {
        q: nibbles::<2, 18>(blocks),
        scale: halves::<0, 18>(blocks),
        min: [_mm256_setzero_ps(); 2],
    }
}

/// `BIAS` is 0.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn q4_1(bytes: &[u8]) -> Step {
    let blocks = blocks::<20>(bytes);
    Step {
        q: nibbles::<4, 20>(blocks),
        scale: halves::<0, 20>(blocks),
        min: halves::<2, 20>(blocks),
    }
}

/// `BIAS` is 128.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn q8_0(bytes: &[u8]) -> Step {
    let blocks = blocks::<34>(bytes);
    let sign = _mm256_set1_epi8(-128);
    let q = blocks.each_ref().map(|block| {
        let q = load(block[2..].first_chunk().expect("the block's last 32 bytes"));
        _mm256_xor_si256(q, sign)
    });
    Step { q, scale: halves::<0, 34>(blocks), min: [_mm256_setzero_ps(); 2] }
}

/// Adds 16 to the values whose bit is set in the words at `AT`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn fifth_bits<const AT: usize, const N: usize>(
    nibbles: [__m256i; 8],
    blocks: &[[u8; N]; 8],
) -> [__m256i; 8] {
    let (first, second) = (0, 0x0101_0101_0101_0101);
    let (third, fourth) = (0x0202_0202_0202_0202, 0x0303_0303_0303_0303);
    let bytes = _mm256_setr_epi64x(first, second, third, fourth);
    // One bit of each byte stays zero: that of the value's own place.
    let others = _mm256_set1_epi64x(0x7fbf_dfef_f7fb_fdfe);
    let mut b = 0;
    nibbles.map(|nibbles| {
        let word = *blocks[b][AT..].first_chunk::<4>().expect("a word");
        b += 1;
        let bits = _mm256_shuffle_epi8(_mm256_set1_epi32(i32::from_le_bytes(word)), bytes);
        let set = _mm256_cmpeq_epi8(_mm256_or_si256(bits, others), _mm256_set1_epi8(-1));
        _mm256_or_si256(nibbles, _mm256_and_si256(set, _mm256_set1_epi8(16)))
    })
}

/// `BIAS` is 16.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn q5_0(bytes: &[u8]) -> Step {
    let blocks = blocks::<22>(bytes);
    Step {
        q: fifth_bits::<2, 22>(nibbles::<6, 22>(blocks), blocks),
        scale: halves::<0, 22>(blocks),
        min: [_mm256_setzero_ps(); 2],
    }
}

/// `BIAS` is 0.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn q5_1(bytes: &[u8]) -> Step {
    let blocks = blocks::<24>(bytes);
    Step {
        q: fifth_bits::<4, 24>(nibbles::<8, 24>(blocks), blocks),
        scale: halves::<0, 24>(blocks),
        min: halves::<2, 24>(blocks),
    }
}

/// The values of nibbles, 128 added.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn look_up(table: &[i8; 16], nibbles: [__m256i; 8]) -> [__m256i; 8] {
    let unsigned = _mm_xor_si128(load_16(bytemuck::cast_ref(table)), _mm_set1_epi8(-128));
    let table = _mm256_broadcastsi128_si256(unsigned);
    nibbles.map(|nibbles| _mm256_shuffle_epi8(table, nibbles))
}

/// `BIAS` is 128.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn iq4_nl(bytes: &[u8]) -> Step {
    let blocks = blocks::<18>(bytes);
    Step {
        q: look_up(&IQ4, nibbles::<2, 18>(blocks)),
        scale: halves::<0, 18>(blocks),
        min: [_mm256_setzero_ps(); 2],
    }
}

/// `BIAS` is 128.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn mxfp4(bytes: &[u8]) -> Step {
    let blocks = blocks::<17>(bytes);
    let scale = blocks.each_ref().map(|block| bytemuck::cast_ref::<_, MXFP4>(block).scale());
    Step {
        q: look_up(&FP4, nibbles::<1, 17>(blocks)),
        scale: [load_f32(&scale); 2],
        min: [_mm256_setzero_ps(); 2],
    }
}

/// `BIAS` is 128.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn iq4_xs(bytes: &[u8]) -> Step {
    let block: &[u8; 136] = bytes.first_chunk().expect("a whole step");
    let mut scale = [0.0; 8];
    bytemuck::cast_ref::<_, IQ4_XS>(block).scales(&mut scale);
    let groups: &[[u8; 16]; 8] = block[8..].as_chunks().0.first_chunk().expect("8 groups");
    Step {
        q: look_up(&IQ4, nibbles::<0, 16>(groups)),
        scale: [load_f32(&scale); 2],
        min: [_mm256_setzero_ps(); 2],
    }
}
