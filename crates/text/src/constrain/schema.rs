//! JSON schemas before they are compiled: every keyword known, every number exact, with the place
//! of what is not.
//!
//! The compiler takes keywords that it does not know for remarks, as the standard says. Here they
//! are errors: who misspells `maxLength` would get an answer that is not constrained.

mod close;
mod keywords;

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{limits, regex};
use crate::error::{Error, ErrorKind};
use keywords::Keyword;

/// What may stand between the signs of JSON: a space, or a line's end and an indent. Models that
/// are free to add white space sometimes never stop.
const SPACE: &str = r"\x20|\r?\n[\x20\x09]{0,48}";

/// A count above which lengths and numbers of items are refused; none is ever reached.
const MOST_COUNT: u64 = 1_000_000;

/// The most `patternProperties`, each of which is compared with each: in a schema alone, and in
/// one that puts schemas together.
const MOST_PATTERNS: usize = 64;
const MOST_COMBINED_PATTERNS: usize = 4;

/// Integers up to here are exact as floating-point numbers, which is how they are compared.
const MOST_EXACT: u64 = 1 << 53;

/// The schema, checked, as the compiler gets it.
///
/// # Errors
/// `Grammar` with the place (a JSON pointer) when it is no schema, has a keyword that cannot be
/// followed, or exceeds the limits.
pub(super) fn check(schema: &Value) -> Result<Value, Error> {
    if is_deeper(schema, limits::MOST_DEPTH) {
        return Err(fail("", format!("nests deeper than `{}` levels", limits::MOST_DEPTH)));
    }
    let bytes = schema.to_string().len();
    if bytes > limits::MOST_BYTES {
        let most = limits::MOST_BYTES;
        return Err(fail("", format!("has `{bytes}` bytes, expected at most `{most}`")));
    }
    let mut checker = Checker {
        root: schema,
        seen: HashSet::new(),
        waiting: Vec::new(),
        weight: 0,
        patterns: 0,
        combines: false,
    };
    checker.schema(schema, "")?;
    while let Some((target, at)) = checker.waiting.pop() {
        checker.schema(target, &at)?;
    }
    let most = if checker.combines { MOST_COMBINED_PATTERNS } else { MOST_PATTERNS };
    if checker.patterns > most {
        let found = checker.patterns;
        let at = places(schema, &["patternProperties"]).join("`, `");
        let why = format!("has `{found}` patterns of names, expected at most `{most}`");
        return Err(fail(&at, why).with_hint(
            "references, `allOf`, `anyOf` and `oneOf` beside patterns of names lower their number",
        ));
    }
    Ok(guided(match schema {
        Value::Object(_) => close::closed(schema),
        _ => json!({}),
    }))
}

/// `schema`, which is an object, with what the compiler is told beside it. The draft goes: one
/// set of keywords serves all.
pub(super) fn guided(mut schema: Value) -> Value {
    if let Value::Object(map) = &mut schema {
        map.shift_remove("$schema");
        map.insert("x-guidance".to_owned(), json!({"whitespace_pattern": SPACE}));
    }
    schema
}

/// A schema, checked, as it stands in a Lark grammar, on one line.
///
/// # Errors
/// As [`check`].
pub(crate) fn text_of(schema: &Value) -> Result<String, Error> {
    check(schema).map(|_| close::closed(schema).to_string())
}

fn is_deeper(value: &Value, levels: usize) -> bool {
    let Some(rest) = levels.checked_sub(1) else { return true };
    match value {
        Value::Array(items) => items.iter().any(|item| is_deeper(item, rest)),
        Value::Object(map) => map.values().any(|item| is_deeper(item, rest)),
        _ => false,
    }
}

/// Walks through what a schema says, following its references.
struct Checker<'s> {
    root: &'s Value,
    /// References that were met.
    seen: HashSet<&'s str>,
    /// Targets of references, and where they are.
    waiting: Vec<(&'s Value, String)>,
    /// What the patterns and objects weigh.
    weight: u64,
    /// How many patterns of names there are.
    patterns: usize,
    /// Whether schemas are put together, which compares those patterns again and again.
    combines: bool,
}

impl<'s> Checker<'s> {
    fn schema(&mut self, schema: &'s Value, at: &str) -> Result<(), Error> {
        match schema {
            Value::Bool(true) => Ok(()),
            Value::Bool(false) if !at.is_empty() => Ok(()),
            Value::Bool(false) => Err(fail(at, "is `false`, which no answer satisfies".into())),
            Value::Object(map) => {
                map.iter().try_for_each(|(key, value)| self.keyword(map, key, value, at))
            }
            other => Err(fail(at, format!("is `{}`, expected an object", short(other)))),
        }
    }

    fn keyword(
        &mut self,
        schema: &'s Map<String, Value>,
        key: &'s str,
        value: &'s Value,
        above: &str,
    ) -> Result<(), Error> {
        let at = &format!("{above}/{key}");
        let wrong =
            |expected: &str| Err(fail(at, format!("is `{}`, expected {expected}", short(value))));
        match Keyword::of(key) {
            Some(Keyword::Remark) => Ok(()),
            Some(Keyword::Root) if above.is_empty() => Ok(()),
            Some(Keyword::Schema) => self.schema(value, at),
            Some(Keyword::Schemas) => match value {
                Value::Array(schemas) => {
                    self.combines |= key != "prefixItems";
                    self.list(schemas, at)
                }
                _ => wrong("a list of schemas"),
            },
            Some(Keyword::SchemaOrSchemas) => match value {
                Value::Array(schemas) => self.list(schemas, at),
                _ => self.schema(value, at),
            },
            Some(Keyword::Properties) => match value {
                Value::Object(schemas) => {
                    // A property costs the compiler about as much as three parts of a pattern.
                    self.weigh(schemas.len() as u64 * 3, "has too many properties", at)?;
                    schemas.iter().try_for_each(|(name, schema)| {
                        let at = format!("{at}/{name}");
                        if key == "patternProperties" {
                            self.patterns += 1;
                            self.pattern(name, &at)?;
                        }
                        self.schema(schema, &at)
                    })
                }
                _ => wrong("an object of schemas"),
            },
            Some(Keyword::Reference) => match value {
                Value::String(reference) => self.reference(reference, at),
                _ => wrong("a text"),
            },
            Some(Keyword::Type) => {
                let is_type = |value: &Value| value.as_str().is_some_and(keywords::is_type);
                match value {
                    Value::Array(types) if !types.is_empty() && types.iter().all(is_type) => Ok(()),
                    value if is_type(value) => Ok(()),
                    _ => wrong("types of JSON"),
                }
            }
            Some(Keyword::Value) => exact(value, at),
            Some(Keyword::Values) => match value {
                Value::Array(values) if !values.is_empty() => exact(value, at),
                _ => wrong("a list of values"),
            },
            Some(Keyword::Number) if key == "multipleOf" && !is_positive(value) => {
                wrong("a number above `0`")
            }
            Some(Keyword::Number) if value.is_number() => exact(value, at),
            Some(Keyword::Number) => wrong("a number"),
            Some(Keyword::NumberOrFlag) if value.is_boolean() => {
                let bound = if key == "exclusiveMinimum" { "minimum" } else { "maximum" };
                match schema.contains_key(bound) || value == false {
                    true => Ok(()),
                    false => wrong(&format!("a number, or `{bound}` beside it")),
                }
            }
            Some(Keyword::NumberOrFlag) if value.is_number() => exact(value, at),
            Some(Keyword::NumberOrFlag) => wrong("a number"),
            Some(Keyword::Count) => match value.as_u64() {
                Some(count) if count <= MOST_COUNT => Ok(()),
                _ => wrong(&format!("an integer from `0` to `{MOST_COUNT}`")),
            },
            Some(Keyword::Names) => match value {
                Value::Array(names) if names.iter().all(Value::is_string) => Ok(()),
                _ => wrong("a list of names"),
            },
            Some(Keyword::Pattern) => match value.as_str() {
                Some(pattern) => self.pattern(pattern, at),
                None => wrong("a regular expression"),
            },
            Some(Keyword::Format) => match value.as_str() {
                Some(format) if keywords::FORMATS.contains(&format) => Ok(()),
                _ => wrong(&format!("one of `{}`", keywords::FORMATS.join("`, `"))),
            },
            Some(Keyword::Off) if value == false => Ok(()),
            Some(Keyword::Root | Keyword::Off) | None => {
                Err(fail(above, format!("has the keyword `{key}`, which is not supported here")))
            }
        }
    }

    fn pattern(&mut self, pattern: &str, at: &str) -> Result<(), Error> {
        regex::check(pattern).map_err(|why| fail(at, why))?;
        self.weigh(regex::weight(pattern), limits::TOO_HEAVY, at)
    }

    /// Adds a weight, which counts as its square.
    fn weigh(&mut self, weight: u64, too_heavy: &str, at: &str) -> Result<(), Error> {
        self.weight = self.weight.saturating_add(weight.saturating_pow(2));
        let is_fine = self.weight <= limits::MOST_WEIGHT;
        if is_fine { Ok(()) } else { Err(fail(at, too_heavy.to_owned())) }
    }

    fn list(&mut self, schemas: &'s [Value], at: &str) -> Result<(), Error> {
        let mut numbered = schemas.iter().enumerate();
        numbered.try_for_each(|(number, schema)| self.schema(schema, &format!("{at}/{number}")))
    }

    fn reference(&mut self, reference: &'s str, at: &str) -> Result<(), Error> {
        self.combines = true;
        if !self.seen.insert(reference) || reference == "#" {
            return Ok(());
        }
        let Some(path) = reference.strip_prefix("#/") else {
            let expected = "one within the schema, such as `#/$defs/name`";
            return Err(fail(at, format!("is `{reference}`, expected {expected}")));
        };
        let target = path.split('/').try_fold(self.root, |value, step| match value {
            Value::Object(map) => map.get(step),
            Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        });
        match target {
            Some(target) => {
                self.waiting.push((target, format!("/{path}")));
                Ok(())
            }
            None => Err(fail(at, format!("is `{reference}`, which the schema does not have"))),
        }
    }
}

/// A step of a JSON pointer.
#[derive(Clone, Copy, Debug)]
enum Step<'v> {
    Key(&'v str),
    Item(usize),
}

impl std::fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Step::Key(key) => f.write_str(key),
            Step::Item(number) => write!(f, "{number}"),
        }
    }
}

/// The first few places (JSON pointers) of keywords in a schema, for an error that has none.
pub(super) fn places(schema: &Value, keywords: &[&str]) -> Vec<String> {
    /// More help nobody.
    const MOST: usize = 3;
    fn find<'v>(
        value: &'v Value,
        keywords: &[&str],
        at: &mut Vec<Step<'v>>,
        places: &mut Vec<String>,
    ) {
        let mut below = |step: Step<'v>, value: &'v Value| {
            if places.len() >= MOST {
                return;
            }
            at.push(step);
            if matches!(step, Step::Key(key) if keywords.contains(&key)) {
                let steps: String = at.iter().map(|step| format!("/{step}")).collect();
                places.push(cut(&steps).to_owned());
            }
            find(value, keywords, at, places);
            at.pop();
        };
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| below(Step::Key(key), value)),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(number, item)| below(Step::Item(number), item));
            }
            _ => {}
        }
    }
    let mut places = Vec::new();
    find(schema, keywords, &mut Vec::new(), &mut places);
    places
}

fn is_positive(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number > 0.0)
}

/// Fails for integers within `value` that are not exact as floating-point numbers.
fn exact(value: &Value, at: &str) -> Result<(), Error> {
    match value {
        Value::Number(number) => {
            let is_exact = match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => number <= MOST_EXACT,
                (None, Some(number)) => number.unsigned_abs() <= MOST_EXACT,
                (None, None) => number.as_f64().is_some_and(|number| {
                    number.is_finite()
                        && (number.fract() != 0.0 || number.abs() <= MOST_EXACT as f64)
                }),
            };
            let expected = "a number whose whole part has at most 53 bits";
            match is_exact {
                true => Ok(()),
                false => Err(fail(at, format!("is `{number}`, expected {expected}"))),
            }
        }
        Value::Array(items) => items.iter().try_for_each(|item| exact(item, at)),
        Value::Object(map) => map.values().try_for_each(|item| exact(item, at)),
        _ => Ok(()),
    }
}

fn fail(at: &str, why: String) -> Error {
    let place = if at.is_empty() { String::new() } else { format!(" `{}`", cut(at)) };
    Error::new(ErrorKind::Grammar, format!("JSON schema{place} {why}"))
}

fn short(value: &Value) -> String {
    cut(&value.to_string()).to_owned()
}

/// The beginning of a text, for an error.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(120)).unwrap_or(text)
}
