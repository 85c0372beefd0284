//! Rows for x86-64.

mod avx512;

use crate::Row;

/// In order of speed.
pub(crate) const ROWS: [&Row; 1] = [&avx512::ROW];
