//! Methods of Python's strings and dictionaries that templates call.

use minijinja::value::{ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

/// Calls `method` on a value that has no such method of its own.
pub(super) fn call(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    match (value.kind(), value.as_str()) {
        (ValueKind::String, Some(text)) => of_string(text, method, args),
        (ValueKind::Map, _) => of_map(state, value, method, args),
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

fn of_string(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    Ok(match method {
        "strip" | "lstrip" | "rstrip" => {
            let (chars,): (Option<&str>,) = from_args(args)?;
            let strips = |char: char| match chars {
                Some(chars) => chars.contains(char),
                None => char.is_whitespace(),
            };
            Value::from(match method {
                "lstrip" => text.trim_start_matches(strips),
                "rstrip" => text.trim_end_matches(strips),
                _ => text.trim_matches(strips),
            })
        }
        "startswith" | "endswith" => {
            let (affixes,): (Value,) = from_args(args)?;
            let has = |affix: &Value| -> Result<bool, Error> {
                let affix = affix.as_str().ok_or_else(|| {
                    Error::new(ErrorKind::InvalidOperation, format!("`{method}` needs a string"))
                })?;
                Ok(if method == "startswith" {
                    text.starts_with(affix)
                } else {
                    text.ends_with(affix)
                })
            };
            if affixes.kind() == ValueKind::Seq {
                let mut any = false;
                for affix in affixes.try_iter()? {
                    any |= has(&affix)?;
                }
                Value::from(any)
            } else {
                Value::from(has(&affixes)?)
            }
        }
        "split" | "rsplit" => split(text, method, args)?,
        "splitlines" => {
            let () = from_args(args)?;
            Value::from(text.lines().map(Value::from).collect::<Vec<_>>())
        }
        "replace" => replace(text, args)?,
        "lower" => no_args(args, || text.to_lowercase())?,
        "upper" => no_args(args, || text.to_uppercase())?,
        "capitalize" => no_args(args, || {
            let mut chars = text.chars();
            chars.next().map_or_else(String::new, |first| {
                first.to_uppercase().chain(chars.flat_map(char::to_lowercase)).collect()
            })
        })?,
        "title" => no_args(args, || title(text))?,
        "count" => {
            let (what,): (&str,) = from_args(args)?;
            Value::from(text.matches(what).count())
        }
        "find" | "rfind" => {
            let (what,): (&str,) = from_args(args)?;
            let found = if method == "find" { text.find(what) } else { text.rfind(what) };
            let chars = found.and_then(|at| text.get(..at)).map(|before| before.chars().count());
            Value::from(chars.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1))
        }
        "isdigit" => is_all(text, args, char::is_numeric)?,
        "isalpha" => is_all(text, args, char::is_alphabetic)?,
        "isspace" => is_all(text, args, char::is_whitespace)?,
        "format" => format(text, args)?,
        "join" => {
            let (items,): (Value,) = from_args(args)?;
            join(text, &items)?
        }
        _ => return Err(Error::from(ErrorKind::UnknownMethod)),
    })
}

fn of_map(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    match method {
        "items" => {
            let () = from_args(args)?;
            state.apply_filter("items", std::slice::from_ref(value))
        }
        "keys" => {
            let () = from_args(args)?;
            Ok(Value::from(value.try_iter()?.collect::<Vec<_>>()))
        }
        "values" => {
            let () = from_args(args)?;
            let values: Result<Vec<_>, _> =
                value.try_iter()?.map(|key| value.get_item(&key)).collect();
            Ok(Value::from(values?))
        }
        "get" => {
            let (key, default): (Value, Option<Value>) = from_args(args)?;
            let found = value.get_item(&key)?;
            let absent = default.unwrap_or_else(|| Value::from(()));
            Ok(if found.is_undefined() { absent } else { found })
        }
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

fn no_args(args: &[Value], text: impl FnOnce() -> String) -> Result<Value, Error> {
    let () = from_args(args)?;
    Ok(Value::from(text()))
}

fn is_all(text: &str, args: &[Value], is: impl Fn(char) -> bool) -> Result<Value, Error> {
    let () = from_args(args)?;
    Ok(Value::from(!text.is_empty() && text.chars().all(is)))
}

/// Python's `title`: a letter after a letter is lower case, any other upper.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for char in text.chars() {
        if inside {
            out.extend(char.to_lowercase());
        } else {
            out.extend(char.to_uppercase());
        }
        inside = char.is_alphabetic();
    }
    out
}

fn split(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let (by, most): (Option<&str>, Option<i64>) = from_args(args)?;
    let pieces =
        most.and_then(|most| usize::try_from(most).ok()).map(|most| most.saturating_add(1));
    let parts: Vec<&str> = match (by, pieces) {
        (Some(""), _) => {
            return Err(Error::new(ErrorKind::InvalidOperation, "`split` by an empty string"));
        }
        (None, None) => text.split_whitespace().collect(),
        (None, Some(pieces)) => {
            let mut parts = Vec::new();
            let mut rest = text.trim_start();
            while !rest.is_empty() && parts.len() + 1 < pieces {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                parts.push(word);
                rest = after.trim_start();
            }
            if !rest.is_empty() {
                parts.push(rest);
            }
            parts
        }
        (Some(by), None) => text.split(by).collect(),
        (Some(by), Some(pieces)) if method == "split" => text.splitn(pieces, by).collect(),
        (Some(by), Some(pieces)) => {
            let mut parts: Vec<&str> = text.rsplitn(pieces, by).collect();
            parts.reverse();
            parts
        }
    };
    Ok(parts.into_iter().map(Value::from).collect())
}

/// The longest text that a method makes: what fuel would pay for anyway, known beforehand.
const MOST_BYTES: usize = 32 << 20;

fn check_length(bytes: Option<usize>) -> Result<(), Error> {
    match bytes {
        Some(bytes) if bytes <= MOST_BYTES => Ok(()),
        _ => Err(Error::new(
            ErrorKind::OutOfFuel,
            format!("a method makes more than `{MOST_BYTES}` bytes"),
        )),
    }
}

fn replace(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (from, to, most): (&str, &str, Option<i64>) = from_args(args)?;
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    let times = text.matches(from).take(most).count();
    check_length(times.checked_mul(to.len()).and_then(|added| added.checked_add(text.len())))?;
    Ok(Value::from(text.replacen(from, to, most)))
}

/// `{}` and `{0}`, without format specifications.
fn format(text: &str, args: &[Value]) -> Result<Value, Error> {
    let mut out = String::new();
    let mut next = 0;
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, brace) = rest.split_at(at);
        out.push_str(before);
        check_length(Some(out.len()))?;
        if let Some(after) = brace.strip_prefix("{{").or_else(|| brace.strip_prefix("}}")) {
            out.extend(brace.chars().take(1));
            rest = after;
            continue;
        }
        let field = brace.strip_prefix('{').and_then(|field| field.split_once('}'));
        let index = field.and_then(|(name, _)| match name {
            "" => Some(next),
            name => name.parse().ok(),
        });
        let (Some((_, after)), Some(value)) = (field, index.and_then(|index| args.get(index)))
        else {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                format!("`format` does not know the field at `{brace}`"),
            ));
        };
        out.push_str(&value.to_string());
        next += 1;
        rest = after;
    }
    out.push_str(rest);
    check_length(Some(out.len()))?;
    Ok(Value::from(out))
}

fn join(between: &str, items: &Value) -> Result<Value, Error> {
    let mut out = String::new();
    for (index, item) in items.try_iter()?.enumerate() {
        let text = item
            .as_str()
            .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "`join` needs strings"))?;
        check_length(out.len().checked_add(between.len() + text.len()))?;
        if index > 0 {
            out.push_str(between);
        }
        out.push_str(text);
    }
    Ok(Value::from(out))
}
