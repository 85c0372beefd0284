//! From a format's bytes to a [`Step`].

use std::arch::x86_64::*;

use super::load::{load, load_8, load_16, load_f32};
use super::step::Step;
use crate::block::Block;
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

/// `BIAS` is 32.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn q6_k(bytes: &[u8]) -> Step {
    let block: &[u8; 210] = bytes.first_chunk().expect("a whole step");
    let (low, upper) = (_mm256_set1_epi8(15), _mm256_set1_epi8(0x30));
    let half = |h: usize| {
        let part = |at: usize| load(block[at..].first_chunk().expect("32 bytes of the block"));
        let (a, b, qh) = (part(h * 64), part(h * 64 + 32), part(128 + h * 32));
        let join = |l, h| _mm256_or_si256(_mm256_and_si256(l, low), _mm256_and_si256(h, upper));
        [
            join(a, _mm256_slli_epi16::<4>(qh)),
            join(b, _mm256_slli_epi16::<2>(qh)),
            join(_mm256_srli_epi16::<4>(a), qh),
            join(_mm256_srli_epi16::<4>(b), _mm256_srli_epi16::<2>(qh)),
        ]
    };
    let ([a, b, c, d], [e, f, g, h]) = (half(0), half(1));
    let d_all = _mm_cvtph_ps(_mm_set1_epi16(i16::from_le_bytes([block[208], block[209]])));
    let d_all = _mm256_broadcastss_ps(d_all);
    let scale = |at: usize| {
        let scales = load_8(block[at..].first_chunk().expect("8 of `scales`"));
        _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(scales)), d_all)
    };
    Step {
        q: [a, b, c, d, e, f, g, h],
        scale: [scale(192), scale(200)],
        min: [_mm256_setzero_ps(); 2],
    }
}
