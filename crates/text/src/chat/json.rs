//! `tojson`, as transformers has it in the place of Jinja's: Python's `json.dumps`.

use std::fmt::Write as _;

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};

/// The widest indent. Transformers' templates use at most 4.
const WIDEST_INDENT: usize = 16;

/// The longest text.
const MOST_BYTES: usize = 32 << 20;

/// JSON with the keys in their order, `, ` and `: ` between, nothing escaped for HTML.
pub(super) fn tojson(
    value: &Value,
    indent: Option<usize>,
    options: Kwargs,
) -> Result<Value, Error> {
    let indent = indent.map_or_else(|| options.get("indent"), |indent| Ok(Some(indent)))?;
    let separators: Option<Vec<String>> = options.get("separators")?;
    let style = Style {
        indent,
        is_ascii: options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
        sorts: options.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
        between: match (separators.as_deref(), indent) {
            (Some([items, pairs]), _) => [items.clone(), pairs.clone()],
            (_, Some(_)) => [",".to_owned(), ": ".to_owned()],
            (_, None) => [", ".to_owned(), ": ".to_owned()],
        },
    };
    options.assert_all_used()?;
    if let Some(indent) = indent
        && indent > WIDEST_INDENT
    {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("tojson indents by `{indent}`, expected at most `{WIDEST_INDENT}`"),
        ));
    }
    let mut out = String::new();
    style.write(value, 0, &mut out)?;
    Ok(Value::from(out))
}

/// How `json.dumps` was asked to write.
struct Style {
    /// Spaces for each level, one item a line; `None` is one line.
    indent: Option<usize>,
    is_ascii: bool,
    sorts: bool,
    /// Between items, and between key and value.
    between: [String; 2],
}

impl Style {
    /// The depth of `value` is bounded: every value in a template is.
    fn write(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        if out.len() > MOST_BYTES {
            return Err(Error::new(
                ErrorKind::OutOfFuel,
                format!("tojson makes more than `{MOST_BYTES}` bytes"),
            ));
        }
        match value.kind() {
            ValueKind::None | ValueKind::Undefined => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => out.push_str(&number(value)),
            ValueKind::Seq | ValueKind::Iterable => {
                let items = value.try_iter()?;
                self.container(('[', ']'), items, depth, out, |item, out| {
                    self.write(&item, depth + 1, out)
                })?;
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sorts {
                    keys.sort();
                }
                self.container(('{', '}'), keys.into_iter(), depth, out, |key, out| {
                    match key.as_str() {
                        Some(text) => self.text(text, out),
                        None => self.text(&key.to_string(), out),
                    }
                    out.push_str(self.between.last().map_or(": ", String::as_str));
                    self.write(&value.get_item(&key)?, depth + 1, out)
                })?;
            }
            _ => match value.as_str() {
                Some(text) => self.text(text, out),
                None => {
                    let what = format!("a value of kind `{}` is no JSON", value.kind());
                    return Err(Error::new(ErrorKind::BadSerialization, what));
                }
            },
        }
        Ok(())
    }

    fn container(
        &self,
        (open, close): (char, char),
        items: impl Iterator<Item = Value>,
        depth: usize,
        out: &mut String,
        mut write: impl FnMut(Value, &mut String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        out.push(open);
        let mut is_empty = true;
        for item in items {
            if !is_empty {
                out.push_str(self.between.first().map_or(", ", String::as_str));
            }
            is_empty = false;
            self.line(depth + 1, out);
            write(item, out)?;
        }
        if !is_empty {
            self.line(depth, out);
        }
        out.push(close);
        Ok(())
    }

    fn line(&self, depth: usize, out: &mut String) {
        if let Some(indent) = self.indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent * depth));
        }
    }

    /// Source of the escapes: Python's `json.encoder`.
    fn text(&self, text: &str, out: &mut String) {
        out.push('"');
        for char in text.chars() {
            match char {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                ' '..='~' => out.push(char),
                _ if char >= '\u{7f}' && !self.is_ascii => out.push(char),
                _ => {
                    for unit in char.encode_utf16(&mut [0; 2]) {
                        write!(out, "\\u{unit:04x}").expect("writing to a string does not fail");
                    }
                }
            }
        }
        out.push('"');
    }
}

/// A number as Python writes it: floats in the shortest form, with an exponent below 1e-4 and
/// from 1e16.
fn number(value: &Value) -> String {
    let text = value.to_string();
    let float = match f64::try_from(value.clone()) {
        Ok(float) if !value.is_integer() => float,
        _ => return text,
    };
    if !float.is_finite() {
        return if float.is_nan() {
            "NaN"
        } else if float > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned();
    }
    let size = float.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{float:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    format!("{float:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_python_writes_them() {
        for (number, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.5, "1.5"),
            (2.0, "2.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.25e20, "1.25e+20"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (-3e-300, "-3e-300"),
            (0.1, "0.1"),
        ] {
            assert_eq!(super::number(&Value::from(number)), expected);
        }
        assert_eq!(number(&Value::from(12)), "12");
    }
}
