//! Keys and values into the cache, queries over it.

use std::ops::Range;

use rushlight_kernels::{Attend, AttendState, Columns, PAGE, Span, Visit};
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

/// Pages whose positions a query sees before what it has seen is merged with what it saw before:
/// always at the same positions, so that it does not matter to the result how many tokens run
/// together or who computes which part.
const PART_PAGES: usize = 4;
/// Tasks per thread from which parts of a context are not tasks of their own.
const TASKS_PER_THREAD: usize = 4;

/// Floats of the states of parts at most, else tasks stay whole: the memory plan counts them.
pub(crate) const SEEN_FLOATS: usize = 2 << 20;

/// Some tokens of one sequence over one key/value head.
struct Task<'a> {
    tokens: Range<usize>,
    head: usize,
    out: Columns<'a>,
}

/// A part of the context of a task.
struct Part<'a> {
    /// Which task's.
    task: usize,
    tokens: Range<usize>,
    head: usize,
    pages: Range<usize>,
    state: &'a mut AttendState,
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
        let threads = machine.pool.threads();
        if threads > 1
            && tasks.len() < threads * TASKS_PER_THREAD
            && context.part_floats(&tasks) <= SEEN_FLOATS
        {
            return context.run_parts(machine, &mut tasks, &mut b.seen);
        }
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
    /// A task on one thread.
    fn run(&self, machine: &Machine, worker: &mut Worker, task: &mut Task<'_>) {
        let (tokens, head) = (task.tokens.clone(), task.head);
        let mut state = std::mem::take(&mut worker.attend);
        let mut part = std::mem::take(&mut worker.attend_part);
        let all = self.pages(&tokens);
        let mut parts = parts(all.clone());
        let first = parts.next().unwrap_or(0..0);
        self.see(machine, worker, (tokens.clone(), head), (first, all.end), &mut state);
        for pages in parts {
            self.see(machine, worker, (tokens.clone(), head), (pages, all.end), &mut part);
            state.merge(&part);
        }
        self.finish(&state, &mut worker.out, task);
        (worker.attend, worker.attend_part) = (state, part);
    }

    /// Few tasks, each part of their contexts on any thread.
    fn run_parts(&self, machine: &Machine, tasks: &mut [Task<'_>], seen: &mut Vec<AttendState>) {
        let shape = |task: &Task<'_>| (task.tokens.clone(), task.head);
        let places: Vec<_> = tasks
            .iter()
            .enumerate()
            .flat_map(|(i, task)| parts(self.pages(&task.tokens)).map(move |pages| (i, pages)))
            .collect();
        seen.resize_with(seen.len().max(places.len()), AttendState::default);
        let part = |((task, pages), state)| {
            let (tokens, head) = shape(&tasks[task]);
            Part { task, tokens, head, pages, state }
        };
        let mut all: Vec<Part<'_>> = places.into_iter().zip(seen).map(part).collect();
        machine.pool.each(&mut all, |worker, _, part| {
            let (end, which) = (part.pages.end, (part.tokens.clone(), part.head));
            let worker = &mut machine.worker(worker);
            self.see(machine, worker, which, (part.pages.clone(), end), part.state);
        });
        let worker = &mut machine.worker(0);
        let mut state = std::mem::take(&mut worker.attend);
        let mut rest = all.iter().peekable();
        for (i, task) in tasks.iter_mut().enumerate() {
            self.see(machine, worker, (task.tokens.clone(), task.head), (0..0, 0), &mut state);
            while let Some(part) = rest.next_if(|part| part.task == i) {
                state.merge(part.state);
            }
            self.finish(&state, &mut worker.out, task);
        }
        worker.attend = state;
    }

    /// The pages that some of the tokens see.
    fn pages(&self, tokens: &Range<usize>) -> Range<usize> {
        let seen = || tokens.clone().map(|t| self.visible(t));
        let first = seen().map(|s| s.start).min().unwrap_or(0) / PAGE;
        first..seen().map(|s| s.end).max().unwrap_or(0).div_ceil(PAGE)
    }

    /// Floats of the states of all parts of the tasks.
    fn part_floats(&self, tasks: &[Task<'_>]) -> usize {
        let width = self.dims.h / self.dims.g * self.dims.k.next_multiple_of(16);
        let floats =
            |task: &Task<'_>| parts(self.pages(&task.tokens)).count() * task.tokens.len() * width;
        tasks.iter().map(floats).sum()
    }

    /// Begins `state` anew with what the tokens' queries of a head see on these pages; those up to
    /// an end are seen next.
    fn see(
        &self,
        machine: &Machine,
        worker: &mut Worker,
        (tokens, head): (Range<usize>, usize),
        (pages, end): (Range<usize>, usize),
        state: &mut AttendState,
    ) {
        let dims = self.dims;
        let shared = dims.h / dims.g;
        state.reset(tokens.len() * shared, dims.k);
        if pages.is_empty() {
            return;
        }
        let width = shared * dims.k;
        let Worker { scratch, queries, spans, .. } = worker;
        queries.clear();
        for t in tokens.clone() {
            queries.extend_from_slice(&self.q[t * dims.h * dims.k + head * width..][..width]);
        }
        let shape =
            Attend { k: dims.k, scale: dims.attention_scale, softcap: dims.attention_softcap };
        let sequence = self.rows[tokens.start].sequence;
        let page = |index: usize| {
            let page = self.cache.page_of(sequence, index * PAGE);
            self.cache.page(self.layer, page, head)
        };
        for index in pages.clone() {
            spans.clear();
            for t in tokens.clone() {
                let range = self.visible(t);
                let start = range.start.max(index * PAGE) - index * PAGE;
                let end = range.end.min((index + 1) * PAGE).saturating_sub(index * PAGE);
                spans.extend(std::iter::repeat_n(Span { start, end }, shared));
            }
            let next = (index + 1 < end).then(|| page(index + 1));
            let visit = Visit { page: page(index), next };
            machine.row.attend_page(&shape, queries, spans, visit, scratch, state);
        }
    }

    fn finish(&self, state: &AttendState, out: &mut Vec<f32>, task: &mut Task<'_>) {
        let width = self.dims.h / self.dims.g * self.dims.k;
        out.resize(task.tokens.len() * width, 0.0);
        state.finish(out);
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

/// Pages cut where parts begin.
fn parts(pages: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let first = pages.start / PART_PAGES;
    let cut =
        move |i: usize| (i * PART_PAGES).max(pages.start)..((i + 1) * PART_PAGES).min(pages.end);
    (first..pages.end.div_ceil(PART_PAGES)).map(cut)
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
