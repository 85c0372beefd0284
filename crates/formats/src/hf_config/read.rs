//! What each getter of a config accepts: `None` stands for another type.

use serde_json::Value;

use crate::error::Error;

type Read<T> = Result<Option<T>, Error>;

pub(super) fn u32(value: &Value) -> Read<u32> {
    Ok(value.as_u64().and_then(|integer| integer.try_into().ok()))
}

pub(super) fn u64(value: &Value) -> Read<u64> {
    Ok(value.as_u64())
}

pub(super) fn i32(value: &Value) -> Read<i32> {
    Ok(value.as_i64().and_then(|integer| integer.try_into().ok()))
}

pub(super) fn f32(value: &Value) -> Read<f32> {
    Ok(value.as_f64().map(|number| number as f32).filter(|number| number.is_finite()))
}

pub(super) fn bool(value: &Value) -> Read<bool> {
    Ok(value.as_bool())
}

pub(super) fn str(value: &Value) -> Read<&str> {
    Ok(value.as_str())
}

pub(super) fn strings(value: &Value) -> Read<Vec<&str>> {
    elements(value, str)
}

pub(super) fn f32s(value: &Value) -> Read<Vec<f32>> {
    elements(value, f32)
}

pub(super) fn u32s(value: &Value) -> Read<Vec<u32>> {
    elements(value, u32)
}

pub(super) fn i32s(value: &Value) -> Read<Vec<i32>> {
    elements(value, i32)
}

pub(super) fn bools(value: &Value) -> Read<Vec<bool>> {
    elements(value, bool)
}

pub(super) fn ids(value: &Value) -> Read<Vec<u32>> {
    Ok(match u32(value)? {
        Some(id) => Some(vec![id]),
        None => u32s(value)?,
    })
}

pub(super) fn token(value: &Value) -> Read<&str> {
    str(value.get("content").unwrap_or(value))
}

fn elements<'a, T>(value: &'a Value, element: impl Fn(&'a Value) -> Read<T>) -> Read<Vec<T>> {
    let Some(elements) = value.as_array() else { return Ok(None) };
    elements.iter().map(element).collect()
}
