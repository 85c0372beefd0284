//! The fields of a JSON object, taken one by one: each is checked where it is used, and what is left
//! over is an error.

mod record;

use std::fmt::Display;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::schema::Object;
use record::{Record, Taken};

/// Characters of a value that an error repeats, at most.
const SHOWN: usize = 60;

/// The fields of an object that are not taken yet.
#[derive(Debug)]
pub(crate) struct Fields {
    map: Map<String, Value>,
    /// Where the object is, such as `messages[0]`; empty for the request itself.
    place: String,
    /// What was taken.
    record: Record,
}

impl Fields {
    /// The fields of the object `value` at `place`.
    pub(crate) fn new(value: Value, place: impl Into<String>) -> Result<Self, Failure> {
        let place = place.into();
        match value {
            Value::Object(map) => Ok(Self { map, place, record: Record::default() }),
            other if place.is_empty() => Err(Failure::request(format!(
                "the request is {}, expected a JSON object",
                shown(&other)
            ))),
            other => Err(wrong(&place, &other, "an object")),
        }
    }

    /// The full name of a field.
    pub(crate) fn name(&self, field: &str) -> String {
        match self.place.is_empty() {
            true => field.to_owned(),
            false => format!("{}.{field}", self.place),
        }
    }

    /// Takes a field; `null` is as good as none.
    pub(crate) fn take(&mut self, field: &str) -> Option<Value> {
        self.take_as(field, Taken::Value)
    }

    fn take_as(&mut self, field: &str, taken: Taken) -> Option<Value> {
        self.record.note(field, taken);
        self.map.shift_remove(field).filter(|value| !value.is_null())
    }

    /// A copy of a field, which is still to be taken.
    pub(crate) fn as_is(&self, field: &str) -> Option<Value> {
        self.map.get(field).filter(|value| !value.is_null()).cloned()
    }

    /// Replaces a field that is still to be taken.
    pub(crate) fn put(&mut self, field: &str, value: Value) {
        self.map.insert(field.to_owned(), value);
    }

    /// Takes a text.
    pub(crate) fn text(&mut self, field: &str) -> Result<Option<String>, Failure> {
        match self.take_as(field, Taken::Text) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(&self.name(field), &other, "a string")),
        }
    }

    /// Takes a truth.
    pub(crate) fn flag(&mut self, field: &str) -> Result<Option<bool>, Failure> {
        match self.take_as(field, Taken::Flag) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(wrong(&self.name(field), &other, "`true` or `false`")),
        }
    }

    /// Takes a number.
    pub(crate) fn number(
        &mut self,
        field: &str,
        range: RangeInclusive<f64>,
    ) -> Result<Option<f64>, Failure> {
        let taken = Taken::Number(*range.start(), *range.end());
        self.ranged(field, taken, "a number", Value::as_f64, range)
    }

    /// Takes a whole number.
    pub(crate) fn integer(
        &mut self,
        field: &str,
        range: RangeInclusive<i64>,
    ) -> Result<Option<i64>, Failure> {
        let taken = Taken::Integer(*range.start(), *range.end());
        self.ranged(field, taken, "a whole number", Value::as_i64, range)
    }

    fn ranged<T: PartialOrd + Display>(
        &mut self,
        field: &str,
        taken: Taken,
        what: &str,
        read: impl Fn(&Value) -> Option<T>,
        range: RangeInclusive<T>,
    ) -> Result<Option<T>, Failure> {
        let Some(value) = self.take_as(field, taken) else { return Ok(None) };
        match read(&value).filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                let want = format!("{what} from `{}` to `{}`", range.start(), range.end());
                Err(wrong(&self.name(field), &value, &want))
            }
        }
    }

    /// Takes a list.
    pub(crate) fn list(&mut self, field: &str) -> Result<Option<Vec<Value>>, Failure> {
        match self.take_as(field, Taken::List) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(other) => Err(wrong(&self.name(field), &other, "a list")),
        }
    }

    /// Takes an object.
    pub(crate) fn object(&mut self, field: &str) -> Result<Option<Fields>, Failure> {
        self.object_as(field, Taken::Object)
    }

    /// Takes an object whose fields may have any name.
    pub(crate) fn map(&mut self, field: &str) -> Result<Option<Map<String, Value>>, Failure> {
        Ok(self.object_as(field, Taken::Map)?.map(|fields| fields.map))
    }

    fn object_as(&mut self, field: &str, taken: Taken) -> Result<Option<Fields>, Failure> {
        let value = self.take_as(field, taken);
        value.map(|value| Fields::new(value, self.name(field))).transpose()
    }

    /// What is missing is an error.
    pub(crate) fn need<T>(&mut self, field: &str, value: Option<T>) -> Result<T, Failure> {
        self.record.note(field, Taken::Needed);
        value.ok_or_else(|| {
            let name = self.name(field);
            Failure::value(&name, format!("`{name}` is missing")).with_code("missing_parameter")
        })
    }

    /// What was not taken is an error. `table` describes the object, which debug builds compare with
    /// what was taken.
    pub(crate) fn end(self, table: &Object) -> Result<(), Failure> {
        self.record.check(table);
        match self.map.keys().next() {
            None => Ok(()),
            Some(field) => {
                let name = self.name(&cut(field));
                Err(Failure::value(&name, format!("`{name}` is not a parameter of this server"))
                    .with_code("unknown_parameter"))
            }
        }
    }
}

/// A value that is not what it should be.
pub(crate) fn wrong(name: &str, found: &Value, want: &str) -> Failure {
    Failure::value(name, format!("`{name}` is {}, expected {want}", shown(found)))
}

/// A value as an error repeats it: numbers and short words, and the kind of everything else.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) => format!("the string `{}`", cut(text)),
        other => format!("`{other}`"),
    }
}

/// The beginning of a text.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    type Take = fn(&mut Fields) -> Result<(), Failure>;

    static NONE: Object = Object { name: "None", fields: &[] };

    #[test]
    fn what_is_wrong_is_named_with_what_was_found_and_expected() {
        let number: Take = |f| f.number("x", 0.0..=2.0).map(drop);
        let integer: Take = |f| f.integer("x", 1..=8).map(drop);
        let cases: [(Value, Take, &str); 12] = [
            (json!({ "x": 2.5 }), number, "`x` is `2.5`, expected a number from `0` to `2`"),
            (json!({ "x": "hot" }), number, "`x` is the string `hot`, expected a number"),
            (json!({ "x": [1] }), number, "`x` is a list, expected a number"),
            (json!({ "x": 0 }), integer, "`x` is `0`, expected a whole number from `1` to `8`"),
            (json!({ "x": 1.5 }), integer, "`x` is `1.5`, expected a whole number"),
            (json!({ "x": 1 }), |f| f.text("x").map(drop), "`x` is `1`, expected a string"),
            (json!({ "x": 1 }), |f| f.flag("x").map(drop), "expected `true` or `false`"),
            (json!({ "x": {} }), |f| f.list("x").map(drop), "`x` is an object, expected a list"),
            (json!({ "x": [] }), |f| f.object("x").map(drop), "`x` is a list, expected an object"),
            (json!({ "y": 1 }), |_| Ok(()), "`y` is not a parameter"),
            (json!({ "x": { "y": 1 } }), |f| f.object("x")?.unwrap().end(&NONE), "`x.y` is not"),
            (
                json!({ "x": null }),
                |f| f.text("x").and_then(|x| f.need("x", x)).map(drop),
                "`x` is missing",
            ),
        ];
        for (value, take, message) in cases {
            let mut fields = Fields::new(value.clone(), "").unwrap();
            let failure = take(&mut fields).and_then(|()| fields.end(&NONE)).unwrap_err();
            let error = failure.to_json();
            let found = error["error"]["message"].as_str().unwrap();
            assert!(found.contains(message), "{value}: {found}");
            let name = error["error"]["param"].as_str().unwrap();
            assert!(found.starts_with(&format!("`{name}`")), "{value}: {error}");
        }
    }

    #[test]
    fn long_values_are_cut() {
        let failure = wrong("x", &json!("é".repeat(1000)), "a number");
        assert!(failure.to_json().to_string().len() < 400);
    }
}
