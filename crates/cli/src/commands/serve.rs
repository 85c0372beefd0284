//! `serve`: answers over HTTP until a signal ends it.

mod govern;
mod smaller;
mod wanted;

use std::io::Write as _;
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rushlight_engine::SchedulerOptions;
use rushlight_host::Service;
use rushlight_model::{AdapterFile, Model};
use rushlight_server::{
    Degradation, Kept, Loaded, Notices, Notify, Observer, Seen, ServedModel, Server, ServerOptions,
    TlsFiles, Traces, runtime, terminated,
};
use rushlight_store::Resolved;
use wanted::{PARALLEL, Wanted};

use crate::args::{Args, Load, Serve};
use crate::load::{Draft, Opened, ToCome};
use crate::profile::Applied;
use crate::{energy, load, prepare, report, room};

/// Serves models.
pub(crate) fn serve(args: &'static Args, serve: &'static Serve) -> anyhow::Result<ExitCode> {
    // What is handed to this process is taken before it has other threads.
    let service = Service::take()?;
    let mut options = options(serve)?;
    if let Some(name) = &service.notify {
        options.notify = Some(Notify::new(name, service.watchdog)?);
        options.reload_on_hangup = true;
    }
    let mut wanted = Wanted::all(serve)?;
    let open = needed(&options);
    let variants = smaller::add(args, serve, &mut wanted)?;
    let governing = govern::start(serve, variants, options.power.as_ref())?;
    options.throttle = governing.as_ref().map(|(throttle, _)| throttle.clone());
    let told = options.power.as_ref().map(energy::source).unwrap_or_default();
    let runtime = runtime().context("the network cannot be used")?;
    let served = runtime.block_on(async {
        let server = match service.socket {
            Some(socket) => Server::adopt(options, socket).await?,
            None => Server::bind(options).await?,
        };
        let pinned = wanted.iter().filter(|wanted| wanted.pinned);
        let names: Vec<String> = pinned.map(|wanted| format!("`{}`", wanted.name)).collect();
        match names.is_empty() {
            true => eprintln!("serving at {}{open}", server.url()),
            false => {
                eprintln!("loading {}; it will be at {}{open}", names.join(", "), server.url())
            }
        }
        eprintln!("energy: {told}");
        let models = wanted.into_iter().map(|wanted| served(args, wanted)).collect();
        server.run(models, terminated()).await
    });
    // Clocks are put back before anything else can keep the process.
    drop(governing);
    // A model that is still being fetched is not waited for.
    runtime.shutdown_background();
    served?;
    Ok(ExitCode::SUCCESS)
}

/// What clients need to be let in.
fn needed(options: &ServerOptions) -> &'static str {
    let certified = options.tls.as_ref().is_some_and(|tls| tls.client_authorities.is_some());
    match (certified, options.key_file.is_some()) {
        (false, false) => "",
        (false, true) => ", with an API key",
        (true, false) => ", with a certificate",
        (true, true) => ", with a certificate and an API key",
    }
}

/// A model as the server has it.
fn served(args: &'static Args, wanted: Wanted) -> ServedModel {
    let wanted = Arc::new(wanted);
    let (to_load, to_count, to_copy) = (wanted.clone(), wanted.clone(), wanted.clone());
    let load = move || loaded(args, &to_load).map_err(Into::into);
    let needs = move || needs(args, &to_count).map_err(Into::into);
    let copies = move || copies(args, &to_copy).map_err(Into::into);
    let model = ServedModel::new(&wanted.name, load);
    let mut model = model.with_needs(needs).with_copies(copies);
    model.aliases.clone_from(&wanted.aliases);
    model.smaller.clone_from(&wanted.smaller);
    model.adapters = wanted.lora.iter().map(|(name, _)| name.clone()).collect();
    (model.pinned, model.priority, model.idle) = (wanted.pinned, wanted.priority, wanted.idle);
    let mut scheduler = SchedulerOptions::default();
    let parallel = wanted.parallel.unwrap_or(PARALLEL);
    (scheduler.most_running, scheduler.most_queued) = (parallel, wanted.queue);
    scheduler.speculation = wanted.speculation;
    model.scheduler = Some(scheduler);
    model
}

/// The memory that it takes to look at a model and the one that drafts for it, in bytes; they are pulled
/// if need be.
fn copies(args: &Args, wanted: &Wanted) -> anyhow::Result<u64> {
    let all = std::iter::once(&wanted.load.model).chain(&wanted.draft);
    // That an adapter is no model is said when it is opened.
    let all = all.filter(|model| !AdapterFile::is_at(model.as_ref()));
    all.map(|model| Ok(room::copied_bytes(&load::resolve(args, model)?))).sum()
}

/// The memory that a model will take, in bytes; it is pulled if need be, but not loaded.
fn needs(args: &Args, wanted: &Wanted) -> anyhow::Result<u64> {
    let Opened { model, unprepared, load, profile } =
        load::tuned(args, &wanted.load, wanted.profile)?;
    let parallel = parallel(wanted, &profile);
    let adapters = adapters(wanted, &model)?;
    let draft = draft(args, wanted, &load, parallel, &model)?;
    // What weights are prepared of leaves memory piece by piece.
    let to_come = ToCome { prepared: unprepared.is_some(), draft: draft.as_ref() };
    let own = load::shared_plan(args, &load, parallel, wanted.cache, &model, adapters, to_come)?;
    let beside = draft.map_or(Ok(0), |draft| draft.planned_bytes(args, own))?;
    Ok(own.bytes + beside)
}

/// The model that drafts for one, if one is to.
fn draft(
    args: &Args,
    wanted: &Wanted,
    load: &Load,
    parallel: usize,
    target: &Model,
) -> anyhow::Result<Option<Draft>> {
    let (flags, least) = (load::for_draft(&wanted.load, load), load::least_bytes(load, target)?);
    Draft::open(args, &flags, wanted.draft.as_deref(), Some(parallel), least)
}

/// Loads a model and prepares to run it, on the thread that will.
fn loaded(args: &Args, wanted: &Wanted) -> anyhow::Result<Loaded> {
    let Opened { model, unprepared, load, profile } =
        load::tuned(args, &wanted.load, wanted.profile)?;
    if let Some(unprepared) = unprepared {
        prepare::before(&unprepared);
    }
    let parallel = parallel(wanted, &profile);
    let adapters = adapters(wanted, &model)?;
    let draft = draft(args, wanted, &load, parallel, &model)?;
    let to_come = ToCome { prepared: false, draft: draft.as_ref() };
    let engine =
        load::shared_engine(args, &load, parallel, wanted.cache, model, adapters, to_come)?;
    let needs = report::size(engine.plan().total_bytes());
    eprintln!(
        "`{}`: a context of {} tokens, {} for all requests, {} threads, {}, at most {needs} of memory",
        wanted.name,
        engine.context(),
        engine.positions(),
        engine.threads(),
        engine.row().name(),
    );
    let draft = draft.map(|draft| draft.start(args, &engine)).transpose()?;
    if let Some(draft) = &draft {
        let needs = report::size(draft.engine().plan().total_bytes());
        eprintln!("`{}`: a draft model that takes at most {needs} more", wanted.name);
    }
    let shortened = load::shortened(&wanted.load, &engine);
    let mut loaded = Loaded::new(engine);
    loaded.degradations.extend(shortened.map(|why| Degradation::new("context", why)));
    loaded.draft = draft;
    loaded.most_running = Some(parallel);
    profile.say(Some(&wanted.name));
    loaded.tuned = profile.tuned.map(|tuned| tuned.line);
    if let Some(path) = &wanted.keep {
        let weights = weights(&load::resolve(args, &wanted.load.model)?)?;
        let most_bytes = wanted.keep_size << 20;
        loaded.kept = Some(Kept { path: path.clone(), most_bytes, weights });
    }
    Ok(loaded)
}

/// How many answers are written at once.
fn parallel(wanted: &Wanted, profile: &Applied) -> usize {
    let measured = profile.tuned.as_ref().and_then(|tuned| tuned.parallel);
    wanted.parallel.or(measured).unwrap_or(PARALLEL)
}

/// The adapters of a model.
fn adapters(wanted: &Wanted, model: &Model) -> anyhow::Result<load::Named> {
    wanted.lora.iter().map(|(name, lora)| load::named(model, name, lora)).collect()
}

/// What tells the weights of a model from all others: the digest of one in the store, of a file where
/// it is, how long, and when it was written.
fn weights(resolved: &Resolved) -> anyhow::Result<String> {
    if let Some(digest) = &resolved.digest {
        return Ok(digest.to_string());
    }
    let mut all = String::new();
    for path in &resolved.files {
        let path = path.canonicalize()?;
        let meta = path.metadata()?;
        let (length, seconds, nanos) = (meta.len(), meta.mtime(), meta.mtime_nsec());
        all += &format!("{} {length} {seconds} {nanos}\n", path.display());
    }
    Ok(all)
}

/// What the flags ask for.
fn options(serve: &Serve) -> anyhow::Result<ServerOptions> {
    let listen = &serve.listen;
    let mut options = ServerOptions::default();
    options.address = listen.address.parse()?;
    options.key_file.clone_from(&listen.api_keys);
    if let (Some(certificate), Some(key)) = (&listen.tls_cert, &listen.tls_key) {
        let mut files = TlsFiles::new(certificate, key);
        files.client_authorities.clone_from(&listen.client_ca);
        options.tls = Some(files);
    }
    // Without anything to read again, a terminal that is closed ends the server as it ends others.
    options.reload_on_hangup = options.tls.is_some() || options.key_file.is_some();
    options.notices = Some(Notices::new(say));
    options.observer = listen.log_requests.then(|| Observer::new(log));
    options.allowed_hosts.clone_from(&listen.allow_host);
    options.allowed_origins.clone_from(&listen.allow_origin);
    options.most_body_bytes = listen.max_body.saturating_mul(1024);
    options.answer_timeout = listen.answer_timeout.map(Duration::from_secs);
    options.grace = Duration::from_secs(listen.grace);
    options.scheduler.most_running = serve.parallel.unwrap_or(PARALLEL);
    options.scheduler.most_queued = serve.queue;
    let service = std::env::var("OTEL_SERVICE_NAME").unwrap_or_else(|_| "rushlight".to_owned());
    let endpoint = listen.otlp.clone().filter(|endpoint| !endpoint.is_empty());
    options.traces = endpoint.map(|endpoint| Traces { endpoint, service });
    options.power = Some(energy::meter(serve.estimate)?);
    let memory = load::memory_bytes(&serve.load);
    options.memory_bytes = Some(memory);
    options.process_bytes = wanted::process_bytes(serve, memory);
    options.promise_bytes = serve.load.memory;
    Ok(options)
}

/// A line for a request.
fn log(seen: Seen<'_>) {
    let time = seen.time.as_secs_f64() * 1000.0;
    let caller = seen.caller.unwrap_or("-");
    say(&format!("{} {} {} {time:.1} ms {caller}", seen.method, seen.route, seen.status));
}

/// A line on standard error, while there is anybody to read it.
fn say(text: &str) {
    // The server goes on without.
    let _ = writeln!(std::io::stderr(), "{text}");
}
