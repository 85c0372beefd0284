//! What is served, and how.

use std::collections::HashMap;
use std::sync::Arc;

use rushlight_engine::{DraftModel, Engine};
use rushlight_model::{Adapter, Model};
use rushlight_text::constrain::{Constraint, Constraints, Grammar};
use rushlight_text::tools::Convention;
use rushlight_text::{ChatTemplate, ReasoningMarks};

use super::Kept;
use crate::failure::Failure;

/// Something that is not as it should be while the server serves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Degradation {
    /// What.
    pub what: String,
    /// Why.
    pub reason: String,
}

impl Degradation {
    /// `what` is not as it should be because of `reason`.
    pub fn new(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { what: what.into(), reason: reason.into() }
    }
}

/// An engine that is ready to run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// The engine.
    pub engine: Engine,
    /// A smaller model that guesses tokens.
    pub draft: Option<DraftModel>,
    /// What `/health` is to tell.
    pub degradations: Vec<Degradation>,
    /// Where what was read is kept across restarts.
    pub kept: Option<Kept>,
    /// Answers that are written at once, at most, where that is fewer than the scheduler's options say.
    pub most_running: Option<usize>,
    /// Which settings come of a measurement of this device, and of when, for `/health`.
    pub tuned: Option<String>,
}

impl Loaded {
    /// An engine that is as it should be.
    pub fn new(engine: Engine) -> Self {
        let (degradations, most_running) = (Vec::new(), None);
        Self { engine, draft: None, degradations, kept: None, most_running, tuned: None }
    }
}

/// What requests need to know of the engine.
pub(crate) struct Served {
    pub(crate) model: Arc<Model>,
    template: Result<ChatTemplate, String>,
    /// What stands around what it thinks, if it does.
    reasoning_marks: Option<ReasoningMarks>,
    constraints: Option<Constraints>,
    /// Positions.
    pub(crate) context: usize,
    pub(crate) threads: usize,
    /// The row of kernels.
    pub(crate) kernels: &'static str,
    pub(crate) degradations: Vec<Degradation>,
    /// By the names that clients call them.
    pub(crate) adapters: HashMap<String, (String, Arc<Adapter>)>,
    /// What it takes of memory, at most.
    pub(crate) bytes: u64,
    /// Which settings were measured.
    pub(crate) tuned: Option<String>,
}

impl Served {
    pub(super) fn new(
        engine: &Engine,
        draft_bytes: u64,
        mut degradations: Vec<Degradation>,
    ) -> Self {
        let model = engine.model().clone();
        let template = model.chat_template().map_err(|error| super::run::chain(&error));
        match &template {
            // Nobody chats with it.
            _ if !model.writes() => {}
            Err(why) => degradations.push(Degradation::new("chat template", why.clone())),
            Ok(_) if !model.has_chat_template() => degradations.push(Degradation::new(
                "chat template",
                "the model has none, a built-in one is used",
            )),
            Ok(_) => {}
        }
        let kernels = engine.row().name();
        if kernels == "scalar" {
            degradations.push(Degradation::new(
                "kernels",
                "the plain ones run, this processor's faster instructions are not used",
            ));
        }
        let (context, threads) = (engine.context(), engine.threads());
        let bytes = engine.plan().total_bytes() + draft_bytes;
        let named = |(name, adapter): (&str, &Arc<Adapter>)| {
            (name.to_owned(), (name.to_owned(), adapter.clone()))
        };
        let adapters = engine.adapters().map(named).collect();
        let reasoning_marks = template.as_ref().ok().filter(|_| model.writes());
        let reasoning_marks =
            reasoning_marks.and_then(|template| ReasoningMarks::of_template(template.source()));
        let constraints = model.tokenizer().ok().map(|t| Constraints::new(t.clone()));
        Self {
            model,
            template,
            reasoning_marks,
            constraints,
            context,
            threads,
            kernels,
            degradations,
            adapters,
            bytes,
            tuned: None,
        }
    }

    /// Whether it writes text; a model that embeds or ranks is a failure.
    pub(crate) fn check_writes(&self) -> Result<(), Failure> {
        let model = &self.model;
        let what = match (model.writes(), model.ranks()) {
            (true, _) => return Ok(()),
            (false, true) => "scores pairs of texts, it does not write; ask `/v1/rerank`",
            (false, false) => "embeds texts, it does not write; ask `/v1/embeddings`",
        };
        Err(Failure::request(format!("this model {what}")).with_code("unsupported_model"))
    }

    /// How the model writes calls of tools.
    pub(crate) fn convention(&self) -> Convention {
        let source = self.template.as_ref().map_or("", |template| template.source());
        Convention::of(source)
    }

    /// Whether it may think before it answers, as its template knows.
    pub(crate) fn thinks(&self) -> bool {
        self.reasoning_marks.is_some()
    }

    /// What stands around what it thinks; `None` if it does not.
    pub(crate) fn reasoning_marks(&self) -> Option<&ReasoningMarks> {
        self.reasoning_marks.as_ref()
    }

    /// Whether the template has a place for tools.
    pub(crate) fn takes_tools(&self) -> bool {
        self.model.writes()
            && self.template.as_ref().is_ok_and(|template| template.source().contains("tools"))
    }

    /// What an answer must look like, for the request's parameter `name`.
    pub(crate) fn constraint(&self, name: &str, grammar: &Grammar) -> Result<Constraint, Failure> {
        let constraints = self.constraints.as_ref().ok_or_else(|| {
            Failure::request("this model has no tokenizer").with_code("unsupported_model")
        })?;
        constraints.compile(grammar).map_err(|error| {
            let message = match error.hint() {
                Some(hint) => format!("{error}; {hint}"),
                None => error.to_string(),
            };
            Failure::value(name, message).with_code("invalid_grammar")
        })
    }

    /// How messages become a prompt.
    pub(crate) fn template(&self) -> Result<&ChatTemplate, Failure> {
        self.template.as_ref().map_err(|why| {
            Failure::request(format!("this model cannot chat: {why}"))
                .with_code("unsupported_model")
        })
    }
}
