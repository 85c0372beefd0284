//! Responses that can be gone on from, asked for, and removed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use rushlight_text::Message;
use serde_json::{Value, json};

use super::input;
use super::schema::{ITEMS_QUERY, MOST_ITEMS};
use crate::app::App;
use crate::body;
use crate::caller::Caller;
use crate::failure::Failure;
use crate::fields::{Fields, cut, wrong};
use crate::query;
use crate::routes::Variable;

/// What is told of a message and a map beside its texts, about.
const OVERHEAD: usize = 256;

/// Responses in memory.
#[derive(Debug)]
pub(crate) struct Stored {
    inner: Mutex<Inner>,
    /// Bytes that they take, at most, about; the oldest go first.
    most_bytes: usize,
}

#[derive(Debug, Default)]
struct Inner {
    all: HashMap<String, Entry>,
    /// The oldest first; those that were removed may be among them.
    order: VecDeque<String>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    /// Whose it is: others do not find it.
    owner: Caller,
    /// As JSON, whose length is known.
    response: String,
    /// What came with the request, as JSON.
    items: String,
    /// All that was said, the answer included; without instructions, which do not go on.
    messages: Vec<Message>,
    bytes: usize,
}

/// Keeps a response once it is complete.
pub(super) struct Keep {
    pub(super) app: Arc<App>,
    pub(super) owner: Caller,
    /// What was said before the answer.
    pub(super) messages: Vec<Message>,
    pub(super) items: Vec<Value>,
}

impl Keep {
    pub(super) fn keep(self, response: &Value) {
        let Self { app, owner, mut messages, items } = self;
        // Its own items can be read as all are.
        let mut fields = json!({ "input": response["output"] });
        if let Ok(mut fields) = Fields::new(fields.take(), "") {
            let _ = input::take(&mut fields, &mut messages);
        }
        let Some(id) = response["id"].as_str() else { return };
        let (response, items) = (response.to_string(), json!(items).to_string());
        app.stored.put(id, Entry { owner, response, items, messages, bytes: 0 });
    }
}

impl Stored {
    /// Bytes that they take where there is memory for it, at most, about.
    pub(crate) const MOST_BYTES: usize = 64 << 20;

    /// None yet.
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self { inner: Mutex::default(), most_bytes }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, id: &str, mut entry: Entry) {
        let texts = |message: &Message| OVERHEAD + json!(message).to_string().len();
        let said: usize = entry.messages.iter().map(texts).sum();
        entry.bytes = OVERHEAD + entry.response.len() + entry.items.len() + said;
        let mut inner = self.inner();
        inner.bytes += entry.bytes;
        inner.order.push_back(id.to_owned());
        inner.all.insert(id.to_owned(), entry);
        while inner.bytes > self.most_bytes {
            let Some(oldest) = inner.order.pop_front() else { return };
            if let Some(gone) = inner.all.remove(&oldest) {
                inner.bytes -= gone.bytes;
            }
        }
    }

    /// All that was said up to a response, its answer included.
    pub(super) fn messages(&self, id: &str, caller: &Caller) -> Result<Vec<Message>, Failure> {
        let messages = self.get(id, caller, |entry| entry.messages.clone());
        messages.map_err(|failure| failure.of("previous_response_id"))
    }

    fn get<T>(
        &self,
        id: &str,
        caller: &Caller,
        get: impl FnOnce(&Entry) -> T,
    ) -> Result<T, Failure> {
        let inner = self.inner();
        let own = inner.all.get(id).filter(|entry| entry.owner.is(caller));
        own.map(get).ok_or_else(|| gone(id))
    }

    fn remove(&self, id: &str, caller: &Caller) -> Result<(), Failure> {
        self.get(id, caller, |_| ())?;
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
    let response = app.stored.get(&id, &Caller::now(), |entry| entry.response.clone())?;
    Ok(body::json_text(StatusCode::OK, response))
}

/// Which of the items are told, and in which order.
struct Page {
    after: Option<String>,
    most: usize,
    is_ascending: bool,
}

impl Page {
    /// Items on a page without a word, as in OpenAI's API.
    const ITEMS: usize = 20;

    fn read(mut fields: Fields) -> Result<Self, Failure> {
        let after = fields.text("after")?;
        let most = fields.integer("limit", 1..=MOST_ITEMS)?;
        let is_ascending = match fields.text("order")?.as_deref() {
            Some("asc") => true,
            None | Some("desc") => false,
            Some(other) => return Err(wrong("order", &other.into(), "`asc` or `desc`")),
        };
        fields.end(&ITEMS_QUERY)?;
        Ok(Self { after, most: most.map_or(Self::ITEMS, |most| most as usize), is_ascending })
    }

    /// The page, and whether there is more after it.
    fn of(&self, mut items: Vec<Value>) -> Result<(Vec<Value>, bool), Failure> {
        if !self.is_ascending {
            items.reverse();
        }
        if let Some(after) = &self.after {
            let at = items.iter().position(|item| item["id"] == after.as_str());
            let at = at.ok_or_else(|| {
                let message = format!("`after` is `{}`, expected the `id` of an item", cut(after));
                Failure::value("after", message)
            })?;
            items.drain(..=at);
        }
        let more = items.len() > self.most;
        items.truncate(self.most);
        Ok((items, more))
    }
}

/// What came with the request of a response.
pub(crate) async fn input_items(
    State(app): State<Arc<App>>,
    Variable(id): Variable,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let page = Page::read(query::fields(query.as_deref(), &ITEMS_QUERY)?)?;
    let items = app.stored.get(&id, &Caller::now(), |entry| entry.items.clone())?;
    let (items, more) = page.of(serde_json::from_str(&items).unwrap_or_default())?;
    let name = |item: Option<&Value>| item.map(|item| item["id"].clone());
    let list = json!({
        "object": "list",
        "first_id": name(items.first()),
        "last_id": name(items.last()),
        "has_more": more,
        "data": items,
    });
    Ok(body::json(StatusCode::OK, &list))
}

/// Removes a response.
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Variable(id): Variable,
) -> Result<Response, Failure> {
    app.stored.remove(&id, &Caller::now())?;
    let removed = json!({ "id": id, "object": "response", "deleted": true });
    Ok(body::json(StatusCode::OK, &removed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(stored: &Stored, id: usize, bytes: usize) {
        let messages = vec![Message::user("x".repeat(bytes))];
        let (owner, response) = (Caller::default(), "{}".to_owned());
        let entry = Entry { owner, response, items: "[]".to_owned(), messages, bytes: 0 };
        stored.put(&format!("r{id}"), entry);
    }

    #[test]
    fn the_oldest_go_when_there_is_no_room() {
        const MOST_BYTES: usize = Stored::MOST_BYTES;
        let (stored, anyone) = (Stored::new(MOST_BYTES), Caller::default());
        for id in 0..10 {
            put(&stored, id, MOST_BYTES / 8);
        }
        let there = |id: usize| stored.messages(&format!("r{id}"), &anyone).is_ok();
        let found: Vec<bool> = (0..10).map(there).collect();
        assert_eq!(found, [vec![false; 3], vec![true; 7]].concat());
        stored.remove("r9", &anyone).unwrap();
        assert!(stored.remove("r9", &anyone).is_err());
        put(&stored, 10, MOST_BYTES / 8);
        assert!(there(3) && there(10));
        put(&stored, 11, 2 * MOST_BYTES);
        assert!(stored.inner().all.is_empty() && stored.inner().bytes == 0);
    }
}
