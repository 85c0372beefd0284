//! Functions and filters that templates expect of transformers' environment.

use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, Value};

/// The widest indent of `tojson`. Transformers' templates use at most 4.
const WIDEST_INDENT: usize = 16;

/// Puts them into `environment`.
pub(super) fn install(environment: &mut Environment<'static>) {
    environment.add_function("raise_exception", raise_exception);
    environment.add_filter("tojson", tojson);
}

/// Ends the rendering with the template's own words.
fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

/// JSON as Python's `json.dumps(…, ensure_ascii=False)` writes it, which transformers puts in the
/// place of Jinja's filter: keys in their order, `, ` and `: ` between, nothing escaped for HTML.
fn tojson(value: Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let _: Option<bool> = options.get("ensure_ascii")?;
    let _: Option<bool> = options.get("sort_keys")?;
    options.assert_all_used()?;
    if let Some(indent) = indent
        && indent > WIDEST_INDENT
    {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("tojson indents by `{indent}`, expected at most `{WIDEST_INDENT}`"),
        ));
    }
    let mut out = Vec::new();
    let style = Python { indent, depth: 0, has_items: false };
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, style);
    serde::Serialize::serialize(&value, &mut serializer).map_err(|error| {
        Error::new(ErrorKind::InvalidOperation, "value is no JSON").with_source(error)
    })?;
    String::from_utf8(out)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
}

/// Python's spacing.
struct Python {
    /// Spaces for each level, one item a line; `None` is one line.
    indent: Option<usize>,
    depth: usize,
    has_items: bool,
}

impl Python {
    fn begin(
        &mut self,
        out: &mut (impl std::io::Write + ?Sized),
        open: &[u8],
    ) -> std::io::Result<()> {
        self.depth += 1;
        self.has_items = false;
        out.write_all(open)
    }

    fn item(
        &mut self,
        out: &mut (impl std::io::Write + ?Sized),
        first: bool,
    ) -> std::io::Result<()> {
        self.has_items = true;
        if !first {
            out.write_all(if self.indent.is_some() { b"," } else { b", " })?;
        }
        self.line(out)
    }

    fn end(
        &mut self,
        out: &mut (impl std::io::Write + ?Sized),
        close: &[u8],
    ) -> std::io::Result<()> {
        self.depth -= 1;
        if self.has_items {
            self.line(out)?;
        }
        self.has_items = true;
        out.write_all(close)
    }

    fn line(&self, out: &mut (impl std::io::Write + ?Sized)) -> std::io::Result<()> {
        let Some(indent) = self.indent else { return Ok(()) };
        out.write_all(b"\n")?;
        (0..indent * self.depth).try_for_each(|_| out.write_all(b" "))
    }
}

impl serde_json::ser::Formatter for Python {
    fn begin_array<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        self.begin(out, b"[")
    }

    fn end_array<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        self.end(out, b"]")
    }

    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        self.item(out, first)
    }

    fn begin_object<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        self.begin(out, b"{")
    }

    fn end_object<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        self.end(out, b"}")
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        self.item(out, first)
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
    ) -> std::io::Result<()> {
        out.write_all(b": ")
    }
}
