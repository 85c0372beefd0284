//! Vectors and scores on their way from the engine's thread to those who asked, and how texts of any
//! API become what the engine takes.

use std::time::Instant;

use axum::http::StatusCode;
use rushlight_engine::{EmbedEvent, EmbedOptions, EmbedSink, EmbedText};
use rushlight_text::EncodeOptions;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::answers::Permit;
use crate::energy::Used;
use crate::failure::Failure;
use crate::metrics::ModelMetrics;
use crate::models::Lease;
use crate::prompt;
use crate::worker::Served;

/// Texts of a request, at most, as in OpenAI's API.
pub(crate) const MOST_TEXTS: usize = 2048;
/// Tokens of all texts of a request, at most, as in OpenAI's API.
const MOST_TOKENS: usize = 300_000;

/// Texts to be turned into vectors, or pairs of them into scores.
#[derive(Debug)]
pub(crate) struct Embed {
    pub(crate) texts: Vec<EmbedText>,
    pub(crate) options: EmbedOptions,
    pub(crate) priority: i32,
    pub(crate) deadline: Option<Instant>,
}

/// What came of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Embedded {
    /// One for each text.
    pub(crate) vectors: Vec<Vec<f32>>,
    /// Tokens of all texts.
    pub(crate) tokens: usize,
    pub(crate) energy: Option<Used>,
}

impl Embedded {
    /// As OpenAI's API has it. Of the tokens none were written: the energy is that of all.
    pub(crate) fn usage(&self) -> Value {
        let mut usage = json!({ "prompt_tokens": self.tokens, "total_tokens": self.tokens });
        if let Some(energy) = &self.energy {
            usage["energy"] = energy.to_json(0);
        }
        usage
    }
}

/// What is told to who waits.
pub(crate) type Told = Result<Embedded, Failure>;

/// Gathers the vectors of a request.
pub(crate) struct Gatherer {
    told: UnboundedSender<Told>,
    metrics: ModelMetrics,
    permit: Option<Permit>,
    vectors: Vec<Vec<f32>>,
}

impl Gatherer {
    pub(crate) fn new(
        told: UnboundedSender<Told>,
        metrics: ModelMetrics,
        permit: Permit,
        texts: usize,
    ) -> Self {
        Self { told, metrics, permit: Some(permit), vectors: Vec::with_capacity(texts) }
    }
}

impl EmbedSink for Gatherer {
    fn event(&mut self, event: EmbedEvent<'_>) -> bool {
        let told = match event {
            EmbedEvent::Vector { values, .. } => {
                self.vectors.push(values.to_vec());
                return !self.told.is_closed();
            }
            EmbedEvent::Finished { tokens, energy } => {
                self.metrics.embedded(self.vectors.len(), tokens);
                let energy = self.metrics.energy().used(energy);
                Ok(Embedded { vectors: std::mem::take(&mut self.vectors), tokens, energy })
            }
            EmbedEvent::Failed(error) => Err(Failure::from(&error)),
            _ => return true,
        };
        // The place is free before anybody hears of the end.
        self.permit = None;
        self.told.send(told).is_ok()
    }

    fn is_gone(&self) -> bool {
        self.told.is_closed()
    }
}

/// Vectors that are awaited. Dropping this ends the request.
pub(crate) struct Awaited {
    told: UnboundedReceiver<Told>,
    /// What keeps the model.
    lease: Lease,
}

impl Awaited {
    pub(crate) fn new(told: UnboundedReceiver<Told>, lease: Lease) -> Self {
        Self { told, lease }
    }

    /// Waits for all of them.
    pub(crate) async fn all(mut self) -> Told {
        let told = self.told.recv().await.unwrap_or_else(|| {
            let message = "the engine ended before all texts were embedded";
            Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "engine_failed", message))
        });
        drop(self.lease);
        told
    }
}

/// A text as the model embeds it.
pub(crate) fn text(served: &Served, text: &str) -> Result<EmbedText, Failure> {
    let options = EncodeOptions { special: true, parse_special: false };
    let tokenizer = prompt::tokenizer(served)?;
    let tokens = tokenizer.encode(text, options).map_err(|e| prompt::unreadable(&e))?;
    Ok(EmbedText { tokens, segments: Vec::new() })
}

/// A query and a document as a model that ranks reads them.
pub(crate) fn pair(served: &Served, query: &str, document: &str) -> Result<EmbedText, Failure> {
    let pair = served.model.encode_pair(query, document);
    let pair = pair.map_err(|error| Failure::request(crate::worker::chain(&error)))?;
    Ok(EmbedText { tokens: pair.ids, segments: pair.segments })
}

/// A model that ranks gives no vectors.
pub(crate) fn check_embeds(served: &Served) -> Result<(), Failure> {
    if !served.model.ranks() {
        return Ok(());
    }
    let message = "this model scores pairs of texts, it gives no vectors; ask `/v1/rerank`";
    Err(Failure::request(message).with_code("unsupported_model"))
}

/// Whether there are not too many texts, nor too long ones. What is wrong is said of the parameter
/// `name`.
pub(crate) fn check(served: &Served, name: &str, texts: &[EmbedText]) -> Result<(), Failure> {
    let tokens: usize = texts.iter().map(|text| text.tokens.len()).sum();
    if tokens > MOST_TOKENS {
        let message = format!("`{name}` has `{tokens}` tokens, expected at most `{MOST_TOKENS}`");
        return Err(Failure::value(name, message));
    }
    for (at, text) in texts.iter().enumerate() {
        let (count, most) = (text.tokens.len(), served.context);
        if count == 0 {
            let message = format!("`{name}[{at}]` has no tokens, expected at least one");
            return Err(Failure::value(name, message));
        }
        if count > most {
            let message = format!(
                "`{name}[{at}]` has `{count}` tokens, expected at most the context of `{most}`"
            );
            return Err(Failure::value(name, message).with_code("context_length_exceeded"));
        }
    }
    Ok(())
}

/// Whether a request has not too many texts.
pub(crate) fn check_count(name: &str, count: usize) -> Result<(), Failure> {
    if count <= MOST_TEXTS {
        return Ok(());
    }
    let message = format!("`{name}` has `{count}` texts, expected at most `{MOST_TEXTS}`");
    Err(Failure::value(name, message))
}

/// How many values a vector is to have, for the parameter `dimensions`.
pub(crate) fn options(
    served: &Served,
    fields: &mut crate::fields::Fields,
) -> Result<EmbedOptions, Failure> {
    let d = i64::try_from(served.model.dims().d).unwrap_or(i64::MAX);
    let mut options = EmbedOptions::default();
    options.dimensions = fields.integer("dimensions", 1..=d)?.map(|n| n as usize);
    Ok(options)
}
