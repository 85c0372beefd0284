//! Rows for x86-64.

mod avx2;
mod avx512;

use crate::Row;

/// In order of speed.
pub(crate) const ROWS: [&Row; 2] = [&avx2::ROW, &avx512::ROW];
