//! Traces for OpenTelemetry: a span for each request, and below it one for each of its answers.
//!
//! They go to a collector by OTLP over HTTP, in JSON, on a thread of their own; without a collector
//! nothing of this costs anything. Nothing of what was asked and answered is told.
//! <https://opentelemetry.io/docs/specs/otlp/>, attributes after
//! <https://opentelemetry.io/docs/specs/semconv/>.

mod otlp;
mod send;

use std::sync::Arc;
use std::time::SystemTime;

use axum::http::HeaderMap;

use crate::random::random;
pub(crate) use otlp::{Kind, Span};
pub(crate) use send::Tracer;

/// The header that a request names its trace in (<https://www.w3.org/TR/trace-context/>).
const TRACEPARENT: &str = "traceparent";

tokio::task_local! {
    /// The span of the request that is being answered.
    static PRESENT: Present;
}

/// The span of a request, as those below it know it.
#[derive(Clone, Debug)]
pub(crate) struct Present {
    tracer: Arc<Tracer>,
    place: Place,
}

/// Where a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) trace: u128,
    pub(crate) span: u64,
    /// The span above; 0 is none.
    pub(crate) parent: u64,
}

impl Place {
    /// Of a request, in the trace that it names or in one of its own; `None` if that trace is not
    /// to be recorded.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let named = headers.get(TRACEPARENT).and_then(|value| parse(value.to_str().ok()?));
        match named {
            Some((_, _, false)) => None,
            Some((trace, parent, true)) => Some(Self { trace, span: id(), parent }),
            None => {
                let trace = u128::from(id()) << 64 | u128::from(id());
                Some(Self { trace, span: id(), parent: 0 })
            }
        }
    }

    fn below(self) -> Self {
        Self { span: id(), parent: self.span, ..self }
    }
}

/// A name of a span, which is never 0.
fn id() -> u64 {
    random().max(1)
}

/// `00-TRACE-PARENT-FLAGS`: the trace, the span above, and whether it is recorded.
fn parse(text: &str) -> Option<(u128, u64, bool)> {
    let mut parts = text.trim().split('-');
    let (version, trace, parent, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, digits: usize| {
        text.len() == digits
            && text.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
    };
    let good = hex(version, 2) && version != "ff" && hex(trace, 32) && hex(parent, 16);
    // Later versions may have more after the flags.
    if !good || !hex(flags, 2) || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let trace = u128::from_str_radix(trace, 16).ok().filter(|trace| *trace != 0)?;
    let parent = u64::from_str_radix(parent, 16).ok().filter(|parent| *parent != 0)?;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some((trace, parent, flags & 1 == 1))
}

/// Answers a request, whose head is `headers`, within a span of its own, which `about` describes once
/// it is answered.
pub(crate) async fn within<T>(
    tracer: Option<&Arc<Tracer>>,
    headers: &HeaderMap,
    answer: impl Future<Output = T>,
    about: impl FnOnce(&T, &mut Span),
) -> T {
    let Some((tracer, place)) = tracer.and_then(|tracer| Some((tracer, Place::of(headers)?)))
    else {
        return answer.await;
    };
    let mut span = Span::new(place, Kind::Server);
    let answered = PRESENT.scope(Present { tracer: tracer.clone(), place }, answer).await;
    about(&answered, &mut span);
    tracer.end(span);
    answered
}

/// A span below that of the request that is being answered, if that has one.
pub(crate) fn below() -> Option<(Arc<Tracer>, Span)> {
    let present = PRESENT.try_with(Present::clone).ok()?;
    Some((present.tracer, Span::new(present.place.below(), Kind::Internal)))
}

/// Nanoseconds since 1970.
fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_may_name_its_trace() {
        let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let of = |text: &str| parse(text).map(|(_, parent, recorded)| (parent, recorded));
        let known = 0x00f0_67aa_0ba9_02b7;
        let cases = [
            (format!("00-{trace}-{parent}-01"), Some((known, true))),
            (format!("00-{trace}-{parent}-00"), Some((known, false))),
            (format!("01-{trace}-{parent}-01-more"), Some((known, true))),
            (format!("00-{trace}-{parent}-01-more"), None),
            (format!("ff-{trace}-{parent}-01"), None),
            (format!("00-{trace}-{parent}"), None),
            (format!("00-{}-{parent}-01", trace.to_uppercase()), None),
            (format!("00-{}-{parent}-01", "0".repeat(32)), None),
            (format!("00-{trace}-{}-01", "0".repeat(16)), None),
            (format!("00-{trace}-+0f067aa0ba902b7-01"), None),
            (String::new(), None),
        ];
        for (text, want) in cases {
            assert_eq!(of(&text), want, "{text}");
        }
    }
}
