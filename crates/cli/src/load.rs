//! From what the user calls a model to an engine that runs it.

mod draft;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use rushlight_engine::{
    Activations, CacheType, Engine, EngineOptions, ErrorKind, Plan, SchedulerOptions,
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

pub(crate) use draft::{Draft, for_draft};

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
        false => {
            profile::apply(store(args)?.dir(), &model, &mut load, &|load| context(load, &model))
        }
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

/// Uses prepared weights if they are there; else those that can be made. Where memory holds the file's
/// alone they are not used.
fn prepared(
    args: &Args,
    load: &Load,
    model: &Arc<Model>,
    resolved: &Resolved,
) -> anyhow::Result<Option<Unprepared>> {
    if load.prepare() != Prepare::Auto {
        return Ok(None);
    }
    let least = Plan::of(model, &least(load, model)?).once_prepared(model);
    if least.total_bytes() > memory_bytes(load) {
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

/// What comes beside an engine later, for which its context leaves room.
#[derive(Clone, Copy, Default)]
pub(crate) struct ToCome<'a> {
    /// Whether weights are prepared, which may take more than those of the file.
    pub(crate) prepared: bool,
    /// A model that drafts for it.
    pub(crate) draft: Option<&'a Draft>,
}

impl ToCome<'_> {
    /// Bytes that prepared weights will have more than those that are there.
    fn prepared_bytes(&self, model: &Model, options: &EngineOptions) -> u64 {
        let plan = Plan::of(model, options);
        let then = if self.prepared { plan.once_prepared(model) } else { plan };
        then.total_bytes().saturating_sub(plan.total_bytes())
    }

    /// Bytes of the model that drafts for one of such a context, at least.
    fn draft_bytes(&self, context: usize) -> u64 {
        self.draft.map_or(0, |draft| draft.bytes(context))
    }
}

/// Prepares to run it, with a smaller context than usual where none is asked for and the usual one
/// does not fit.
pub(crate) fn engine(
    args: &Args,
    load: &Load,
    model: Arc<Model>,
    adapters: Named,
    to_come: ToCome<'_>,
) -> anyhow::Result<Engine> {
    let mut options = options(load)?;
    options.adapters = adapters;
    start(args, load, model, options, to_come)
}

/// Prepares to run it for so many requests at once, with a cache for so many positions in all.
pub(crate) fn shared_engine(
    args: &Args,
    load: &Load,
    answers: usize,
    positions: Option<usize>,
    model: Arc<Model>,
    adapters: Named,
    to_come: ToCome<'_>,
) -> anyhow::Result<Engine> {
    let options = shared_options(load, answers, positions, &model, adapters, to_come)?;
    start(args, load, model, options, to_come)
}

fn start(
    args: &Args,
    load: &Load,
    model: Arc<Model>,
    mut options: EngineOptions,
    to_come: ToCome<'_>,
) -> anyhow::Result<Engine> {
    fit(load, &model, &mut options, to_come);
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
fn fit(load: &Load, model: &Model, options: &mut EngineOptions, to_come: ToCome<'_>) {
    if load.ctx.is_some() {
        return;
    }
    let prepared = to_come.prepared_bytes(model, options);
    let beside = |context| prepared + to_come.draft_bytes(context);
    let fitting = options.fitting_context_beside(model, &beside);
    if let Some(context) = fitting.filter(|context| *context < usual(model)) {
        (options.context, options.positions) = (Some(context), None);
    }
}

/// The context that a model gets which is run so; `None` if it does not fit.
fn context(load: &Load, model: &Model) -> Option<usize> {
    let options = beside(load, model).ok()?;
    match load.ctx {
        Some(context) => options.plan(model).is_ok().then_some(context),
        None => options.fitting_context(model),
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

/// The least that a model takes which is run so, in bytes.
pub(crate) fn least_bytes(load: &Load, model: &Model) -> anyhow::Result<u64> {
    Ok(Plan::of(model, &least(load, model)?).total_bytes())
}

/// A model that is run so in the least memory.
fn least(load: &Load, model: &Model) -> anyhow::Result<EngineOptions> {
    let mut options = beside(load, model)?;
    options.context = Some(load.ctx.unwrap_or_else(|| EngineOptions::least_context(model)));
    Ok(options)
}

/// How the engine of a model runs it, with what a server takes for the answers beside it.
fn beside(load: &Load, model: &Model) -> anyhow::Result<EngineOptions> {
    let mut options = options(load)?;
    if load.beside == Beside::Answers {
        options.answers = SchedulerOptions::default().most_running;
        options.process_bytes = Some(ServerOptions::constraints_bytes(model.dims().v));
    }
    Ok(options)
}

/// What an engine will have.
#[derive(Clone, Copy)]
pub(crate) struct Planned {
    pub(crate) bytes: u64,
    /// Positions.
    pub(crate) context: usize,
}

/// What [`shared_engine`] will have, once weights are prepared too if they are to be; an error if it
/// does not fit.
pub(crate) fn shared_plan(
    args: &Args,
    load: &Load,
    answers: usize,
    positions: Option<usize>,
    model: &Model,
    adapters: Named,
    to_come: ToCome<'_>,
) -> anyhow::Result<Planned> {
    let mut options = shared_options(load, answers, positions, model, adapters, to_come)?;
    fit(load, model, &mut options, to_come);
    let plan = options.plan(model);
    let plan = plan.map_err(|error| room::refused(args, load, model, &options, error));
    let plan = plan.with_context(|| format!("cannot run `{}`", load.model))?;
    let bytes = plan.total_bytes() + to_come.prepared_bytes(model, &options);
    Ok(Planned { bytes, context: options.context.unwrap_or_else(|| usual(model)) })
}

fn shared_options(
    load: &Load,
    answers: usize,
    positions: Option<usize>,
    model: &Model,
    adapters: Named,
    to_come: ToCome<'_>,
) -> anyhow::Result<EngineOptions> {
    let mut options = options(load)?;
    (options.answers, options.adapters) = (answers, adapters);
    if load.beside == Beside::Answers {
        options.process_bytes = Some(ServerOptions::constraints_bytes(model.dims().v));
    }
    let plan = Plan::of(model, &options);
    let memory = memory_bytes(load);
    let context = load.ctx.unwrap_or(usual(model));
    let beside = to_come.prepared_bytes(model, &options) + to_come.draft_bytes(context);
    let others = plan.total_bytes() - plan.cache_bytes + beside;
    let room = (memory / 4).min(memory.saturating_sub(others));
    let contexts = (room / plan.cache_bytes.max(1)).clamp(1, CONTEXTS) as usize;
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

fn kernels(name: &str) -> anyhow::Result<&'static Row> {
    rushlight_kernels::by_name(name).ok_or_else(|| {
        let names: Vec<_> =
            rushlight_kernels::rows().iter().map(|r| format!("`{}`", r.name())).collect();
        anyhow!("kernels `{name}`, expected one that this processor runs: {}", names.join(", "))
    })
}
