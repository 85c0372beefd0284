//! Eight values to a 64-bit word: what compilers vectorise to shifts of whole lanes, where shifts
//! of single bytes become multiplications.

/// One in every byte.
pub(super) const ONES: u64 = u64::from_le_bytes([1; 8]);

/// Writes the low nibbles of `N` bytes, then the high ones, through `then`: it is given the number
/// of the word and eight nibbles, and returns eight `i8`.
#[inline(always)]
pub(super) fn nibbles<const N: usize>(
    bytes: &[u8; N],
    q: &mut [i8],
    then: impl Fn(usize, u64) -> u64,
) {
    let (low, high) = q[..2 * N].split_at_mut(N);
    let words = bytes.as_chunks::<8>().0;
    for (shift, half) in [low, high].into_iter().enumerate() {
        for (i, (q, bytes)) in half.as_chunks_mut::<8>().0.iter_mut().zip(words).enumerate() {
            let word = u64::from_le_bytes(*bytes) >> (4 * shift) & (15 * ONES);
            *q = then(shift * words.len() + i, word).to_le_bytes().map(|byte| byte as i8);
        }
    }
}

/// `amount` less than each byte; bytes are below 128, amounts at most.
#[inline(always)]
pub(super) fn less(word: u64, amount: u8) -> u64 {
    // With the sign bits set no byte borrows from its neighbour.
    const SIGNS: u64 = 128 * ONES;
    ((word | SIGNS) - u64::from(amount) * ONES) ^ SIGNS
}

/// Sixteen in byte `i` where bit `i` is set, else zero.
#[inline(always)]
pub(super) fn sixteens(bits: u8) -> u64 {
    let own_bit = (u64::from(bits) * ONES) & 0x8040_2010_0804_0201;
    (own_bit + 127 * ONES) >> 3 & (16 * ONES)
}
