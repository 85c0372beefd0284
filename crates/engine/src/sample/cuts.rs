//! Which candidates may be drawn at all.

use std::cmp::Ordering;

use super::{Candidate, SamplerOptions};

/// Keeps what the options allow, gives what is kept its probability: likeliest first, but where
/// nothing is cut.
pub(super) fn apply(candidates: &mut Vec<Candidate>, options: &SamplerOptions) {
    top_k(candidates, options.top_k);
    let greatest = probabilities(candidates);
    let mut total = 1.0;
    if options.typical_p < 1.0 {
        candidates.sort_unstable_by(descending);
        typical(candidates, options.typical_p);
        total = candidates.iter().map(|c| c.probability).sum();
    } else if options.top_p >= 1.0 && options.min_p <= 0.0 {
        // Sorting a vocabulary for each token takes longer than a small model does.
        if options.top_k > 0 {
            candidates.sort_unstable_by(descending);
        }
        return;
    } else {
        unlikely(candidates, options, greatest);
        candidates.sort_unstable_by(descending);
    }
    if options.top_p < 1.0 {
        top_p(candidates, options.top_p, total);
    }
    if options.min_p > 0.0 {
        let least = candidates.first().map_or(0.0, |c| c.probability) * options.min_p;
        let keep = candidates.iter().take_while(|c| c.probability >= least).count();
        candidates.truncate(keep.max(1));
    }
}

/// The likeliest first; equals by token, so that the order is one.
fn descending(a: &Candidate, b: &Candidate) -> Ordering {
    b.logit.total_cmp(&a.logit).then(a.token.cmp(&b.token))
}

/// The `k` of the greatest logits (0: all).
fn top_k(candidates: &mut Vec<Candidate>, k: usize) {
    if k > 0 && k < candidates.len() {
        candidates.select_nth_unstable_by(k, descending);
        candidates.truncate(k);
    }
}

/// Probabilities from logits; gives the greatest.
fn probabilities(candidates: &mut [Candidate]) -> f32 {
    let max = candidates.iter().map(|c| c.logit).fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0f64;
    for c in candidates.iter_mut() {
        c.probability = (c.logit - max).exp();
        sum += f64::from(c.probability);
    }
    let inverse = (1.0 / sum) as f32;
    for c in candidates.iter_mut() {
        c.probability *= inverse;
    }
    inverse
}

/// Drops what top-p and min-p will cut in any case, so that little is left to sort: the `n` tokens
/// that are each less likely than `(1 - p) / n` are not needed to reach `p`. Half of that, and a
/// thousandth less than min-p says, leave room for rounding.
fn unlikely(candidates: &mut Vec<Candidate>, options: &SamplerOptions, greatest: f32) {
    let by_top_p = (1.0 - options.top_p).max(0.0) / candidates.len() as f32 * 0.5;
    let least = by_top_p.max(options.min_p * greatest * 0.999);
    candidates.retain(|c| c.probability >= least || c.probability >= greatest);
}

/// The fewest of the likeliest that have probability `p` of the `total` together, at least one.
fn top_p(candidates: &mut Vec<Candidate>, p: f32, total: f32) {
    let mut sum = 0.0;
    let mut keep = 0;
    for c in candidates.iter() {
        sum += c.probability;
        keep += 1;
        if sum >= p * total {
            break;
        }
    }
    candidates.truncate(keep.max(1));
}

/// The candidates whose information is nearest to the entropy, until they have probability `p`.
fn typical(candidates: &mut Vec<Candidate>, p: f32) {
    let information = |c: &Candidate| -c.probability.max(f32::MIN_POSITIVE).ln();
    let entropy: f32 = candidates.iter().map(|c| c.probability * information(c)).sum();
    let distance = |c: &Candidate| (information(c) - entropy).abs();
    candidates.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
    top_p(candidates, p, 1.0);
    candidates.sort_by(|a, b| b.probability.total_cmp(&a.probability).then(a.token.cmp(&b.token)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Tokens kept of a distribution of probabilities 0.5, 0.25, 0.15, 0.1 (tokens 3, 1, 0, 2).
    fn kept(options: &SamplerOptions) -> Vec<u32> {
        let of = |token, p: f32| Candidate { token, logit: p.ln(), probability: 0.0 };
        let mut candidates = vec![of(0, 0.15), of(1, 0.25), of(2, 0.1), of(3, 0.5)];
        apply(&mut candidates, options);
        candidates.iter().map(|c| c.token).collect()
    }

    #[test]
    fn each_cut_keeps_what_its_paper_says() {
        let plain = SamplerOptions::default;
        let cases: [(SamplerOptions, &[u32]); 8] = [
            (plain(), &[0, 1, 2, 3]),
            (SamplerOptions { top_k: 2, ..plain() }, &[3, 1]),
            (SamplerOptions { top_p: 0.7, ..plain() }, &[3, 1]),
            (SamplerOptions { top_p: 0.0, ..plain() }, &[3]),
            (SamplerOptions { min_p: 0.29, ..plain() }, &[3, 1, 0]),
            (SamplerOptions { min_p: 1.0, ..plain() }, &[3]),
            // Entropy 1.208; distances: 0.5 -> 0.515, 0.25 -> 0.178, 0.15 -> 0.689, 0.1 -> 1.095.
            (SamplerOptions { typical_p: 0.2, ..plain() }, &[1]),
            (SamplerOptions { typical_p: 0.7, ..plain() }, &[3, 1]),
        ];
        for (options, want) in cases {
            assert_eq!(kept(&options), want, "{options:?}");
        }
    }

    #[test]
    fn what_is_dropped_early_would_have_been_cut() {
        let mut random = Random::new(5);
        for (top_p, min_p) in [(0.1, 0.0), (0.9, 0.0), (0.999, 0.0), (0.95, 0.05), (1.0, 0.01)] {
            for spread in [1.0, 4.0, 20.0] {
                let of =
                    |token| Candidate { token, logit: random.unit() * spread, probability: 0.0 };
                let candidates: Vec<Candidate> = (0..3000).map(of).collect();
                let mut kept = candidates.clone();
                apply(&mut kept, &SamplerOptions { top_p, min_p, ..SamplerOptions::default() });

                let mut all = candidates;
                all.sort_by(descending);
                let weights: Vec<f64> = all.iter().map(|c| f64::from(c.logit).exp()).collect();
                let total: f64 = weights.iter().sum();
                let (mut sum, mut want) = (0.0, 0);
                while want < all.len()
                    && (top_p >= 1.0 || sum < f64::from(top_p) * total)
                    && weights[want] >= f64::from(min_p) * weights[0]
                {
                    sum += weights[want];
                    want += 1;
                }
                let what = format!("{top_p} {min_p} {spread}: {} and {want}", kept.len());
                assert!(kept.len().abs_diff(want) <= 1 + want / 500, "{what}");
                assert!(kept.iter().zip(&all).all(|(a, b)| a.token == b.token), "{what}");
            }
        }
    }
}
