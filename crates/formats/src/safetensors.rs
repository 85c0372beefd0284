//! safetensors (github.com/huggingface/safetensors, README "Format").
//!
//! ```text
//! header length u64, little-endian
//! header: { "NAME": { "dtype", "shape", "data_offsets": [begin, end] }, ..., "__metadata__": {} }
//! tensor data, covered by the offsets without gap or overlap
//! ```

mod header;
mod index;

use std::collections::HashMap;

pub use index::Index;

use crate::error::{Error, ErrorKind, quoted};
use crate::json;
use crate::tensor::{Shape, TensorInfo};
use crate::tensor_type::TensorType;
use header::{Entry, Header};

/// The longest header in bytes (the reference implementation's bound).
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// The bytes in front of the header.
const LENGTH_BYTES: usize = 8;

/// A checked view of a safetensors file: each tensor's bytes are in the file, its own, and as
/// many as its shape and type take.
///
/// The format does not align tensors: their bytes may begin at any address.
#[derive(Clone)]
pub struct SafeTensors<'a> {
    bytes: &'a [u8],
    tensors: Vec<TensorInfo<'a>>,
    tensor_index: HashMap<&'a str, usize>,
    metadata: HashMap<String, String>,
}

impl<'a> SafeTensors<'a> {
    /// Reads the header and proves what it says about the data.
    ///
    /// # Errors
    /// The file is of another format, cut short, or contradicts itself; or the name of a tensor
    /// is written with escapes, which no published file has.
    pub fn parse(bytes: &'a [u8]) -> Result<SafeTensors<'a>, Error> {
        let (header, data_start) = split_header(bytes)?;
        let Header { entries, metadata } =
            json::parse(header, MAX_HEADER_BYTES as usize, "header")?;
        let mut tensor_index = HashMap::new();
        let mut tensors = Vec::new();
        for (name, entry) in entries {
            if tensor_index.insert(name, tensors.len()).is_some() {
                return Err(Error::new(
                    ErrorKind::Duplicate,
                    "header",
                    format!("tensor {} again", quoted(name)),
                    "each name once",
                ));
            }
            tensors.push(
                place(name, entry, data_start, bytes.len())
                    .map_err(|error| error.within(format_args!("tensor {}", quoted(name))))?,
            );
        }
        check_cover(&tensors, data_start, bytes.len())?;
        Ok(SafeTensors { bytes, tensors, tensor_index, metadata })
    }

    /// The tensors in the order of the header.
    pub fn tensors(&self) -> &[TensorInfo<'a>] {
        &self.tensors
    }

    /// The tensor with this name.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo<'a>> {
        self.tensors.get(*self.tensor_index.get(name)?)
    }

    /// The bytes of a tensor of this file; none of a range that lies outside it.
    pub fn data(&self, info: &TensorInfo<'_>) -> &'a [u8] {
        self.bytes.get(info.range.clone()).unwrap_or_default()
    }

    /// A text of the header's `__metadata__`.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }
}

impl std::fmt::Debug for SafeTensors<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SafeTensors")
            .field("tensors", &self.tensors)
            .field("metadata", &self.metadata)
            .finish_non_exhaustive()
    }
}

/// The header's bytes, and where the data begins.
fn split_header(bytes: &[u8]) -> Result<(&[u8], usize), Error> {
    let refused = |kind, found: String, expected: String| {
        Err(Error::new(kind, "header length at offset `0`", found, expected))
    };
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else {
        let found = format!("a file of `{}` bytes", bytes.len());
        return refused(ErrorKind::Truncated, found, format!("at least `{LENGTH_BYTES}`"));
    };
    let length = u64::from_le_bytes(*length);
    let found = format!("`{length}`");
    // `{}` is the shortest header.
    if length < 2 {
        return refused(ErrorKind::Value, found, "at least `2`".to_owned());
    }
    if length > MAX_HEADER_BYTES {
        return refused(ErrorKind::Limit, found, format!("at most `{MAX_HEADER_BYTES}`"));
    }
    let Some(header) = rest.get(..length as usize) else {
        let expected = format!("at most the `{}` bytes up to the end", rest.len());
        return refused(ErrorKind::Truncated, found, expected);
    };
    Ok((header, LENGTH_BYTES + header.len()))
}

/// A tensor's place in a file of `length` bytes.
fn place<'a>(
    name: &'a str,
    entry: Entry<'_>,
    data_start: usize,
    length: usize,
) -> Result<TensorInfo<'a>, Error> {
    let Some(ty) = TensorType::from_name(&entry.dtype).filter(|ty| ty.block_len() == 1) else {
        let found = quoted(&entry.dtype);
        return Err(Error::new(ErrorKind::Type, "`dtype`", found, "a known type such as `BF16`"));
    };
    let shape = entry
        .shape
        .0
        .iter()
        .map(|&length| usize::try_from(length).ok())
        .collect::<Option<Vec<_>>>()
        .and_then(|lengths| Shape::new(&lengths));
    let bytes = shape.and_then(|shape| shape.elements()?.checked_mul(ty.block_bytes()));
    let (Some(shape), Some(bytes)) = (shape, bytes) else {
        return Err(Error::new(
            ErrorKind::Layout,
            "`shape`",
            format!("`{:?}`", entry.shape.0),
            "a product of lengths below `2^63`",
        ));
    };
    let [begin, end] = entry.data_offsets;
    let found = format!("`{begin}` to `{end}`");
    if begin > end {
        return Err(Error::new(ErrorKind::Layout, "`data_offsets`", found, "the end last"));
    }
    let room = length - data_start;
    if end > room as u64 {
        return Err(Error::new(
            ErrorKind::Truncated,
            "`data_offsets`",
            found,
            format!("an end within the `{room}` bytes of data"),
        )
        .with_hint("the file is cut short or damaged; fetch it again"));
    }
    if end - begin != bytes as u64 {
        return Err(Error::new(
            ErrorKind::Layout,
            "`data_offsets`",
            format!("{found}, `{}` bytes", end - begin),
            format!("the `{bytes}` bytes of shape `{shape}` and type `{ty}`"),
        ));
    }
    let range = data_start + begin as usize..data_start + end as usize;
    Ok(TensorInfo { name, shape, ty, range })
}

/// Proves that the tensors cover the data without gap or overlap.
fn check_cover(tensors: &[TensorInfo<'_>], data_start: usize, length: usize) -> Result<(), Error> {
    let mut by_place: Vec<&TensorInfo<'_>> = tensors.iter().collect();
    by_place.sort_by_key(|tensor| (tensor.range.start, tensor.range.end));
    let mut covered = data_start;
    for tensor in by_place {
        if tensor.range.start != covered {
            return Err(Error::new(
                ErrorKind::Layout,
                format!("tensor {}, `data_offsets`", quoted(tensor.name)),
                format!("a begin of `{}`", tensor.range.start - data_start),
                format!("`{}`, where the tensor before it ends", covered - data_start),
            ));
        }
        covered = tensor.range.end;
    }
    if covered != length {
        return Err(Error::new(
            ErrorKind::Layout,
            "data",
            format!("`{}` bytes", length - data_start),
            format!("the `{}` bytes that the tensors take", covered - data_start),
        ));
    }
    Ok(())
}
