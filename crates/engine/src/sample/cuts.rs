//! Which candidates may be drawn at all.

use super::{Candidate, SamplerOptions};

/// Keeps what the options allow, gives what is kept its probability, likeliest first.
pub(super) fn apply(candidates: &mut Vec<Candidate>, options: &SamplerOptions) {
    top_k(candidates, options.top_k);
    probabilities(candidates);
    if options.typical_p < 1.0 {
        typical(candidates, options.typical_p);
    }
    if options.top_p < 1.0 {
        top_p(candidates, options.top_p);
    }
    if options.min_p > 0.0 {
        let least = candidates.first().map_or(0.0, |c| c.probability) * options.min_p;
        let keep = candidates.iter().take_while(|c| c.probability >= least).count();
        candidates.truncate(keep.max(1));
    }
}

/// The `k` of the greatest logits (0: all), sorted; equals by token, so that the order is one.
fn top_k(candidates: &mut Vec<Candidate>, k: usize) {
    let descending =
        |a: &Candidate, b: &Candidate| b.logit.total_cmp(&a.logit).then(a.token.cmp(&b.token));
    if k > 0 && k < candidates.len() {
        candidates.select_nth_unstable_by(k, descending);
        candidates.truncate(k);
    }
    candidates.sort_unstable_by(descending);
}

fn probabilities(candidates: &mut [Candidate]) {
    let max = candidates.first().map_or(0.0, |c| c.logit);
    for c in candidates.iter_mut() {
        c.probability = (c.logit - max).exp();
    }
    let sum: f32 = candidates.iter().map(|c| c.probability).sum();
    for c in candidates.iter_mut() {
        c.probability /= sum;
    }
}

/// The fewest of the likeliest that have probability `p` together, at least one.
fn top_p(candidates: &mut Vec<Candidate>, p: f32) {
    let total: f32 = candidates.iter().map(|c| c.probability).sum();
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
    top_p(candidates, p);
    candidates.sort_by(|a, b| b.probability.total_cmp(&a.probability).then(a.token.cmp(&b.token)));
}

#[cfg(test)]
mod tests {
    use super::*;

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
            (plain(), &[3, 1, 0, 2]),
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
}
