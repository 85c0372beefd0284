//! Metadata by key and type: an error names the key, what was found and what was expected.

use super::Gguf;
use super::array::{Array, ByteStrings};
use super::value::{Value, ValueType};
use crate::error::{Error, ErrorKind, quoted};
use crate::getters::getters;

impl<'a> Gguf<'a> {
    getters! {
        /// An integer of any width that fits.
        u32, need_u32 -> u32, "an integer that fits `u32`";
        /// An integer of any width that fits.
        u64, need_u64 -> u64, "an integer that fits `u64`";
        /// An integer of any width that fits.
        i32, need_i32 -> i32, "an integer that fits `i32`";
        /// A finite float (`f64` is rounded), or an integer that `f32` holds exactly.
        f32, need_f32 -> f32, "a finite number that fits `f32`";
        /// A bool.
        bool, need_bool -> bool, "a `bool`";
        /// A string.
        str, need_str -> &'a str, "a `string`";
        /// An array of strings, each proved to be UTF-8; at most twice its own bytes are allocated.
        strings, need_strings -> Vec<&'a str>, "an array of `string`";
        /// An array of strings as bytes, for vocabularies that are not UTF-8.
        byte_strings, need_byte_strings -> ByteStrings<'a>, "an array of `string`";
        /// An array of `f32`.
        f32s, need_f32s -> Vec<f32>, "an array of `f32`";
        /// An array of integers of 32 or 64 bits, each of which fits.
        i32s, need_i32s -> Vec<i32>, "an array of `i32`";
        /// An array of integers of 32 or 64 bits, each of which fits.
        u32s, need_u32s -> Vec<u32>, "an array of `u32`";
        /// An array of bools.
        bools, need_bools -> Vec<bool>, "an array of `bool`";
    }

    fn place(&self, key: &str) -> String {
        format!("key {}", quoted(key))
    }
}

/// What each getter accepts: `None` stands for another type.
mod read {
    use super::*;

    type Read<T> = Result<Option<T>, Error>;

    pub(super) fn u32(value: &Value<'_>) -> Read<u32> {
        Ok(value.as_integer().and_then(|integer| integer.try_into().ok()))
    }

    pub(super) fn u64(value: &Value<'_>) -> Read<u64> {
        Ok(value.as_integer().and_then(|integer| integer.try_into().ok()))
    }

    pub(super) fn i32(value: &Value<'_>) -> Read<i32> {
        Ok(value.as_integer().and_then(|integer| integer.try_into().ok()))
    }

    pub(super) fn f32(value: &Value<'_>) -> Read<f32> {
        let number = match *value {
            Value::F32(number) => Some(number),
            Value::F64(number) => Some(number as f32),
            _ => value
                .as_integer()
                .map(|integer| (integer, integer as f32))
                .filter(|(integer, number)| *number as i128 == *integer)
                .map(|(_, number)| number),
        };
        Ok(number.filter(|number| number.is_finite()))
    }

    pub(super) fn bool(value: &Value<'_>) -> Read<bool> {
        Ok(match *value {
            Value::Bool(value) => Some(value),
            _ => None,
        })
    }

    pub(super) fn str<'a>(value: &Value<'a>) -> Read<&'a str> {
        Ok(match *value {
            Value::Str(text) => Some(text),
            _ => None,
        })
    }

    pub(super) fn strings<'a>(value: &Value<'a>) -> Read<Vec<&'a str>> {
        byte_strings(value)?.map(ByteStrings::texts).transpose()
    }

    pub(super) fn byte_strings<'a>(value: &Value<'a>) -> Read<ByteStrings<'a>> {
        Ok(array(value).and_then(|array| array.byte_strings()))
    }

    pub(super) fn f32s(value: &Value<'_>) -> Read<Vec<f32>> {
        elements(value, &[ValueType::F32], |element| match *element {
            Value::F32(number) => Some(number),
            _ => None,
        })
    }

    pub(super) fn i32s(value: &Value<'_>) -> Read<Vec<i32>> {
        elements(value, WIDE, |element| element.as_integer()?.try_into().ok())
    }

    pub(super) fn u32s(value: &Value<'_>) -> Read<Vec<u32>> {
        elements(value, WIDE, |element| element.as_integer()?.try_into().ok())
    }

    pub(super) fn bools(value: &Value<'_>) -> Read<Vec<bool>> {
        elements(value, &[ValueType::Bool], |element| match *element {
            Value::Bool(value) => Some(value),
            _ => None,
        })
    }

    const WIDE: &[ValueType] = &[ValueType::I32, ValueType::U32, ValueType::I64, ValueType::U64];

    fn array<'a>(value: &Value<'a>) -> Option<Array<'a>> {
        match *value {
            Value::Array(array) => Some(array),
            _ => None,
        }
    }

    /// The elements of an array of one of `types`. At most four times the array's own bytes are
    /// allocated.
    fn elements<T>(
        value: &Value<'_>,
        types: &[ValueType],
        element: impl Fn(&Value<'_>) -> Option<T>,
    ) -> Read<Vec<T>> {
        let Some(array) = array(value).filter(|array| types.contains(&array.element_type())) else {
            return Ok(None);
        };
        let mut read = Vec::with_capacity(array.len());
        for (index, found) in array.iter().enumerate() {
            let found = found?;
            read.push(element(&found).ok_or_else(|| {
                Error::new(
                    ErrorKind::Value,
                    format!("element `{index}`"),
                    describe(&found),
                    format!("a value that fits `{}`", std::any::type_name::<T>()),
                )
            })?);
        }
        Ok(Some(read))
    }
}

/// A value as errors show it.
pub(super) fn describe(value: &Value<'_>) -> String {
    let ty = value.ty().name();
    match value {
        Value::Str(text) => format!("the `{ty}` {}", quoted(text)),
        Value::Array(array) => {
            format!("an array of `{}` `{}`", array.len(), array.element_type().name())
        }
        Value::F32(number) => format!("the `{ty}` `{number}`"),
        Value::F64(number) => format!("the `{ty}` `{number}`"),
        Value::Bool(value) => format!("the `{ty}` `{value}`"),
        _ => format!("the `{ty}` `{}`", value.as_integer().unwrap_or_default()),
    }
}
