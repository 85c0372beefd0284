//! AVX2 with FMA and F16C (Haswell, Zen and later).

use crate::{Row, lanes, scalar};

pub(super) static ROW: Row = Row {
    name: "avx2",
    detect: || {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
    },
    quantize: scalar::quantize,
    matmul: scalar::matmul,
    matmul_float: scalar::matmul_float,
    float: lanes::AVX2,
};
