//! The one hash of the crate: a text to 64 bits.
//!
//! A vocabulary is hashed once at start (150,000 tokens and as many merges), so the hash must be
//! quick on strings of a few bytes. It is not keyed: whoever writes a vocabulary may make its own
//! tokens collide, which costs that vocabulary those tokens and nobody else anything, because
//! every hit is compared with the text it stands for.

/// Odd constants of the multiply-and-fold step (from wyhash's default secret).
const SECRET: [u64; 2] = [0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db];

/// Multiplies to 128 bits and folds the halves: the mixing step of wyhash.
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    (product as u64) ^ ((product >> 64) as u64)
}

/// The hash of `text`.
#[inline]
pub(crate) fn hash(text: &[u8]) -> u64 {
    let mut state = SECRET[0];
    let (words, rest) = text.as_chunks::<8>();
    for &word in words {
        state = fold(state ^ u64::from_le_bytes(word), SECRET[1]);
    }
    let tail = rest.iter().fold(0u64, |tail, &byte| (tail << 8) | u64::from(byte));
    fold(fold(state ^ tail, SECRET[1]), SECRET[0] ^ text.len() as u64)
}

/// The hash of an ordered pair of texts whose hashes are known.
#[inline]
pub(crate) const fn hash_pair(left: u64, right: u64) -> u64 {
    fold(left ^ SECRET[0], right ^ SECRET[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn short_texts_do_not_collide() {
        let mut seen = HashSet::new();
        for a in 0..=255u8 {
            assert!(seen.insert(hash(&[a])));
            for b in 0..=255u8 {
                assert!(seen.insert(hash(&[a, b])), "{a} {b}");
            }
        }
        assert_ne!(hash(b""), hash(b"\0"));
        assert_ne!(hash(b"\0"), hash(b"\0\0"));
        assert_ne!(hash_pair(hash(b"a"), hash(b"b")), hash_pair(hash(b"b"), hash(b"a")));
    }
}
