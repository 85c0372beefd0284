//! Spans in OTLP's JSON (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>).

use std::time::SystemTime;

use serde_json::{Value, json};

use super::{Place, nanoseconds};

/// Who a span is about, by the numbers of `SpanKind` in `trace.proto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Internal = 1,
    Server = 2,
}

/// What an attribute says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Attribute {
    Text(String),
    Integer(u64),
    Number(f64),
}

/// Something that took time.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    place: Place,
    kind: Kind,
    begin: SystemTime,
    pub(super) end: SystemTime,
    pub(crate) name: String,
    attributes: Vec<(&'static str, Attribute)>,
    events: Vec<(&'static str, SystemTime)>,
    failed: bool,
}

impl Span {
    /// One that begins now.
    pub(super) fn new(place: Place, kind: Kind) -> Self {
        let now = SystemTime::now();
        let (attributes, events) = (Vec::new(), Vec::new());
        Self {
            place,
            kind,
            begin: now,
            end: now,
            name: String::new(),
            attributes,
            events,
            failed: false,
        }
    }

    pub(crate) fn text(&mut self, name: &'static str, value: impl Into<String>) {
        self.attributes.push((name, Attribute::Text(value.into())));
    }

    pub(crate) fn integer(&mut self, name: &'static str, value: u64) {
        self.attributes.push((name, Attribute::Integer(value)));
    }

    pub(crate) fn number(&mut self, name: &'static str, value: f64) {
        self.attributes.push((name, Attribute::Number(value)));
    }

    /// Something that happens now.
    pub(crate) fn event(&mut self, name: &'static str) {
        self.events.push((name, SystemTime::now()));
    }

    pub(crate) fn fail(&mut self) {
        self.failed = true;
    }

    fn to_json(&self) -> Value {
        let Place { trace, span, parent } = self.place;
        let parent = if parent == 0 { String::new() } else { format!("{parent:016x}") };
        let attribute = |(name, value): &(&str, Attribute)| {
            let value = match value {
                Attribute::Text(text) => json!({ "stringValue": text }),
                // 64 bits are strings, as JSON's numbers are not that exact.
                Attribute::Integer(number) => json!({ "intValue": number.to_string() }),
                Attribute::Number(number) => json!({ "doubleValue": number }),
            };
            json!({ "key": name, "value": value })
        };
        let event = |(name, time): &(&str, SystemTime)| json!({ "name": name, "timeUnixNano": nanoseconds(*time).to_string() });
        json!({
            "traceId": format!("{trace:032x}"),
            "spanId": format!("{span:016x}"),
            "parentSpanId": parent,
            "name": self.name,
            "kind": self.kind as u8,
            "startTimeUnixNano": nanoseconds(self.begin).to_string(),
            "endTimeUnixNano": nanoseconds(self.end).to_string(),
            "attributes": self.attributes.iter().map(attribute).collect::<Vec<_>>(),
            "events": self.events.iter().map(event).collect::<Vec<_>>(),
            // `STATUS_CODE_ERROR`, `STATUS_CODE_UNSET`.
            "status": { "code": if self.failed { 2 } else { 0 } },
        })
    }
}

/// Spans as a collector takes them.
pub(super) fn export(service: &str, spans: &[Span]) -> Value {
    let text = |name: &str, text: &str| json!({ "key": name, "value": { "stringValue": text } });
    let version = env!("CARGO_PKG_VERSION");
    json!({ "resourceSpans": [{
        "resource": {
            "attributes": [text("service.name", service), text("service.version", version)],
        },
        "scopeSpans": [{
            "scope": { "name": "rushlight", "version": version },
            "spans": spans.iter().map(Span::to_json).collect::<Vec<_>>(),
        }],
    }] })
}
