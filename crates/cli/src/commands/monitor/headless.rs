//! Records and exports without a screen, until a signal says that it is enough.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use rushlight_monitor::export::{Collector, Endpoint, Exported};
use rushlight_monitor::record::Recorder;

use super::signals::{Event, Signals};
use super::{Source, alarms, key};
use crate::args::Monitor;

/// How often a collector gets a sample, at most.
const COLLECT_EVERY: Duration = Duration::from_secs(10);

pub(super) fn headless(
    args: &Monitor,
    mut source: Source,
    mut recorder: Option<Recorder>,
) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::install()?;
    let exported = Exported::default();
    // Two samples make rates, and who asks at once gets them.
    *exported.lock().unwrap_or_else(PoisonError::into_inner) = source.sample().clone();
    if let Some(address) = args.export {
        let key = args.export_key_file.as_deref().map(key).transpose()?;
        let endpoint = Endpoint::start(address, key, exported.clone())?;
        say(&format!("metrics for Prometheus: http://{}/metrics", endpoint.address()));
    }
    let collector = args.otlp.as_deref().map(Collector::start).transpose()?;
    let mut alarms = alarms(args)?;
    let mut told: Vec<&'static str> = Vec::new();
    let interval = Duration::from_secs_f64(args.interval);
    let (mut next, mut collected) = (Instant::now() + interval, None);
    let (mut not_recorded, mut not_collected) = (None, None);
    loop {
        match signals.wait(next, false)? {
            Event::End => return Ok(ExitCode::SUCCESS),
            Event::Resized | Event::Keys(_) => continue,
            Event::Time => {}
        }
        next = (next + interval).max(Instant::now());
        let sample = source.sample();
        if let Some(recorder) = &mut recorder {
            let now = recorder.write(sample).err().map(|error| error.to_string());
            say_once("it is not recorded: ", now, &mut not_recorded);
        }
        alarms.update(sample);
        let on: Vec<_> = alarms.on().collect();
        for alarm in on.iter().filter(|alarm| !told.contains(&alarm.name)) {
            say(&format!("alarm {}: {}", alarm.name, alarm.text));
        }
        for name in told.iter().filter(|name| !on.iter().any(|alarm| alarm.name == **name)) {
            say(&format!("alarm {name} is over"));
        }
        told = on.iter().map(|alarm| alarm.name).collect();
        if let Some(collector) = &collector {
            if collected.is_none_or(|then: Instant| then.elapsed() >= COLLECT_EVERY) {
                collected = Some(Instant::now());
                collector.send(sample);
            }
            let now = collector.state().2;
            say_once("the collector does not take metrics: ", now, &mut not_collected);
        }
        exported.lock().unwrap_or_else(PoisonError::into_inner).clone_from(sample);
    }
}

/// Says it on standard error, where somebody may have stopped listening.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Says what fails, but not again and again.
fn say_once(what: &str, now: Option<String>, last: &mut Option<String>) {
    if let Some(now) = now.as_ref().filter(|_| now != *last) {
        say(&format!("warning: {what}{now}"));
    }
    *last = now;
}
