//! Writes GGUF 3: metadata and tensor list first, then each tensor's bytes in order.

mod encode;

use std::collections::HashSet;
use std::io::{self, Write};

pub use encode::{Element, ToValue};

use super::layout::{self, MAX_NAME_BYTES};
use super::{DEFAULT_ALIGNMENT, MAX_KEY_BYTES, MAX_KEYS, MAX_TENSORS, check_alignment};
use crate::error::{Error, ErrorKind, quoted};
use crate::tensor::Shape;
use crate::tensor_type::TensorType;

const VERSION: u32 = 3;

/// What a file is to contain: keys, then tensors, of which only name, shape and type are held.
///
/// ```
/// # fn main() -> Result<(), rushlight_formats::Error> {
/// use rushlight_formats::{Gguf, TensorType, gguf::Writer};
///
/// let mut writer = Writer::new();
/// writer.set("general.architecture", "llama")?;
/// writer.set("tokenizer.ggml.tokens", &["a", "b"][..])?;
/// writer.tensor("output_norm.weight", &[2], TensorType::F32)?;
/// let mut data = writer.begin(Vec::new())?;
/// data.push("output_norm.weight", &[0; 8])?;
/// let file = data.finish()?;
/// assert_eq!(Gguf::parse(&file)?.need_str("general.architecture")?, "llama");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Writer {
    alignment: u32,
    keys: HashSet<String>,
    /// The keys and values as they stand in the file.
    pairs: Vec<u8>,
    names: HashSet<String>,
    tensors: Vec<Planned>,
}

#[derive(Clone, Debug)]
struct Planned {
    name: String,
    shape: Shape,
    id: u32,
    bytes: usize,
}

impl Default for Writer {
    fn default() -> Self {
        Writer::new()
    }
}

impl Writer {
    /// An empty file with the usual alignment.
    pub fn new() -> Writer {
        Writer {
            alignment: DEFAULT_ALIGNMENT,
            keys: HashSet::new(),
            pairs: Vec::new(),
            names: HashSet::new(),
            tensors: Vec::new(),
        }
    }

    /// Sets `general.alignment`, in bytes.
    ///
    /// # Errors
    /// No power of two within the bounds of the reader, or set before.
    pub fn set_alignment(&mut self, alignment: u32) -> Result<(), Error> {
        check_alignment(alignment)?;
        self.put("general.alignment", &alignment)?;
        self.alignment = alignment;
        Ok(())
    }

    /// Adds a key: a number, bool or text, a slice of these, or a [`Value`](super::Value) of
    /// another file.
    ///
    /// # Errors
    /// The key is empty, too long, there already, or `general.alignment`, which has its own
    /// setter.
    pub fn set(&mut self, key: &str, value: impl ToValue) -> Result<(), Error> {
        if key == "general.alignment" {
            return Err(Error::new(
                ErrorKind::Value,
                "key `general.alignment`",
                "a value",
                "`Writer::set_alignment`",
            ));
        }
        self.put(key, &value)
    }

    fn put(&mut self, key: &str, value: &impl ToValue) -> Result<(), Error> {
        let refused = |kind, found: String, expected: &str| {
            Err(Error::new(kind, format!("key {}", quoted(key)), found, expected))
        };
        if key.is_empty() || key.len() > MAX_KEY_BYTES {
            let found = format!("a length of `{}` bytes", key.len());
            return refused(ErrorKind::Limit, found, "`1` to `65535`");
        }
        if self.keys.len() as u64 == MAX_KEYS {
            let found = format!("`{MAX_KEYS}` keys before");
            return refused(ErrorKind::Limit, found, "fewer");
        }
        if !self.keys.insert(key.to_owned()) {
            return refused(ErrorKind::Duplicate, "it again".to_owned(), "each key once");
        }
        encode::string(key.as_bytes(), &mut self.pairs);
        self.pairs.extend(value.ty().id().to_le_bytes());
        value.write(&mut self.pairs);
        Ok(())
    }

    /// Adds a tensor of row-major `shape`; its bytes follow in the same order.
    ///
    /// # Errors
    /// The name is too long or there already; the shape has more than 4 lengths, a zero, or rows
    /// that are not whole blocks; the type does not exist in GGUF.
    pub fn tensor(&mut self, name: &str, shape: &[usize], ty: TensorType) -> Result<(), Error> {
        let refused = |kind, found: String, expected: String| {
            Err(Error::new(kind, format!("tensor {}", quoted(name)), found, expected))
        };
        if name.len() > MAX_NAME_BYTES {
            let found = format!("a name of `{}` bytes", name.len());
            return refused(ErrorKind::Limit, found, format!("at most `{MAX_NAME_BYTES}`"));
        }
        if self.tensors.len() as u64 == MAX_TENSORS {
            let found = format!("`{MAX_TENSORS}` tensors before");
            return refused(ErrorKind::Limit, found, "fewer".to_owned());
        }
        let Some(id) = ty.id() else {
            let expected = "a type that GGUF has".to_owned();
            return refused(ErrorKind::Type, format!("`{ty}`"), expected);
        };
        let lengths: Vec<u64> = shape.iter().map(|&length| length as u64).collect();
        let (shape, bytes) = layout::shape_and_bytes(&lengths, ty)
            .map_err(|error| error.within(format_args!("tensor {}", quoted(name))))?;
        if !self.names.insert(name.to_owned()) {
            let expected = "each name once".to_owned();
            return refused(ErrorKind::Duplicate, "it again".to_owned(), expected);
        }
        self.tensors.push(Planned { name: name.to_owned(), shape, id, bytes });
        Ok(())
    }

    /// Writes everything but the tensors' bytes to `out`.
    ///
    /// # Errors
    /// Writing fails.
    pub fn begin<W: Write>(self, out: W) -> Result<DataWriter<W>, Error> {
        let mut head = b"GGUF".to_vec();
        head.extend(VERSION.to_le_bytes());
        head.extend((self.tensors.len() as u64).to_le_bytes());
        head.extend((self.keys.len() as u64).to_le_bytes());
        head.extend(&self.pairs);
        let mut offset = 0u64;
        for tensor in &self.tensors {
            encode::string(tensor.name.as_bytes(), &mut head);
            head.extend((tensor.shape.len() as u32).to_le_bytes());
            for &length in tensor.shape.iter().rev() {
                head.extend((length as u64).to_le_bytes());
            }
            head.extend(tensor.id.to_le_bytes());
            head.extend(offset.to_le_bytes());
            offset = padded(offset + tensor.bytes as u64, self.alignment);
        }
        let mut writer = DataWriter {
            out,
            alignment: self.alignment,
            tensors: self.tensors.into_iter(),
            current: None,
            written: 0,
        };
        writer.write(&head, "head")?;
        writer.pad()?;
        writer.current = writer.tensors.next();
        Ok(writer)
    }
}

/// Takes the tensors' bytes in the order in which the tensors were added.
#[derive(Debug)]
pub struct DataWriter<W: Write> {
    out: W,
    alignment: u32,
    /// The tensors after the current one.
    tensors: std::vec::IntoIter<Planned>,
    /// The tensor whose bytes come next; `bytes` counts down.
    current: Option<Planned>,
    /// Bytes of the file so far.
    written: u64,
}

impl<W: Write> DataWriter<W> {
    /// Writes the next bytes of the tensor `name`: all of them or a piece.
    ///
    /// # Errors
    /// It is another tensor's turn, the bytes are more than are left of this one, or writing
    /// fails.
    pub fn push(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let place = || format!("tensor {}", quoted(name));
        let current = self.current.as_mut().filter(|current| current.name == name);
        let Some(current) = current else {
            let turn = self.current.as_ref().map_or("no more tensors".to_owned(), |current| {
                format!("tensor {}", quoted(&current.name))
            });
            return Err(Error::new(ErrorKind::Layout, place(), "its bytes", turn));
        };
        let Some(left) = current.bytes.checked_sub(bytes.len()) else {
            return Err(Error::new(
                ErrorKind::Layout,
                place(),
                format!("`{}` bytes", bytes.len()),
                format!("at most the `{}` that are left", current.bytes),
            ));
        };
        current.bytes = left;
        self.write(bytes, name)?;
        if left == 0 {
            self.pad()?;
            self.current = self.tensors.next();
        }
        Ok(())
    }

    /// Ends the file and gives the output back, flushed.
    ///
    /// # Errors
    /// Bytes of a tensor are missing, or writing fails.
    pub fn finish(mut self) -> Result<W, Error> {
        if let Some(current) = &self.current {
            return Err(Error::new(
                ErrorKind::Missing,
                format!("tensor {}", quoted(&current.name)),
                format!("`{}` bytes fewer", current.bytes),
                "all bytes before the end",
            ));
        }
        self.out.flush().map_err(|error| io_error(error, "end"))?;
        Ok(self.out)
    }

    fn write(&mut self, bytes: &[u8], place: &str) -> Result<(), Error> {
        self.out.write_all(bytes).map_err(|error| io_error(error, place))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Zeros up to the next multiple of the alignment.
    fn pad(&mut self) -> Result<(), Error> {
        let zeros = padded(self.written, self.alignment) - self.written;
        self.write(&vec![0; zeros as usize], "padding")
    }
}

fn padded(offset: u64, alignment: u32) -> u64 {
    offset.next_multiple_of(alignment.into())
}

fn io_error(error: io::Error, place: &str) -> Error {
    let found = format!("`{error}`");
    Error::new(ErrorKind::Io, quoted(place), found, "to be written").with_source(error)
}
