//! How a model may run, and what is measured of it.

use rushlight_host::Cores;

use crate::args::KvType;

/// What computes. A further one is a row here and in [`Space`](super::Space).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Backend {
    /// The processor.
    Cpu,
}

impl Backend {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
        }
    }
}

/// What the kernels read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Weights {
    /// The model's own file.
    File,
    /// The kernels' layout in a file of the store.
    Prepared,
    /// The kernels' layout, made in memory at each start.
    Memory,
}

impl Weights {
    pub(crate) const EACH: [Self; 3] = [Self::File, Self::Prepared, Self::Memory];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Prepared => "prepared",
            Self::Memory => "memory",
        }
    }
}

/// What multiplies what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Machine {
    pub(crate) backend: Backend,
    /// The row of kernels.
    pub(crate) kernels: &'static str,
    pub(crate) weights: Weights,
}

/// All that is chosen of how a model runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Setting {
    pub(crate) machine: Machine,
    pub(crate) cores: Cores,
    /// Threads for prompts.
    pub(crate) threads: usize,
    /// Threads for the tokens of answers.
    pub(crate) decode_threads: usize,
    pub(crate) kv: KvType,
    /// Tokens of a prompt that run together.
    pub(crate) chunk: usize,
}

/// What is done while the clock runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Task {
    /// A prompt of some hundred tokens, fewer where the model is slow.
    Prompt,
    /// A prompt longer than the largest chunk.
    LongPrompt,
    /// Tokens of an answer, one after the other.
    Answer,
    /// The same at a depth where the cache is much of what is read.
    DeepAnswer,
    /// Tokens of so many answers at once.
    Users(usize),
}

impl Task {
    /// For a person.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::LongPrompt => "long prompt",
            Self::Answer => "answer",
            Self::DeepAnswer => "answer at depth",
            Self::Users(_) => "answers at once",
        }
    }

    /// Whether it runs on the threads of prompts: of answers together from as many rows on as the
    /// engine calls many.
    fn is_wide(self) -> bool {
        match self {
            Self::Prompt | Self::LongPrompt => true,
            Self::Answer | Self::DeepAnswer => false,
            Self::Users(count) => count > rushlight_engine::EngineOptions::FEW_ROWS,
        }
    }
}

/// A task in a setting, without the parts that it does not depend on: settings share points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Point {
    pub(crate) task: Task,
    pub(crate) machine: Machine,
    pub(crate) cores: Cores,
    /// How many work on it.
    pub(crate) threads: usize,
    pub(crate) kv: KvType,
    /// Only where a prompt is measured.
    pub(crate) chunk: Option<usize>,
}

impl Setting {
    /// What is measured of the setting by `task`.
    pub(crate) fn point(&self, task: Task) -> Point {
        let chunk = matches!(task, Task::Prompt | Task::LongPrompt).then_some(self.chunk);
        Point {
            task,
            machine: self.machine,
            cores: self.cores,
            threads: if task.is_wide() { self.threads } else { self.decode_threads },
            kv: self.kv,
            chunk,
        }
    }
}
