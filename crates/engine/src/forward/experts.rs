//! A mixture of experts: a router picks some feed-forward parts for each token.

use rushlight_model::{Experts, FeedForward, Linear};

use super::{Pass, feed_forward, ffn_added};
use crate::machine::Tokens;

/// Working memory of a mixture.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// Router outputs, then probabilities, `(tokens, experts)`.
    scores: Vec<f32>,
    /// Inputs of one expert, `(its tokens, d)`.
    input: Vec<f32>,
    /// The mixture, `(tokens, d)`.
    sum: Vec<f32>,
}

impl Pass<'_> {
    /// `h = sum of weight * expert(h)` over the experts that the router picks.
    pub(super) fn mix(&mut self, layer: usize, router: &Linear, experts: &[FeedForward]) {
        let (dims, machine, tokens) = (self.model.dims(), self.machine, self.rows.len());
        let Some(kind) = dims.experts else { return };
        let activation = self.model.arch().activation;
        let (d, b) = (dims.d, &mut *self.buffers);
        let e = &mut b.experts;
        e.scores.resize(tokens * kind.count, 0.0);
        let all = Tokens { count: tokens, fine: &self.fine };
        let input = machine.input(&b.h, all, &mut b.rounded, [&router.weight]);
        let added = self.adapted.at(layer, |a| &a.router);
        machine.linears(&input, [(router, &mut e.scores)], [added]);
        machine.each_row(&mut e.scores, kind.count, |_, scores| machine.row.softmax(scores));
        let picks = picks(&e.scores, kind);
        e.sum.clear();
        e.sum.resize(tokens * d, 0.0);
        for (index, (expert, chosen)) in experts.iter().zip(&picks).enumerate() {
            if chosen.is_empty() {
                continue;
            }
            e.input.clear();
            for (t, _) in chosen {
                e.input.extend_from_slice(&b.h[t * d..][..d]);
            }
            let is_fine = |i: &usize| self.fine.binary_search(&chosen[*i].0).is_ok();
            let fine: Vec<usize> = (0..chosen.len()).filter(is_fine).collect();
            let tokens = Tokens { count: chosen.len(), fine: &fine };
            let wide = [&mut b.gate, &mut b.up];
            let adapted = self.adapted.of(chosen.iter().map(|(t, _)| *t));
            let added = ffn_added(&adapted, layer, index);
            let (input, rounded) = (&mut e.input, &mut b.rounded);
            feed_forward(machine, activation, expert, input, wide, rounded, tokens, added);
            for ((t, weight), out) in chosen.iter().zip(e.input.chunks_exact(d)) {
                machine.row.add_scaled(&mut e.sum[t * d..][..d], out, *weight);
            }
        }
        b.h.copy_from_slice(&e.sum);
    }
}

/// For each expert the tokens that use it and their weights, from probabilities
/// `(tokens, experts)`.
fn picks(scores: &[f32], kind: Experts) -> Vec<Vec<(usize, f32)>> {
    let mut picks = vec![Vec::new(); kind.count];
    for (t, scores) in scores.chunks_exact(kind.count).enumerate() {
        let mut order: Vec<usize> = (0..kind.count).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        order.truncate(kind.used);
        let sum: f32 = order.iter().map(|i| scores[*i]).sum();
        let scale = if kind.normalized { kind.scale / sum } else { kind.scale };
        for i in order {
            picks[i].push((t, scores[i] * scale));
        }
    }
    picks
}
