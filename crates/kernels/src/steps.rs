//! Rows cut into steps of 256 values, the last one padded.

use crate::block::Block;

/// Values that the kernels for few tokens take at once.
pub(crate) const STEP: usize = 256;

/// Bytes of the longest step: 8 blocks of Q8_0.
const LONGEST_STEP: usize = 8 * 34;

/// Weight rows as the file has them, the bytes of a step being a format's 256 values.
#[derive(Clone, Copy)]
pub(crate) struct WeightRows<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) row_bytes: usize,
    pub(crate) step_bytes: usize,
}

impl<'a> WeightRows<'a> {
    /// The bytes of `rows` rows of format `B`.
    #[inline(always)]
    pub(crate) fn new<B: Block>(bytes: &'a [u8], rows: usize) -> Self {
        let step_bytes = const { STEP / B::LEN * size_of::<B>() };
        Self { bytes, row_bytes: bytes.len() / rows.max(1), step_bytes }
    }

    /// Everything from the start of row `r`.
    #[inline(always)]
    pub(crate) fn row_on(self, r: usize) -> &'a [u8] {
        &self.bytes[r * self.row_bytes..]
    }

    /// `R` rows, the first at `r`, `apart` from each other.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(crate) fn rows_on<const R: usize>(self, r: usize, apart: usize) -> [&'a [u8]; R] {
        // `from_fn` stays a call in large kernels, and waits for the slices that it stored.
        let mut rows = [self.bytes; R];
        for (i, row) in rows.iter_mut().enumerate() {
            *row = self.row_on(r + i * apart);
        }
        rows
    }

    /// Reads a step that may pass the end of its row: what follows is the next row's, or zeros.
    #[inline(always)]
    pub(crate) fn last_step<R>(self, bytes: &[u8], read: impl FnOnce(&[u8]) -> R) -> R {
        if bytes.len() >= self.step_bytes {
            read(bytes)
        } else {
            let mut padded = [0; LONGEST_STEP];
            padded[..bytes.len()].copy_from_slice(bytes);
            read(&padded[..self.step_bytes])
        }
    }
}
