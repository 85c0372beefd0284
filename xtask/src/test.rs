//! `cargo xtask test`: the workspace's tests with the test model, and how many they were.

use crate::run::cargo;
use crate::setup::{clients, model};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// Unit, integration and documentation tests of every crate.
pub(crate) fn test() -> Result<()> {
    let model = model::model()?;
    let (clients, trial) = (clients::clients()?, clients::trial()?);
    eprintln!("  $ cargo test --workspace");
    let mut child = cargo()
        .args(["test", "--workspace"])
        .env(rushlight_testkit::MODEL_VARIABLE, model)
        .env(rushlight_testkit::CLIENTS_VARIABLE, clients)
        .env(rushlight_testkit::TRIAL_VARIABLE, trial)
        .stdout(Stdio::piped())
        .spawn()
        .context("`cargo test` cannot be started")?;
    let output = child.stdout.take().expect("standard output is piped");
    let mut count = Count::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        count.add(&line);
    }
    let status = child.wait()?;
    println!("\n{} passed, {} failed", count.passed, count.failed);
    if !status.success() {
        bail!("`cargo test --workspace` failed ({status})");
    }
    if count.passed == 0 {
        bail!("`cargo test --workspace` ran no test");
    }
    Ok(())
}

/// The sum of the test programs' closing lines.
#[derive(Debug, Default, PartialEq)]
struct Count {
    passed: u64,
    failed: u64,
}

impl Count {
    /// Adds `test result: ok. 3 passed; 0 failed; …`.
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let number_before = |word: &str| {
            let end = result.find(word)?;
            result[..end].trim_end().rsplit([' ', '.']).next()?.parse::<u64>().ok()
        };
        self.passed += number_before(" passed").unwrap_or(0);
        self.failed += number_before(" failed").unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn closing_lines_are_summed() {
        let mut count = Count::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; finished in 0.00s",
            "test result: FAILED. 12 passed; 2 failed; 0 ignored; 0 measured",
            "a test prints: 7 passed; 7 failed",
        ] {
            count.add(line);
        }
        assert_eq!(count, Count { passed: 15, failed: 2 });
    }
}
