//! `POST /api/show`: what a model is.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use rushlight_model::Model;
use serde_json::{Map, Value, json};

use super::census::Census;
use super::schema::SHOW;
use crate::app::App;
use crate::body;
use crate::failure::Failure;
use crate::models::Purpose;
use crate::time::rfc3339_of_seconds;

/// Tells what a model is.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Failure> {
    let text = body::read_untyped(request, &app).await?;
    let mut fields = app.aside(move |_| body::parse(text)).await?;
    // `name` is the older word.
    let old = fields.text("name")?;
    let name = match fields.text("model")?.or(old) {
        Some(name) => name,
        None => fields.need("model", None)?,
    };
    // There is no more to tell.
    fields.flag("verbose")?;
    fields.end(&SHOW)?;
    let lease = app.models.open(Some(&name), Purpose::Itself).await?;
    let served = lease.served();
    let model = &served.model;
    let template = served.template().map_or("", |template| template.source());
    let can = [
        ("completion", model.writes()),
        ("embedding", model.embeds()),
        ("tools", served.takes_tools()),
        ("thinking", served.thinks()),
    ];
    let capabilities: Vec<&str> =
        can.iter().filter(|(_, can)| *can).map(|(name, _)| *name).collect();
    let value = json!({
        "license": model.license().unwrap_or_default(),
        "modelfile": "",
        "parameters": "",
        "template": template,
        "details": details(model),
        "model_info": info(model),
        "capabilities": capabilities,
        "modified_at": rfc3339_of_seconds(app.created),
    });
    Ok(body::json(StatusCode::OK, &value))
}

/// What a model is, in short.
pub(super) fn details(model: &Model) -> Value {
    let census = Census::of(model);
    let family = model.arch().name;
    json!({
        "parent_model": "",
        "format": "",
        "family": family,
        "families": [family],
        "parameter_size": census.size(),
        "quantization_level": census.format(),
    })
}

/// The numbers of a model under the names of GGUF.
fn info(model: &Model) -> Map<String, Value> {
    let (arch, dims) = (model.arch().name, model.dims());
    let mut info = Map::new();
    info.insert("general.architecture".to_owned(), json!(arch));
    info.insert("general.name".to_owned(), json!(model.name()));
    info.insert("general.parameter_count".to_owned(), json!(Census::of(model).parameters));
    let numbers = [
        ("context_length", dims.context),
        ("embedding_length", dims.d),
        ("block_count", dims.layers.len()),
        ("feed_forward_length", dims.f),
        ("attention.head_count", dims.h),
        ("attention.head_count_kv", dims.g),
        ("attention.key_length", dims.k),
        ("attention.value_length", dims.k),
        ("vocab_size", dims.v),
    ];
    info.extend(numbers.map(|(name, number)| (format!("{arch}.{name}"), json!(number))));
    info
}
