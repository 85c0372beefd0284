//! What a server takes while it runs.

use super::tally::Tally;
use crate::serving::{Served, http};
use anyhow::{Context, Result, bail};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);
/// What memory may grow by from the second quarter to the last, in KiB: what allocators keep.
const GROWTH_KIB: u64 = 32 << 10;
const GROWTH_PART: u64 = 20;
/// Looks below which nothing is said of growth.
const LOOKS: usize = 16;

/// One look at a process.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Look {
    /// Memory that is not a file's.
    memory_kib: u64,
    files: usize,
    threads: u64,
}

/// Looks at a server, one after another.
pub(super) struct Watch {
    looks: Vec<Look>,
}

impl Watch {
    /// Looks for `time`.
    pub(super) fn run(served: &mut Served, time: Duration, tally: &Tally) -> Result<Self> {
        let begun = Instant::now();
        let mut looks = Vec::new();
        while begun.elapsed() < time {
            thread::sleep(EVERY.min(time.saturating_sub(begun.elapsed())));
            if !served.is_running() {
                bail!("the server ended by itself after {} s", begun.elapsed().as_secs());
            }
            match http::get(&served.address, "/readyz") {
                Ok(answer) if answer.status == 200 => tally.count("looks, ready"),
                // On a machine that is busy with other things a pass may take so long.
                Ok(answer) if answer.status == 503 => tally.count("looks, not ready"),
                Ok(answer) => tally.wrong(format!("`/readyz` answers {}", answer.status)),
                Err(error) => tally.wrong(format!("`/readyz`: {error:#}")),
            }
            looks.push(Look::of(served.process())?);
        }
        Ok(Self { looks })
    }

    pub(super) fn describe(&self, when: &str) -> String {
        let mut text = format!("{when}: memory without files in MiB, every tenth of the time:");
        for tenth in 1..=10 {
            if let Some(look) = (self.looks.len() * tenth / 10).checked_sub(1) {
                text += &format!(" {}", self.looks[look].memory_kib >> 10);
            }
        }
        let most = |of: fn(&Look) -> u64| self.looks.iter().map(of).max().unwrap_or(0);
        let (files, threads) = (most(|look| look.files as u64), most(|look| look.threads));
        text + &format!("; open files {files} at most, threads {threads}\n")
    }

    /// Fails when memory grew after the first quarter.
    pub(super) fn hold(&self) -> Result<()> {
        if self.looks.len() < LOOKS {
            return Ok(());
        }
        let quarter = self.looks.len() / 4;
        let before = median(&self.looks[quarter..2 * quarter]);
        let after = median(&self.looks[self.looks.len() - quarter..]);
        if after > before + before / GROWTH_PART + GROWTH_KIB {
            bail!("memory grew from {} to {} MiB", before >> 10, after >> 10);
        }
        Ok(())
    }
}

fn median(looks: &[Look]) -> u64 {
    let mut memory: Vec<_> = looks.iter().map(|look| look.memory_kib).collect();
    memory.sort_unstable();
    memory.get(memory.len() / 2).copied().unwrap_or(0)
}

impl Look {
    fn of(process: u32) -> Result<Self> {
        let folder = format!("/proc/{process}");
        let status =
            fs::read_to_string(format!("{folder}/status")).context("the server's status")?;
        let of = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().ok()
        };
        Ok(Self {
            memory_kib: of("RssAnon").context("the server's status has no `RssAnon`")?,
            files: fs::read_dir(format!("{folder}/fd")).context("the server's files")?.count(),
            threads: of("Threads").context("the server's status has no `Threads`")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(memory_mib: impl Iterator<Item = u64>) -> Watch {
        let look = |mib: u64| Look { memory_kib: mib << 10, files: 1, threads: 1 };
        Watch { looks: memory_mib.map(look).collect() }
    }

    #[test]
    fn growth_after_the_first_quarter_fails() {
        let warm = |n: u64| if n < 10 { 100 + 50 * n } else { 600 + n % 3 };
        watch((0..40).map(warm)).hold().unwrap();
        let error = watch((0..40).map(|n| 600 + 4 * n)).hold().unwrap_err();
        assert!(error.to_string().contains("grew from"), "{error}");
        watch((0..4).map(|n| 600 + 400 * n)).hold().unwrap();
        assert!(watch((0..40).map(warm)).describe("x").contains("602"));
    }

    #[test]
    fn this_process_takes_memory() {
        let look = Look::of(std::process::id()).unwrap();
        assert!(look.memory_kib > 100 && look.files >= 3 && look.threads >= 1, "{look:?}");
    }
}
