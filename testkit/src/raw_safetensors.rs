//! safetensors files of any tensors, written without the crate under test.

use serde_json::{Map, Value, json};

/// A safetensors file of tensors in F32: the name, the shape and the values of each, which may be
/// fewer than the shape says.
#[must_use]
pub fn raw_safetensors(tensors: &[(String, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    let mut header = Map::new();
    let mut start = 0;
    for (name, shape, values) in tensors {
        let end = start + 4 * values.len();
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, end]});
        header.insert(name.clone(), entry);
        start = end;
    }
    let header = Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(tensors.iter().flat_map(|(_, _, values)| values).flat_map(|x| x.to_le_bytes()));
    file
}
