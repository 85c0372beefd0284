//! Arrays of metadata: views that are walked once when the file is read, and decoded on use.

use std::fmt;

use super::cursor::Cursor;
use super::value::{Value, ValueType};
use crate::error::{Error, ErrorKind};

/// How deep arrays may lie in arrays. Files in the wild have no nesting.
pub(crate) const MAX_DEPTH: usize = 4;

/// Values of one type, still in the file's bytes.
///
/// The count is proved: so many elements lie in the bytes. What the elements say (UTF-8, 0 or 1)
/// is checked when they are read.
#[derive(Clone, Copy, PartialEq)]
pub struct Array<'a> {
    ty: ValueType,
    len: usize,
    bytes: &'a [u8],
    /// Where `bytes` begin in the file.
    start: usize,
    /// How deep the elements may nest.
    depth: usize,
}

impl<'a> Array<'a> {
    /// The type of the elements.
    pub fn element_type(&self) -> ValueType {
        self.ty
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements in order; ends after the first that is an error.
    pub fn iter(&self) -> impl Iterator<Item = Result<Value<'a>, Error>> + use<'a> {
        let mut cursor = Cursor::new(self.bytes, self.start);
        let Array { ty, len, depth, .. } = *self;
        let mut failed = false;
        (0..len).map_while(move |_| {
            if failed {
                return None;
            }
            let value = Value::read(&mut cursor, ty, depth);
            failed = value.is_err();
            Some(value)
        })
    }

    /// The elements as they stand in the file.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The texts of an array of strings, without a check that they are UTF-8.
    ///
    /// `None` when the elements are not strings.
    pub(crate) fn byte_strings(&self) -> Option<ByteStrings<'a>> {
        let cursor = Cursor::new(self.bytes, self.start);
        (self.ty == ValueType::Str).then_some(ByteStrings { cursor, left: self.len })
    }

    /// Reads the head and walks over the elements; `depth` more levels of arrays are accepted,
    /// this one included.
    pub(crate) fn read(cursor: &mut Cursor<'a>, depth: usize) -> Result<Array<'a>, Error> {
        let at = cursor.at();
        let Some(depth) = depth.checked_sub(1) else {
            return Err(Error::new(
                ErrorKind::Limit,
                format!("array at offset `{at}`"),
                "another array inside",
                format!("arrays at most `{MAX_DEPTH}` deep"),
            ));
        };
        let ty = ValueType::read(cursor)?;
        let count = cursor.u64("array length")?;
        let smallest = smallest(ty);
        let len = usize::try_from(count)
            .ok()
            .filter(|len| *len <= cursor.remaining() / smallest)
            .ok_or_else(|| {
            Error::new(
                ErrorKind::Truncated,
                format!("array at offset `{at}`"),
                format!("a length of `{count}`"),
                format!(
                    "at most `{}` elements of type `{}` in the `{}` bytes up to the end",
                    cursor.remaining() / smallest,
                    ty.name(),
                    cursor.remaining(),
                ),
            )
        })?;
        let start = cursor.at();
        match ty {
            ValueType::Str => {
                for _ in 0..len {
                    cursor.string_bytes("string of an array")?;
                }
            }
            ValueType::Array => {
                for _ in 0..len {
                    Array::read(cursor, depth)?;
                }
            }
            _ => {
                cursor.take(len as u64 * smallest as u64, "array")?;
            }
        }
        Ok(Array { ty, len, bytes: cursor.since(start), start, depth })
    }
}

impl fmt::Debug for Array<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}; {}]", self.ty.name(), self.len)
    }
}

/// The fewest bytes that an element takes in a file.
fn smallest(ty: ValueType) -> usize {
    match ty {
        ValueType::Str => 8,
        ValueType::Array => 12,
        _ => ty.size().expect("every other type has a fixed size"),
    }
}

/// The strings of an array as bytes, in order.
#[derive(Clone)]
pub struct ByteStrings<'a> {
    cursor: Cursor<'a>,
    left: usize,
}

impl<'a> Iterator for ByteStrings<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        Some(self.cursor.string_bytes("string").expect("walked over when the file was read"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for ByteStrings<'_> {}

impl fmt::Debug for ByteStrings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ByteStrings({} left)", self.left)
    }
}

impl<'a> ByteStrings<'a> {
    /// Those that are left as texts; the error names the first that is not UTF-8. At most twice the
    /// array's own bytes are allocated.
    pub(crate) fn texts(self) -> Result<Vec<&'a str>, Error> {
        let mut texts = Vec::with_capacity(self.len());
        for (index, bytes) in self.enumerate() {
            texts.push(std::str::from_utf8(bytes).map_err(|error| {
                Error::new(
                    ErrorKind::Encoding,
                    format!("string `{index}`"),
                    format!("bytes that are not UTF-8 after `{}` that are", error.valid_up_to()),
                    "UTF-8",
                )
                .with_source(error)
            })?);
        }
        Ok(texts)
    }
}
