//! 32 values to the nearest block, bit for bit as llama.cpp's reference quantisers.

use super::{Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};

/// Values of a block.
type Values = [f32; 32];

impl From<&Values> for Q4_0 {
    fn from(x: &Values) -> Self {
        let (d, q) = around_zero::<8>(x);
        Self { d: to_f16(d), qs: nibbles(&q) }
    }
}

impl From<&Values> for Q4_1 {
    fn from(x: &Values) -> Self {
        let (d, m, q) = between_extremes::<15>(x);
        Self { d: to_f16(d), m: to_f16(m), qs: nibbles(&q) }
    }
}

impl From<&Values> for Q5_0 {
    fn from(x: &Values) -> Self {
        let (d, q) = around_zero::<16>(x);
        Self { d: to_f16(d), qh: fifth_bits(&q), qs: nibbles(&q) }
    }
}

impl From<&Values> for Q5_1 {
    fn from(x: &Values) -> Self {
        let (d, m, q) = between_extremes::<31>(x);
        Self { d: to_f16(d), m: to_f16(m), qh: fifth_bits(&q), qs: nibbles(&q) }
    }
}

impl From<&Values> for Q8_0 {
    fn from(x: &Values) -> Self {
        let d = x.iter().fold(0.0f32, |max, x| max.max(x.abs())) / 127.0;
        let inverse = inverse(d);
        Self { d: to_f16(d), qs: x.map(|x| (x * inverse).round() as i8) }
    }
}

/// `x ~ d * (q - ZERO)` with `q < 2 * ZERO`: the value furthest from zero becomes `-ZERO * d`.
fn around_zero<const ZERO: u8>(x: &Values) -> (f32, [u8; 32]) {
    let furthest = x.iter().fold(x[0], |max, &x| if x.abs() > max.abs() { x } else { max });
    let zero = f32::from(ZERO);
    let d = furthest / -zero;
    let inverse = inverse(d);
    (d, x.map(|x| ((x * inverse + (zero + 0.5)) as u8).min(2 * ZERO - 1)))
}

/// `x ~ d * q + m` with `q <= TOP`.
fn between_extremes<const TOP: u8>(x: &Values) -> (f32, f32, [u8; 32]) {
    let min = x.iter().copied().fold(f32::INFINITY, f32::min);
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let d = (max - min) / f32::from(TOP);
    let inverse = inverse(d);
    (d, min, x.map(|x| (((x - min) * inverse + 0.5) as u8).min(TOP)))
}

fn inverse(d: f32) -> f32 {
    if d == 0.0 { 0.0 } else { 1.0 / d }
}

fn to_f16(x: f32) -> [u8; 2] {
    half::f16::from_f32(x).to_le_bytes()
}

fn nibbles(q: &[u8; 32]) -> [u8; 16] {
    std::array::from_fn(|i| (q[i] & 15) | (q[i + 16] & 15) << 4)
}

fn fifth_bits(q: &[u8; 32]) -> [u8; 4] {
    let bits = q.iter().rev().fold(0u32, |bits, q| bits << 1 | u32::from(q >> 4));
    bits.to_le_bytes()
}
