//! `serve`: answers over HTTP until a signal ends it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use rushlight_server::{Kept, Loaded, Server, ServerOptions, runtime, terminated};
use rushlight_store::Resolved;

use super::run;
use crate::args::{Args, Serve};
use crate::{load, prepare, report};

/// Serves one model.
pub(crate) fn serve(args: &'static Args, serve: &'static Serve) -> anyhow::Result<ExitCode> {
    let options = options(serve)?;
    let (name, keys) = (options.model.clone(), options.key_file.is_some());
    let runtime = runtime().context("the network cannot be used")?;
    runtime.block_on(async {
        let server = Server::bind(options).await?;
        let keys = if keys { ", with an API key" } else { "" };
        eprintln!("loading `{name}`; it will be at {}{keys}", server.address());
        server.run(|| loaded(args, serve), terminated()).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Loads the model and prepares to run it, on the thread that will.
fn loaded(args: &Args, serve: &Serve) -> Result<Loaded, Box<dyn std::error::Error + Send + Sync>> {
    let loaded = || -> anyhow::Result<Loaded> {
        let (model, unprepared) = load::model(args, &serve.load)?;
        if let Some(unprepared) = unprepared {
            prepare::before(&unprepared);
        }
        let engine = load::shared_engine(&serve.load, serve.parallel, serve.cache, model)?;
        let needs = report::size(engine.plan().total_bytes());
        eprintln!(
            "a context of {} tokens, {} for all requests, {} threads, {}, at most {needs} of memory",
            engine.context(),
            engine.positions(),
            engine.threads(),
            engine.row().name(),
        );
        let draft = serve.draft.as_deref();
        let draft = load::draft(args, &serve.load, draft, Some(serve.parallel), &engine)?;
        if let Some(draft) = &draft {
            let needs = report::size(draft.engine().plan().total_bytes());
            eprintln!("a draft model that takes at most {needs} more");
        }
        let mut loaded = Loaded::new(engine);
        loaded.draft = draft;
        if let Some(path) = &serve.keep {
            let weights = weights(&load::resolve(args, &serve.load.model)?)?;
            let most_bytes = serve.keep_size << 20;
            loaded.kept = Some(Kept { path: path.clone(), most_bytes, weights });
        }
        Ok(loaded)
    };
    loaded().map_err(Into::into)
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
    let name = serve.name.clone().unwrap_or_else(|| name_of(&serve.load.model));
    let mut options = ServerOptions::new(name);
    options.address = listen.address.parse()?;
    options.aliases.clone_from(&serve.alias);
    options.key_file.clone_from(&listen.api_keys);
    options.allowed_hosts.clone_from(&listen.allow_host);
    options.allowed_origins.clone_from(&listen.allow_origin);
    options.most_body_bytes = listen.max_body.saturating_mul(1024);
    options.answer_timeout = listen.answer_timeout.map(Duration::from_secs);
    options.grace = Duration::from_secs(listen.grace);
    options.scheduler.most_running = serve.parallel;
    options.scheduler.most_queued = serve.queue;
    options.scheduler.speculation = run::speculation(serve.speculate);
    Ok(options)
}

/// What clients call a model that is asked for like this.
fn name_of(model: &str) -> String {
    let path = Path::new(model);
    if !path.exists() {
        return model.to_owned();
    }
    let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
    name.map_or_else(|| model.to_owned(), |name| name.to_string_lossy().into_owned())
}
