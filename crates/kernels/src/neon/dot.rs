//! Products of four neighbouring bytes, summed into 32-bit lanes.
#![expect(unsafe_code, reason = "`sdot` is a feature that the callers' instruction set lacks")]

use std::arch::aarch64::*;
use std::arch::asm;

/// `sum + q . x` in each lane of four bytes; `DOTPROD` says that the processor has `sdot`.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn dot<const DOTPROD: bool>(sum: int32x4_t, q: int8x16_t, x: int8x16_t) -> int32x4_t {
    if DOTPROD {
        sdot(sum, q, x)
    } else {
        // |q| <= 128 and |x| <= 127: a product fits 16 bits.
        let low = vpaddlq_s16(vmull_s8(vget_low_s8(q), vget_low_s8(x)));
        let high = vpaddlq_s16(vmull_high_s8(q, x));
        vaddq_s32(sum, vpaddq_s32(low, high))
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn sdot(sum: int32x4_t, q: int8x16_t, x: int8x16_t) -> int32x4_t {
    let mut out = sum;
    // SAFETY: reads and writes only these registers; `DOTPROD` is set by the row that detects it.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "sdot {0:v}.4s, {1:v}.16b, {2:v}.16b",
            inout(vreg) out, in(vreg) q, in(vreg) x,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    out
}
