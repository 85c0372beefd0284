//! Scores of pairs of texts, from their hidden states.

use rushlight_model::{Classifier, Model};

use super::Buffers;
use crate::machine::{Machine, Tokens};

impl Buffers {
    /// `output . tanh(dense . x)` for each of the hidden states, `(texts, d)`: a logit each. Where
    /// the classifier has two labels, that of the first against the second.
    ///
    /// Sources: transformers, `BertPooler` and `BertForSequenceClassification`; llama.cpp,
    /// `llm_graph_context::build_pooling`.
    pub(crate) fn scores(
        &mut self,
        model: &Model,
        machine: &Machine,
        classifier: &Classifier,
        states: &[f32],
    ) -> Vec<f32> {
        let d = model.dims().d;
        let all: Vec<usize> = (0..states.len() / d).collect();
        if all.is_empty() {
            return Vec::new();
        }
        let tokens = Tokens { count: all.len(), fine: &all };
        let mut pooled = states.to_vec();
        if let Some(dense) = &classifier.dense {
            let input = machine.input(states, tokens, &mut self.rounded, [&dense.weight]);
            machine.linears(&input, [(dense, &mut pooled)], [Vec::new()]);
            machine.each_row(&mut pooled, d, |_, x| x.iter_mut().for_each(|x| *x = x.tanh()));
        }
        let output = &classifier.output;
        let labels = output.weight.rows();
        let mut logits = vec![0.0; all.len() * labels];
        let input = machine.input(&pooled, tokens, &mut self.rounded, [&output.weight]);
        machine.linears(&input, [(output, &mut logits)], [Vec::new()]);
        logits.chunks_exact(labels).map(|l| l[0] - l.get(1).copied().unwrap_or(0.0)).collect()
    }
}
