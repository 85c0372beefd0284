//! From what the user calls a model to an engine that runs it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use rushlight_engine::{Activations, CacheType, DraftModel, Engine, EngineOptions, Plan};
use rushlight_kernels::Row;
use rushlight_model::Model;
use rushlight_store::{Resolved, Store};

use crate::args::{ActivationBits, Args, KvType, Load, Prepare};
use crate::prepare::Unprepared;
use crate::progress::Bars;

/// The store that the command line names.
pub(crate) fn store(args: &Args) -> anyhow::Result<Store> {
    let dir = match &args.store {
        Some(dir) => dir.clone(),
        None => Store::default_dir()?,
    };
    Ok(Store::open(dir)?)
}

/// Finds the model's files, pulling them if need be.
pub(crate) fn resolve(args: &Args, model: &str) -> anyhow::Result<Resolved> {
    let bars = Bars::default();
    let resolved = store(args)?.resolve(model, &bars);
    bars.finish();
    resolved.with_context(|| format!("cannot find the model `{model}`"))
}

/// Loads a model, with its prepared weights if they are there; else those that can be made.
pub(crate) fn model(args: &Args, load: &Load) -> anyhow::Result<(Arc<Model>, Option<Unprepared>)> {
    let resolved = resolve(args, &load.model)?;
    let model =
        Model::open(&resolved.path).with_context(|| format!("cannot load `{}`", load.model))?;
    let model = Arc::new(model);
    let mut unprepared = None;
    if load.prepare() == Prepare::Auto {
        unprepared = Unprepared::of(&store(args)?, &resolved, &model, row(load)?);
        unprepared.take_if(|unprepared| unprepared.attach());
    }
    Ok((model, unprepared))
}

/// The kernels that are to run.
fn row(load: &Load) -> anyhow::Result<&'static Row> {
    load.kernels.as_deref().map_or_else(|| Ok(rushlight_kernels::best()), kernels)
}

/// Prepares to run it.
pub(crate) fn engine(load: &Load, model: Arc<Model>) -> anyhow::Result<Engine> {
    engine_for(load, None, model)
}

/// Prepares to run it for so many requests at once, with a cache for so many positions in all.
pub(crate) fn shared_engine(
    load: &Load,
    answers: usize,
    positions: Option<usize>,
    model: Arc<Model>,
) -> anyhow::Result<Engine> {
    let context = load.ctx.unwrap_or(model.dims().context.min(EngineOptions::DEFAULT_CONTEXT));
    let plan = Plan::new(&model, cache_type(load), context, load.chunk);
    let memory = memory_bytes(load);
    // Weights may be there twice, for a while: in the file's layout and in the kernels'.
    let others = plan.total_bytes() - plan.cache_bytes + plan.all_weights_bytes();
    let room = (memory / 4).min(memory.saturating_sub(others));
    let contexts = (room / plan.cache_bytes.max(1)).clamp(1, CONTEXTS) as usize;
    let positions = positions.unwrap_or(contexts * context);
    engine_for(load, Some((answers, positions)), model)
}

/// Contexts that a cache for many requests holds if there is plenty of memory.
const CONTEXTS: u64 = 4;

/// Memory that may be used.
fn memory_bytes(load: &Load) -> u64 {
    let usable = || rushlight_host::memory(Path::new("/")).usable_bytes();
    load.memory.map_or_else(usable, |mib| mib << 20)
}

fn cache_type(load: &Load) -> CacheType {
    match load.kv {
        KvType::F16 => CacheType::F16,
        KvType::Q8_0 => CacheType::Q8_0,
    }
}

/// `shared` has answers at once, and positions.
fn engine_for(
    load: &Load,
    shared: Option<(usize, usize)>,
    model: Arc<Model>,
) -> anyhow::Result<Engine> {
    let mut options = EngineOptions::default();
    if let Some((answers, positions)) = shared {
        (options.answers, options.positions) = (answers, Some(positions));
    }
    options.context = load.ctx;
    options.threads = load.threads;
    options.pin = !load.no_pin;
    options.chunk = load.chunk;
    options.activations = match load.activations {
        ActivationBits::Int8 => Activations::Int8,
        ActivationBits::Int16 => Activations::Int16,
        ActivationBits::Mixed => Activations::Mixed,
    };
    options.memory_bytes = load.memory.map(|mib| mib << 20);
    options.cache = cache_type(load);
    options.row = Some(row(load)?);
    options.panels_in_memory = load.prepare() == Prepare::Memory;
    Engine::new(model, &options).with_context(|| format!("cannot run `{}`", load.model))
}

/// Loads the model `name` that drafts for the one of `target`, in the memory that this leaves; for so
/// many answers at once.
pub(crate) fn draft(
    args: &Args,
    target_load: &Load,
    name: Option<&str>,
    answers: Option<usize>,
    target: &Engine,
) -> anyhow::Result<Option<DraftModel>> {
    let Some(name) = name else { return Ok(None) };
    let mut load = Load { model: name.to_owned(), ..target_load.clone() };
    let (small, _) = model(args, &load)?;
    // What it says is checked: it may round as it likes.
    load.activations = ActivationBits::Int8;
    load.ctx = load.ctx.map(|n| n.min(small.dims().context));
    let bytes = memory_bytes(&load);
    load.memory = Some(bytes.saturating_sub(target.plan().total_bytes()) >> 20);
    let engine = match answers {
        None => engine(&load, small)?,
        Some(answers) => shared_engine(&load, answers, None, small)?,
    };
    let draft = DraftModel::new(engine, target.model());
    draft.map(Some).with_context(|| format!("`{name}` cannot draft for `{}`", target_load.model))
}

fn kernels(name: &str) -> anyhow::Result<&'static Row> {
    rushlight_kernels::by_name(name).ok_or_else(|| {
        let names: Vec<_> =
            rushlight_kernels::rows().iter().map(|r| format!("`{}`", r.name())).collect();
        anyhow!("kernels `{name}`, expected one that this processor runs: {}", names.join(", "))
    })
}
