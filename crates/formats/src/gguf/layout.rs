//! The tensor list: names, shapes, types, and a proof that every tensor's bytes are its own.

use super::cursor::Cursor;
use crate::error::{Error, ErrorKind, quoted};
use crate::tensor::{Shape, TensorInfo};
use crate::tensor_type::TensorType;

/// The longest tensor name in bytes; ggml has 64 with the final zero, some forks 128.
pub(crate) const MAX_NAME_BYTES: usize = 256;

/// The most dimensions of a tensor (GGUF specification).
const MAX_DIMENSIONS: u32 = 4;

/// The fewest bytes that an entry of the tensor list takes: name length, number of dimensions,
/// type, offset.
pub(crate) const SMALLEST_ENTRY: usize = 8 + 4 + 4 + 8;

/// An entry of the list, before the place of the data section is known.
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a str,
    shape: Shape,
    ty: TensorType,
    /// From the beginning of the data section.
    offset: u64,
    bytes: usize,
}

impl<'a> Entry<'a> {
    /// Reads one entry.
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Entry<'a>, Error> {
        let name = cursor.string(MAX_NAME_BYTES, "tensor name")?;
        Entry::read_rest(cursor, name)
            .map_err(|error| error.within(format_args!("tensor {}", quoted(name))))
    }

    fn read_rest(cursor: &mut Cursor<'a>, name: &'a str) -> Result<Entry<'a>, Error> {
        let at = cursor.at();
        let rank = cursor.u32("number of dimensions")?;
        if rank > MAX_DIMENSIONS {
            return Err(Error::new(
                ErrorKind::Limit,
                format!("number of dimensions at offset `{at}`"),
                format!("`{rank}`"),
                format!("at most `{MAX_DIMENSIONS}`"),
            ));
        }
        let mut lengths = Vec::new();
        for _ in 0..rank {
            lengths.push(cursor.u64("dimension")?);
        }
        lengths.reverse();
        let at = cursor.at();
        let ty = read_type(cursor.u32("tensor type")?, at)?;
        let (shape, bytes) = shape_and_bytes(&lengths, ty)?;
        let offset = cursor.u64("data offset")?;
        Ok(Entry { name, shape, ty, offset, bytes })
    }

    /// Where the tensor lies in a file of `length` bytes.
    fn place(
        self,
        data_start: usize,
        length: usize,
        alignment: usize,
    ) -> Result<TensorInfo<'a>, Error> {
        let place = || format!("tensor {}", quoted(self.name));
        if !self.offset.is_multiple_of(alignment as u64) {
            return Err(Error::new(
                ErrorKind::Layout,
                place(),
                format!("the data offset `{}`", self.offset),
                format!("a multiple of the alignment `{alignment}`"),
            ));
        }
        let range = usize::try_from(self.offset)
            .ok()
            .and_then(|offset| data_start.checked_add(offset))
            .and_then(|start| Some(start..start.checked_add(self.bytes)?))
            .filter(|range| range.end <= length);
        let Some(range) = range else {
            return Err(Error::new(
                ErrorKind::Truncated,
                place(),
                format!(
                    "`{}` bytes at offset `{}` of a data section of `{}` bytes",
                    self.bytes,
                    self.offset,
                    length.saturating_sub(data_start),
                ),
                "tensor data inside the file",
            )
            .with_hint("the file is cut short or damaged; fetch it again"));
        };
        Ok(TensorInfo { name: self.name, shape: self.shape, ty: self.ty, range })
    }
}

/// The places of all tensors, in the order of the list, each proved to be inside the file and no
/// two to overlap.
pub(crate) fn place_all<'a>(
    entries: Vec<Entry<'a>>,
    data_start: usize,
    length: usize,
    alignment: usize,
) -> Result<Vec<TensorInfo<'a>>, Error> {
    let tensors = entries
        .into_iter()
        .map(|entry| entry.place(data_start, length, alignment))
        .collect::<Result<Vec<_>, _>>()?;
    let mut by_place: Vec<&TensorInfo<'_>> = tensors.iter().collect();
    by_place.sort_by_key(|tensor| tensor.range.start);
    for pair in by_place.windows(2) {
        if let [first, second] = pair
            && second.range.start < first.range.end
        {
            return Err(Error::new(
                ErrorKind::Layout,
                format!("tensor {}", quoted(second.name)),
                format!(
                    "bytes `{}` to `{}`, of which {} has those up to `{}`",
                    second.range.start,
                    second.range.end,
                    quoted(first.name),
                    first.range.end,
                ),
                "tensors that do not overlap",
            ));
        }
    }
    Ok(tensors)
}

/// A tensor's shape and size from its row-major lengths.
pub(super) fn shape_and_bytes(lengths: &[u64], ty: TensorType) -> Result<(Shape, usize), Error> {
    let refused = |place: &str, found: String, expected: String| {
        Error::new(ErrorKind::Layout, place, found, expected)
    };
    let shape = checked_shape(lengths).ok_or_else(|| {
        let found = format!("`{lengths:?}`, the rows last");
        let expected = "at most `4` lengths of at least `1` with a product below `2^63`";
        refused("dimensions", found, expected.to_owned())
    })?;
    let row = shape.last().copied().unwrap_or(1);
    if !row.is_multiple_of(ty.block_len()) {
        let found = format!("`{row}` values of type `{ty}`");
        return Err(refused("row", found, format!("a multiple of `{}`", ty.block_len())));
    }
    let elements = shape.elements().expect("the product was checked");
    let bytes = (elements / ty.block_len()).checked_mul(ty.block_bytes()).ok_or_else(|| {
        let found = format!("`{elements}` values of type `{ty}`");
        refused("size", found, "a number of bytes that fits".to_owned())
    })?;
    Ok((shape, bytes))
}

/// `None` when there are too many lengths, one is zero or the product does not fit.
fn checked_shape(lengths: &[u64]) -> Option<Shape> {
    let lengths = lengths
        .iter()
        .map(|&length| usize::try_from(length).ok().filter(|&length| length > 0))
        .collect::<Option<Vec<_>>>()?;
    let shape = Shape::new(&lengths).filter(|shape| shape.len() <= MAX_DIMENSIONS as usize)?;
    shape.elements().filter(|&elements| isize::try_from(elements).is_ok())?;
    Some(shape)
}

fn read_type(id: u32, at: usize) -> Result<TensorType, Error> {
    TensorType::from_id(id).ok_or_else(|| {
        let error = Error::new(
            ErrorKind::Type,
            format!("tensor type at offset `{at}`"),
            format!("`{id}`"),
            "the id of a known type",
        );
        match id {
            4 | 5 | 31..=33 | 36..=38 => {
                error.with_hint("this type was removed from the format; convert the model again")
            }
            _ => error,
        }
    })
}
