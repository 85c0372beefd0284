//! `model.safetensors.index.json`: which file of a directory has which tensor.

use std::collections::HashMap;

use serde_json::Value;

use super::SafeTensors;
use crate::error::{Error, ErrorKind, quoted};
use crate::json::{self, Object};

/// The longest index in bytes; the largest published ones have about 14 MB.
const MAX_BYTES: usize = 64 << 20;

/// The most files of one model that are accepted.
const MAX_FILES: usize = 4096;

/// The longest file name that Linux has.
const MAX_NAME_BYTES: usize = 255;

/// Which file has which tensor. Every file name is proved to be a plain name: it cannot lead out
/// of the index's own directory.
#[derive(Clone, Debug)]
pub struct Index {
    files: Vec<String>,
    /// Tensor name to number of file.
    weight_map: HashMap<String, usize>,
}

impl Index {
    /// Reads the file's `weight_map`.
    ///
    /// # Errors
    /// The JSON is not of this form, names a key twice, or names a file that is not a plain name.
    pub fn parse(bytes: &[u8]) -> Result<Index, Error> {
        let Object(mut object) = json::parse(bytes, MAX_BYTES, "index")?;
        let Some(Value::Object(pairs)) = object.remove("weight_map") else {
            return Err(Error::new(
                ErrorKind::Missing,
                "key `weight_map`",
                "no object",
                "an object of file names by tensor",
            ));
        };
        let mut numbers = HashMap::new();
        let mut weight_map = HashMap::new();
        for (tensor, file) in pairs {
            let Value::String(file) = file else {
                return Err(Error::new(
                    ErrorKind::Type,
                    format!("key `weight_map`, tensor {}", quoted(&tensor)),
                    "no text",
                    "a file name",
                ));
            };
            check_plain_name(&file).map_err(|error| {
                error.within(format_args!("key `weight_map`, tensor {}", quoted(&tensor)))
            })?;
            let next = numbers.len();
            let number = *numbers.entry(file).or_insert(next);
            weight_map.insert(tensor, number);
        }
        if numbers.is_empty() || numbers.len() > MAX_FILES {
            return Err(Error::new(
                ErrorKind::Limit,
                "key `weight_map`",
                format!("`{}` files", numbers.len()),
                format!("`1` to `{MAX_FILES}`"),
            ));
        }
        let mut files: Vec<(String, usize)> = numbers.into_iter().collect();
        files.sort_by_key(|(_, number)| *number);
        Ok(Index { files: files.into_iter().map(|(name, _)| name).collect(), weight_map })
    }

    /// The names of the files, each once, in the order of the index.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// The name of the file that has this tensor.
    pub fn file(&self, tensor: &str) -> Option<&str> {
        self.files.get(*self.weight_map.get(tensor)?).map(String::as_str)
    }

    /// How many tensors the index names.
    pub fn tensor_count(&self) -> usize {
        self.weight_map.len()
    }

    /// Proves that the file `name` has exactly the tensors that the index says.
    ///
    /// # Errors
    /// A tensor is missing from the file, or in it without being named.
    pub fn check(&self, name: &str, file: &SafeTensors<'_>) -> Result<(), Error> {
        let place = || format!("file {}", quoted(name));
        for tensor in file.tensors() {
            if self.file(tensor.name) != Some(name) {
                return Err(Error::new(
                    ErrorKind::Layout,
                    place(),
                    format!("tensor {}", quoted(tensor.name)),
                    "only the tensors that the index has there",
                ));
            }
        }
        let expected = self
            .weight_map
            .iter()
            .filter(|&(_, &number)| self.files.get(number).is_some_and(|file| file == name));
        for (tensor, _) in expected {
            if file.tensor(tensor).is_none() {
                return Err(Error::new(
                    ErrorKind::Missing,
                    place(),
                    format!("no tensor {}", quoted(tensor)),
                    "every tensor that the index has there",
                ));
            }
        }
        Ok(())
    }
}

/// Refuses a name that is more than the name of a file in the same directory.
fn check_plain_name(name: &str) -> Result<(), Error> {
    let plain = !name.is_empty()
        && name.len() <= MAX_NAME_BYTES
        && name != "."
        && name != ".."
        && !name.contains(|c: char| matches!(c, '/' | '\\' | ':') || c.is_control());
    if plain {
        Ok(())
    } else {
        Err(Error::new(
            ErrorKind::Name,
            "file name",
            quoted(name),
            "a plain file name, without separators",
        ))
    }
}
