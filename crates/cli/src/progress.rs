//! Progress of the store on standard error: a bar on a terminal, a line per step elsewhere.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use rushlight_store::{Event, Phase, Progress};

/// Shows one step after the other.
#[derive(Default)]
pub(crate) struct Bars {
    current: Mutex<Option<Step>>,
}

struct Step {
    phase: Phase,
    item: String,
    bar: Option<ProgressBar>,
}

impl Progress for Bars {
    fn update(&self, event: &Event<'_>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |s: &Step| s.phase == event.phase && s.item == event.item;
        if !current.as_ref().is_some_and(same) {
            if let Some(bar) = current.take().and_then(|s| s.bar) {
                bar.finish_and_clear();
            }
            *current = Some(Step::begin(event));
        }
        if let Some(Step { bar: Some(bar), .. }) = current.as_ref() {
            if let Some(total) = event.total_bytes {
                bar.set_length(total);
            }
            bar.set_position(event.done_bytes);
        }
    }
}

impl Bars {
    /// Takes the last bar away.
    pub(crate) fn finish(&self) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = current.take().and_then(|s| s.bar) {
            bar.finish_and_clear();
        }
    }
}

impl Step {
    fn begin(event: &Event<'_>) -> Self {
        let label = format!("{} {}", verb(event.phase), event.item);
        let bar = std::io::stderr().is_terminal().then(|| match event.total_bytes {
            Some(total) => {
                let template = "{msg} {bar:24} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}";
                let style = ProgressStyle::with_template(template);
                let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
                ProgressBar::new(total).with_style(style)
            }
            None => ProgressBar::new_spinner(),
        });
        match &bar {
            Some(bar) => bar.set_message(label),
            None => eprintln!("{label}"),
        }
        Self { phase: event.phase, item: event.item.to_owned(), bar }
    }
}

fn verb(phase: Phase) -> &'static str {
    match phase {
        Phase::Wait => "waiting for another process that pulls",
        Phase::Download => "downloading",
        Phase::Pip => "asking pip for",
        Phase::Unpack => "unpacking",
        Phase::Copy => "copying",
        Phase::Hash => "verifying",
        _ => "working on",
    }
}
