//! From what the user calls a model to an engine that runs it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use rushlight_engine::{
    Activations, CacheType, DraftModel, Engine, EngineOptions, ErrorKind, Plan,
};
use rushlight_host::Cores;
use rushlight_kernels::Row;
use rushlight_model::{Adapter, AdapterFile, Model};
use rushlight_server::ServerOptions;
use rushlight_store::{Resolved, Store};

use crate::args::{
    ActivationBits, Adapters, Args, Beside, CoreSet, KvType, Load, Prepare, UseProfile,
};
use crate::prepare::Unprepared;
use crate::profile::{self, Applied};
use crate::progress::Bars;
use crate::room;

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

/// A model that is loaded, and how it is to run.
pub(crate) struct Opened {
    pub(crate) model: Arc<Model>,
    /// Prepared weights that are still to be made.
    pub(crate) unprepared: Option<Unprepared>,
    /// The flags, and what the device's profile says where they say nothing.
    pub(crate) load: Load,
    pub(crate) profile: Applied,
}

/// Loads a model, with its prepared weights if they are there; else those that can be made.
pub(crate) fn model(args: &Args, load: &Load) -> anyhow::Result<(Arc<Model>, Option<Unprepared>)> {
    let (model, resolved) = unprepared(args, load)?;
    let unprepared = prepared(args, load, &model, &resolved)?;
    Ok((model, unprepared))
}

/// As [`model`], run as the device's profile has it where flags say nothing.
pub(crate) fn tuned(args: &Args, load: &Load, use_profile: UseProfile) -> anyhow::Result<Opened> {
    let (model, resolved) = unprepared(args, load)?;
    let mut load = load.clone();
    let profile = match use_profile.no_profile {
        true => Applied::default(),
        false => profile::apply(store(args)?.dir(), &model, &mut load),
    };
    let unprepared = prepared(args, &load, &model, &resolved)?;
    Ok(Opened { model, unprepared, load, profile })
}

/// Loads a model as its files have it.
pub(crate) fn unprepared(args: &Args, load: &Load) -> anyhow::Result<(Arc<Model>, Resolved)> {
    let open =
        |path: &Path| Model::open(path).with_context(|| format!("cannot load `{}`", load.model));
    if AdapterFile::is_at(load.model.as_ref()) {
        // It is no model, which the error says.
        open(load.model.as_ref())?;
    }
    let resolved = resolve(args, &load.model)?;
    room::check_files(args, load, &resolved)?;
    let model = open(&resolved.path)?;
    Ok((Arc::new(model), resolved))
}

/// Uses prepared weights if they are there; else those that can be made.
fn prepared(
    args: &Args,
    load: &Load,
    model: &Arc<Model>,
    resolved: &Resolved,
) -> anyhow::Result<Option<Unprepared>> {
    if load.prepare() != Prepare::Auto {
        return Ok(None);
    }
    let unprepared = Unprepared::of(&store(args)?, resolved, model, row(load)?);
    Ok(unprepared.filter(|unprepared| !unprepared.attach()))
}

/// The kernels that are to run.
pub(crate) fn row(load: &Load) -> anyhow::Result<&'static Row> {
    load.kernels.as_deref().map_or_else(|| Ok(rushlight_kernels::best()), kernels)
}

/// Adapters that an engine has, each with its name.
pub(crate) type Named = Vec<(String, Arc<Adapter>)>;

/// The name of the adapter that a command line asks for.
const ASKED: &str = "--lora";

/// The sum of the adapters that are asked for, by the name under which [`asked`] finds it.
pub(crate) fn adapters(model: &Model, adapters: &Adapters) -> anyhow::Result<Named> {
    let open = |path: &Path, scale| Adapter::open(path, model)?.scaled(scale);
    let one = |lora: &crate::args::Lora| {
        open(&lora.path, lora.scale)
            .with_context(|| format!("cannot use the adapter `{}`", lora.path.display()))
    };
    let all = adapters.lora.iter().map(one).collect::<anyhow::Result<Vec<_>>>()?;
    let sum = Adapter::sum(&all)?;
    Ok(sum.map(|sum| (ASKED.to_owned(), Arc::new(sum))).into_iter().collect())
}

/// An adapter of its own name.
pub(crate) fn named(
    model: &Model,
    name: &str,
    lora: &crate::args::Lora,
) -> anyhow::Result<(String, Arc<Adapter>)> {
    let adapter = Adapter::open(&lora.path, model).and_then(|adapter| adapter.scaled(lora.scale));
    let adapter = adapter
        .with_context(|| format!("cannot use the adapter `{name}` of `{}`", lora.path.display()))?;
    Ok((name.to_owned(), Arc::new(adapter)))
}

/// The adapter that the command line asks for.
pub(crate) fn asked(engine: &Engine) -> Option<Arc<Adapter>> {
    engine.adapter(ASKED).cloned()
}

/// Prepares to run it, with a smaller context than usual where none is asked for and the usual one
/// does not fit.
pub(crate) fn engine(
    args: &Args,
    load: &Load,
    model: Arc<Model>,
    adapters: Named,
) -> anyhow::Result<Engine> {
    let mut options = options(load)?;
    options.adapters = adapters;
    start(args, load, model, options)
}

/// Prepares to run it for so many requests at once, with a cache for so many positions in all.
pub(crate) fn shared_engine(
    args: &Args,
    load: &Load,
    answers: usize,
    positions: Option<usize>,
    model: Arc<Model>,
    adapters: Named,
) -> anyhow::Result<Engine> {
    let options = shared_options(load, answers, positions, &model, adapters)?;
    start(args, load, model, options)
}

fn start(
    args: &Args,
    load: &Load,
    model: Arc<Model>,
    mut options: EngineOptions,
) -> anyhow::Result<Engine> {
    fit(load, &model, &mut options);
    let engine = Engine::new(model.clone(), &options);
    let engine = engine.map_err(|error| match error.kind() {
        ErrorKind::Memory => room::refused(args, load, &model, &options, error),
        _ => error.into(),
    });
    let engine = engine.with_context(|| format!("cannot run `{}`", load.model))?;
    if let Some(note) = shortened(load, &engine) {
        eprintln!("note: `{}`: {note}", load.model);
    }
    Ok(engine)
}

/// Takes the largest context that fits where none is asked for and the usual one does not.
fn fit(load: &Load, model: &Model, options: &mut EngineOptions) {
    if load.ctx.is_some() {
        return;
    }
    if let Some(context) = options.fitting_context(model).filter(|c| *c < usual(model)) {
        (options.context, options.positions) = (Some(context), None);
    }
}

/// The context that a model gets where there is memory for it.
fn usual(model: &Model) -> usize {
    model.dims().context.min(EngineOptions::DEFAULT_CONTEXT)
}

/// That the context of an engine is smaller than the usual one, if it is.
pub(crate) fn shortened(load: &Load, engine: &Engine) -> Option<String> {
    let (usual, is) = (usual(engine.model()), engine.context());
    (load.ctx.is_none() && is < usual).then(|| {
        format!(
            "the context is {is} tokens instead of {usual}: memory holds no more; see `--memory`"
        )
    })
}

/// The memory that [`shared_engine`] will have, in bytes; an error if it does not fit.
pub(crate) fn shared_bytes(
    args: &Args,
    load: &Load,
    answers: usize,
    positions: Option<usize>,
    model: &Model,
    adapters: Named,
) -> anyhow::Result<u64> {
    let mut options = shared_options(load, answers, positions, model, adapters)?;
    fit(load, model, &mut options);
    let plan = options.plan(model);
    let plan = plan.map_err(|error| room::refused(args, load, model, &options, error));
    Ok(plan.with_context(|| format!("cannot run `{}`", load.model))?.total_bytes())
}

fn shared_options(
    load: &Load,
    answers: usize,
    positions: Option<usize>,
    model: &Model,
    adapters: Named,
) -> anyhow::Result<EngineOptions> {
    let mut options = options(load)?;
    (options.answers, options.adapters) = (answers, adapters);
    if load.beside == Beside::Answers {
        options.process_bytes = Some(ServerOptions::constraints_bytes(model.dims().v));
    }
    let plan = Plan::of(model, &options);
    let memory = memory_bytes(load);
    // Weights may be there twice, for a while: in the file's layout and in the kernels'.
    let others = plan.total_bytes() - plan.cache_bytes + plan.all_weights_bytes();
    let room = (memory / 4).min(memory.saturating_sub(others));
    let contexts = (room / plan.cache_bytes.max(1)).clamp(1, CONTEXTS) as usize;
    let context = load.ctx.unwrap_or(usual(model));
    options.positions = Some(positions.unwrap_or(contexts * context));
    Ok(options)
}

/// Contexts that a cache for many requests holds if there is plenty of memory.
const CONTEXTS: u64 = 4;

/// Memory that this process may take in all, what it has already included: what is asked for, and no
/// more than the machine and its control groups leave.
pub(crate) fn memory_bytes(load: &Load) -> u64 {
    let root = Path::new("/");
    let own = rushlight_host::resident(root);
    let most = rushlight_host::memory(root).promise_bytes(own.as_ref());
    load.memory.map_or(most, |asked| asked.min(most))
}

fn cache_type(load: &Load) -> CacheType {
    match load.kv() {
        KvType::F16 => CacheType::F16,
        KvType::Q8_0 => CacheType::Q8_0,
    }
}

/// How the engine of a model runs it.
pub(crate) fn options(load: &Load) -> anyhow::Result<EngineOptions> {
    let mut options = EngineOptions::default();
    options.context = load.ctx;
    options.threads = load.threads;
    options.decode_threads = load.decode_threads;
    options.pin = !load.no_pin;
    options.cores = match load.cores {
        None | Some(CoreSet::All) => Cores::All,
        Some(CoreSet::Fast) => Cores::Fast,
        Some(CoreSet::Slow) => Cores::Slow,
    };
    options.chunk = load.chunk();
    options.activations = match load.activations {
        ActivationBits::Int8 => Activations::Int8,
        ActivationBits::Int16 => Activations::Int16,
        ActivationBits::Mixed => Activations::Mixed,
    };
    options.memory_bytes = Some(memory_bytes(load));
    options.process_bytes = (load.beside != Beside::Process).then_some(0);
    options.cache = cache_type(load);
    options.row = Some(row(load)?);
    options.panels_in_memory = load.prepare() == Prepare::Memory;
    Ok(options)
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
    let (small, load) = draft_load(args, target_load, name, target.plan().total_bytes())?;
    let engine = match answers {
        None => engine(args, &load, small, Named::new())?,
        Some(answers) => shared_engine(args, &load, answers, None, small, Named::new())?,
    };
    let draft = DraftModel::new(engine, target.model());
    draft.map(Some).with_context(|| format!("`{name}` cannot draft for `{}`", target_load.model))
}

/// The flags for a model that drafts for another one, of which `tuned` is how it runs: what a profile says
/// of layouts and sizes is of that one's shape.
pub(crate) fn for_draft(flags: &Load, tuned: &Load) -> Load {
    Load {
        threads: tuned.threads,
        decode_threads: tuned.decode_threads,
        cores: tuned.cores,
        ..flags.clone()
    }
}

/// The model `name` that drafts for one that takes so many bytes, and how it runs.
pub(crate) fn draft_load(
    args: &Args,
    target_load: &Load,
    name: &str,
    target_bytes: u64,
) -> anyhow::Result<(Arc<Model>, Load)> {
    let mut load = Load { model: name.to_owned(), ..target_load.clone() };
    let (small, _) = model(args, &load)?;
    // What it says is checked: it may round as it likes.
    load.activations = ActivationBits::Int8;
    load.ctx = load.ctx.map(|n| n.min(small.dims().context));
    load.memory = Some(memory_bytes(&load).saturating_sub(target_bytes));
    // That of the target has the process.
    load.beside = Beside::Nothing;
    Ok((small, load))
}

fn kernels(name: &str) -> anyhow::Result<&'static Row> {
    rushlight_kernels::by_name(name).ok_or_else(|| {
        let names: Vec<_> =
            rushlight_kernels::rows().iter().map(|r| format!("`{}`", r.name())).collect();
        anyhow!("kernels `{name}`, expected one that this processor runs: {}", names.join(", "))
    })
}
