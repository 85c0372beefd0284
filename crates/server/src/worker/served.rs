//! What is served, and how.

use std::sync::Arc;

use rushlight_engine::Engine;
use rushlight_model::Model;
use rushlight_text::ChatTemplate;

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
    /// What `/health` is to tell.
    pub degradations: Vec<Degradation>,
}

impl Loaded {
    /// An engine that is as it should be.
    pub fn new(engine: Engine) -> Self {
        Self { engine, degradations: Vec::new() }
    }
}

/// What requests need to know of the engine.
pub(crate) struct Served {
    pub(crate) model: Arc<Model>,
    template: Result<ChatTemplate, String>,
    /// Positions.
    pub(crate) context: usize,
    pub(crate) threads: usize,
    /// The row of kernels.
    pub(crate) kernels: &'static str,
    pub(crate) degradations: Vec<Degradation>,
}

impl Served {
    pub(super) fn new(engine: &Engine, mut degradations: Vec<Degradation>) -> Self {
        let model = engine.model().clone();
        let template = model.chat_template().map_err(|error| super::run::chain(&error));
        match &template {
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
        Self { model, template, context, threads, kernels, degradations }
    }

    /// How messages become a prompt.
    pub(crate) fn template(&self) -> Result<&ChatTemplate, Failure> {
        self.template.as_ref().map_err(|why| {
            Failure::request(format!("this model cannot chat: {why}"))
                .with_code("unsupported_model")
        })
    }
}
