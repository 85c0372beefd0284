//! `cargo xtask soak`: a server among clients that are not as they should be.
//!
//! Users ask and must be answered, while others leave in the middle, read slowly, send what is too
//! large or no JSON, or half a request. Half way the server is killed and started again with what it
//! kept. Memory must stay, no request may be stuck at the end, and the same question has the same
//! answer before and after.

mod clients;
mod options;
mod tally;
mod watch;

use crate::serving::stream::chat;
use crate::serving::{self, Served, http};
use crate::setup;
use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use clients::Clients;
use options::Options;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tally::Tally;
use watch::Watch;

/// What every run writes.
const FOLDER: &str = "target/soak";
/// Within which everything that clients left behind must be gone.
const QUIET_WITHIN: Duration = Duration::from_secs(60);

/// Runs as `arguments` say.
pub(crate) fn soak(arguments: &[String]) -> Result<()> {
    let program = "cargo xtask soak".to_owned();
    let options = match Options::try_parse_from([&program].into_iter().chain(arguments)) {
        Ok(options) => options,
        Err(error) if error.use_stderr() => bail!("{error}"),
        Err(help) => return Ok(help.print()?),
    };
    let server = Server {
        program: serving::program(options.program.as_deref())?,
        model: setup::model::model()?,
        flags: options.flags.split_whitespace().map(str::to_owned).collect(),
        keep: PathBuf::from(FOLDER).join("texts.kv"),
    };
    fs::create_dir_all(FOLDER).with_context(|| format!("`{FOLDER}`"))?;
    if server.keep.exists() {
        fs::remove_file(&server.keep)?;
    }
    let tally = Tally::default();
    let mut report = String::new();
    let run = legs(&server, &options, &tally, &mut report);
    report += &tally.describe();
    println!("{report}");
    fs::write(Path::new(FOLDER).join("report.txt"), &report)?;
    run?;
    tally.hold()
}

/// Waits for clients: one that panicked asked for less than it should have.
fn joined(clients: Clients, tally: &Tally) {
    let panicked = clients.join();
    if panicked > 0 {
        tally.wrong(format!("{panicked} clients panicked"));
    }
}

/// The time before the server is killed, and the time after.
fn legs(server: &Server, options: &Options, tally: &Tally, report: &mut String) -> Result<()> {
    let half = Duration::from_secs_f64(options.minutes * 30.0);
    let mut first = server.start("first")?;
    let before = same_question(&first.address)?;
    fill(&first.address)?;
    let clients = Clients::start(&first.address, options, tally);
    let watch = Watch::run(&mut first, half, tally)?;
    *report += &watch.describe("before the server was killed");
    // In the middle of everything.
    clients.leave();
    first.kill()?;
    joined(clients, tally);
    watch.hold()?;

    let mut second = server.start("second")?;
    let health = http::get(&second.address, "/health")?.json()?;
    let (status, degradations) = (&health["status"], &health["degradations"]);
    *report += &format!("after the restart: status {status}, {degradations}\n");
    let after = same_question(&second.address)?;
    ensure!(after == before, "the answer before was `{before}`, after the restart it is `{after}`");
    fill(&second.address)?;
    let clients = Clients::start(&second.address, options, tally);
    let watch = Watch::run(&mut second, half, tally)?;
    *report += &watch.describe("after that");
    clients.stop();
    joined(clients, tally);
    watch.hold()?;
    *report += &quiet(&second)?;
    let last = same_question(&second.address)?;
    ensure!(last == before, "the answer before was `{before}`, at the end it is `{last}`");
    Ok(())
}

/// How the server is started.
struct Server {
    program: PathBuf,
    model: PathBuf,
    flags: Vec<String>,
    keep: PathBuf,
}

impl Server {
    fn start(&self, name: &str) -> Result<Served> {
        let mut arguments = self.flags.clone();
        arguments.extend(["--keep".to_owned(), self.keep.display().to_string()]);
        let log = Path::new(FOLDER).join(format!("{name}.log"));
        Served::ours(&self.program, &self.model, &arguments, &log)
    }
}

/// Long texts, so that the cache of keys and values is full: from then on memory is to be flat.
fn fill(address: &str) -> Result<()> {
    /// Of some 1,500 tokens each, more than the default flags have positions for.
    const TEXTS: usize = 8;
    for number in 0..TEXTS {
        let text = " Think of rain, roads and rivers.".repeat(180);
        let body = json!({
            "messages": [{ "role": "user", "content": format!("{number}{text}") }],
            "max_tokens": 1,
        });
        let status = http::post(address, "/v1/chat/completions", &body)?.status;
        ensure!(status == 200, "a long text is answered {status}");
    }
    Ok(())
}

/// An answer that nothing but the model decides, asked when nobody else asks.
fn same_question(address: &str) -> Result<String> {
    let body = json!({
        "messages": [{ "role": "user", "content": "Name the planets, the nearest to the sun first." }],
        "max_tokens": 48,
        "temperature": 0,
        "stream": true,
        "stream_options": { "include_usage": true },
    });
    Ok(chat(address, &body, |_| ())?.text)
}

/// Waits until the server does nothing, and says how it is then.
fn quiet(served: &Served) -> Result<String> {
    let begun = Instant::now();
    loop {
        let health: Value = http::get(&served.address, "/health")?.json()?;
        if health["running"] == 0 && health["queued"] == 0 {
            let ready = http::get(&served.address, "/readyz")?.status;
            ensure!(ready == 200, "`/readyz` answers {ready} when nobody asks");
            let seconds = begun.elapsed().as_secs_f64();
            return Ok(format!("quiet after {seconds:.1} s: cache {}\n", health["cache"]));
        }
        if begun.elapsed() > QUIET_WITHIN {
            bail!(
                "requests are stuck {} s after the last client left: {health}",
                QUIET_WITHIN.as_secs()
            );
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
