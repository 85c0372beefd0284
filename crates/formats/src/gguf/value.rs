//! The values of metadata.

use super::array::Array;
use super::cursor::Cursor;
use crate::error::{Error, ErrorKind};

/// The type of a metadata value, with its id in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// Unsigned, 8 bits.
    U8,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 16 bits.
    U16,
    /// Signed, 16 bits.
    I16,
    /// Unsigned, 32 bits.
    U32,
    /// Signed, 32 bits.
    I32,
    /// IEEE single precision.
    F32,
    /// One byte, 0 or 1.
    Bool,
    /// UTF-8 text.
    Str,
    /// Values of one type.
    Array,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 64 bits.
    I64,
    /// IEEE double precision.
    F64,
}

impl ValueType {
    /// Every type, in the order of the ids in the file (GGUF specification, 0 to 12).
    pub const ALL: [ValueType; 13] = [
        ValueType::U8,
        ValueType::I8,
        ValueType::U16,
        ValueType::I16,
        ValueType::U32,
        ValueType::I32,
        ValueType::F32,
        ValueType::Bool,
        ValueType::Str,
        ValueType::Array,
        ValueType::U64,
        ValueType::I64,
        ValueType::F64,
    ];

    /// The id in the file.
    pub const fn id(self) -> u32 {
        self as u32
    }

    /// The name as errors show it.
    pub const fn name(self) -> &'static str {
        match self {
            ValueType::U8 => "u8",
            ValueType::I8 => "i8",
            ValueType::U16 => "u16",
            ValueType::I16 => "i16",
            ValueType::U32 => "u32",
            ValueType::I32 => "i32",
            ValueType::F32 => "f32",
            ValueType::Bool => "bool",
            ValueType::Str => "string",
            ValueType::Array => "array",
            ValueType::U64 => "u64",
            ValueType::I64 => "i64",
            ValueType::F64 => "f64",
        }
    }

    /// Bytes of one value; `None` for strings and arrays.
    pub(crate) const fn size(self) -> Option<usize> {
        match self {
            ValueType::U8 | ValueType::I8 | ValueType::Bool => Some(1),
            ValueType::U16 | ValueType::I16 => Some(2),
            ValueType::U32 | ValueType::I32 | ValueType::F32 => Some(4),
            ValueType::U64 | ValueType::I64 | ValueType::F64 => Some(8),
            ValueType::Str | ValueType::Array => None,
        }
    }

    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<ValueType, Error> {
        let at = cursor.at();
        let id = cursor.u32("value type")?;
        usize::try_from(id).ok().and_then(|id| ValueType::ALL.get(id)).copied().ok_or_else(|| {
            Error::new(
                ErrorKind::Type,
                format!("value type at offset `{at}`"),
                format!("`{id}`"),
                "a type id from `0` to `12`",
            )
        })
    }
}

/// A metadata value. Strings and arrays are views of the file's bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Unsigned, 8 bits.
    U8(u8),
    /// Signed, 8 bits.
    I8(i8),
    /// Unsigned, 16 bits.
    U16(u16),
    /// Signed, 16 bits.
    I16(i16),
    /// Unsigned, 32 bits.
    U32(u32),
    /// Signed, 32 bits.
    I32(i32),
    /// IEEE single precision.
    F32(f32),
    /// True or false.
    Bool(bool),
    /// Text.
    Str(&'a str),
    /// Values of one type.
    Array(Array<'a>),
    /// Unsigned, 64 bits.
    U64(u64),
    /// Signed, 64 bits.
    I64(i64),
    /// IEEE double precision.
    F64(f64),
}

impl<'a> Value<'a> {
    /// The type of this value.
    pub fn ty(&self) -> ValueType {
        match self {
            Value::U8(_) => ValueType::U8,
            Value::I8(_) => ValueType::I8,
            Value::U16(_) => ValueType::U16,
            Value::I16(_) => ValueType::I16,
            Value::U32(_) => ValueType::U32,
            Value::I32(_) => ValueType::I32,
            Value::F32(_) => ValueType::F32,
            Value::Bool(_) => ValueType::Bool,
            Value::Str(_) => ValueType::Str,
            Value::Array(_) => ValueType::Array,
            Value::U64(_) => ValueType::U64,
            Value::I64(_) => ValueType::I64,
            Value::F64(_) => ValueType::F64,
        }
    }

    /// The integer, when this is one of any width.
    pub fn as_integer(&self) -> Option<i128> {
        Some(match *self {
            Value::U8(value) => value.into(),
            Value::I8(value) => value.into(),
            Value::U16(value) => value.into(),
            Value::I16(value) => value.into(),
            Value::U32(value) => value.into(),
            Value::I32(value) => value.into(),
            Value::U64(value) => value.into(),
            Value::I64(value) => value.into(),
            _ => return None,
        })
    }

    /// Reads one value of type `ty`; an array may nest `depth` deep.
    pub(crate) fn read(
        cursor: &mut Cursor<'a>,
        ty: ValueType,
        depth: usize,
    ) -> Result<Value<'a>, Error> {
        const WHAT: &str = "value";
        Ok(match ty {
            ValueType::U8 => Value::U8(u8::from_le_bytes(cursor.array(WHAT)?)),
            ValueType::I8 => Value::I8(i8::from_le_bytes(cursor.array(WHAT)?)),
            ValueType::U16 => Value::U16(u16::from_le_bytes(cursor.array(WHAT)?)),
            ValueType::I16 => Value::I16(i16::from_le_bytes(cursor.array(WHAT)?)),
            ValueType::U32 => Value::U32(u32::from_le_bytes(cursor.array(WHAT)?)),
            ValueType::I32 => Value::I32(i32::from_le_bytes(cursor.array(WHAT)?)),
            ValueType::F32 => Value::F32(f32::from_le_bytes(cursor.array(WHAT)?)),
            ValueType::U64 => Value::U64(u64::from_le_bytes(cursor.array(WHAT)?)),
            ValueType::I64 => Value::I64(i64::from_le_bytes(cursor.array(WHAT)?)),
            ValueType::F64 => Value::F64(f64::from_le_bytes(cursor.array(WHAT)?)),
            ValueType::Bool => Value::Bool(read_bool(cursor)?),
            ValueType::Str => Value::Str(cursor.string(usize::MAX, "string")?),
            ValueType::Array => Value::Array(Array::read(cursor, depth)?),
        })
    }
}

fn read_bool(cursor: &mut Cursor<'_>) -> Result<bool, Error> {
    let at = cursor.at();
    match cursor.array("value")? {
        [0] => Ok(false),
        [1] => Ok(true),
        [byte] => Err(Error::new(
            ErrorKind::Value,
            format!("bool at offset `{at}`"),
            format!("`{byte}`"),
            "`0` or `1`",
        )),
    }
}
