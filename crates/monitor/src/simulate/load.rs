//! What people ask for.

use super::Random;

/// A request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Job {
    /// When it comes, in seconds.
    pub at: f64,
    /// Tokens of its prompt.
    pub prompt: f64,
    /// Tokens of its answer.
    pub answer: f64,
    /// Whether somebody waits for it; otherwise it is of low priority.
    pub is_interactive: bool,
}

/// A kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Long answers, always two at once.
    Steady,
    /// Four long prompts at a time, every minute or two.
    Bursts,
    /// Short questions every now and then, before a background of batch work that never ends.
    Mixed,
}

impl Load {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Load::Steady => "steady answers",
            Load::Bursts => "bursts of long prompts",
            Load::Mixed => "questions before batch work",
        }
    }

    /// Its requests in so many seconds, in the order in which they come. More come than a device at
    /// full speed answers, so that a slower one is never without work where a faster one is not.
    pub fn jobs(self, seconds: f64, random: &mut Random) -> Vec<Job> {
        let mut jobs = Vec::new();
        let mut at = random.between(0.0, 5.0);
        match self {
            Load::Steady => {
                for _ in 0..2 {
                    jobs.push(Job { at, prompt: 64.0, answer: 1e9, is_interactive: true });
                }
            }
            Load::Bursts => {
                while at < seconds {
                    for _ in 0..4 {
                        let prompt = random.between(400.0, 1600.0);
                        jobs.push(Job { at, prompt, answer: 30.0, is_interactive: true });
                    }
                    at += random.between(60.0, 120.0);
                }
            }
            Load::Mixed => {
                for _ in 0..3 {
                    jobs.push(Job { at: 0.0, prompt: 64.0, answer: 1e9, is_interactive: false });
                }
                while at < seconds {
                    let prompt = random.between(50.0, 300.0);
                    jobs.push(Job { at, prompt, answer: 60.0, is_interactive: true });
                    at += random.between(15.0, 45.0);
                }
            }
        }
        jobs
    }
}

/// The three loads of the tests and tables.
pub fn loads() -> [Load; 3] {
    [Load::Steady, Load::Bursts, Load::Mixed]
}
