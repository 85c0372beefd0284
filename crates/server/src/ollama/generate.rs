//! `POST /api/generate`: one text to go on from.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::response::Response;
use rushlight_text::Message;

use super::reply::Kind;
use super::schema::GENERATE;
use super::shared::{Shared, answer, refuse};
use crate::app::{App, Unnamed};
use crate::failure::Failure;
use crate::fields::Fields;
use crate::worker::Served;
use crate::{body, prompt};

/// What this server has not, of generation alone.
pub(super) const UNSUPPORTED: [&str; 7] =
    ["suffix", "template", "context", "images", "width", "height", "steps"];

/// Reads a request; without a prompt it is to load the model.
fn read(served: &Served, mut fields: Fields) -> Result<(Shared, Option<Vec<u32>>), Failure> {
    let shared = Shared::take(served, &mut fields)?;
    for name in UNSUPPORTED {
        refuse(&mut fields, name)?;
    }
    let text = fields.text("prompt")?.filter(|text| !text.is_empty());
    let system = fields.text("system")?.filter(|text| !text.is_empty());
    let raw = fields.flag("raw")?.unwrap_or(false);
    fields.end(&GENERATE)?;
    if raw && system.is_some() {
        let message = "`system` goes through the template, which `raw: true` leaves out";
        return Err(Failure::value("system", message));
    }
    let Some(text) = text else { return Ok((shared, None)) };
    let prompt = if raw {
        prompt::of_text(served, &text)?
    } else {
        let system = system.map(Message::system);
        let messages = system.into_iter().chain([Message::user(text)]).collect();
        prompt::of_messages(served, messages, &shared.extra)?
    };
    Ok((shared, Some(prompt)))
}

/// Answers a prompt.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Failure> {
    let asked = Instant::now();
    let text = body::read_untyped(request, &app).await?;
    let read =
        app.read_to_answer(text, Unnamed::Refused, |_, lease, fields| read(lease.served(), fields));
    let (lease, (shared, prompt)) = read.await?;
    answer(&app, lease, Kind::Generate, asked, shared, prompt).await
}
