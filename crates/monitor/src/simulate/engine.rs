//! How a device answers.

use super::{Device, Job};
use crate::governor::{Batch, Phase, Setting};

/// Answers that are written at once, at most.
const MOST_RUNNING: usize = 8;
/// Share of the time that prompts get while answers are being written.
const PROMPTS_SHARE: f64 = 0.6;

/// A request that runs or waits.
#[derive(Clone, Copy, Debug)]
struct Active {
    job: Job,
    prompt_left: f64,
    answer_left: f64,
}

/// What is to be done and what was.
#[derive(Clone, Debug, Default)]
pub(super) struct Engine {
    active: Vec<Active>,
    /// Tokens of prompts that were read and of answers that were written.
    pub(super) prompt_tokens: f64,
    pub(super) answer_tokens: f64,
    /// Those of requests that somebody waits for.
    pub(super) interactive_tokens: f64,
    /// Seconds that such requests took, of those that ended.
    pub(super) waited: Vec<f64>,
    /// Requests that were refused.
    pub(super) refused: usize,
}

/// What a moment's work was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Work {
    /// Whether there was any.
    pub(super) is_busy: bool,
    pub(super) prompts: f64,
    /// Share of the time in which cores do arithmetic rather than wait for memory.
    pub(super) arithmetic: f64,
    /// GB fetched in a second.
    pub(super) gigabytes: f64,
    pub(super) tokens: f64,
}

impl Work {
    pub(super) fn phase(&self) -> Phase {
        match self.prompts {
            share if share > 0.8 => Phase::Prompts,
            share if share < 0.2 => Phase::Answers,
            _ => Phase::Mixed,
        }
    }
}

/// How fast a device is in a setting.
#[derive(Clone, Copy, Debug)]
struct Speed {
    /// Billions of operations in a second.
    operations: f64,
    /// GB in a second.
    gigabytes: f64,
}

impl Engine {
    pub(super) fn submit(&mut self, job: Job, setting: &Setting) {
        let most = (64.0 * setting.queue) as usize;
        let is_refused = !job.is_interactive && setting.batch == Batch::Refused;
        if is_refused || self.active.len() >= most {
            self.refused += 1;
            return;
        }
        let active = Active { job, prompt_left: job.prompt, answer_left: job.answer };
        // Those that somebody waits for come first, as in the scheduler.
        let at = match job.is_interactive {
            true => self.active.iter().take_while(|other| other.job.is_interactive).count(),
            false => self.active.len(),
        };
        self.active.insert(at, active);
    }

    pub(super) fn queued(&self) -> usize {
        self.active.len().saturating_sub(MOST_RUNNING)
    }

    pub(super) fn running(&self) -> usize {
        self.active.len().min(MOST_RUNNING)
    }

    pub(super) fn is_reading(&self) -> bool {
        self.active.iter().take(MOST_RUNNING).any(|active| active.prompt_left > 0.0)
    }

    pub(super) fn is_interactive(&self) -> bool {
        self.active.iter().any(|active| active.job.is_interactive)
    }

    /// Runs for a moment at a step of the clocks.
    pub(super) fn step(
        &mut self,
        device: &Device,
        setting: &Setting,
        clock: usize,
        (now, seconds): (f64, f64),
    ) -> Work {
        let behind = setting.batch >= Batch::Behind && self.is_interactive();
        let runs = |active: &&mut Active| active.job.is_interactive || !behind;
        let speed = speed(device, setting, clock);
        let time = seconds * setting.duty;
        let running: Vec<&mut Active> =
            self.active.iter_mut().filter(runs).take(MOST_RUNNING).collect();
        let (mut reading, mut writing): (Vec<_>, Vec<_>) =
            running.into_iter().partition(|active| active.prompt_left > 0.0);
        if reading.is_empty() && writing.is_empty() {
            return Work::default();
        }
        let mut work = Work { is_busy: true, ..Work::default() };
        work.prompts = match (reading.is_empty(), writing.is_empty()) {
            (true, _) => 0.0,
            (_, true) => 1.0,
            _ => PROMPTS_SHARE,
        };
        let (mut interactive, mut prompt_tokens, mut answer_tokens) = (0.0, 0.0, 0.0);
        if let Some(first) = reading.first_mut() {
            let (each, arithmetic, gigabytes) = pass(device, speed, setting.chunk as f64);
            let tokens = (time * work.prompts / each).min(first.prompt_left);
            first.prompt_left -= tokens;
            prompt_tokens += tokens;
            interactive += if first.job.is_interactive { tokens } else { 0.0 };
            work.arithmetic += work.prompts * arithmetic;
            work.gigabytes += work.prompts * gigabytes;
        }
        if !writing.is_empty() {
            let (each, arithmetic, gigabytes) = pass(device, speed, writing.len() as f64);
            let share = 1.0 - work.prompts;
            let passes = time * share / (each * writing.len() as f64);
            for active in &mut writing {
                let tokens = passes.min(active.answer_left);
                active.answer_left -= tokens;
                answer_tokens += tokens;
                interactive += if active.job.is_interactive { tokens } else { 0.0 };
            }
            work.arithmetic += share * arithmetic;
            work.gigabytes += share * gigabytes;
        }
        work.tokens = prompt_tokens + answer_tokens;
        self.prompt_tokens += prompt_tokens;
        self.answer_tokens += answer_tokens;
        self.interactive_tokens += interactive;
        let waited = &mut self.waited;
        self.active.retain(|active| {
            let is_done = active.prompt_left <= 0.0 && active.answer_left <= 1e-9;
            if is_done && active.job.is_interactive {
                waited.push(now - active.job.at);
            }
            !is_done
        });
        work
    }
}

fn speed(device: &Device, setting: &Setting, clock: usize) -> Speed {
    let class = match (&device.efficient, setting.is_efficient) {
        (Some(efficient), true) => efficient,
        _ => &device.fast,
    };
    let (top, _) = class.top();
    let gigahertz = class.clocks.get(clock).map_or(top, |(gigahertz, _)| *gigahertz);
    let threads = setting.threads.min(class.cores) as f64;
    // A slower core has fewer fetches under way, though not in proportion.
    let fetched = threads * class.gigabytes * (gigahertz / top).sqrt();
    Speed {
        operations: threads * class.operations * gigahertz,
        gigabytes: device.memory.gigabytes.min(fetched),
    }
}

/// Seconds for each row of a pass of so many, the share of them that is arithmetic, and GB fetched in
/// a second.
fn pass(device: &Device, speed: Speed, rows: f64) -> (f64, f64, f64) {
    let arithmetic = rows * device.model_operations / speed.operations;
    let fetching = device.model_gigabytes / speed.gigabytes;
    let longer = arithmetic.max(fetching);
    (longer / rows, arithmetic / longer, device.model_gigabytes / longer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::governor::Ladder;
    use crate::simulate::devices;

    #[test]
    fn writing_is_bound_by_memory_and_reading_by_arithmetic() {
        for device in devices() {
            let ladder = Ladder::new(&device.shape());
            let full = ladder.at(0).setting;
            let fewer = Setting { threads: full.threads - 1, ..full };
            let top = device.fast.clocks.len() - 1;
            let each = |setting, rows| pass(&device, speed(&device, setting, top), rows).0;
            let slower = |rows| each(&fewer, rows) / each(&full, rows);
            assert!(slower(1.0) < 1.05, "{}: {}", device.name, slower(1.0));
            let share = full.threads as f64 / fewer.threads as f64;
            assert!((slower(512.0) - share).abs() < 0.01, "{}: {}", device.name, slower(512.0));
            // Tokens per second of one answer are those of such boards.
            let speed = 1.0 / each(&full, 1.0);
            assert!((5.0..40.0).contains(&speed), "{}: {speed}", device.name);
        }
    }
}
