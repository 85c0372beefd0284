//! The last layer of a batch of whose rows some are wanted for their keys and values alone.

use rushlight_model::{Layer, RopeTable};

use super::{Pass, Tables, heads};
use crate::batch::{BatchRow, Wanted};
use crate::machine::Tokens;

/// The rows of which more is wanted, rising.
pub(super) fn kept(rows: &[BatchRow]) -> Vec<usize> {
    (0..rows.len()).filter(|&t| rows[t].wanted != Wanted::Nothing).collect()
}

impl Pass<'_> {
    /// The keys and values of a layer for all rows; leaves the layer's input in `h`.
    pub(super) fn keys_and_values(
        &mut self,
        index: usize,
        layer: &Layer,
        table: Option<&RopeTable>,
    ) {
        let (dims, machine) = (self.model.dims(), self.machine);
        self.norm_into(layer.attn_norm.as_ref());
        let tokens = Tokens { count: self.rows.len(), fine: &self.fine };
        let b = &mut *self.buffers;
        let matrices = [&layer.k.weight, &layer.v.weight];
        let input = machine.input(&b.h, tokens, &mut b.rounded, matrices);
        let added = [self.adapted.at(index, |a| &a.k), self.adapted.at(index, |a| &a.v)];
        machine.linears(&input, [(&layer.k, &mut b.k), (&layer.v, &mut b.v)], added);
        heads(machine, dims, &mut b.k, dims.g, layer.k_norm.as_ref(), table);
        self.store(index);
    }

    /// The rest of the last layer, and the output, of the rows that are kept.
    pub(super) fn last(self, index: usize, layer: &Layer, kept: &[usize]) {
        let (machine, dims) = (self.machine, self.model.dims());
        let rows: Vec<BatchRow> = kept.iter().map(|&t| self.rows[t]).collect();
        let is_fine = |t: &usize| self.fine.binary_search(t).is_ok();
        let mut pass = Pass {
            fine: (0..kept.len()).filter(|&i| is_fine(&kept[i])).collect(),
            adapted: self.adapted.of(kept.iter().copied()),
            rows: &rows,
            ..self
        };
        let b = &mut *pass.buffers;
        for data in [&mut b.x, &mut b.h] {
            for (i, &t) in kept.iter().enumerate() {
                data.copy_within(t * dims.d..(t + 1) * dims.d, i * dims.d);
            }
            data.truncate(kept.len() * dims.d);
        }
        // Keys and values are stored, and of the feed-forward part's buffers as much is used as there are rows.
        for data in [&mut b.q, &mut b.attended] {
            data.truncate(kept.len() * dims.h * dims.k);
        }
        if !kept.is_empty() {
            let tables = Tables::new(dims, &rows, pass.context);
            pass.queries(index, layer, tables.of(dims.layers[index].rope));
            pass.attended_part(index, layer);
            pass.feed_forward_part(index, layer);
        }
        pass.output(machine);
    }

    /// The queries of a layer, whose input is in `h`.
    fn queries(&mut self, index: usize, layer: &Layer, table: Option<&RopeTable>) {
        let (dims, machine) = (self.model.dims(), self.machine);
        let tokens = Tokens { count: self.rows.len(), fine: &self.fine };
        let b = &mut *self.buffers;
        let input = machine.input(&b.h, tokens, &mut b.rounded, [&layer.q.weight]);
        let added = self.adapted.at(index, |a| &a.q);
        machine.linears(&input, [(&layer.q, &mut b.q)], [added]);
        heads(machine, dims, &mut b.q, dims.h, layer.q_norm.as_ref(), table);
    }
}
