//! The codebooks of the IQ formats: data of the formats, packed by `grids/make_grids.py`, and their
//! signs. An entry is a little-endian word of four or eight values.

/// Entries of IQ1_S and IQ1_M: 17 more than eight times -1, 0 or 1.
pub(crate) static IQ1: [u64; 2048] = eights(include_bytes!("grids/iq1_s.bin"), [9, 17, 25]);
/// Entries of IQ2_XXS.
pub(crate) static IQ2_XXS: [u64; 256] = eights(include_bytes!("grids/iq2_xxs.bin"), [8, 25, 43]);
/// Entries of IQ2_XS.
pub(crate) static IQ2_XS: [u64; 512] = eights(include_bytes!("grids/iq2_xs.bin"), [8, 25, 43]);
/// Entries of IQ2_S.
pub(crate) static IQ2_S: [u64; 1024] = eights(include_bytes!("grids/iq2_s.bin"), [8, 25, 43]);
/// Entries of IQ3_XXS.
pub(crate) static IQ3_XXS: [u32; 256] =
    fours(include_bytes!("grids/iq3_xxs.bin"), [4, 12, 20, 28, 36, 44, 52, 62]);
/// Entries of IQ3_S.
pub(crate) static IQ3_S: [u32; 512] =
    fours(include_bytes!("grids/iq3_s.bin"), [1, 3, 5, 7, 9, 11, 13, 15]);

/// 255 in byte `i` where bit `i` of the index is set.
pub(crate) static SIGNS: [u64; 256] = signs();
/// As [`SIGNS`] for the lower seven bits; the eighth makes the number of set bits even.
pub(crate) static EVEN_SIGNS: [u64; 128] = signs();

/// Entries of eight values of two bits.
const fn eights<const N: usize>(packed: &[u8], values: [u64; 3]) -> [u64; N] {
    assert!(packed.len() == N * 2);
    let mut out = [0; N];
    let mut i = 0;
    while i < N * 8 {
        let value = values[(packed[i / 4] >> (i % 4 * 2) & 3) as usize];
        out[i / 8] |= value << (i % 8 * 8);
        i += 1;
    }
    out
}

/// Entries of four values of four bits.
const fn fours<const N: usize>(packed: &[u8], values: [u32; 8]) -> [u32; N] {
    assert!(packed.len() == N * 2);
    let mut out = [0; N];
    let mut i = 0;
    while i < N * 4 {
        let value = values[(packed[i / 2] >> (i % 2 * 4) & 15) as usize];
        out[i / 4] |= value << (i % 4 * 8);
        i += 1;
    }
    out
}

/// The signs of 256 bytes, or of 128 that lack the last bit.
const fn signs<const N: usize>() -> [u64; N] {
    let mut out = [0; N];
    let mut i = 0;
    while i < N {
        let last = if N == 128 { i.count_ones() as usize % 2 } else { 0 };
        let bits = i | last << 7;
        let mut bit = 0;
        while bit < 8 {
            out[i] |= ((bits as u64 >> bit & 1) * 255) << (bit * 8);
            bit += 1;
        }
        i += 1;
    }
    out
}
