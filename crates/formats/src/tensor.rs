//! One tensor of a file: name, shape, type and place.

use std::fmt;
use std::ops::{Deref, Range};

use crate::TensorType;

/// What a file says about one tensor. The bytes come from the file that it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorInfo<'a> {
    /// The name in the file.
    pub name: &'a str,
    /// Row-major: the last length is the contiguous one.
    pub shape: Shape,
    /// How the values are stored.
    pub ty: TensorType,
    /// Where the bytes lie, in bytes from the beginning of the file.
    pub range: Range<usize>,
}

impl TensorInfo<'_> {
    /// Values in the tensor.
    pub fn elements(&self) -> usize {
        self.shape.elements().expect("the product was checked when the file was read")
    }

    /// Bytes of the tensor.
    pub fn bytes(&self) -> usize {
        self.range.len()
    }
}

/// The lengths of a tensor, row-major: `(out, in)` of a weight matrix. Reads as a slice.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    lengths: [usize; Shape::MAX],
    rank: usize,
}

impl Shape {
    /// The most dimensions that are accepted (GGUF itself has at most 4).
    pub const MAX: usize = 8;

    /// `None` when there are more than [`Shape::MAX`].
    pub fn new(lengths: &[usize]) -> Option<Shape> {
        let mut shape = Shape { lengths: [1; Shape::MAX], rank: lengths.len() };
        shape.lengths.get_mut(..lengths.len())?.copy_from_slice(lengths);
        Some(shape)
    }

    /// The product of the lengths, 1 for a scalar; `None` when it does not fit.
    pub fn elements(&self) -> Option<usize> {
        self.iter().try_fold(1usize, |product, &length| product.checked_mul(length))
    }
}

impl Deref for Shape {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        self.lengths.get(..self.rank).expect("the rank was checked when the shape was made")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
