//! The ends of rows that are not whole registers or steps.

use bytemuck::Zeroable;

use crate::activations::QuantizedRow;
use crate::steps::STEP;

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
