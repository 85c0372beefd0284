//! A model with its threads, its cache and its working memory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rushlight_host::{CoreClass, Pool, PoolOptions, Topology};
use rushlight_kernels::{PAGE, Row};
use rushlight_model::{Adapter, Model};

use crate::batch::{BatchRow, Wanted};
use crate::cache::Cache;
use crate::embed::Pool as TextPool;
use crate::forward::{Adapted, Buffers, Pass, choose_fine};
use crate::machine::Machine;
use crate::memory::{self, Plan};
use crate::options::EXACT_ROWS;
use crate::{Activations, Batch, EngineOptions, Error, ErrorKind, Sequence};

/// How many threads take part in a pass.
#[derive(Debug)]
struct Threads {
    /// Of many rows.
    prefill: usize,
    /// Of at most [`EngineOptions::FEW_ROWS`].
    decode: usize,
    /// At most, of any.
    most: AtomicUsize,
}

/// Runs a model.
#[derive(Debug)]
pub struct Engine {
    model: Arc<Model>,
    machine: Machine,
    cache: Cache,
    buffers: Buffers,
    context: usize,
    chunk: usize,
    activations: Activations,
    adapters: Vec<(String, Arc<Adapter>)>,
    plan: Plan,
    threads: Threads,
    /// Rows of logits of the last pass.
    wanted: usize,
}

impl Engine {
    /// Prepares to run a model: starts the threads, proves that the memory suffices.
    ///
    /// # Errors
    /// If an option is out of range, an adapter is of another model or two have one name, the machine
    /// has not the memory, or threads cannot be started.
    pub fn new(model: Arc<Model>, options: &EngineOptions) -> Result<Self, Error> {
        let trained = model.dims().context;
        let context = options.context_of(&model);
        if context == 0 || context > trained {
            return Err(Error::new(
                ErrorKind::Option,
                format!("a context of `{context}` positions, expected 1 to `{trained}`"),
            )
            .with_hint("the model was not trained for more positions than that"));
        }
        let positions = options.positions.unwrap_or(0).max(context);
        if options.chunk == 0 {
            return Err(Error::new(ErrorKind::Option, "chunks of `0` rows, expected at least 1"));
        }
        check_adapters(&model, &options.adapters)?;
        let chunk = options.rows_at_once(&model);
        let row = options.row();
        let mut plan = Plan::of(&model, options);
        memory::check(&plan, memory::available(options), &model, options)?;
        if options.packs(&model) {
            model.pack_panels(|source| options.takes(source));
            plan = Plan::of(&model, options);
        }
        let (pool, threads) = start_threads(options)?;
        let machine = Machine::new(pool, row);
        let cache = Cache::new(model.dims(), options.cache, positions);
        let buffers = Buffers::default();
        let activations = options.activations;
        let adapters = options.adapters.clone();
        Ok(Self {
            model,
            machine,
            cache,
            buffers,
            context,
            chunk,
            activations,
            adapters,
            plan,
            threads,
            wanted: 0,
        })
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Positions of a sequence, at most.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Positions that the cache holds, over all sequences.
    pub fn positions(&self) -> usize {
        self.cache.capacity() * PAGE
    }

    /// Rows of one forward pass at most.
    pub fn chunk(&self) -> usize {
        self.chunk
    }

    /// Rows of one pass, the output of all wanted, up to which each is that of a pass of its own.
    pub(crate) fn exact_rows(&self) -> usize {
        match self.activations {
            // Each is two rows to the kernels.
            Activations::Int16 => EXACT_ROWS / 2,
            Activations::Int8 | Activations::Mixed => EXACT_ROWS,
        }
        .min(self.chunk)
    }

    /// Threads for passes of many rows, the caller's included.
    pub fn threads(&self) -> usize {
        self.threads.prefill.min(self.threads.most.load(Ordering::Relaxed))
    }

    /// Threads for passes of at most [`EngineOptions::FEW_ROWS`] rows, the caller's included.
    pub fn decode_threads(&self) -> usize {
        self.threads.decode.min(self.threads.most.load(Ordering::Relaxed))
    }

    /// Lets at most so many threads take part from the next pass on, at least one; the others sleep.
    /// What is computed stays the same.
    pub fn limit_threads(&self, most: usize) {
        self.threads.most.store(most.max(1), Ordering::Relaxed);
    }

    /// Efficient cores that its threads could move to.
    pub fn efficient_cores(&self) -> usize {
        self.machine.pool.efficient_cores()
    }

    /// Has so many threads take part in passes at most, on efficient cores if there are some. Called on the
    /// thread that runs them, which moves too.
    pub(crate) fn set_pace(&self, threads: usize, efficient: bool) {
        let pool = &self.machine.pool;
        let efficient = efficient && pool.efficient_cores() > 0;
        pool.move_to(if efficient { CoreClass::Efficient } else { CoreClass::Fast });
        self.limit_threads(threads);
    }

    /// The kernels in use.
    pub fn row(&self) -> &'static Row {
        self.machine.row
    }

    /// The memory that it may come to use.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The adapters that it was prepared with, by name.
    pub fn adapters(&self) -> impl Iterator<Item = (&str, &Arc<Adapter>)> {
        self.adapters.iter().map(|(name, adapter)| (name.as_str(), adapter))
    }

    /// The adapter of this name.
    pub fn adapter(&self, name: &str) -> Option<&Arc<Adapter>> {
        self.adapters().find(|(other, _)| *other == name).map(|(_, adapter)| adapter)
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    pub(crate) fn cache_mut(&mut self) -> &mut Cache {
        &mut self.cache
    }

    /// Bytes that [`Engine::give_back`] would give back, at most.
    pub(crate) fn idle_bytes(&self, rests: bool) -> u64 {
        self.cache.idle_bytes() + if rests { self.buffers.bytes() } else { 0 }
    }

    /// Gives back the memory of all pages that no sequence has. Of an engine that rests also what passes
    /// work with: the next one takes it anew, and the output of the last one is gone. Returns the bytes, at
    /// most.
    pub(crate) fn give_back(&mut self, rests: bool) -> u64 {
        let bytes = self.idle_bytes(rests);
        self.cache.give_back();
        if rests {
            (self.buffers, self.wanted) = (Buffers::default(), 0);
        }
        bytes
    }

    /// Calls `f(index, item)` once for each item, on any thread.
    pub(crate) fn each<T: Send>(&self, items: &mut [T], f: impl Fn(usize, &mut T) + Sync) {
        self.machine.pool.each(items, |_, i, item| f(i, item));
    }

    /// Begins a sequence.
    pub fn start(&mut self) -> Sequence {
        self.cache.start(None)
    }

    /// Begins a sequence all of whose tokens run with an adapter, or with none. It may be any adapter
    /// of the model: one that the engine was prepared with, the same scaled, or a sum.
    ///
    /// # Errors
    /// If the adapter is of another model.
    pub fn start_with(&mut self, adapter: Option<Arc<Adapter>>) -> Result<Sequence, Error> {
        self.check_adapter(adapter.as_deref())?;
        Ok(self.cache.start(adapter))
    }

    /// The adapter of a sequence.
    pub fn adapter_of(&self, sequence: Sequence) -> Option<&Arc<Adapter>> {
        self.cache.adapter(sequence)
    }

    /// Whether an adapter is one of the model.
    pub(crate) fn check_adapter(&self, adapter: Option<&Adapter>) -> Result<(), Error> {
        adapter.map_or(Ok(()), |adapter| check_adapter(&self.model, adapter))
    }

    /// Ends a sequence; its pages are free for others.
    pub fn end(&mut self, sequence: Sequence) {
        self.cache.end(sequence);
    }

    /// Positions that a sequence has.
    pub fn len(&self, sequence: Sequence) -> usize {
        self.cache.len(sequence).unwrap_or(0)
    }

    /// Forgets the positions of a sequence from `len` on.
    pub fn truncate(&mut self, sequence: Sequence, len: usize) {
        self.cache.truncate(sequence, len);
    }

    /// Runs a batch. Afterwards [`Engine::output`] and [`Engine::state`] have the wanted rows in the
    /// batch's order.
    ///
    /// # Errors
    /// If a token, segment or sequence does not exist, logits of an embedder are wanted, the context is full, or the machine gives no memory for
    /// more of it; nothing has run then.
    pub fn forward(&mut self, batch: &Batch) -> Result<(), Error> {
        let rows = self.admit(batch)?;
        self.wanted = rows.iter().filter(|r| r.wanted == Wanted::Logits).count();
        if rows.is_empty() {
            return Ok(());
        }
        let adapted = Adapted::new(rows.iter().map(|row| self.cache.adapter(row.sequence)));
        let threads = match rows.len() {
            0..=EngineOptions::FEW_ROWS => self.decode_threads(),
            _ => self.threads(),
        };
        self.machine.pool.set_threads(threads);
        Pass {
            model: &self.model,
            machine: &self.machine,
            cache: &mut self.cache,
            buffers: &mut self.buffers,
            rows: &rows,
            context: self.context,
            fine: choose_fine(&rows, self.activations),
            adapted,
        }
        .run();
        Ok(())
    }

    /// Of the rows of the last pass whose logits were wanted one's, of width `v`.
    pub fn output(&self, row: usize) -> Option<&[f32]> {
        let width = self.buffers.out.len().checked_div(self.wanted)?;
        self.buffers.out.chunks_exact(width.max(1)).nth(row)
    }

    /// Of the rows of the last pass whose hidden state was wanted one's, of width `d`.
    pub fn state(&self, row: usize) -> Option<&[f32]> {
        self.buffers.states.chunks_exact(self.model.dims().d).nth(row)
    }

    /// What a model that ranks makes of hidden states, `(texts, d)`: a logit each.
    pub(crate) fn scores(&mut self, states: &[f32]) -> Vec<f32> {
        let Some(classifier) = &self.model.weights().classifier else { return Vec::new() };
        self.buffers.scores(&self.model, &self.machine, classifier, states)
    }

    /// Runs `tokens` of one sequence in chunks. Afterwards [`Engine::output`] has the logits after the last
    /// of them, or where the model has none [`Engine::state`] the states that its pooling takes.
    ///
    /// # Errors
    /// As [`Engine::forward`]; tokens of earlier chunks stay in the sequence.
    pub fn prefill(&mut self, sequence: Sequence, tokens: &[u32]) -> Result<(), Error> {
        if self.model.arch().bidirectional && tokens.len() > self.chunk {
            return Err(Error::new(
                ErrorKind::Context,
                format!(
                    "`{}` tokens, expected at most `{}`: every token of this model sees every other",
                    tokens.len(),
                    self.chunk
                ),
            ));
        }
        let count = tokens.len().div_ceil(self.chunk);
        for (i, part) in tokens.chunks(self.chunk).enumerate() {
            let mut batch = Batch::new();
            match self.model.arch().bidirectional {
                true => {
                    let pool = TextPool::new(self.model.pooling(), part.len());
                    batch.extend_states(sequence, part, &[], pool.wanted(0..part.len()));
                }
                false => batch.extend(sequence, part, i + 1 == count),
            }
            self.forward(&batch)?;
        }
        Ok(())
    }

    /// Whether all tokens exist.
    pub(crate) fn check_tokens(&self, tokens: impl IntoIterator<Item = u32>) -> Result<(), Error> {
        let v = self.model.dims().v;
        match tokens.into_iter().find(|token| *token as usize >= v) {
            None => Ok(()),
            Some(token) => Err(Error::new(
                ErrorKind::Batch,
                format!("token `{token}`, expected one below `{v}`"),
            )),
        }
    }

    /// Whether the model has vectors for all segments.
    pub(crate) fn check_segments(&self, all: impl IntoIterator<Item = u8>) -> Result<(), Error> {
        let most = self.model.weights().segments.len().max(1);
        match all.into_iter().find(|segment| usize::from(*segment) >= most) {
            None => Ok(()),
            Some(segment) => Err(Error::new(
                ErrorKind::Batch,
                format!("a token of segment `{segment}`, expected one below `{most}`"),
            )),
        }
    }

    /// Why a model that embeds or ranks gives no answer.
    pub(crate) fn model_writes_nothing(&self) -> Error {
        let (name, does) = (
            self.model.arch().name,
            match self.model.ranks() {
                true => "scores texts",
                false => "embeds texts",
            },
        );
        Error::new(ErrorKind::Model, format!("this `{name}` model {does}, it does not write them"))
    }

    /// Gives every row its position and the cache its room.
    fn admit(&mut self, batch: &Batch) -> Result<Vec<BatchRow>, Error> {
        self.check_tokens(batch.rows.iter().map(|row| row.token))?;
        self.check_segments(batch.rows.iter().map(|row| row.segment))?;
        if self.model.arch().bidirectional
            && batch.rows.iter().any(|row| row.wanted == Wanted::Logits)
        {
            return Err(self.model_writes_nothing());
        }
        let mut counts: Vec<(Sequence, usize)> = Vec::new();
        let mut rows = Vec::with_capacity(batch.rows.len());
        let gone = || Error::new(ErrorKind::Batch, "the sequence has ended");
        for row in &batch.rows {
            let sequence = row.sequence;
            let at = counts.iter().position(|c| c.0 == sequence).unwrap_or_else(|| {
                counts.push((sequence, 0));
                counts.len() - 1
            });
            let position = self.cache.len(sequence).ok_or_else(gone)? + counts[at].1;
            counts[at].1 += 1;
            rows.push(BatchRow { position, ..*row });
        }
        for (i, &(sequence, count)) in counts.iter().enumerate() {
            if let Err(error) = self.cache.grow(sequence, count) {
                for &(sequence, count) in &counts[..i] {
                    let len = self.cache.len(sequence).unwrap_or(0);
                    self.cache.truncate(sequence, len.saturating_sub(count));
                }
                return Err(error);
            }
        }
        Ok(rows)
    }
}

fn check_adapter(model: &Model, adapter: &Adapter) -> Result<(), Error> {
    adapter
        .check(model)
        .map_err(|e| Error::new(ErrorKind::Option, "the adapter does not fit the model").because(e))
}

/// The threads of an engine: as many as the largest of its passes has.
fn start_threads(options: &EngineOptions) -> Result<(Pool, Threads), Error> {
    let (pin, cores) = (options.pin, options.cores);
    let start = |threads| Pool::new(PoolOptions { threads, pin, cores });
    let wanted = [options.threads, options.decode_threads];
    if wanted.contains(&Some(0)) {
        return Err(Error::new(ErrorKind::Option, "`0` threads, expected at least 1"));
    }
    let usual = || Topology::read(Path::new("/")).only(cores).default_threads();
    let prefill = options.threads.unwrap_or_else(usual);
    let decode = options.decode_threads.unwrap_or(prefill);
    let pool = start(Some(prefill.max(decode)))
        .map_err(|e| Error::new(ErrorKind::Threads, "threads cannot be started").because(e))?;
    let most = pool.most_threads();
    let threads = Threads {
        prefill: prefill.min(most),
        decode: decode.min(most),
        most: AtomicUsize::new(most),
    };
    Ok((pool, threads))
}

/// Whether all are of the model, and each name is of one.
fn check_adapters(model: &Model, adapters: &[(String, Arc<Adapter>)]) -> Result<(), Error> {
    for (i, (name, adapter)) in adapters.iter().enumerate() {
        check_adapter(model, adapter)?;
        if adapters[..i].iter().any(|(other, _)| other == name) {
            let message = format!("two adapters are named `{name}`, expected a name for each");
            return Err(Error::new(ErrorKind::Option, message));
        }
    }
    Ok(())
}
