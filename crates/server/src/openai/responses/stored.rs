//! Responses that can be gone on from, asked for, and removed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use rushlight_text::Message;
use serde_json::{Value, json};

use super::input;
use crate::app::App;
use crate::body;
use crate::failure::Failure;
use crate::fields::{Fields, cut};
use crate::routes::Variable;

/// Bytes that stored responses take, at most, about; the oldest go first.
const MOST_BYTES: usize = 64 << 20;

/// What is told of a message and a map beside its texts, about.
const OVERHEAD: usize = 256;

/// Responses in memory.
#[derive(Debug, Default)]
pub(crate) struct Stored(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    all: HashMap<String, Entry>,
    /// The oldest first; those that were removed may be among them.
    order: VecDeque<String>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    response: Value,
    /// What came with the request.
    items: Vec<Value>,
    /// All that was said, the answer included; without instructions, which do not go on.
    messages: Vec<Message>,
    bytes: usize,
}

/// Keeps a response once it is complete.
pub(super) struct Keep {
    pub(super) app: Arc<App>,
    /// What was said before the answer.
    pub(super) messages: Vec<Message>,
    pub(super) items: Vec<Value>,
}

impl Keep {
    pub(super) fn keep(self, response: &Value) {
        let Self { app, mut messages, items } = self;
        // Its own items can be read as all are.
        let mut fields = json!({ "input": response["output"] });
        if let Ok(mut fields) = Fields::new(fields.take(), "") {
            let _ = input::take(&mut fields, &mut messages);
        }
        app.stored.put(Entry { response: response.clone(), items, messages, bytes: 0 });
    }
}

impl Stored {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, mut entry: Entry) {
        let Some(id) = entry.response["id"].as_str().map(str::to_owned) else { return };
        let texts = |message: &Message| OVERHEAD + json!(message).to_string().len();
        let items: usize = entry.items.iter().map(|item| item.to_string().len()).sum();
        let said: usize = entry.messages.iter().map(texts).sum();
        entry.bytes = OVERHEAD + entry.response.to_string().len() + items + said;
        let mut inner = self.inner();
        inner.bytes += entry.bytes;
        inner.order.push_back(id.clone());
        inner.all.insert(id, entry);
        while inner.bytes > MOST_BYTES {
            let Some(oldest) = inner.order.pop_front() else { return };
            if let Some(gone) = inner.all.remove(&oldest) {
                inner.bytes -= gone.bytes;
            }
        }
    }

    /// All that was said up to a response, its answer included.
    pub(super) fn messages(&self, id: &str) -> Result<Vec<Message>, Failure> {
        let inner = self.inner();
        let entry = inner.all.get(id).ok_or_else(|| gone(id).of("previous_response_id"))?;
        Ok(entry.messages.clone())
    }

    fn get<T>(&self, id: &str, get: impl FnOnce(&Entry) -> T) -> Result<T, Failure> {
        self.inner().all.get(id).map(get).ok_or_else(|| gone(id))
    }

    fn remove(&self, id: &str) -> Result<(), Failure> {
        let mut inner = self.inner();
        let entry = inner.all.remove(id).ok_or_else(|| gone(id))?;
        inner.bytes -= entry.bytes;
        inner.order.retain(|other| other != id);
        Ok(())
    }
}

fn gone(id: &str) -> Failure {
    let message =
        format!("there is no response `{}`: older ones go, and all do at the end", cut(id));
    Failure::new(StatusCode::NOT_FOUND, "response_not_found", message)
}

/// One response.
pub(crate) async fn one(
    State(app): State<Arc<App>>,
    Variable(id): Variable,
) -> Result<Response, Failure> {
    let response = app.stored.get(&id, |entry| entry.response.clone())?;
    Ok(body::json(StatusCode::OK, &response))
}

/// What came with the request of a response.
pub(crate) async fn input_items(
    State(app): State<Arc<App>>,
    Variable(id): Variable,
) -> Result<Response, Failure> {
    let items = app.stored.get(&id, |entry| entry.items.clone())?;
    let name = |item: Option<&Value>| item.map(|item| item["id"].clone());
    let list = json!({
        "object": "list",
        "first_id": name(items.first()),
        "last_id": name(items.last()),
        "has_more": false,
        "data": items,
    });
    Ok(body::json(StatusCode::OK, &list))
}

/// Removes a response.
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Variable(id): Variable,
) -> Result<Response, Failure> {
    app.stored.remove(&id)?;
    let removed = json!({ "id": id, "object": "response", "deleted": true });
    Ok(body::json(StatusCode::OK, &removed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: usize, bytes: usize) -> Entry {
        let response = json!({ "id": format!("r{id}") });
        let messages = vec![Message::user("x".repeat(bytes))];
        Entry { response, items: Vec::new(), messages, bytes: 0 }
    }

    #[test]
    fn the_oldest_go_when_there_is_no_room() {
        let stored = Stored::default();
        for id in 0..10 {
            stored.put(entry(id, MOST_BYTES / 8));
        }
        let there: Vec<bool> =
            (0..10).map(|id| stored.messages(&format!("r{id}")).is_ok()).collect();
        assert_eq!(there, [vec![false; 3], vec![true; 7]].concat());
        stored.remove("r9").unwrap();
        assert!(stored.remove("r9").is_err());
        stored.put(entry(10, MOST_BYTES / 8));
        assert!(stored.messages("r3").is_ok() && stored.messages("r10").is_ok());
        stored.put(entry(11, 2 * MOST_BYTES));
        assert!(stored.inner().all.is_empty() && stored.inner().bytes == 0);
    }
}
