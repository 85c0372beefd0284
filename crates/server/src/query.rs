//! The query of a path as fields, which are taken and checked as those of a body are.

use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::fields::{Fields, cut};
use crate::schema::{Kind, Object};

/// The fields of a query: whole numbers where the table has such and a value is one, else texts.
pub(crate) fn fields(query: Option<&str>, table: &Object) -> Result<Fields, Failure> {
    let mut map = Map::new();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name)?, decoded(value)?);
        let field = table.all().find(|field| field.name == name);
        let counts = field.is_some_and(|field| matches!(field.kind, Kind::Integer(..)));
        let number = value.parse::<i64>().ok().filter(|_| counts);
        let value = number.map_or_else(|| Value::from(value), Value::from);
        if map.insert(name.clone(), value).is_some() {
            let name = cut(&name);
            let message = format!("`{name}` is there twice, expected it once");
            return Err(Failure::value(name, message));
        }
    }
    Fields::new(Value::Object(map), "")
}

/// A name or value without its escapes, as forms write them (WHATWG URL, 5.1).
fn decoded(text: &str) -> Result<String, Failure> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|b| char::from(*b).to_digit(16));
        let (byte, after) = match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => ((16 * high + low) as u8, &after[2..]),
            (b'+', ..) => (b' ', after),
            (byte, ..) => (*byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| Failure::request("the query is no UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::optional;

    static TABLE: Object = Object {
        name: "Query",
        fields: &[&[optional("a", Kind::Text, ""), optional("n", Kind::Integer(1, 100), "")]],
    };

    fn read(query: &str) -> Result<Fields, Failure> {
        fields(Some(query), &TABLE)
    }

    #[test]
    fn queries_are_read_as_forms_write_them() {
        let text = |query: &str| read(query).and_then(|mut fields| fields.text("a"));
        for (query, want) in [
            ("", None),
            ("&&b=1", None),
            ("a=x%20y+z%C3%A9&b=1", Some("x y z\u{e9}")),
            ("a", Some("")),
            ("%61=b=c", Some("b=c")),
            ("a=%zz%4", Some("%zz%4")),
            ("a=1", Some("1")),
        ] {
            assert_eq!(text(query).unwrap().as_deref(), want, "{query}");
        }
        for query in ["a=x&a=y", "a=%ff"] {
            assert!(text(query).is_err(), "{query}");
        }
        assert_eq!(read("n=20").unwrap().integer("n", 1..=100).unwrap(), Some(20));
        assert!(read("n=2x").unwrap().integer("n", 1..=100).is_err());
        assert!(fields(None, &TABLE).unwrap().as_is("a").is_none());
    }
}
