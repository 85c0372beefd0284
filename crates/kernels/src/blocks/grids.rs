//! The codebooks of the IQ formats: data of the formats, packed by `grids/make_grids.py`.

/// Entries of IQ1_S and IQ1_M: -1, 0 or 1.
pub(crate) static IQ1: [[i8; 8]; 2048] = eights(include_bytes!("grids/iq1_s.bin"), [-1, 0, 1]);
/// Entries of IQ2_XXS.
pub(crate) static IQ2_XXS: [[i8; 8]; 256] =
    eights(include_bytes!("grids/iq2_xxs.bin"), [8, 25, 43]);
/// Entries of IQ2_XS.
pub(crate) static IQ2_XS: [[i8; 8]; 512] = eights(include_bytes!("grids/iq2_xs.bin"), [8, 25, 43]);
/// Entries of IQ2_S.
pub(crate) static IQ2_S: [[i8; 8]; 1024] = eights(include_bytes!("grids/iq2_s.bin"), [8, 25, 43]);
/// Entries of IQ3_XXS.
pub(crate) static IQ3_XXS: [[i8; 4]; 256] =
    fours(include_bytes!("grids/iq3_xxs.bin"), [4, 12, 20, 28, 36, 44, 52, 62]);
/// Entries of IQ3_S.
pub(crate) static IQ3_S: [[i8; 4]; 512] =
    fours(include_bytes!("grids/iq3_s.bin"), [1, 3, 5, 7, 9, 11, 13, 15]);

/// Entries of eight values of two bits.
const fn eights<const N: usize>(packed: &[u8], values: [i8; 3]) -> [[i8; 8]; N] {
    assert!(packed.len() == N * 2);
    let mut out = [[0; 8]; N];
    let mut i = 0;
    while i < N * 8 {
        out[i / 8][i % 8] = values[(packed[i / 4] >> (i % 4 * 2) & 3) as usize];
        i += 1;
    }
    out
}

/// Entries of four values of four bits.
const fn fours<const N: usize>(packed: &[u8], values: [i8; 8]) -> [[i8; 4]; N] {
    assert!(packed.len() == N * 2);
    let mut out = [[0; 4]; N];
    let mut i = 0;
    while i < N * 4 {
        out[i / 4][i % 4] = values[(packed[i / 2] >> (i % 2 * 4) & 15) as usize];
        i += 1;
    }
    out
}
