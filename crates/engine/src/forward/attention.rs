//! Keys and values into the cache, queries over it.

use std::ops::Range;

use rushlight_kernels::{Attend, Columns, PAGE, Span};
use rushlight_model::Dims;

use super::{Pass, place};
use crate::batch::BatchRow;
use crate::cache::Cache;
use crate::machine::{Machine, Worker};

/// Tokens from which the cache is written by all threads.
const SHARED_TOKENS: usize = 16;
/// Queries of one task: tokens times the query heads that share a key/value head. Enough to use a
/// converted page often, few enough to stay in the first-level cache.
const TILE_QUERIES: usize = 64;

/// Some tokens of one sequence over one key/value head.
struct Task<'a> {
    tokens: Range<usize>,
    head: usize,
    out: Columns<'a>,
}

impl Pass<'_> {
    /// Writes the keys and values of the batch.
    pub(super) fn store(&mut self, layer: usize) {
        let (dims, rows, row) = (self.model.dims(), self.rows, self.machine.row);
        let (g, k) = (dims.g, dims.k);
        let b = &*self.buffers;
        let write = |page: &mut crate::cache::LayerPage<'_>, t: usize, slot: usize| {
            for head in 0..g {
                let at = (t * g + head) * k..(t * g + head + 1) * k;
                row.store(&mut page.head(head), slot, &b.k[at.clone()], &b.v[at]);
            }
        };
        if rows.len() < SHARED_TOKENS {
            for (t, r) in rows.iter().enumerate() {
                let page = self.cache.page_of(r.sequence, r.position);
                write(&mut self.cache.page_mut(layer, page), t, place(r.position).1);
            }
            return;
        }
        let mut by_page: Vec<Vec<(usize, usize)>> = Vec::new();
        for (t, r) in rows.iter().enumerate() {
            let page = self.cache.page_of(r.sequence, r.position);
            by_page.resize_with(by_page.len().max(page + 1), Vec::new);
            by_page[page].push((t, place(r.position).1));
        }
        let mut tasks: Vec<_> = self
            .cache
            .pages_mut(layer)
            .zip(by_page)
            .filter(|(_, writes)| !writes.is_empty())
            .collect();
        self.machine.pool.each(&mut tasks, |_, _, (page, writes)| {
            for &(t, slot) in writes.iter() {
                write(page, t, slot);
            }
        });
    }

    /// `attended = softmax(q . keys) . values` over what each token may see.
    pub(super) fn attend(&mut self, layer: usize) {
        let (dims, rows, machine, cache) =
            (self.model.dims(), self.rows, self.machine, &*self.cache);
        let shared = dims.h / dims.g;
        let b = &mut *self.buffers;
        let q = &b.q;
        let mut tasks = Vec::new();
        let mut rest = Columns::new(&mut b.attended, dims.h * dims.k);
        for tokens in tiles(rows, TILE_QUERIES.div_ceil(shared)) {
            let (tile, below) = rest.split_rows_at(tokens.len());
            rest = below;
            for (head, out) in tile.chunks(shared * dims.k).into_iter().enumerate() {
                tasks.push(Task { tokens: tokens.clone(), head, out });
            }
        }
        let context =
            Context { dims, rows, q, cache, layer, bidirectional: self.model.arch().bidirectional };
        machine.pool.each(&mut tasks, |worker, _, task| {
            context.run(machine, &mut machine.worker(worker), task);
        });
    }
}

/// What all tasks of a layer read.
struct Context<'a> {
    dims: &'a Dims,
    rows: &'a [BatchRow],
    q: &'a [f32],
    cache: &'a Cache,
    layer: usize,
    bidirectional: bool,
}

impl Context<'_> {
    fn run(&self, machine: &Machine, worker: &mut Worker, task: &mut Task<'_>) {
        let dims = self.dims;
        let shared = dims.h / dims.g;
        let width = shared * dims.k;
        let Worker { scratch, attend, queries, spans, out } = worker;
        queries.clear();
        for t in task.tokens.clone() {
            queries.extend_from_slice(&self.q[t * dims.h * dims.k + task.head * width..][..width]);
        }
        attend.reset(task.tokens.len() * shared, dims.k);
        let shape =
            Attend { k: dims.k, scale: dims.attention_scale, softcap: dims.attention_softcap };
        let sequence = self.rows[task.tokens.start].sequence;
        let seen: Vec<Range<usize>> = task.tokens.clone().map(|t| self.visible(t)).collect();
        let first = seen.iter().map(|s| s.start).min().unwrap_or(0) / PAGE;
        let last = seen.iter().map(|s| s.end).max().unwrap_or(0).div_ceil(PAGE);
        for index in first..last {
            spans.clear();
            for range in &seen {
                let start = range.start.max(index * PAGE) - index * PAGE;
                let end = range.end.min((index + 1) * PAGE).saturating_sub(index * PAGE);
                spans.extend(std::iter::repeat_n(Span { start, end }, shared));
            }
            let page = self.cache.page_of(sequence, index * PAGE);
            let page = self.cache.page(self.layer, page, task.head);
            machine.row.attend_page(&shape, queries, spans, page, scratch, attend);
        }
        out.resize(task.tokens.len() * width, 0.0);
        attend.finish(out);
        for (t, values) in out.chunks_exact(width).enumerate() {
            task.out.row(t).copy_from_slice(values);
        }
    }

    /// The positions that a row's token sees.
    fn visible(&self, t: usize) -> Range<usize> {
        let row = &self.rows[t];
        let end = if self.bidirectional {
            self.cache.len(row.sequence).expect("the batch was checked")
        } else {
            row.position + 1
        };
        let window = self.dims.layers[self.layer].window;
        let start = window.map_or(0, |w| (row.position + 1).saturating_sub(w));
        start..end
    }
}

/// Ranges of rows of one sequence, at most `most` each.
fn tiles(rows: &[BatchRow], most: usize) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let first = rows.get(start)?;
        let same = rows[start..].iter().take(most).take_while(|r| r.sequence == first.sequence);
        let range = start..start + same.count();
        start = range.end;
        Some(range)
    })
}
