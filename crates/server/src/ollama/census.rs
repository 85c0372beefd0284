//! How many numbers a model has, and how they are stored.

use std::collections::BTreeMap;

use rushlight_model::{FeedForward, Ffn, Layer, Linear, Matrix, Model, Norm};
use serde_json::{Value, json};

/// The numbers of a model.
#[derive(Debug, Default)]
pub(super) struct Census {
    pub(super) parameters: usize,
    /// Those of matrices, by the name of their format.
    formats: BTreeMap<String, usize>,
}

impl Census {
    /// Counts all of a model.
    pub(super) fn of(model: &Model) -> Self {
        let weights = model.weights();
        let mut census = Self::default();
        census.matrix(&weights.embedding);
        weights.positions.iter().for_each(|matrix| census.matrix(matrix));
        census.parameters += weights.segments.iter().map(Vec::len).sum::<usize>();
        if let Some(classifier) = &weights.classifier {
            classifier.dense.iter().chain([&classifier.output]).for_each(|l| census.linear(l));
        }
        census.norms([&weights.embedding_norm, &weights.output_norm]);
        weights.layers.iter().for_each(|layer| census.layer(layer));
        // It may be the same as the embedding.
        let output = &weights.output;
        if output.weight.data().as_ptr() != weights.embedding.data().as_ptr() {
            census.linear(output);
        }
        census
    }

    /// Their number as people say it, such as `134.52M`.
    pub(super) fn size(&self) -> String {
        let count = self.parameters as f64;
        match self.parameters {
            1_000_000_000.. => format!("{:.1}B", count / 1e9),
            1_000_000.. => format!("{:.2}M", count / 1e6),
            1_000.. => format!("{:.2}K", count / 1e3),
            few => few.to_string(),
        }
    }

    /// The format of most of them: a file may have several.
    pub(super) fn format(&self) -> Value {
        let most = self.formats.iter().max_by_key(|(_, count)| **count);
        most.map_or(Value::Null, |(format, _)| json!(format))
    }

    fn layer(&mut self, layer: &Layer) {
        for linear in [&layer.q, &layer.k, &layer.v, &layer.o] {
            self.linear(linear);
        }
        self.norms([&layer.attn_norm, &layer.q_norm, &layer.k_norm, &layer.post_attn_norm]);
        self.norms([&layer.attn_sum_norm, &layer.ffn_norm, &layer.post_ffn_norm]);
        self.norms([&layer.ffn_sum_norm]);
        match &layer.ffn {
            Ffn::Dense(part) => self.feed_forward(part),
            Ffn::Experts { router, experts } => {
                self.linear(router);
                experts.iter().for_each(|part| self.feed_forward(part));
            }
        }
    }

    fn feed_forward(&mut self, part: &FeedForward) {
        for linear in part.gate.iter().chain([&part.up, &part.down]) {
            self.linear(linear);
        }
    }

    fn linear(&mut self, linear: &Linear) {
        self.matrix(&linear.weight);
        self.parameters += linear.bias.as_ref().map_or(0, Vec::len);
    }

    fn norms<const N: usize>(&mut self, norms: [&Option<Norm>; N]) {
        for norm in norms.into_iter().flatten() {
            self.parameters += norm.weight.len() + norm.bias.as_ref().map_or(0, Vec::len);
        }
    }

    fn matrix(&mut self, matrix: &Matrix) {
        let count = matrix.rows() * matrix.cols();
        self.parameters += count;
        *self.formats.entry(matrix.format().to_string()).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_people_say_them() {
        let cases =
            [(12, "12"), (1_234, "1.23K"), (134_515_008, "134.52M"), (1_235_814_400, "1.2B")];
        for (parameters, want) in cases {
            assert_eq!(Census { parameters, ..Census::default() }.size(), want);
        }
    }
}
