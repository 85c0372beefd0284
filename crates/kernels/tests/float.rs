//! Float operations: every row of this processor against a double-precision evaluation.

use rushlight_kernels::{Pairing, Row, f16, rows};

/// Half a unit in the last place.
const U: f64 = 1.0 / (1u64 << 24) as f64;
/// Lengths around the vectors and unrolled loops, and zero.
const LENGTHS: [usize; 14] = [0, 1, 2, 7, 15, 16, 17, 31, 63, 64, 65, 127, 576, 1003];

/// A linear congruential generator (Knuth, MMIX), in -1..1.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    }

    fn vector(&mut self, n: usize, size: f32) -> Vec<f32> {
        (0..n).map(|_| self.next() * size).collect()
    }
}

/// Failures, all reported at once.
#[derive(Default)]
struct Report(Vec<String>);

impl Report {
    /// Records every `got` that is further from `want` than its bound, or not a number alike.
    fn compare(&mut self, what: &str, got: &[f32], want: impl Iterator<Item = (f64, f64)>) {
        let mut count = 0;
        for (i, (&got, (want, bound))) in got.iter().zip(want).enumerate() {
            count += 1;
            let rounded = want as f32;
            let same = f64::from(got) == f64::from(rounded) || got.is_nan() && want.is_nan();
            // `NaN <= bound` is false, as it should be.
            if !(same || (f64::from(got) - want).abs() <= bound) {
                self.0.push(format!("{what} [{i}]: `{got:e}`, expected `{want:e}` +- {bound:e}"));
            }
        }
        assert_eq!(count, got.len(), "{what}: length");
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let shown: Vec<_> = self.0.iter().take(20).collect();
            assert!(self.0.is_empty(), "{} failures: {shown:#?}", self.0.len());
        }
    }
}

fn mean(x: &[f32], f: impl Fn(f64) -> f64) -> f64 {
    x.iter().map(|&x| f(f64::from(x))).sum::<f64>() / x.len().max(1) as f64
}

/// Independent of the kernels: `erfc` by its continued fraction, for `x >= 2`, else the series
/// of `erf` (Abramowitz and Stegun 7.1.14 and 7.1.5).
fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    if x < 2.0 {
        let (mut power, mut sum) = (x, 0.0);
        for n in 0..80 {
            sum += power / f64::from(2 * n + 1);
            power *= -x * x / f64::from(n + 1);
        }
        return 1.0 - std::f64::consts::FRAC_2_SQRT_PI * sum;
    }
    let mut fraction = x;
    for n in (1..200).rev() {
        fraction = x + f64::from(n) / 2.0 / fraction;
    }
    (-x * x).exp() / fraction * std::f64::consts::FRAC_2_SQRT_PI / 2.0
}

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

fn gelu(x: f64) -> f64 {
    0.5 * x * erfc(-x / 2.0f64.sqrt())
}

fn gelu_tanh(x: f64) -> f64 {
    x / (1.0 + (-2.0 * (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).exp())
}

/// Values on both sides of everything that the activations treat apart.
fn arguments() -> Vec<f32> {
    let mut x: Vec<f32> = (-90_000..90_000).map(|i| i as f32 * 1e-3 + 1e-5).collect();
    for tiny in [0.0, f32::MIN_POSITIVE, 1e-40, 1e-20, 1e-8, 1e-4] {
        x.extend([tiny, -tiny]);
    }
    for large in [87.33, 87.34, 88.0, 88.72, 88.73, 104.0, 1e3, 1e10, 3e38] {
        x.extend([large, -large]);
    }
    x.push(f32::NAN);
    x
}

/// The exact value.
type Exact = fn(f64) -> f64;
/// The error allowed at an argument and its exact value.
type Bound = fn(f64, f64) -> f64;
type Apply = fn(&Row, &mut [f32]);
type Gated = fn(&Row, &mut [f32], &[f32]);

#[test]
fn activations_keep_their_bounds() {
    let cases: [(&str, Apply, Exact, Bound); 5] = [
        ("exp", Row::exp, f64::exp, |_, y| if y < 1.2e-38 { 1.2e-38 } else { 4.0 * U * y }),
        ("silu", Row::silu, silu, |_, y| 8.0 * U * y.abs() + 1e-36),
        ("gelu", Row::gelu, gelu, |x, _| 4e-7 * x.abs()),
        ("gelu_tanh", Row::gelu_tanh, gelu_tanh, |x, _| 4e-7 * x.abs()),
        ("softcap", |row, x| row.softcap(x, 30.0), |x| 30.0 * (x / 30.0).tanh(), |_, _| 1.2e-5),
    ];
    let x = arguments();
    let mut report = Report::default();
    for row in rows() {
        for (name, apply, exact, bound) in cases {
            let mut got = x.clone();
            apply(row, &mut got);
            let want = x.iter().map(|&x| {
                let (x, y) = (f64::from(x), exact(f64::from(x)));
                (y, bound(x, y))
            });
            report.compare(&format!("{} {name}", row.name()), &got, want);
        }
    }
}

/// The tail of a vector and its gate give the very values of the whole.
#[test]
fn activations_do_not_depend_on_position() {
    let cases: [(&str, Apply, Option<Gated>); 5] = [
        ("exp", Row::exp, None),
        ("silu", Row::silu, Some(Row::silu_mul)),
        ("gelu", Row::gelu, Some(Row::gelu_mul)),
        ("gelu_tanh", Row::gelu_tanh, Some(Row::gelu_tanh_mul)),
        ("softcap", |row, x| row.softcap(x, 2.5), None),
    ];
    let mut random = Random(1);
    let mut report = Report::default();
    for row in rows() {
        for (name, apply, gated) in cases {
            for n in LENGTHS {
                let what = format!("{} {name} of {n}", row.name());
                let x = random.vector(n, 9.0);
                let alone = x.iter().map(|&x| {
                    let mut one = [x];
                    apply(row, &mut one);
                    one[0]
                });
                let alone: Vec<f32> = alone.collect();
                let mut got = x.clone();
                apply(row, &mut got);
                report.compare(&what, &got, alone.iter().map(|&y| (f64::from(y), 0.0)));
                if let Some(gated) = gated {
                    let up = random.vector(n, 3.0);
                    let mut got = x.clone();
                    gated(row, &mut got, &up);
                    // The scalar row rounds once, the others twice.
                    let want = alone.iter().zip(&up).map(|(&y, &up)| {
                        let y = f64::from(y) * f64::from(up);
                        (y, 2.0 * U * y.abs())
                    });
                    report.compare(&format!("{what}, gated"), &got, want);
                }
            }
        }
    }
}

#[test]
fn norms_keep_their_bounds() {
    let mut random = Random(2);
    let mut report = Report::default();
    for row in rows() {
        for (n, size, eps) in LENGTHS
            .into_iter()
            .flat_map(|n| [(n, 1.0, 1e-5), (n, 1e-12, 1e-6), (n, 1e15, 0.0), (n, 0.0, 1e-5)])
        {
            if n == 0 && eps == 0.0 {
                continue;
            }
            let x = random.vector(n, size);
            let (w, b) = (random.vector(n, 2.0), random.vector(n, 1.0));
            let slack = n as f64 / 32.0;
            for weight in [None, Some(&w[..])] {
                let what = format!("{} rms_norm of {n} x {size:e}", row.name());
                let root = (mean(&x, |x| x * x) + f64::from(eps)).sqrt();
                let root = if root > 0.0 { root } else { f64::INFINITY };
                let want = || {
                    (0..n).map(|i| {
                        let weight = weight.map_or(1.0, |w| f64::from(w[i]));
                        let y = f64::from(x[i]) / root * weight;
                        (y, (slack + 8.0) * U * y.abs())
                    })
                };
                let mut got = vec![0.0; n];
                row.rms_norm(&x, weight, eps, &mut got);
                report.compare(&what, &got, want());
                got.copy_from_slice(&x);
                row.rms_norm_in_place(&mut got, weight, eps);
                report.compare(&format!("{what} in place"), &got, want());
            }
            // A mean far from zero is what a norm in one pass gets wrong.
            let x: Vec<f32> = x.iter().map(|x| x + 3.0 * size).collect();
            for (weight, bias) in [(None, None), (Some(&w[..]), None), (Some(&w[..]), Some(&b[..]))]
            {
                let what = format!("{} layer_norm of {n} x {size:e}", row.name());
                let center = mean(&x, |x| x);
                let root = (mean(&x, |x| (x - center).powi(2)) + f64::from(eps)).sqrt();
                if root == 0.0 {
                    continue;
                }
                let largest = f64::from(x.iter().fold(0.0f32, |a, b| a.max(b.abs())));
                let want = (0..n).map(|i| {
                    let weight = weight.map_or(1.0, |w| f64::from(w[i]));
                    let y = (f64::from(x[i]) - center) / root * weight;
                    let y = y + bias.map_or(0.0, |b| f64::from(b[i]));
                    (y, (slack + 16.0) * U * (largest / root * weight.abs() + y.abs()))
                });
                let mut got = vec![0.0; n];
                row.layer_norm(&x, weight, bias, eps, &mut got);
                report.compare(&what, &got, want);
            }
        }
    }
}

#[test]
fn rope_turns_the_right_pairs() {
    let mut random = Random(3);
    let mut report = Report::default();
    for row in rows() {
        for (k, pairs) in [(0, 0), (2, 1), (8, 4), (64, 32), (80, 16), (96, 48), (128, 64), (7, 3)]
        {
            let angles = random.vector(pairs, 3.0);
            let cos: Vec<f32> = angles.iter().map(|a| a.cos()).collect();
            let sin: Vec<f32> = angles.iter().map(|a| a.sin()).collect();
            for pairing in [Pairing::Adjacent, Pairing::Halves] {
                let x = random.vector(k, 5.0);
                let mut want: Vec<(f64, f64)> = x.iter().map(|&x| (f64::from(x), 0.0)).collect();
                for i in 0..pairs {
                    let (a, b) = match pairing {
                        Pairing::Adjacent => (2 * i, 2 * i + 1),
                        Pairing::Halves => (i, pairs + i),
                    };
                    let (c, s) = (f64::from(cos[i]), f64::from(sin[i]));
                    let (x, y) = (want[a].0, want[b].0);
                    let bound = 2.0 * U * (x.abs() + y.abs());
                    (want[a], want[b]) = ((x * c - y * s, bound), (x * s + y * c, bound));
                }
                let mut got = x.clone();
                row.rope(pairing, &mut got, &cos, &sin);
                let what = format!("{} rope {pairing:?} {pairs} pairs of {k}", row.name());
                report.compare(&what, &got, want.into_iter());
            }
        }
    }
}

#[test]
fn softmax_keeps_its_bound() {
    let mut random = Random(4);
    let mut report = Report::default();
    for row in rows() {
        for n in LENGTHS {
            for (size, masked) in [(1.0, false), (40.0, true), (1e4, false), (1e30, true)] {
                let mut x = random.vector(n, size);
                if masked {
                    x.iter_mut().skip(1).step_by(3).for_each(|x| *x = f32::NEG_INFINITY);
                }
                let max = f64::from(x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
                let sum: f64 = x.iter().map(|&x| (f64::from(x) - max).exp()).sum();
                let want = x.iter().map(|&x| {
                    let below = f64::from(x) - max;
                    let y = below.exp() / sum;
                    let relative = (n as f64 / 32.0 + 12.0) * U + 2.0 * U * below.abs().min(1e9);
                    (y, relative * y + 1e-37)
                });
                let mut got = x.clone();
                row.softmax(&mut got);
                report.compare(&format!("{} softmax of {n} x {size:e}", row.name()), &got, want);
            }
            let mut got = vec![f32::NEG_INFINITY; n];
            row.softmax(&mut got);
            let what = format!("{} softmax of {n} times minus infinity", row.name());
            report.compare(&what, &got, std::iter::repeat_n((0.0, 0.0), n));
            for bad in 0..n {
                let mut got = vec![f32::NEG_INFINITY; n];
                got[bad] = f32::NAN;
                row.softmax(&mut got);
                assert!(got[bad].is_nan(), "{} softmax hides a NaN at {bad} of {n}", row.name());
            }
        }
    }
}

#[test]
fn sums_keep_their_bounds() {
    let mut random = Random(5);
    let mut report = Report::default();
    for row in rows() {
        for n in LENGTHS {
            let (x, y) = (random.vector(n, 2.0), random.vector(n, 7.0));
            let pairs = || x.iter().zip(&y).map(|(&x, &y)| (f64::from(x), f64::from(y)));
            let what = |name| format!("{} {name} of {n}", row.name());

            let mut got = x.clone();
            row.add(&mut got, &y);
            report.compare(
                &what("add"),
                &got,
                pairs().map(|(x, y)| (f64::from((x + y) as f32), 0.0)),
            );
            let mut got = x.clone();
            row.scale(&mut got, 0.3);
            let s = f64::from(0.3f32);
            report.compare(
                &what("scale"),
                &got,
                pairs().map(|(x, _)| (f64::from((x * s) as f32), 0.0)),
            );
            let mut got = x.clone();
            row.add_scaled(&mut got, &y, 0.3);
            let want = pairs().map(|(x, y)| (x + y * s, U * ((x + y * s).abs() + (y * s).abs())));
            report.compare(&what("add_scaled"), &got, want);

            let size: f64 = pairs().map(|(x, y)| (x * y).abs()).sum();
            let want = (pairs().map(|(x, y)| x * y).sum(), (n as f64 / 32.0 + 8.0) * U * size);
            report.compare(&what("dot"), &[row.dot(&x, &y)], std::iter::once(want));
        }
    }
}

#[test]
fn halves_convert_exactly() {
    let every: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).collect();
    let mut random = Random(6);
    for row in rows() {
        let mut wide = vec![0.0; every.len()];
        row.from_f16(&every, &mut wide);
        let mut report = Report::default();
        let want = every.iter().map(|x| (x.to_f64(), 0.0));
        report.compare(&format!("{} from_f16", row.name()), &wide, want);

        // Every half, the singles next to it, and those half way to the next one.
        let mut x: Vec<f32> = wide.iter().filter(|x| !x.is_nan()).copied().collect();
        for i in 0..x.len() {
            x.extend([x[i].next_up(), x[i].next_down()]);
            let step = f16::from_bits(f16::from_f32(x[i]).to_bits().wrapping_add(1)).to_f32();
            x.push((x[i] + step) / 2.0);
        }
        x.retain(|x| !x.is_nan());
        let mut got = vec![f16::ZERO; x.len()];
        row.to_f16(&x, &mut got);
        let wrong =
            x.iter().zip(&got).find(|(x, got)| got.to_bits() != f16::from_f32_const(**x).to_bits());
        assert!(wrong.is_none(), "{} to_f16: {wrong:?}", row.name());
        for n in LENGTHS {
            let x = random.vector(n, 100.0);
            let (mut got, mut back) = (vec![f16::ZERO; n], vec![0.0; n]);
            row.to_f16(&x, &mut got);
            row.from_f16(&got, &mut back);
            let want = x.iter().map(|&x| (f16::from_f32_const(x).to_f64(), 0.0));
            report.compare(&format!("{} halves of {n}", row.name()), &back, want);
        }
    }
}
