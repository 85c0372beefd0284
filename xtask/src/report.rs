//! Steps with their times, and the summary at the end.

use anyhow::{Context, Result};
use std::time::{Duration, Instant};

/// The steps that were run.
pub(crate) struct Report {
    begun: Instant,
    steps: Vec<(&'static str, Duration)>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), steps: Vec::new() }
    }

    /// Runs one step and remembers its time; a failure names the step.
    pub(crate) fn step(&mut self, name: &'static str, step: fn() -> Result<()>) -> Result<()> {
        eprintln!("\n== {name}");
        let begun = Instant::now();
        let result = step();
        let time = begun.elapsed();
        self.steps.push((name, time));
        if result.is_err() {
            eprintln!("== {name}: failed after {}", seconds(time));
            self.print();
        }
        result.with_context(|| {
            format!("step `{name}` failed (run it alone with `cargo xtask {name}`)")
        })?;
        eprintln!("== {name}: ok, {}", seconds(time));
        Ok(())
    }

    pub(crate) fn print(&self) {
        eprintln!("\n{:<10} {:>9}", "step", "time");
        for (name, time) in &self.steps {
            eprintln!("{name:<10} {:>9}", seconds(*time));
        }
        eprintln!("{:<10} {:>9}", "all", seconds(self.begun.elapsed()));
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
