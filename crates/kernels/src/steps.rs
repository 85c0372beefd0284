//! Rows cut into steps of 256 values, the last one padded.

use bytemuck::Zeroable;

use crate::activations::QuantizedRow;

/// Values that the kernels for few tokens take at once.
pub(crate) const STEP: usize = 256;

/// The last `n % 256` activations of a row, padded with zeros to a step.
pub(crate) struct Tail {
    q: [i8; STEP],
    scale: [f32; STEP / 32],
    sum: [i16; STEP / 16],
}

impl Tail {
    pub(crate) fn new(x: QuantizedRow<'_>) -> Self {
        let (steps, values) = (x.q.len() / STEP, x.q.len() % STEP);
        let mut tail = Self { q: [0; STEP], scale: [0.0; 8], sum: [0; 16] };
        tail.q[..values].copy_from_slice(&x.q[steps * STEP..]);
        tail.scale[..values / 32].copy_from_slice(&x.scale[steps * 8..]);
        tail.sum[..values / 16].copy_from_slice(&x.sum[steps * 16..]);
        tail
    }

    pub(crate) fn row(&self) -> QuantizedRow<'_> {
        QuantizedRow { q: &self.q, scale: &self.scale, sum: &self.sum }
    }
}

/// The first `K` items; where there are fewer, zeros follow them. Items after a row's end are the
/// next row's: whoever reads them must ignore them.
#[inline(always)]
pub(crate) fn padded<T: Zeroable + Copy, const K: usize, R>(
    items: &[T],
    read: impl FnOnce(&[T; K]) -> R,
) -> R {
    match items.first_chunk() {
        Some(whole) => read(whole),
        None => {
            let mut padded = [T::zeroed(); K];
            padded[..items.len()].copy_from_slice(items);
            read(&padded)
        }
    }
}

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
    /// Everything from the start of row `r`.
    #[inline(always)]
    pub(crate) fn row_on(self, r: usize) -> &'a [u8] {
        &self.bytes[r * self.row_bytes..]
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
