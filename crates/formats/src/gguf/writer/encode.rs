//! Metadata values as bytes.

use crate::gguf::value::{Value, ValueType};

/// What can be a metadata value: numbers, bools, texts, slices of them, and values read from
/// another file.
pub trait ToValue {
    /// The type in the file.
    fn ty(&self) -> ValueType;

    /// Appends the value, without its type.
    fn write(&self, out: &mut Vec<u8>);
}

/// What an array can hold.
pub trait Element {
    /// The type in the file.
    const TYPE: ValueType;

    /// Appends the element.
    fn write_element(&self, out: &mut Vec<u8>);
}

impl<T: Element> ToValue for T {
    fn ty(&self) -> ValueType {
        T::TYPE
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.write_element(out);
    }
}

impl<T: Element> ToValue for &[T] {
    fn ty(&self) -> ValueType {
        ValueType::Array
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(T::TYPE.id().to_le_bytes());
        out.extend((self.len() as u64).to_le_bytes());
        for element in *self {
            element.write_element(out);
        }
    }
}

impl ToValue for Value<'_> {
    fn ty(&self) -> ValueType {
        Value::ty(self)
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::U8(value) => value.write(out),
            Value::I8(value) => value.write(out),
            Value::U16(value) => value.write(out),
            Value::I16(value) => value.write(out),
            Value::U32(value) => value.write(out),
            Value::I32(value) => value.write(out),
            Value::F32(value) => value.write(out),
            Value::Bool(value) => value.write(out),
            Value::Str(value) => value.write(out),
            Value::U64(value) => value.write(out),
            Value::I64(value) => value.write(out),
            Value::F64(value) => value.write(out),
            Value::Array(array) => {
                out.extend(array.element_type().id().to_le_bytes());
                out.extend((array.len() as u64).to_le_bytes());
                out.extend(array.bytes());
            }
        }
    }
}

macro_rules! numbers {
    ($($number:ty => $ty:ident),*) => {
        $(impl Element for $number {
            const TYPE: ValueType = ValueType::$ty;

            fn write_element(&self, out: &mut Vec<u8>) {
                out.extend(self.to_le_bytes());
            }
        })*
    };
}

numbers!(
    u8 => U8, i8 => I8, u16 => U16, i16 => I16, u32 => U32, i32 => I32, f32 => F32, u64 => U64,
    i64 => I64, f64 => F64
);

impl Element for bool {
    const TYPE: ValueType = ValueType::Bool;

    fn write_element(&self, out: &mut Vec<u8>) {
        out.push((*self).into());
    }
}

impl Element for &str {
    const TYPE: ValueType = ValueType::Str;

    fn write_element(&self, out: &mut Vec<u8>) {
        string(self.as_bytes(), out);
    }
}

impl Element for String {
    const TYPE: ValueType = ValueType::Str;

    fn write_element(&self, out: &mut Vec<u8>) {
        string(self.as_bytes(), out);
    }
}

/// A 64-bit length and the bytes.
pub(super) fn string(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend(bytes);
}
