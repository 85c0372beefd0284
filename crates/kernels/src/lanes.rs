//! Float operations written once on vectors of 16 lanes and compiled per instruction set.
//!
//! An [`Isa`] token is made only inside a `#[target_feature]` function, and vectors only from a
//! token or from other vectors: holding either proves that the processor has the instructions.
//! Bodies are generic and `#[inline(always)]`; `float_ops!` compiles each into one function per
//! set. The vectors are registers, not `[f32; 16]`: with arrays LLVM 21 compiles the tiles of a
//! matrix product well, but takes a dot product's horizontal sum apart lane by lane.
#![expect(unsafe_code, reason = "one gate behind feature detection; intrinsics that load")]

mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod elementwise;
mod math;
#[cfg(target_arch = "aarch64")]
mod neon;
mod norm;
mod product;
mod widened;

use half::f16;

use self::math::{Exp, Gelu, GeluTanh, Silu, Softcap};
use crate::attention::AttentionOps;
use crate::float::{FloatOps, Norm};
use crate::{Attend, AttendState, PageMut, Pairing, Scratch, Span, Visit};

/// An instruction set that this processor has, as maker of its vectors.
pub(crate) trait Isa: Copy {
    /// 16 lanes in as many registers as that takes.
    type V: Lanes;
    /// Vectors that fit the registers as accumulators of a tile, next to its operands.
    const ACCUMULATORS: usize;
    /// Whether many rows of a product meet operands that were widened beforehand: where widening takes
    /// instructions that the multiplications wait for.
    const WIDENS_BEFORE: bool;

    fn splat(self, x: f32) -> Self::V;
    fn load(self, x: &[f32; 16]) -> Self::V;
    fn load_f16(self, x: &[f16; 16]) -> Self::V;
    fn load_i8(self, x: &[i8; 16]) -> Self::V;
    /// Asks for a cache line, to be read a little later; the address may be any.
    fn fetch(self, line: *const u8);
}

/// 16 `f32`.
pub(crate) trait Lanes: Copy {
    fn store(self, out: &mut [f32; 16]);
    /// Rounds to nearest even.
    fn store_f16(self, out: &mut [f16; 16]);
    fn add(self, b: Self) -> Self;
    fn sub(self, b: Self) -> Self;
    fn mul(self, b: Self) -> Self;
    fn div(self, b: Self) -> Self;
    /// `self * a + b`, rounded once.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// `b - self * a`, rounded once.
    fn neg_mul_add(self, a: Self, b: Self) -> Self;
    /// The greater; either one where a lane is NaN.
    fn max(self, b: Self) -> Self;
    fn abs(self) -> Self;
    /// `yes` where `self < b`, else `no`, so also where a lane is NaN.
    fn if_less(self, b: Self, yes: Self, no: Self) -> Self;
    /// Adds the low 9 bits of `t`, as an integer, to the exponent.
    fn add_exponent(self, t: Self) -> Self;

    #[inline(always)]
    fn to_array(self) -> [f32; 16] {
        let mut x = [0.0; 16];
        self.store(&mut x);
        x
    }

    /// The sum of the lanes, pairwise.
    #[inline(always)]
    fn sum(self) -> f32 {
        let mut x = self.to_array();
        for half in [8, 4, 2, 1] {
            for i in 0..half {
                x[i] += x[i + half];
            }
        }
        x[0]
    }

    /// The greatest lane; lanes that are NaN may be passed over.
    #[inline(always)]
    fn greatest(self) -> f32 {
        let mut x = self.to_array();
        for half in [8, 4, 2, 1] {
            for i in 0..half {
                x[i] = if x[i + half] > x[i] { x[i + half] } else { x[i] };
            }
        }
        x[0]
    }
}

/// A function of one vector, applied to every element.
pub(crate) trait Map: Copy {
    fn apply<I: Isa>(self, isa: I, x: I::V) -> I::V;
}

/// The first lanes of `x`, zeros after them.
#[inline(always)]
fn padded<T: Copy + Default>(x: &[T]) -> [T; 16] {
    let mut out = [T::default(); 16];
    out[..x.len()].copy_from_slice(x);
    out
}

/// `$body` compiled for one instruction set, behind a safe function pointer.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! gate {
    (($isa:ident, $features:literal),
     |$token:ident $(, $arg:ident: $ty:ty)*| $(-> $ret:ty)? { $body:expr }) => {{
        #[target_feature(enable = $features)]
        fn inside($($arg: $ty),*) $(-> $ret)? {
            let $token = $isa::new();
            $body
        }
        fn gate($($arg: $ty),*) $(-> $ret)? {
            // SAFETY: a row is handed out only after its `detect` has found these features.
            unsafe { inside($($arg),*) }
        }
        gate
    }};
}

/// Every operation, compiled for the set `(token, features)`.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! float_ops {
    ($set:tt) => {
        FloatOps {
            rms_norm: gate!($set, |isa, x: &[f32], norm: Norm<'_>, out: &mut [f32]| {
                norm::rms_norm(isa, x, norm, out)
            }),
            rms_norm_in_place: gate!($set, |isa, x: &mut [f32], norm: Norm<'_>| {
                norm::rms_norm_in_place(isa, x, norm)
            }),
            layer_norm: gate!($set, |isa, x: &[f32], norm: Norm<'_>, out: &mut [f32]| {
                norm::layer_norm(isa, x, norm, out)
            }),
            rope: gate!($set, |_isa,
                               pairing: Pairing,
                               head: &mut [f32],
                               cos: &[f32],
                               sin: &[f32]| {
                elementwise::rope(pairing, head, cos, sin)
            }),
            softmax: gate!($set, |isa, x: &mut [f32]| { elementwise::softmax(isa, x) }),
            exp: gate!($set, |isa, x: &mut [f32]| { elementwise::map(isa, Exp, x) }),
            silu: gate!($set, |isa, x: &mut [f32]| { elementwise::map(isa, Silu, x) }),
            silu_mul: gate!($set, |isa, x: &mut [f32], y: &[f32]| {
                elementwise::map_mul(isa, Silu, x, y)
            }),
            gelu: gate!($set, |isa, x: &mut [f32]| { elementwise::map(isa, Gelu, x) }),
            gelu_mul: gate!($set, |isa, x: &mut [f32], y: &[f32]| {
                elementwise::map_mul(isa, Gelu, x, y)
            }),
            gelu_tanh: gate!($set, |isa, x: &mut [f32]| { elementwise::map(isa, GeluTanh, x) }),
            gelu_tanh_mul: gate!($set, |isa, x: &mut [f32], y: &[f32]| {
                elementwise::map_mul(isa, GeluTanh, x, y)
            }),
            softcap: gate!($set, |isa, x: &mut [f32], cap: f32| {
                elementwise::map(isa, Softcap(cap), x)
            }),
            add: gate!($set, |_isa, x: &mut [f32], y: &[f32]| { elementwise::add(x, y) }),
            scale: gate!($set, |_isa, x: &mut [f32], s: f32| { elementwise::scale(x, s) }),
            add_scaled: gate!($set, |_isa, x: &mut [f32], y: &[f32], s: f32| {
                elementwise::add_scaled(x, y, s)
            }),
            dot: gate!($set, |isa, a: &[f32], b: &[f32]| -> f32 { norm::dot(isa, a, b) }),
            to_f16: gate!($set, |isa, x: &[f32], out: &mut [f16]| {
                elementwise::to_f16(isa, x, out)
            }),
            from_f16: gate!($set, |isa, x: &[f16], out: &mut [f32]| {
                elementwise::from_f16(isa, x, out)
            }),
            attention: AttentionOps {
                store: gate!($set, |isa,
                                    page: &mut PageMut<'_>,
                                    slot: usize,
                                    key: &[f32],
                                    value: &[f32]| {
                    attention::store(isa, page, slot, key, value)
                }),
                attend_page: gate!(
                    $set,
                    |isa,
                     shape: &Attend,
                     queries: &[f32],
                     spans: &[Span],
                     visit: Visit<'_>,
                     scratch: &mut Scratch,
                     state: &mut AttendState| {
                        attention::attend_page(isa, shape, queries, spans, visit, scratch, state)
                    }
                ),
            },
        }
    };
}

/// AVX2, FMA and F16C.
#[cfg(target_arch = "x86_64")]
pub(crate) const AVX2: FloatOps = {
    use avx2::Avx2;
    float_ops!((Avx2, "avx2,fma,f16c"))
};

/// AVX-512 F.
#[cfg(target_arch = "x86_64")]
pub(crate) const AVX512: FloatOps = {
    use avx512::Avx512;
    float_ops!((Avx512, "avx512f"))
};

/// What every 64-bit ARM processor has.
#[cfg(target_arch = "aarch64")]
pub(crate) const NEON: FloatOps = {
    use neon::Neon;
    float_ops!((Neon, "neon"))
};
