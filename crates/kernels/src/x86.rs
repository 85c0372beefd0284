//! Rows for x86-64.

mod avx2;
mod avx512;
mod six_bits;
mod tail;

use crate::Row;

/// In order of speed.
pub(crate) const ROWS: [&Row; 3] = [&avx2::ROW, &avx2::ROW_VNNI, &avx512::ROW];
