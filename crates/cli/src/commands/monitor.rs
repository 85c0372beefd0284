//! Watches the machine and the models on it.

mod headless;
mod input;
mod live;
mod playback;
mod screen;
mod signals;
mod terminal;

use std::collections::HashMap;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use rushlight_host::probe::Tree;
use rushlight_monitor::alarm::Alarms;
use rushlight_monitor::record::Recorder;
use rushlight_monitor::sample::{Sample, Sampler};
use rushlight_monitor::screen::{App, Look};
use rushlight_monitor::served::{DEFAULT_ADDRESS, Watch};
use serde::Serialize;

use crate::args::Monitor;

/// Columns of a text where there is no terminal.
const COLUMNS: u16 = 100;
/// Lines of a text.
const LINES: u16 = 50;
/// Names of users, at most.
const MOST_USERS: usize = 1 << 16;
/// How long one sample waits for devices that are slow to start: NVML may take seconds.
const SETTLE: Duration = Duration::from_secs(5);
/// Bytes of a key, at most.
const MOST_KEY: usize = 4096;

pub(crate) fn monitor(args: &Monitor) -> anyhow::Result<ExitCode> {
    // A mistake in it is told before anything begins.
    alarms(args)?;
    let has_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if let Some(path) = &args.replay {
        if !has_terminal {
            bail!("a recording is shown on a terminal, and there is none");
        }
        return playback::playback(args, path);
    }
    let mut source = Source::open(args)?;
    if args.once {
        return once(args, &mut source);
    }
    let recorder = args.record.as_deref().map(|path| recorder(args, path)).transpose()?;
    let is_headless = args.export.is_some() || args.otlp.is_some();
    match (is_headless, has_terminal) {
        (false, true) => live::live(args, source, recorder),
        (false, false) if recorder.is_none() => {
            bail!(
                "there is no terminal for the screen; `--once` prints one sample, `--record` and `--export` need none"
            )
        }
        _ => headless::headless(args, source, recorder),
    }
}

/// What samples come from.
#[derive(Debug)]
struct Source {
    sampler: Sampler,
    watch: Option<Watch>,
}

impl Source {
    fn open(args: &Monitor) -> anyhow::Result<Self> {
        let tree = args.root.as_ref().map_or_else(Tree::this_machine, Tree::new);
        // A server of this machine says nothing of another one.
        let by_itself = (!args.no_server && tree.is_this_machine()).then_some(DEFAULT_ADDRESS);
        let watch = match args.server.as_deref().or(by_itself) {
            Some(address) => {
                let key = args.server_key_file.as_deref().map(key).transpose()?;
                let every = Duration::from_secs_f64(args.interval);
                Some(Watch::start(address.parse()?, key, every)?)
            }
            None => None,
        };
        Ok(Self { sampler: Sampler::new(tree), watch })
    }

    fn sample(&mut self) -> &Sample {
        let served = self.watch.as_ref().and_then(Watch::latest);
        self.sampler.sample(Instant::now(), SystemTime::now(), served)
    }
}

fn alarms(args: &Monitor) -> anyhow::Result<Alarms> {
    let mut alarms = Alarms::new(args.server.is_some());
    for alarm in &args.alarm {
        alarms.set(alarm)?;
    }
    Ok(alarms)
}

fn recorder(args: &Monitor, path: &Path) -> anyhow::Result<Recorder> {
    Ok(Recorder::create(path, args.interval, args.record_size.max(1).saturating_mul(1 << 20))?)
}

/// The key in a file.
fn key(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the key in `{}`", path.display()))?;
    let key = text.trim();
    if key.is_empty() || key.len() > MOST_KEY || key.contains(|c: char| c.is_control()) {
        bail!("`{}` has no key: expected one line", path.display());
    }
    Ok(key.to_owned())
}

fn look(args: &Monitor) -> Look {
    let mut look = Look::of_environment(|name| std::env::var(name).ok());
    look.is_ascii |= args.ascii;
    look
}

fn app(args: &Monitor, look: Look) -> anyhow::Result<App> {
    let text = Tree::this_machine().text("etc/passwd");
    let text = text.get().map_or("", String::as_str);
    // name:password:number:…, passwd(5)
    let user = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((fields.nth(1)?.parse().ok()?, name))
    };
    let users: HashMap<u32, String> = text.lines().filter_map(user).take(MOST_USERS).collect();
    Ok(App::new(look, alarms(args)?, users, rustix::process::getuid().as_raw()))
}

/// A sample with the number of its schema.
#[derive(Serialize)]
struct Once<'a> {
    schema: u32,
    #[serde(flatten)]
    sample: &'a Sample,
}

/// Prints one sample.
fn once(args: &Monitor, source: &mut Source) -> anyhow::Result<ExitCode> {
    source.sample();
    std::thread::sleep(Duration::from_secs_f64(args.interval));
    source.sampler.settle(SETTLE);
    let sample = source.sample();
    let mut text = Vec::new();
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut text, &Once { schema: Sample::SCHEMA, sample })?;
        text.push(b'\n');
    } else {
        let look = Look { is_plain: true, ..look(args) };
        let mut app = app(args, look)?;
        app.update(sample);
        let columns = if out.is_terminal() { terminal::size().0 } else { COLUMNS };
        for line in screen::text(&mut app, columns, LINES) {
            writeln!(text, "{line}")?;
        }
    }
    match out.write_all(&text).and_then(|()| out.flush()) {
        // Who reads it, such as `head`, has enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        written => Ok(written.map(|()| ExitCode::SUCCESS)?),
    }
}
