//! The innermost steps of a tile of tokens, with every register named: the compiler keeps a sum or two
//! of the twelve in memory, and totals both there and in registers.
#![expect(unsafe_code, reason = "instructions in an order and in registers of their own")]

use std::arch::asm;
use std::arch::x86_64::*;

use super::load::Pair;

/// Words that are multiplied at a time.
pub(super) const WORDS: usize = 4;

/// [`WORDS`] words of 16 rows and the tokens of a list, by an instruction that multiplies and one
/// that adds.
macro_rules! words {
    ($first:ident $multiply:literal $add:literal $sum:ident $q:ident $x:ident: $($t:literal $a:ident $b:ident)+) => {{
        $(let (mut $a, mut $b) = ($sum[0][$t], $sum[1][$t]);)+
        // SAFETY: reads `WORDS` pairs of registers at `q` and as many rows of `x`, which are there.
        unsafe {
            asm!(
                words!(@$first 0 $multiply $add $($t $a $b)+),
                words!(@add 1 $multiply $add $($t $a $b)+),
                words!(@add 2 $multiply $add $($t $a $b)+),
                words!(@add 3 $multiply $add $($t $a $b)+),
                q = in(reg) $q.as_ptr(),
                words = in(reg) $x.as_ptr(),
                row = const 4 * T,
                $($a = inout(ymm_reg) $a, $b = inout(ymm_reg) $b,)+
                w0 = out(ymm_reg) _, w1 = out(ymm_reg) _,
                x = out(ymm_reg) _, product = out(ymm_reg) _,
                options(pure, readonly, nostack, preserves_flags),
            );
        }
        $(($sum[0][$t], $sum[1][$t]) = ($a, $b);)+
    }};
    (@add $k:literal $multiply:literal $add:literal $($t:literal $a:ident $b:ident)+) => {
        concat!(
            words!(@weights $k),
            $(
                words!(@token $k $t),
                $multiply, " {product}, {w0}, {x}\n",
                $multiply, " {x}, {w1}, {x}\n",
                $add, " {", stringify!($a), "}, {", stringify!($a), "}, {product}\n",
                $add, " {", stringify!($b), "}, {", stringify!($b), "}, {x}\n",
            )+
        )
    };
    (@start $k:literal $multiply:literal $add:literal $($t:literal $a:ident $b:ident)+) => {
        concat!(
            words!(@weights $k),
            $(
                words!(@token $k $t),
                $multiply, " {", stringify!($a), "}, {w0}, {x}\n",
                $multiply, " {", stringify!($b), "}, {w1}, {x}\n",
            )+
        )
    };
    (@weights $k:literal) => {
        concat!(
            "vmovdqu {w0}, ymmword ptr [{q} + 64 * ", $k, "]\n",
            "vmovdqu {w1}, ymmword ptr [{q} + 64 * ", $k, " + 32]\n",
        )
    };
    (@token $k:literal $t:literal) => {
        concat!("vpbroadcastd {x}, dword ptr [{words} + {row} * ", $k, " + 4 * ", $t, "]\n")
    };
}

/// Functions that add the products of words of 16 rows with those of `T` tokens to sums, or (`start`)
/// put them in the place of what was there.
macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident $first:ident $multiply:literal $add:literal;)+) => {$(
        $(#[$doc])*
        #[inline]
        #[target_feature(enable = "avx2")]
        pub(super) fn $name<const T: usize>(
            sum: &mut [[__m256i; T]; 2],
            q: &[Pair; WORDS],
            x: &[[u32; T]; WORDS],
        ) {
            match T {
                2 => words!($first $multiply $add sum q x: 0 a0 b0 1 a1 b1),
                4 => words!($first $multiply $add sum q x: 0 a0 b0 1 a1 b1 2 a2 b2 3 a3 b3),
                6 => words!(
                    $first $multiply $add sum q x: 0 a0 b0 1 a1 b1 2 a2 b2 3 a3 b3 4 a4 b4 5 a5 b5
                ),
                _ => unreachable!("a tile of {T} tokens"),
            }
        }
    )+};
}

functions! {
    /// Four bytes a word, those of the rows unsigned; sums of 16 bits.
    add_bytes add "vpmaddubsw" "vpaddw";
    /// As [`add_bytes`], of the first words.
    start_bytes start "vpmaddubsw" "vpaddw";
    /// Two 16-bit integers a word; sums of 32 bits.
    add_shorts add "vpmaddwd" "vpaddd";
    /// As [`add_shorts`], of the first words.
    start_shorts start "vpmaddwd" "vpaddd";
}

/// `total += sum * scale`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn add_scaled(total: &mut __m256, sum: __m256, scale: __m256) {
    // SAFETY: reads and writes `total`, by instructions of FMA.
    unsafe {
        asm!(
            "vfmadd213ps {sum}, {scale}, ymmword ptr [{total}]",
            "vmovups ymmword ptr [{total}], {sum}",
            sum = inout(ymm_reg) sum => _,
            scale = in(ymm_reg) scale,
            total = in(reg) total,
            options(nostack),
        );
    }
}

/// `total += sum * scale + min * x`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn add_scaled_and_min(
    total: &mut __m256,
    sum: __m256,
    scale: __m256,
    min: __m256,
    x: __m256,
) {
    // SAFETY: reads and writes `total`, by instructions of FMA.
    unsafe {
        asm!(
            "vfmadd213ps {sum}, {scale}, ymmword ptr [{total}]",
            "vfmadd231ps {sum}, {min}, {x}",
            "vmovups ymmword ptr [{total}], {sum}",
            sum = inout(ymm_reg) sum => _,
            scale = in(ymm_reg) scale,
            min = in(ymm_reg) min,
            x = in(ymm_reg) x,
            total = in(reg) total,
            options(nostack),
        );
    }
}
