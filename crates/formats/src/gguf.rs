//! GGUF, versions 2 and 3 (github.com/ggml-org/ggml, `docs/gguf.md`): metadata and tensors.
//!
//! ```text
//! "GGUF"  version u32  n_tensors u64  n_keys u64
//! n_keys    × { key string, type u32, value }
//! n_tensors × { name string, rank u32, lengths u64 × rank, type u32, offset u64 }
//! padding to the alignment
//! tensor data, each at a multiple of the alignment from here
//! ```
//! A string is a 64-bit length and as many bytes; everything is little-endian.

mod array;
mod cursor;
mod get;
mod layout;
mod split;
mod value;
mod writer;

use std::collections::HashMap;
use std::fmt;

pub use array::{Array, ByteStrings};
pub use split::{Split, check_shards, split_paths};
pub use value::{Value, ValueType};
pub use writer::{DataWriter, Element, ToValue, Writer};

use crate::error::{Error, ErrorKind, quoted};
use crate::tensor::TensorInfo;
use cursor::Cursor;
use layout::Entry;

/// The longest key in bytes (GGUF specification: 2^16 - 1).
const MAX_KEY_BYTES: usize = 65_535;

/// The most keys: hundreds of times those of any published file.
const MAX_KEYS: u64 = 65_536;

/// The most tensors in one file: a hundred times those of any published file.
const MAX_TENSORS: u64 = 262_144;

/// The fewest bytes that a key with its value takes: length, one byte, type, one byte.
const SMALLEST_PAIR: usize = 8 + 1 + 4 + 1;

/// The alignment of files that name none.
const DEFAULT_ALIGNMENT: u32 = 32;

/// The largest alignment that is accepted; 2 MiB is a huge page.
const MAX_ALIGNMENT: u32 = 1 << 21;

/// A checked view of a GGUF file: every key, value and tensor lies inside `bytes`.
///
/// Parsing walks over the metadata once and copies no value: arrays stay views.
#[derive(Clone)]
pub struct Gguf<'a> {
    bytes: &'a [u8],
    version: u32,
    alignment: usize,
    data_start: usize,
    pairs: Vec<(&'a str, Value<'a>)>,
    pair_index: HashMap<&'a str, usize>,
    tensors: Vec<TensorInfo<'a>>,
    tensor_index: HashMap<&'a str, usize>,
    split: Option<Split>,
}

impl<'a> Gguf<'a> {
    /// Reads the metadata and the tensor list, and proves that each tensor's bytes are in the
    /// file, aligned and its own.
    ///
    /// # Errors
    /// The file is of another format or version, cut short, or contradicts itself.
    pub fn parse(bytes: &'a [u8]) -> Result<Gguf<'a>, Error> {
        let mut cursor = Cursor::new(bytes, 0);
        let version = read_version(&mut cursor)?;
        let at = cursor.at();
        let tensor_count = cursor.u64("number of tensors")?;
        let key_count = cursor.u64("number of keys")?;
        let left = cursor.remaining();
        check_count("keys", at + 8, key_count, MAX_KEYS, left / SMALLEST_PAIR)?;
        check_count("tensors", at, tensor_count, MAX_TENSORS, left / layout::SMALLEST_ENTRY)?;

        let mut pairs = Vec::new();
        let mut pair_index = HashMap::new();
        for index in 0..key_count {
            let at = cursor.at();
            let (key, value) = read_pair(&mut cursor)
                .map_err(|error| error.within(format_args!("key number `{index}`")))?;
            if pair_index.insert(key, pairs.len()).is_some() {
                return Err(duplicate("key", at, key));
            }
            pairs.push((key, value));
        }
        let alignment = read_alignment(pair_index.get("general.alignment").and_then(|&index| {
            let (_, value): &(_, Value<'_>) = pairs.get(index)?;
            Some(value)
        }))?;

        let mut entries: Vec<Entry<'a>> = Vec::new();
        let mut tensor_index = HashMap::new();
        for index in 0..tensor_count {
            let at = cursor.at();
            let entry = Entry::read(&mut cursor)
                .map_err(|error| error.within(format_args!("tensor number `{index}`")))?;
            if tensor_index.insert(entry.name, entries.len()).is_some() {
                return Err(duplicate("tensor name", at, entry.name));
            }
            entries.push(entry);
        }
        let data_start = cursor.at().next_multiple_of(alignment);
        let tensors = layout::place_all(entries, data_start, bytes.len(), alignment)?;
        let mut gguf = Gguf {
            bytes,
            version,
            alignment,
            data_start,
            pairs,
            pair_index,
            tensors,
            tensor_index,
            split: None,
        };
        gguf.split = Split::read(&gguf)?;
        Ok(gguf)
    }

    /// The version of the format, 2 or 3.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// What the offsets of tensors are multiples of, in bytes.
    pub fn alignment(&self) -> usize {
        self.alignment
    }

    /// Where the data section begins; behind the end of a file without tensors at most.
    pub fn data_start(&self) -> usize {
        self.data_start
    }

    /// The keys in the order of the file.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &'a str> {
        self.pairs.iter().map(|(key, _)| *key)
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.pairs.get(*self.pair_index.get(key)?).map(|(_, value)| value)
    }

    /// The tensors in the order of the file's list.
    pub fn tensors(&self) -> &[TensorInfo<'a>] {
        &self.tensors
    }

    /// The tensor with this name.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo<'a>> {
        self.tensors.get(*self.tensor_index.get(name)?)
    }

    /// Which part of a model this file is; `None` when it is a whole one.
    pub fn split(&self) -> Option<Split> {
        self.split
    }

    /// The bytes of a tensor of this file; none of a range that lies outside it.
    pub fn data(&self, info: &TensorInfo<'_>) -> &'a [u8] {
        self.bytes.get(info.range.clone()).unwrap_or_default()
    }
}

impl fmt::Debug for Gguf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gguf")
            .field("version", &self.version)
            .field("pairs", &self.pairs)
            .field("tensors", &self.tensors)
            .finish_non_exhaustive()
    }
}

fn read_version(cursor: &mut Cursor<'_>) -> Result<u32, Error> {
    let magic = cursor.array::<4>("magic")?;
    if &magic != b"GGUF" {
        let error = Error::new(
            ErrorKind::Format,
            "magic at offset `0`",
            format!("`{}`", magic.escape_ascii()),
            "`GGUF`",
        );
        return Err(match &magic {
            b"lmgg" | b"fmgg" | b"tjgg" | b"algg" => {
                error.with_hint("this is a file from before GGUF; convert the model again")
            }
            _ => error,
        });
    }
    let version = cursor.u32("version")?;
    let found = match version {
        2 | 3 => return Ok(version),
        // A small number in the other byte order.
        _ if version & 0xffff == 0 && version != 0 => {
            format!("a big-endian file of version `{}`", version.swap_bytes())
        }
        _ => format!("GGUF version `{version}`"),
    };
    let error = Error::new(
        ErrorKind::Version,
        "version at offset `4`",
        found,
        "version `2` or `3`, little-endian",
    );
    Err(match version {
        1 => error.with_hint("convert the model again with a current tool"),
        _ => error,
    })
}

/// Refuses a count above `limit`, or above `room`: what the rest of the file can hold.
fn check_count(what: &str, at: usize, count: u64, limit: u64, room: usize) -> Result<(), Error> {
    let place = || format!("number of {what} at offset `{at}`");
    let found = format!("`{count}`");
    if count > limit {
        return Err(Error::new(ErrorKind::Limit, place(), found, format!("at most `{limit}`")));
    }
    if count > room as u64 {
        let expected = format!("at most `{room}`, which the rest of the file can hold");
        return Err(Error::new(ErrorKind::Truncated, place(), found, expected));
    }
    Ok(())
}

fn read_pair<'a>(cursor: &mut Cursor<'a>) -> Result<(&'a str, Value<'a>), Error> {
    let at = cursor.at();
    let key = cursor.string(MAX_KEY_BYTES, "key")?;
    if key.is_empty() {
        let place = format!("key at offset `{at}`");
        return Err(Error::new(ErrorKind::Value, place, "no text", "a name"));
    }
    let value = ValueType::read(cursor)
        .and_then(|ty| Value::read(cursor, ty, array::MAX_DEPTH))
        .map_err(|error| error.within(quoted(key)))?;
    Ok((key, value))
}

fn duplicate(what: &str, at: usize, name: &str) -> Error {
    let place = format!("{what} at offset `{at}`");
    Error::new(ErrorKind::Duplicate, place, format!("{} again", quoted(name)), "each name once")
}

fn read_alignment(value: Option<&Value<'_>>) -> Result<usize, Error> {
    let alignment = match value {
        None => DEFAULT_ALIGNMENT,
        Some(&Value::U32(alignment)) => alignment,
        Some(value) => {
            return Err(Error::new(
                ErrorKind::Type,
                "key `general.alignment`",
                get::describe(value),
                "a `u32`",
            ));
        }
    };
    check_alignment(alignment)?;
    Ok(alignment as usize)
}

fn check_alignment(alignment: u32) -> Result<(), Error> {
    if alignment.is_power_of_two() && (8..=MAX_ALIGNMENT).contains(&alignment) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Value,
        "key `general.alignment`",
        format!("`{alignment}`"),
        format!("a power of two from `8` to `{MAX_ALIGNMENT}`"),
    ))
}
