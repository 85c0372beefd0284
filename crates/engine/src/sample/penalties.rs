//! What is done to the logits of tokens that have been, and to those that the caller names.

use std::collections::{HashMap, VecDeque};

use super::SamplerOptions;

/// Applies penalties and biases in place.
pub(super) fn apply(logits: &mut [f32], options: &SamplerOptions, recent: &VecDeque<u32>) {
    let idle = options.repetition_penalty == 1.0
        && options.presence_penalty == 0.0
        && options.frequency_penalty == 0.0;
    if !idle {
        let mut counts: HashMap<u32, f32> = HashMap::new();
        for token in recent {
            *counts.entry(*token).or_default() += 1.0;
        }
        for (token, count) in counts {
            let Some(logit) = logits.get_mut(token as usize) else { continue };
            *logit = if *logit > 0.0 {
                *logit / options.repetition_penalty
            } else {
                *logit * options.repetition_penalty
            };
            *logit -= options.presence_penalty + options.frequency_penalty * count;
        }
    }
    for (token, bias) in &options.logit_bias {
        if let Some(logit) = logits.get_mut(*token as usize) {
            *logit += bias;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_tokens_lose_and_named_ones_move() {
        let recent = VecDeque::from([1, 2, 1]);
        let cases: [(SamplerOptions, [f32; 4]); 4] = [
            (
                SamplerOptions { repetition_penalty: 2.0, ..Default::default() },
                [1.0, 1.0, -6.0, 4.0],
            ),
            (SamplerOptions { presence_penalty: 0.5, ..Default::default() }, [1.0, 1.5, -3.5, 4.0]),
            (
                SamplerOptions { frequency_penalty: 0.5, ..Default::default() },
                [1.0, 1.0, -3.5, 4.0],
            ),
            (
                SamplerOptions { logit_bias: vec![(3, -10.0), (0, 1.0)], ..Default::default() },
                [2.0, 2.0, -3.0, -6.0],
            ),
        ];
        for (options, want) in cases {
            let mut logits = [1.0, 2.0, -3.0, 4.0];
            apply(&mut logits, &options, &recent);
            assert_eq!(logits, want, "{options:?}");
        }
    }
}
