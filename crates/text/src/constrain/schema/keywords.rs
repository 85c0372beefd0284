//! The keywords of JSON schemas that can be followed, and what each must be.

/// What stands under a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    /// What says nothing about the value.
    Remark,
    /// A remark that means another thing below the root.
    Root,
    Schema,
    Schemas,
    SchemaOrSchemas,
    Properties,
    Reference,
    Type,
    Value,
    Values,
    Number,
    /// A bound, or draft 4's flag beside one.
    NumberOrFlag,
    Count,
    Names,
    Pattern,
    Format,
    /// Followed only where it says nothing: `false`.
    Off,
}

/// The formats of texts that the compiler follows, but `unknown`.
pub(super) const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"];

/// Whether `name` is a type of JSON.
pub(super) fn is_type(name: &str) -> bool {
    matches!(name, "null" | "boolean" | "integer" | "number" | "string" | "array" | "object")
}

impl Keyword {
    /// What `key` is, or `None` where it cannot be followed.
    pub(super) fn of(key: &str) -> Option<Self> {
        Some(match key {
            "$comment" | "title" | "description" | "default" | "examples" | "example"
            | "deprecated" | "readOnly" | "writeOnly" | "contentMediaType" | "contentEncoding" => {
                Self::Remark
            }
            // Checked where something refers to them.
            "$defs" | "definitions" => Self::Remark,
            // No reference by name is followed.
            "$anchor" => Self::Remark,
            "x-guidance" => return None,
            // Remarks of other programs, as the standard has it.
            _ if key.starts_with("x-") => Self::Remark,
            "$schema" | "$id" | "id" => Self::Root,
            "additionalItems" | "additionalProperties" => Self::Schema,
            "anyOf" | "oneOf" | "allOf" | "prefixItems" => Self::Schemas,
            "items" => Self::SchemaOrSchemas,
            "properties" | "patternProperties" => Self::Properties,
            "$ref" => Self::Reference,
            "type" => Self::Type,
            "const" => Self::Value,
            "enum" => Self::Values,
            "minimum" | "maximum" | "multipleOf" => Self::Number,
            "exclusiveMinimum" | "exclusiveMaximum" => Self::NumberOrFlag,
            "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties"
            | "maxProperties" => Self::Count,
            "required" => Self::Names,
            "pattern" => Self::Pattern,
            "format" => Self::Format,
            "uniqueItems" => Self::Off,
            _ => return None,
        })
    }
}
