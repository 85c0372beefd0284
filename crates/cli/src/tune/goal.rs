//! What is better than what.

use clap::ValueEnum;

use super::{Sample, Task};

/// Tokens of the prompt and of the answer that a setting as a whole is judged by: a page of text, a
/// paragraph about it.
pub(crate) const REQUEST: (usize, usize) = (512, 128);

/// What is wanted of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Objective {
    /// Least time for a request.
    #[default]
    Speed,
    /// Least joules for a request; needs a power sensor.
    Energy,
    /// Least time times joules; needs a power sensor.
    Balanced,
}

impl Objective {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Speed => "speed",
            Self::Energy => "energy",
            Self::Balanced => "balanced",
        }
    }
}

/// The objective and what must hold beside it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Goal {
    pub(crate) objective: Objective,
    /// Average watts of the device while it computes, at most.
    pub(crate) most_watts: Option<f64>,
    /// Bytes, at most.
    pub(crate) memory_bytes: Option<u64>,
}

impl Goal {
    /// Whether joules must be known.
    pub(crate) fn needs_power(&self) -> bool {
        self.objective != Objective::Speed || self.most_watts.is_some()
    }

    /// Whether a sample stays below the watts that are allowed.
    pub(crate) fn allows(&self, sample: &Sample) -> bool {
        self.most_watts.is_none_or(|most| sample.watts().is_some_and(|watts| watts <= most))
    }

    /// What a request costs whose parts were measured so: the less, the better. `None` where joules
    /// are needed and unknown.
    pub(crate) fn cost(&self, parts: &[(Task, Sample)]) -> Option<f64> {
        let tokens = |task| match task {
            Task::Prompt | Task::LongPrompt => REQUEST.0 as f64,
            Task::Answer | Task::DeepAnswer | Task::Users(_) => REQUEST.1 as f64,
        };
        let seconds = parts.iter().map(|(task, s)| tokens(*task) / s.tokens_per_second).sum();
        let joules = || -> Option<f64> {
            parts.iter().map(|(task, s)| Some(tokens(*task) * s.joules_per_token?)).sum()
        };
        match self.objective {
            Objective::Speed => Some(seconds),
            Objective::Energy => joules(),
            Objective::Balanced => joules().map(|joules| joules * seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_prompt_and_an_answer() {
        let sample = |rate, joules| Sample { tokens_per_second: rate, joules_per_token: joules };
        let parts =
            [(Task::Prompt, sample(256.0, Some(0.5))), (Task::Answer, sample(64.0, Some(2.0)))];
        let cost = |objective, parts: &[_]| Goal { objective, ..Goal::default() }.cost(parts);
        assert_eq!(cost(Objective::Speed, &parts), Some(4.0));
        assert_eq!(cost(Objective::Energy, &parts), Some(512.0));
        assert_eq!(cost(Objective::Balanced, &parts), Some(2048.0));
        let parts = [(Task::Prompt, sample(256.0, None))];
        assert_eq!(cost(Objective::Energy, &parts), None);
        let goal = Goal { most_watts: Some(100.0), ..Goal::default() };
        assert!(goal.allows(&sample(200.0, Some(0.5))) && !goal.allows(&sample(201.0, Some(0.5))));
        assert!(!goal.allows(&sample(1.0, None)), "unknown watts are not below a limit");
    }
}
