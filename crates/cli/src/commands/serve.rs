//! `serve`: answers over HTTP until a signal ends it.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use rushlight_host::Service;
use rushlight_server::{
    Kept, Loaded, Notices, Notify, Observer, Seen, Server, ServerOptions, TlsFiles, runtime,
    terminated,
};
use rushlight_store::Resolved;

use crate::args::{Args, Serve};
use crate::{load, prepare, report};

/// Serves one model.
pub(crate) fn serve(args: &'static Args, serve: &'static Serve) -> anyhow::Result<ExitCode> {
    // What is handed to this process is taken before it has other threads.
    let service = Service::take()?;
    let mut options = options(serve)?;
    if let Some(name) = &service.notify {
        options.notify = Some(Notify::new(name, service.watchdog)?);
        options.reload_on_hangup = true;
    }
    let name = options.model.clone();
    let needs = needs(&options);
    let runtime = runtime().context("the network cannot be used")?;
    runtime.block_on(async {
        let server = match service.socket {
            Some(socket) => Server::adopt(options, socket).await?,
            None => Server::bind(options).await?,
        };
        eprintln!("loading `{name}`; it will be at {}{needs}", server.url());
        server.run(|| loaded(args, serve), terminated()).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What clients need to be let in.
fn needs(options: &ServerOptions) -> &'static str {
    let certified = options.tls.as_ref().is_some_and(|tls| tls.client_authorities.is_some());
    match (certified, options.key_file.is_some()) {
        (false, false) => "",
        (false, true) => ", with an API key",
        (true, false) => ", with a certificate",
        (true, true) => ", with a certificate and an API key",
    }
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
        let mut loaded = Loaded::new(engine);
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
    options.scheduler.most_running = serve.parallel;
    options.scheduler.most_queued = serve.queue;
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

/// What clients call a model that is asked for like this.
fn name_of(model: &str) -> String {
    let path = Path::new(model);
    if !path.exists() {
        return model.to_owned();
    }
    let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
    name.map_or_else(|| model.to_owned(), |name| name.to_string_lossy().into_owned())
}
