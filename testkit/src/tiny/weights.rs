//! Weights by formula: every value is a function of its tensor's name and its index.
//!
//! `testkit/golden/weights.py` computes the same values, bit for bit: integers up to the last
//! step, then one exact conversion, one multiplication and one addition in f32.

/// The offset basis of 64-bit FNV-1a.
pub const FNV1A_START: u64 = 0xcbf2_9ce4_8422_2325;

/// 64-bit FNV-1a of `bytes`, continued from `start` (Fowler, Noll, Vo; RFC 9923).
#[must_use]
pub fn fnv1a(bytes: &[u8], start: u64) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(start, step)
}

/// Output `index` of splitmix64 from `seed` (Steele, Lea, Flood: "Fast splittable pseudorandom
/// number generators", 2014).
#[must_use]
pub fn splitmix64(seed: u64, index: u64) -> u64 {
    let z = seed.wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `count` values of the tensor `name`: `base + spread * u`, `u` even in [-1, 1) from the top 24
/// bits of a number, which an f32 holds exactly.
#[must_use]
pub fn values(name: &str, count: usize, base: f32, spread: f32) -> Vec<f32> {
    let seed = fnv1a(name.as_bytes(), FNV1A_START);
    let unit = |index| {
        let top = (splitmix64(seed, index) >> 40) as i32 - (1 << 23);
        top as f32 * 2.0f32.powi(-23)
    };
    (0..count as u64).map(|index| base + spread * unit(index)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generators_match_their_published_vectors() {
        // The draft's test vectors; splitmix64's first outputs from seed 0.
        assert_eq!(fnv1a(b"", FNV1A_START), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar", FNV1A_START), 0x8594_4171_f739_67e8);
        assert_eq!(splitmix64(0, 0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(splitmix64(0, 1), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn values_stay_in_their_range_and_use_it() {
        let values = values("a.weight", 10_000, 1.0, 0.5);
        assert!(values.iter().all(|value| (0.5..1.5).contains(value)));
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        assert!(values.iter().any(|&v| v > 1.49) && values.iter().any(|&v| v < 0.51));
    }
}
