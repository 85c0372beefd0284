//! Rows for 64-bit ARM.

use crate::{Row, lanes, scalar};

/// In order of speed.
pub(crate) const ROWS: [&Row; 1] = [&ROW];

/// What every 64-bit ARM processor has.
static ROW: Row = Row {
    name: "neon",
    detect: || true,
    quantize: scalar::quantize,
    matmul: scalar::matmul,
    matmul_float: scalar::matmul_float,
    float: lanes::NEON,
};
