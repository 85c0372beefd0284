//! Tables as JSON Schema, draft 2020-12, as OpenAPI 3.1 has it.

use serde_json::{Map, Value, json};

use super::{Field, Kind, Object, Presence};

/// Objects by their names, each described once.
#[derive(Debug, Default)]
pub(crate) struct Components(Map<String, Value>);

impl Components {
    /// All that were named.
    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    /// A reference to an object of a request, which has no other fields.
    pub(crate) fn request(&mut self, object: &Object) -> Value {
        self.object(object, true)
    }

    /// What a value of a request is.
    pub(crate) fn request_value(&mut self, kind: &Kind) -> Value {
        self.kind(kind, true)
    }

    /// What a response is, which may come to have more fields.
    pub(crate) fn response(&mut self, kind: &Kind) -> Value {
        self.kind(kind, false)
    }

    fn object(&mut self, object: &Object, closed: bool) -> Value {
        if !self.0.contains_key(object.name) {
            // Before its fields, which may lead back to it.
            self.0.insert(object.name.to_owned(), Value::Null);
            let described = self.describe(object, closed);
            self.0.insert(object.name.to_owned(), described);
        }
        json!({ "$ref": format!("#/components/schemas/{}", object.name) })
    }

    fn describe(&mut self, object: &Object, closed: bool) -> Value {
        let mut properties = Map::new();
        for field in object.all() {
            properties.insert(field.name.to_owned(), self.field(field, closed));
        }
        let needed = object.all().filter(|field| field.presence == Presence::Needed);
        let needed: Vec<&str> = needed.map(|field| field.name).collect();
        let mut schema = json!({ "type": "object", "properties": properties });
        if !needed.is_empty() {
            schema["required"] = json!(needed);
        }
        if closed {
            schema["additionalProperties"] = json!(false);
        }
        schema
    }

    fn field(&mut self, field: &Field, closed: bool) -> Value {
        let schema = self.kind(&field.kind, closed);
        let mut schema = match field.presence {
            Presence::Optional => or_null(schema),
            Presence::Needed | Presence::Sometimes => schema,
        };
        if !field.doc.is_empty() {
            schema["description"] = json!(field.doc);
        }
        schema
    }

    fn kind(&mut self, kind: &Kind, closed: bool) -> Value {
        match *kind {
            Kind::Text => json!({ "type": "string" }),
            Kind::Sized(least, most) => {
                json!({ "type": "string", "minLength": least, "maxLength": most })
            }
            Kind::Pattern(pattern) => json!({ "type": "string", "pattern": pattern }),
            Kind::Words(words) => json!({ "type": "string", "enum": words }),
            Kind::Flag => json!({ "type": "boolean" }),
            Kind::Only(flag) => json!({ "type": "boolean", "enum": [flag] }),
            Kind::Number(least, most) => {
                let mut schema = json!({ "type": "number" });
                if least > f64::MIN {
                    schema["minimum"] = number(least);
                }
                if most < f64::MAX {
                    schema["maximum"] = number(most);
                }
                schema
            }
            Kind::Integer(least, most) => {
                json!({ "type": "integer", "minimum": least, "maximum": most })
            }
            Kind::From(least) => json!({ "type": "integer", "minimum": least }),
            Kind::List(of) => json!({ "type": "array", "items": self.kind(of, closed) }),
            Kind::Bounded(of, least, most) => {
                let mut schema = json!({ "type": "array", "items": self.kind(of, closed) });
                if least > 0 {
                    schema["minItems"] = json!(least);
                }
                if most < usize::MAX {
                    schema["maxItems"] = json!(most);
                }
                schema
            }
            Kind::Map => json!({ "type": "object", "additionalProperties": true }),
            Kind::MapOf(of) => {
                json!({ "type": "object", "additionalProperties": self.kind(of, closed) })
            }
            Kind::Object(object) => self.object(object, closed),
            Kind::AnyOf(kinds) => {
                let kinds: Vec<Value> = kinds.iter().map(|kind| self.kind(kind, closed)).collect();
                json!({ "anyOf": kinds })
            }
            Kind::OrNull(kind) => or_null(self.kind(kind, closed)),
            Kind::Null => json!({ "type": "null" }),
            Kind::Empty => json!({ "enum": [null, false, 0, "", []] }),
            Kind::Any => json!({}),
        }
    }
}

/// What may also be `null`.
fn or_null(mut schema: Value) -> Value {
    let nothing = json!({ "type": "null" });
    if schema.get("$ref").is_some() {
        return json!({ "anyOf": [schema, nothing] });
    }
    if let Some(Value::Array(kinds)) = schema.get_mut("anyOf") {
        kinds.push(nothing);
        return schema;
    }
    if let Some(kind @ Value::String(_)) = schema.get_mut("type")
        && kind != "null"
    {
        *kind = json!([*kind, "null"]);
        if let Some(Value::Array(values)) = schema.get_mut("enum") {
            values.push(Value::Null);
        }
    }
    schema
}

/// A number as people write it: whole ones without a point.
fn number(number: f64) -> Value {
    let whole = number as i64;
    if whole as f64 == number { json!(whole) } else { json!(number) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{needed, optional, sometimes};

    static INNER: Object = Object { name: "Inner", fields: &[&[needed("x", Kind::Flag, "")]] };

    static OUTER: Object = Object {
        name: "Outer",
        fields: &[
            &[
                needed("inner", Kind::Object(&INNER), ""),
                optional("again", Kind::Object(&INNER), "Said."),
                optional("word", Kind::Words(&["a", "b"]), ""),
                optional("number", Kind::Number(0.01, 2.0), ""),
            ],
            &[
                optional("many", Kind::List(&Kind::Integer(1, 2)), ""),
                optional("either", Kind::AnyOf(&[Kind::Text, Kind::Flag]), ""),
                optional("any", Kind::Any, ""),
                sometimes("last", Kind::Text, ""),
            ],
        ],
    };

    #[test]
    fn tables_become_schemas() {
        let mut components = Components::default();
        let outer = components.request(&OUTER);
        assert_eq!(outer, json!({ "$ref": "#/components/schemas/Outer" }));
        let inner = json!({ "$ref": "#/components/schemas/Inner" });
        let nothing = json!({ "type": "null" });
        let want = json!({
            "Outer": {
                "type": "object",
                "properties": {
                    "inner": inner,
                    "again": { "anyOf": [inner, nothing], "description": "Said." },
                    "word": { "type": ["string", "null"], "enum": ["a", "b", null] },
                    "number": { "type": ["number", "null"], "minimum": 0.01, "maximum": 2 },
                    "many": {
                        "type": ["array", "null"],
                        "items": { "type": "integer", "minimum": 1, "maximum": 2 },
                    },
                    "either": { "anyOf": [{ "type": "string" }, { "type": "boolean" }, nothing] },
                    "any": {},
                    "last": { "type": "string" },
                },
                "required": ["inner"],
                "additionalProperties": false,
            },
            "Inner": {
                "type": "object",
                "properties": { "x": { "type": "boolean" } },
                "required": ["x"],
                "additionalProperties": false,
            },
        });
        assert_eq!(components.into_value(), want);
    }
}
