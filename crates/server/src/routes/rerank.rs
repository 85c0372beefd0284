//! `POST /v1/rerank`, `/rerank`: how well documents fit a query, in the shape of Jina's and Cohere's
//! APIs.
//!
//! A cross-encoder reads the query with each document; its score is the logistic function of the
//! logit, as in Jina's API and in text-embeddings-inference. Of an embedder the score is the cosine
//! of the vectors, as in vLLM.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::schema::{DOCUMENT, RERANK};
use crate::app::{App, Unnamed};
use crate::body;
use crate::embeddings::{self, Embed, Embedded};
use crate::failure::Failure;
use crate::fields::{Fields, wrong};
use crate::openai::parameters::Urgency;
use crate::openai::random;
use crate::worker::Served;

/// A request.
struct Rerank {
    documents: Vec<String>,
    /// How many of the best are told.
    most: usize,
    tells_documents: bool,
    embed: Embed,
}

impl Rerank {
    fn read(app: &App, served: &Served, mut fields: Fields) -> Result<Self, Failure> {
        let model = &served.model;
        if model.writes() {
            let message = "this model writes text: it neither embeds nor scores it";
            return Err(Failure::request(message).with_code("unsupported_model"));
        }
        let query = fields.text("query")?;
        let query = fields.need("query", query)?;
        let documents = fields.list("documents")?;
        let documents = documents_of(fields.need("documents", documents)?)?;
        let most = fields.integer("top_n", 1..=i64::from(u32::MAX))?;
        let tells_documents = fields.flag("return_documents")?.unwrap_or(false);
        let Urgency { priority, deadline } = Urgency::take(app, &mut fields)?;
        fields.text("user")?;
        fields.end(&RERANK)?;
        let texts = if model.ranks() {
            documents.iter().map(|text| embeddings::pair(served, &query, text)).collect()
        } else {
            let all = std::iter::once(&query).chain(&documents);
            all.map(|text| embeddings::text(served, text)).collect::<Result<Vec<_>, _>>()
        }?;
        embeddings::check(served, "documents", &texts)?;
        let most = most.map_or(documents.len(), |most| most as usize);
        let embed = Embed { texts, options: Default::default(), priority, deadline };
        Ok(Self { documents, most, tells_documents, embed })
    }
}

/// Reads texts, or objects with a `text`.
fn documents_of(list: Vec<Value>) -> Result<Vec<String>, Failure> {
    embeddings::check_count("documents", list.len())?;
    if list.is_empty() {
        return Err(Failure::value(
            "documents",
            "`documents` is empty, expected at least one text",
        ));
    }
    let one = |(at, value): (usize, Value)| match value {
        Value::String(text) => Ok(text),
        Value::Object(_) => {
            let mut fields = Fields::new(value, format!("documents[{at}]"))?;
            let text = fields.text("text")?;
            let text = fields.need("text", text)?;
            fields.end(&DOCUMENT)?;
            Ok(text)
        }
        other => {
            Err(wrong(&format!("documents[{at}]"), &other, "a string or an object with `text`"))
        }
    };
    list.into_iter().enumerate().map(one).collect()
}

/// The score of each document.
fn scores(ranks: bool, vectors: Vec<Vec<f32>>) -> Vec<f32> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    match (ranks, vectors.split_first()) {
        (true, _) => vectors
            .iter()
            .map(|v| 1.0 / (1.0 + (-v.first().copied().unwrap_or(0.0)).exp()))
            .collect(),
        // Their length is 1.
        (false, Some((query, documents))) => documents.iter().map(|v| dot(query, v)).collect(),
        (false, None) => Vec::new(),
    }
}

/// Orders documents by how well they fit.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Failure> {
    let text = body::read(request, &app).await?;
    let read = app
        .read(text, Unnamed::First, |app, lease, fields| Rerank::read(app, lease.served(), fields));
    let (lease, Rerank { documents, most, tells_documents, embed }) = read.await?;
    let (name, ranks) = (lease.name().to_owned(), lease.served().model.ranks());
    let found = lease.embed(embed)?.all().await?;
    let usage = found.usage();
    let Embedded { vectors, .. } = found;
    let mut order: Vec<(usize, f32)> = scores(ranks, vectors).into_iter().enumerate().collect();
    // Those that are equal stay in their order.
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    let result = |&(index, score): &(usize, f32)| {
        let mut result = json!({ "index": index, "relevance_score": score });
        if let Some(text) = documents.get(index).filter(|_| tells_documents) {
            result["document"] = json!({ "text": text });
        }
        result
    };
    let results: Vec<Value> = order.iter().take(most).map(result).collect();
    let value = json!({
        "id": format!("rerank-{:016x}{:016x}", random(), random()),
        "object": "list",
        "model": name,
        "results": results,
        "usage": usage,
    });
    Ok(body::json(StatusCode::OK, &value))
}
