//! A smaller model that guesses what a larger one will write.

use std::sync::Arc;

use anyhow::Context as _;
use rushlight_engine::{DraftModel, Engine, EngineOptions, Plan};
use rushlight_model::Model;

use super::{Named, Planned, ToCome, memory_bytes};
use crate::args::{ActivationBits, Args, Beside, Load};

/// A model that is to draft for another one: open, but without an engine, as that one's leaves it the
/// memory.
pub(crate) struct Draft {
    model: Arc<Model>,
    /// How it runs, with the memory of both.
    load: Load,
    options: EngineOptions,
    /// How many at once it drafts for, where others share it.
    answers: Option<usize>,
    /// The model that it drafts for, as the user calls it.
    target: String,
}

/// The flags for a model that drafts for another one, of which `tuned` is how it runs: what a profile says
/// of layouts and sizes is of that one's shape.
pub(crate) fn for_draft(flags: &Load, tuned: &Load) -> Load {
    Load {
        threads: tuned.threads,
        decode_threads: tuned.decode_threads,
        cores: tuned.cores,
        ..flags.clone()
    }
}

impl Draft {
    /// Opens the model `name`, if there is to be one, for one that takes at least so many bytes; for so
    /// many answers at once.
    pub(crate) fn open(
        args: &Args,
        flags: &Load,
        name: Option<&str>,
        answers: Option<usize>,
        target_bytes: u64,
    ) -> anyhow::Result<Option<Self>> {
        let Some(name) = name else { return Ok(None) };
        let mut load = Load { model: name.to_owned(), ..flags.clone() };
        // What it says is checked: it may round as it likes.
        load.activations = ActivationBits::Int8;
        // That of the target has the process.
        load.beside = Beside::Nothing;
        let memory = Some(memory_bytes(&load).saturating_sub(target_bytes));
        let (model, _) = super::model(args, &Load { memory, ..load.clone() })?;
        let mut options = super::options(&load)?;
        options.answers = answers.unwrap_or(1);
        Ok(Some(Self { model, load, options, answers, target: flags.model.clone() }))
    }

    /// Bytes that it takes beside a model of such a context, at least.
    pub(crate) fn bytes(&self, context: usize) -> u64 {
        let mut options = self.options.clone();
        options.context = Some(self.context(context));
        Plan::of(&self.model, &options).total_bytes()
    }

    /// Bytes that it will take beside a model; an error if it does not fit.
    pub(crate) fn planned_bytes(&self, args: &Args, target: Planned) -> anyhow::Result<u64> {
        let (load, answers) = (self.beside(target), self.answers.unwrap_or(1));
        let (model, to_come) = (&self.model, ToCome::default());
        let own = super::shared_plan(args, &load, answers, None, model, Named::new(), to_come)?;
        Ok(own.bytes)
    }

    /// Prepares to draft for an engine, in the memory that it leaves.
    pub(crate) fn start(self, args: &Args, target: &Engine) -> anyhow::Result<DraftModel> {
        let (bytes, context) = (target.plan().total_bytes(), target.context());
        let load = self.beside(Planned { bytes, context });
        let (model, none) = (self.model, ToCome::default());
        let engine = match self.answers {
            None => super::engine(args, &load, model, Named::new(), none)?,
            Some(answers) => {
                super::shared_engine(args, &load, answers, None, model, Named::new(), none)?
            }
        };
        DraftModel::new(engine, target.model())
            .with_context(|| format!("`{}` cannot draft for `{}`", load.model, self.target))
    }

    /// How it runs beside a model: a text that is too long for one of them is for both.
    fn beside(&self, target: Planned) -> Load {
        Load {
            ctx: Some(self.context(target.context)),
            memory: Some(memory_bytes(&self.load).saturating_sub(target.bytes)),
            ..self.load.clone()
        }
    }

    fn context(&self, target: usize) -> usize {
        target.min(self.model.dims().context)
    }
}
