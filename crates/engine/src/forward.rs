//! The forward pass: one block that runs every architecture.
//!
//! A layer does what its tensors and the model's row say:
//!
//! ```text
//! x += post_attn_norm(o . attention(rope(q_norm(q . h)), rope(k_norm(k . h)), v . h)),  h = attn_norm(x)
//! x += post_ffn_norm(down . (activation(gate . h) * up . h)),                           h = ffn_norm(x)
//! ```
//!
//! Of most tokens of a prompt nothing is wanted but keys and values, so the last layer makes no more of
//! them.

mod adapted;
mod attention;
mod classify;
mod experts;
mod fine;
mod last;

pub(crate) use adapted::Adapted;
pub(crate) use attention::SEEN_FLOATS;
pub(crate) use fine::{FINE, choose as choose_fine};

use rushlight_kernels::{AttendState, PAGE};
use rushlight_model::{
    Activation, AdapterFfn, AdapterLayer, Dims, FeedForward, Ffn, Layer, LowRank, Model, Norm,
    NormKind, Rope, RopeTable, RopeUse,
};

use crate::batch::{BatchRow, Wanted};
use crate::cache::Cache;
use crate::machine::{Added, Machine, Rounded, Tokens};

/// Activations of one batch, kept between calls.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    /// The residual stream, `(tokens, d)`.
    x: Vec<f32>,
    /// A part's input, then its output, `(tokens, d)`.
    h: Vec<f32>,
    /// `(tokens, h * k)`.
    q: Vec<f32>,
    /// `(tokens, g * k)`.
    k: Vec<f32>,
    /// `(tokens, g * k)`.
    v: Vec<f32>,
    /// Output of attention, `(tokens, h * k)`.
    attended: Vec<f32>,
    /// What queries have seen of parts of their contexts.
    seen: Vec<AttendState>,
    /// `(tokens, f)`.
    gate: Vec<f32>,
    /// `(tokens, f)`.
    up: Vec<f32>,
    /// The input of the product at hand, rounded.
    rounded: Rounded,
    /// Logits of the rows of which they are wanted, `(rows, v)`.
    pub(crate) out: Vec<f32>,
    /// Hidden states of the rows of which they are wanted, `(rows, d)`.
    pub(crate) states: Vec<f32>,
    experts: experts::Buffers,
}

impl Buffers {
    /// Bytes of what a pass has made of every row.
    pub(crate) fn bytes(&self) -> u64 {
        let Self { x, h, q, k, v, attended, gate, up, out, states, .. } = self;
        let all = [x, h, q, k, v, attended, gate, up, out, states];
        all.iter().map(|floats| size_of::<f32>() as u64 * floats.capacity() as u64).sum()
    }
}

/// Everything that one pass reads and writes.
pub(crate) struct Pass<'a> {
    pub(crate) model: &'a Model,
    pub(crate) machine: &'a Machine,
    pub(crate) cache: &'a mut Cache,
    pub(crate) buffers: &'a mut Buffers,
    pub(crate) rows: &'a [BatchRow],
    /// Positions that the session may reach, which chooses among rotary factors.
    pub(crate) context: usize,
    /// The rows with finer activations, rising.
    pub(crate) fine: Vec<usize>,
    pub(crate) adapted: Adapted,
}

impl Pass<'_> {
    /// Runs the batch; `buffers.out` and `buffers.states` hold a row for each wanted one.
    pub(crate) fn run(mut self) {
        let (model, machine) = (self.model, self.machine);
        let dims = model.dims();
        let tables = Tables::new(dims, self.rows, self.context);
        self.resize(dims);
        self.embed();
        let layers = &model.weights().layers;
        let kept = last::kept(self.rows);
        for (index, layer) in layers.iter().enumerate() {
            let table = tables.of(dims.layers[index].rope);
            if index + 1 == layers.len() && kept.len() < self.rows.len() {
                self.keys_and_values(index, layer, table);
                return self.last(index, layer, &kept);
            }
            self.attention_part(index, layer, table);
            self.feed_forward_part(index, layer);
        }
        self.output(machine);
    }

    fn resize(&mut self, dims: &Dims) {
        let n = self.rows.len();
        let b = &mut *self.buffers;
        b.x.resize(n * dims.d, 0.0);
        b.h.resize(n * dims.d, 0.0);
        b.q.resize(n * dims.h * dims.k, 0.0);
        b.attended.resize(n * dims.h * dims.k, 0.0);
        b.k.resize(n * dims.g * dims.k, 0.0);
        b.v.resize(n * dims.g * dims.k, 0.0);
        b.gate.resize(n * dims.f, 0.0);
        b.up.resize(n * dims.f, 0.0);
    }

    fn embed(&mut self) {
        let (weights, dims, row) = (self.model.weights(), self.model.dims(), self.machine.row);
        let rows = self.rows;
        self.machine.each_row(&mut self.buffers.x, dims.d, |t, x| {
            self.machine.lookup(&weights.embedding, rows[t].token as usize, x);
            if let Some(positions) = &weights.positions {
                let mut position = vec![0.0; x.len()];
                self.machine.lookup(positions, rows[t].position, &mut position);
                row.add(x, &position);
            }
            if let Some(segment) = weights.segments.get(usize::from(rows[t].segment)) {
                row.add(x, segment);
            }
            if dims.embedding_scale != 1.0 {
                row.scale(x, dims.embedding_scale);
            }
        });
        self.norm_sum(weights.embedding_norm.as_ref());
    }

    fn attention_part(&mut self, index: usize, layer: &Layer, table: Option<&RopeTable>) {
        let (dims, machine) = (self.model.dims(), self.machine);
        self.norm_into(layer.attn_norm.as_ref());
        let tokens = Tokens { count: self.rows.len(), fine: &self.fine };
        let b = &mut *self.buffers;
        let matrices = [&layer.q.weight, &layer.k.weight, &layer.v.weight];
        let input = machine.input(&b.h, tokens, &mut b.rounded, matrices);
        machine.linears(
            &input,
            [(&layer.q, &mut b.q), (&layer.k, &mut b.k), (&layer.v, &mut b.v)],
            [
                self.adapted.at(index, |a| &a.q),
                self.adapted.at(index, |a| &a.k),
                self.adapted.at(index, |a| &a.v),
            ],
        );
        heads(machine, dims, &mut b.q, dims.h, layer.q_norm.as_ref(), table);
        heads(machine, dims, &mut b.k, dims.g, layer.k_norm.as_ref(), table);
        self.store(index);
        self.attended_part(index, layer);
    }

    /// The attention part from queries on, whose keys and values are stored.
    fn attended_part(&mut self, index: usize, layer: &Layer) {
        let machine = self.machine;
        self.attend(index);
        let tokens = Tokens { count: self.rows.len(), fine: &self.fine };
        let b = &mut *self.buffers;
        let input = machine.input(&b.attended, tokens, &mut b.rounded, [&layer.o.weight]);
        let added = self.adapted.at(index, |a| &a.o);
        machine.linears(&input, [(&layer.o, &mut b.h)], [added]);
        self.add_part(layer.post_attn_norm.as_ref());
        self.norm_sum(layer.attn_sum_norm.as_ref());
    }

    fn feed_forward_part(&mut self, index: usize, layer: &Layer) {
        self.norm_into(layer.ffn_norm.as_ref());
        match &layer.ffn {
            Ffn::Dense(ffn) => {
                let activation = self.model.arch().activation;
                let tokens = Tokens { count: self.rows.len(), fine: &self.fine };
                let b = &mut *self.buffers;
                feed_forward(
                    self.machine,
                    activation,
                    ffn,
                    &mut b.h,
                    [&mut b.gate, &mut b.up],
                    &mut b.rounded,
                    tokens,
                    ffn_added(&self.adapted, index, 0),
                );
            }
            Ffn::Experts { router, experts } => self.mix(index, router, experts),
        }
        self.add_part(layer.post_ffn_norm.as_ref());
        self.norm_sum(layer.ffn_sum_norm.as_ref());
    }

    /// `h = norm(x)`.
    fn norm_into(&mut self, norm: Option<&Norm>) {
        let d = self.model.dims().d;
        let norm = norm.map(|norm| self.normalizer(norm));
        let b = &mut *self.buffers;
        let x = &b.x;
        let Some(norm) = norm else {
            b.h.copy_from_slice(x);
            return;
        };
        self.machine.each_row(&mut b.h, d, |t, h| norm(&x[t * d..][..d], h));
    }

    /// `x += scale * norm(h)`.
    fn add_part(&mut self, norm: Option<&Norm>) {
        let (dims, row) = (self.model.dims(), self.machine.row);
        let norm = norm.map(|norm| self.normalizer(norm));
        let b = &mut *self.buffers;
        let (h, d) = (&b.h, dims.d);
        self.machine.each_row(&mut b.x, d, |t, x| {
            let h = &h[t * d..][..d];
            let mut normed = Vec::new();
            let h = match &norm {
                None => h,
                Some(norm) => {
                    normed.resize(d, 0.0);
                    norm(h, &mut normed);
                    &normed
                }
            };
            if dims.residual_scale == 1.0 {
                row.add(x, h);
            } else {
                row.add_scaled(x, h, dims.residual_scale);
            }
        });
    }

    /// `x = norm(x)`, if there is a norm.
    fn norm_sum(&mut self, norm: Option<&Norm>) {
        let Some(norm) = norm else { return };
        let d = self.model.dims().d;
        let norm = self.normalizer(norm);
        let b = &mut *self.buffers;
        let x = &b.x;
        self.machine.each_row(&mut b.h, d, |t, h| norm(&x[t * d..][..d], h));
        std::mem::swap(&mut b.x, &mut b.h);
    }

    fn normalizer<'n>(&self, norm: &'n Norm) -> impl Fn(&[f32], &mut [f32]) + Sync + use<'n> {
        let (kind, eps, row) =
            (self.model.arch().norm, self.model.dims().norm_eps, self.machine.row);
        move |x, out| match kind {
            NormKind::Layer => {
                row.layer_norm(x, Some(&norm.weight), norm.bias.as_deref(), eps, out);
            }
            _ => row.rms_norm(x, Some(&norm.weight), eps, out),
        }
    }

    /// Hidden states and logits of the rows of which they are wanted.
    fn output(&mut self, machine: &Machine) {
        let (weights, dims) = (self.model.weights(), self.model.dims());
        let d = dims.d;
        let b = &mut *self.buffers;
        b.h.clear();
        let mut take = |wanted: Wanted| {
            for (_, x) in self.rows.iter().zip(b.x.chunks_exact(d)).filter(|r| r.0.wanted == wanted)
            {
                b.h.extend_from_slice(x);
            }
            b.h.len()
        };
        let states = take(Wanted::State);
        let tokens = (take(Wanted::Logits) - states) / d;
        std::mem::swap(&mut b.h, &mut b.x);
        b.h.resize(b.x.len(), 0.0);
        b.out.clear();
        b.states.clear();
        if b.x.is_empty() {
            return;
        }
        self.norm_into(weights.output_norm.as_ref());
        let b = &mut *self.buffers;
        b.states.extend_from_slice(&b.h[..states]);
        if tokens == 0 {
            return;
        }
        b.out.resize(tokens * dims.v, 0.0);
        let all: Vec<usize> = (0..tokens).collect();
        let fine = if self.fine.is_empty() { &[] } else { &*all };
        let tokens = Tokens { count: tokens, fine };
        let input = machine.input(&b.h[states..], tokens, &mut b.rounded, [&weights.output.weight]);
        let wanted = self.rows.iter().enumerate().filter(|(_, row)| row.wanted == Wanted::Logits);
        let adapted = self.adapted.of(wanted.map(|(t, _)| t));
        let added = adapted.to(|adapter| adapter.output());
        machine.linears(&input, [(&weights.output, &mut b.out)], [added]);
        if dims.logit_scale != 1.0 || dims.logit_softcap.is_some() {
            machine.each_row(&mut b.out, dims.v, |_, logits| {
                machine.row.scale(logits, dims.logit_scale);
                if let Some(cap) = dims.logit_softcap {
                    machine.row.softcap(logits, cap);
                }
            });
        }
    }
}

/// Norms and turns the heads of queries or keys, `(tokens, count * k)`.
fn heads(
    machine: &Machine,
    dims: &Dims,
    data: &mut [f32],
    count: usize,
    norm: Option<&Norm>,
    table: Option<&RopeTable>,
) {
    let pairs = table.map_or(0, |t| t.cos.len() * count * dims.k / data.len().max(1));
    if norm.is_none() && pairs == 0 {
        return;
    }
    machine.each_row(data, count * dims.k, |t, row| {
        if let Some(norm) = norm {
            // Over one head or over all of them: the weight's length says which.
            for part in row.chunks_exact_mut(norm.weight.len()) {
                machine.row.rms_norm_in_place(part, Some(&norm.weight), dims.norm_eps);
            }
        }
        let Some(table) = table else { return };
        let (cos, sin) = (&table.cos[t * pairs..][..pairs], &table.sin[t * pairs..][..pairs]);
        for head in row.chunks_exact_mut(dims.k) {
            machine.row.rope(dims.pairing, head, cos, sin);
        }
    });
}

/// What adapters add to gate, way in and way out of a feed-forward part, or of one expert.
fn ffn_added(adapted: &Adapted, layer: usize, expert: usize) -> [Vec<Added<'_>>; 3] {
    fn part(
        layer: &AdapterLayer,
        expert: usize,
        what: fn(&AdapterFfn) -> &[LowRank],
    ) -> &[LowRank] {
        layer.ffns.get(expert).map_or(&[], what)
    }
    [
        adapted.at(layer, |a| part(a, expert, |ffn| &ffn.gate)),
        adapted.at(layer, |a| part(a, expert, |ffn| &ffn.up)),
        adapted.at(layer, |a| part(a, expert, |ffn| &ffn.down)),
    ]
}

/// `h = down . (activation(gate . h) * up . h)`.
#[expect(clippy::too_many_arguments, reason = "the borrowed parts of a pass")]
fn feed_forward(
    machine: &Machine,
    activation: Activation,
    ffn: &FeedForward,
    h: &mut [f32],
    [gate_out, up_out]: [&mut Vec<f32>; 2],
    rounded: &mut Rounded,
    tokens: Tokens<'_>,
    [to_gate, to_up, to_down]: [Vec<Added<'_>>; 3],
) {
    let (row, f) = (machine.row, ffn.up.weight.rows());
    let matrices = ffn.gate.iter().map(|g| &g.weight).chain([&ffn.up.weight]);
    let input = machine.input(h, tokens, rounded, matrices);
    let (gate_out, up_out) = (&mut gate_out[..tokens.count * f], &mut up_out[..tokens.count * f]);
    let inner: &[f32] = match &ffn.gate {
        Some(gate) => {
            let jobs = [(gate, &mut *gate_out), (&ffn.up, &mut *up_out)];
            machine.linears(&input, jobs, [to_gate, to_up]);
            let up = &*up_out;
            machine.each_row(gate_out, f, |t, gate| {
                let up = &up[t * f..][..f];
                match activation {
                    Activation::GeluTanh => row.gelu_tanh_mul(gate, up),
                    Activation::Gelu => row.gelu_mul(gate, up),
                    _ => row.silu_mul(gate, up),
                }
            });
            gate_out
        }
        None => {
            machine.linears(&input, [(&ffn.up, &mut *up_out)], [to_up]);
            machine.each_row(up_out, f, |_, up| match activation {
                Activation::GeluTanh => row.gelu_tanh(up),
                Activation::Gelu => row.gelu(up),
                _ => row.silu(up),
            });
            up_out
        }
    };
    let input = machine.input(inner, tokens, rounded, [&ffn.down.weight]);
    machine.linears(&input, [(&ffn.down, h)], [to_down]);
}

/// The rotary tables of a batch.
struct Tables {
    global: Option<RopeTable>,
    local: Option<RopeTable>,
}

impl Tables {
    fn new(dims: &Dims, rows: &[BatchRow], context: usize) -> Self {
        let table = |rope: &Rope| rope.table(rows.iter().map(|r| r.position), context);
        Self { global: dims.rope.as_ref().map(table), local: dims.local_rope.as_ref().map(table) }
    }

    fn of(&self, which: RopeUse) -> Option<&RopeTable> {
        match which {
            RopeUse::None => None,
            RopeUse::Local => self.local.as_ref().or(self.global.as_ref()),
            _ => self.global.as_ref(),
        }
    }
}

/// The page and the slot in it of a position.
fn place(position: usize) -> (usize, usize) {
    (position / PAGE, position % PAGE)
}
