//! The 6-bit scales of the K-quants, four at a time in a word.

/// The 8 scales, then the 8 minima of Q4_K and Q5_K: of the first four of each all six bits lie
/// together, of the last four the upper two bits lie above those, the lower four in the last word.
#[inline(always)]
pub(super) fn q4_k(bytes: &[u8; 12]) -> [u8; 16] {
    let [scales, minima, low] = words(bytes);
    let upper = |word: u32| (word >> 6 & 0x0303_0303) << 4;
    let six = [
        scales & 0x3f3f_3f3f,
        low & 0x0f0f_0f0f | upper(scales),
        minima & 0x3f3f_3f3f,
        low >> 4 & 0x0f0f_0f0f | upper(minima),
    ];
    bytemuck::cast(six.map(u32::to_le_bytes))
}

/// The 16 scales of Q3_K: nibbles of the first two words, pairs of bits of the last.
#[inline(always)]
pub(super) fn q3_k(bytes: &[u8; 12]) -> [u8; 16] {
    let [a, b, high] = words(bytes);
    let six = |low: u32, j: u32| low & 0x0f0f_0f0f | (high >> (2 * j) & 0x0303_0303) << 4;
    let six = [six(a, 0), six(b, 1), six(a >> 4, 2), six(b >> 4, 3)];
    bytemuck::cast(six.map(u32::to_le_bytes))
}

#[inline(always)]
fn words(bytes: &[u8; 12]) -> [u32; 3] {
    bytemuck::cast::<_, [[u8; 4]; 3]>(*bytes).map(u32::from_le_bytes)
}
