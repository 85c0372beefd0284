//! The machine, the day and the state of the sources that a run belongs to.

use crate::run::output;
use anyhow::{Context, Result, bail};
use rushlight_host::Topology;
use rustix::thread::{CpuSet, sched_setaffinity};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What a run's figures belong to.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) commit: String,
    pub(crate) date: String,
    pub(crate) processor: String,
    /// The system's version.
    pub(crate) system: String,
    pub(crate) compiler: String,
    /// Tasks that ran at the beginning, as an average of a minute: nothing else should run.
    pub(crate) load: String,
    topology: Topology,
}

impl Machine {
    pub(crate) fn read() -> Result<Self> {
        let line = |program: &str, arguments: &[&str]| {
            let text = output(Command::new(program).args(arguments))?;
            Ok::<_, anyhow::Error>(text.trim().to_owned())
        };
        let mut commit = line("git", &["rev-parse", "--short=10", "HEAD"])?;
        if !line("git", &["status", "--porcelain", "--untracked-files=no"])?.is_empty() {
            commit += " and changes";
        }
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let topology = Topology::read(Path::new("/"));
        Ok(Self {
            commit,
            date: line("date", &["--utc", "+%Y-%m-%d %H:%M UTC"])?,
            processor: format!(
                "{}, {} cores in use",
                processor(&information).unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
                topology.cores.len()
            ),
            system: value(&release, "PRETTY_NAME", '=').unwrap_or("Linux").replace('"', ""),
            compiler: line("rustc", &["--version"])?,
            load: load.split(' ').next().unwrap_or("-").to_owned(),
            topology,
        })
    }

    #[cfg(test)]
    pub(crate) fn made_up() -> Self {
        Self {
            commit: "0123456789".to_owned(),
            date: "2026-01-02 03:04 UTC".to_owned(),
            processor: "Some CPU, 2 cores in use".to_owned(),
            system: "Some Linux".to_owned(),
            compiler: "rustc 1".to_owned(),
            load: "0.10".to_owned(),
            topology: Topology::read(Path::new("/nonexistent")),
        }
    }

    /// Keeps this process, and every program that it starts from now on, on as many processors.
    pub(crate) fn pin(&self, threads: usize) -> Result<()> {
        let places = self.topology.placement(threads);
        if threads == 0 || places.len() < threads {
            bail!("{threads} threads, expected 1 to {}", self.topology.processors());
        }
        let mut set = CpuSet::new();
        places.into_iter().filter(|cpu| *cpu < CpuSet::MAX_CPU).for_each(|cpu| set.set(cpu));
        sched_setaffinity(None, &set).context("the processors cannot be chosen")
    }
}

/// The processor's name in `/proc/cpuinfo`, with the numbers that tell it from its like.
fn processor(information: &str) -> Option<String> {
    let of = |key| value(information, key, ':');
    if let Some(name) = of("model name") {
        let numbers = [("family", of("cpu family")), ("model", of("model"))];
        let numbers = numbers.into_iter().filter_map(|(key, n)| Some(format!("{key} {}", n?)));
        let numbers: Vec<_> = numbers.collect();
        return Some(match numbers.is_empty() {
            true => name.to_owned(),
            false => format!("{name} ({})", numbers.join(", ")),
        });
    }
    let (maker, part) = (of("CPU implementer")?, of("CPU part")?);
    Some(format!("Arm, implementer {maker}, part {part}"))
}

/// The value of `key` in lines of `key SEPARATOR value`.
fn value<'a>(text: &'a str, key: &str, separator: char) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(separator));
    pairs.find(|(other, _)| other.trim() == key).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::processor;

    #[test]
    fn processors_have_names() {
        let cases = [
            (
                "processor\t: 0\ncpu family\t: 6\nmodel\t\t: 167\nmodel name\t: Some CPU\n",
                Some("Some CPU (family 6, model 167)"),
            ),
            ("model name\t: ARMv8\n", Some("ARMv8")),
            (
                "CPU implementer\t: 0x41\nCPU part\t: 0xd0b\n",
                Some("Arm, implementer 0x41, part 0xd0b"),
            ),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(processor(text).as_deref(), expected);
        }
    }
}
