//! How big a value may be, and the check.

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, State, Value};

/// The name of the check. No template can write it, so none can put another in its place.
pub(super) const NAME: &str = "\u{1}bound";

/// The same for the check of values that go into a namespace.
pub(super) const STORED: &str = "\u{1}bound to store";

/// The most bytes that a value may have with all that it contains, counting what is contained
/// twice twice: what printing it would take. The same as what its fuel buys a template.
const MOST_BYTES: usize = 32 << 20;

/// What an item takes beside its text.
const ITEM_BYTES: usize = 64;

/// How deep containers may lie in each other. JSON out of files is at most 128 deep.
const MOST_DEPTH: usize = 192;

/// The most items that all checks of a rendering may visit: about a second. A template that slices
/// the list of a thousand messages for every message visits half of them.
const MOST_VISITS: u64 = 5_000_000;

/// How many items the checks of this rendering have visited.
struct Visits(u64);

pub(super) fn install(environment: &mut Environment<'static>) {
    environment.add_function(NAME, bound);
    environment.add_function(STORED, |state: &mut State<'_, '_>, value: Value| {
        // Namespaces are the only values that change: one within another could contain itself.
        if is_namespace(&value) {
            return Err(nested_namespace());
        }
        bound(state, value)
    });
}

/// Returns `value` if it is small enough.
fn bound(state: &mut State<'_, '_>, value: Value) -> Result<Value, Error> {
    if !is_container(&value) {
        return Ok(value);
    }
    let visits = state.get_or_insert_extension(Visits(0));
    let mut bytes = 0usize;
    let mut waiting = vec![(value.clone(), 0)];
    while let Some((item, depth)) = waiting.pop() {
        visits.0 += 1;
        bytes += ITEM_BYTES + item.as_str().map_or(0, str::len);
        if visits.0 > MOST_VISITS {
            return Err(too_much(format!("visits more than `{MOST_VISITS}` items")));
        }
        if is_namespace(&item) && depth > 0 {
            return Err(nested_namespace());
        }
        if !is_container(&item) {
            continue;
        }
        if depth == MOST_DEPTH {
            return Err(too_much(format!("nests deeper than `{MOST_DEPTH}`")));
        }
        let is_map = item.kind() == ValueKind::Map;
        for inner in item.try_iter()? {
            // What waits counts at once: a list may claim any number of items.
            if bytes + waiting.len().saturating_mul(ITEM_BYTES) > MOST_BYTES {
                return Err(too_much(format!("has more than `{MOST_BYTES}` bytes")));
            }
            if is_map && let Ok(mapped) = item.get_item(&inner) {
                waiting.push((mapped, depth + 1));
            }
            waiting.push((inner, depth + 1));
        }
        if bytes > MOST_BYTES {
            return Err(too_much(format!("has more than `{MOST_BYTES}` bytes")));
        }
    }
    if bytes > MOST_BYTES {
        return Err(too_much(format!("has more than `{MOST_BYTES}` bytes")));
    }
    Ok(value)
}

fn is_container(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable)
}

fn is_namespace(value: &Value) -> bool {
    value.as_object().is_some_and(|object| object.type_name().ends_with("Namespace"))
}

fn nested_namespace() -> Error {
    Error::new(ErrorKind::InvalidOperation, "a namespace lies within a value")
}

fn too_much(what: String) -> Error {
    Error::new(ErrorKind::OutOfFuel, format!("a value {what}"))
}
