//! Pages of keys and values, one position at a time.

use half::f16;

use crate::attention::{AttentionOps, Q8_GROUP};
use crate::{Attend, AttendState, PAGE, Page, PageMut, Scratch, Span, Visit};

pub(crate) const OPS: AttentionOps = AttentionOps { store, attend_page };

fn store(page: &mut PageMut<'_>, slot: usize, key: &[f32], value: &[f32]) {
    let k = key.len();
    match page {
        PageMut::F16 { keys, values } => {
            for i in 0..k {
                keys[i * PAGE + slot] = f16::from_f32(key[i]);
                values[slot * k + i] = f16::from_f32(value[i]);
            }
        }
        PageMut::Q8 { keys, key_scales, values, value_scales } => {
            let groups = k.div_ceil(Q8_GROUP);
            for group in 0..groups {
                let (key_scale, key_inverse) = q8_scale(key, group);
                let (value_scale, value_inverse) = q8_scale(value, group);
                key_scales[group * PAGE + slot] = key_scale;
                value_scales[slot * groups + group] = value_scale;
                for i in group * Q8_GROUP..k.min((group + 1) * Q8_GROUP) {
                    keys[i * PAGE + slot] = q8(key[i], key_inverse);
                    values[slot * k + i] = q8(value[i], value_inverse);
                }
            }
        }
    }
}

/// The scale of one group and the factor that takes its values to -127..=127.
fn q8_scale(x: &[f32], group: usize) -> (f16, f32) {
    let x = &x[group * Q8_GROUP..x.len().min((group + 1) * Q8_GROUP)];
    let max = x.iter().fold(0.0f32, |max, x| max.max(x.abs()));
    let scale = f16::from_f32(max / 127.0).min(f16::MAX);
    (scale, if scale.to_f32() > 0.0 { 1.0 / scale.to_f32() } else { 0.0 })
}

fn q8(x: f32, inverse: f32) -> i8 {
    (x * inverse).round_ties_even().clamp(-127.0, 127.0) as i8
}

fn key(page: Page<'_>, position: usize, i: usize) -> f32 {
    match page {
        Page::F16 { keys, .. } => keys[i * PAGE + position].to_f32(),
        Page::Q8 { keys, key_scales, .. } => {
            f32::from(keys[i * PAGE + position])
                * key_scales[i / Q8_GROUP * PAGE + position].to_f32()
        }
    }
}

fn value(page: Page<'_>, k: usize, position: usize, i: usize) -> f32 {
    match page {
        Page::F16 { values, .. } => values[position * k + i].to_f32(),
        Page::Q8 { values, value_scales, .. } => {
            f32::from(values[position * k + i])
                * value_scales[position * k.div_ceil(Q8_GROUP) + i / Q8_GROUP].to_f32()
        }
    }
}

fn attend_page(
    shape: &Attend,
    queries: &[f32],
    spans: &[Span],
    visit: Visit<'_>,
    _scratch: &mut Scratch,
    state: &mut AttendState,
) {
    let (k, page) = (shape.k, visit.page);
    for (q, (query, span)) in queries.chunks_exact(k).zip(spans).enumerate() {
        for position in span.start..span.end {
            let dot: f64 =
                (0..k).map(|i| f64::from(query[i]) * f64::from(key(page, position, i))).sum();
            let mut score = shape.scale * dot as f32;
            if let Some(cap) = shape.softcap {
                score = cap * (score / cap).tanh();
            }
            if score == f32::NEG_INFINITY {
                continue;
            }
            let score = score * std::f32::consts::LOG2_E;
            let values = &mut state.values[q * state.stride..][..k];
            if score > state.max[q] {
                let shrink = (state.max[q] - score).exp2();
                state.max[q] = score;
                state.sum[q] *= shrink;
                values.iter_mut().for_each(|x| *x *= shrink);
            }
            let weight = (score - state.max[q]).exp2();
            state.sum[q] += weight;
            for (i, x) in values.iter_mut().enumerate() {
                *x += weight * value(page, k, position, i);
            }
        }
    }
}
