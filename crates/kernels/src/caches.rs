//! How much of a product is kept near: blocks are cut to the caches of a core.

use crate::activations::GROUP;

/// Bytes of the caches that a thread may count on, where they are known. They decide what is multiplied
/// together, and of results the order of some sums: of floats, of 16-bit integers, of tokens that are
/// rounded twice, and of NEON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caches {
    /// Of the first level, for data.
    pub first_bytes: Option<usize>,
    /// Of the second level; of a shared one a core's part.
    pub second_bytes: Option<usize>,
}

/// What all cores but the smallest have.
const LEAST_FIRST_BYTES: usize = 32 << 10;
const LEAST_SECOND_BYTES: usize = 256 << 10;

impl Caches {
    /// Values of rows of `n` that go together, a multiple of `unit`: a tile of activations, which has
    /// so many bytes for each 32 of them, fills three quarters of the first level at most. Parts are
    /// about as long as each other.
    #[cfg_attr(
        not(any(target_arch = "x86_64", test)),
        expect(dead_code, reason = "AVX2 alone cuts tiles")
    )]
    pub(crate) fn depth(self, n: usize, tile_bytes: usize, unit: usize) -> usize {
        let room = three_quarters(self.first_bytes.unwrap_or(LEAST_FIRST_BYTES));
        let most = room / tile_bytes * GROUP / unit * unit;
        n.div_ceil(n.div_ceil(most.max(unit))).next_multiple_of(unit)
    }

    /// Panels of so many bytes each that a tile meets before the next one: 1, 2 or 4, as shares of the
    /// threads end with 4 of 16 rows. They fill three quarters of the second level at most.
    #[cfg_attr(
        not(any(target_arch = "x86_64", test)),
        expect(dead_code, reason = "AVX2 alone has sets")
    )]
    pub(crate) fn panels(self, panel_bytes: usize) -> usize {
        match three_quarters(self.second_bytes.unwrap_or(LEAST_SECOND_BYTES)) / panel_bytes {
            0 | 1 => 1,
            2 | 3 => 2,
            _ => 4,
        }
    }

    /// Bytes of what passes by again and again, at least 1: three quarters of the second level, and no
    /// more than given, which is also for where that is not known.
    pub(crate) fn second(self, most_bytes: usize) -> usize {
        self.second_bytes.map_or(most_bytes, |bytes| three_quarters(bytes).clamp(1, most_bytes))
    }
}

fn three_quarters(bytes: usize) -> usize {
    bytes / 4 * 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caches(first_bytes: usize, second_bytes: usize) -> Caches {
        Caches { first_bytes: Some(first_bytes), second_bytes: Some(second_bytes) }
    }

    #[test]
    fn blocks_are_cut_to_the_caches() {
        // Tiles of AVX2: int8, 16 bits of int8, 16 bits of floats; their panels have 20, 36 and 34 bytes
        // for each value.
        for (first, second, depths, panels) in [
            (32, 128, [2048, 1024, 1664], [2, 2, 1]),
            (32, 512, [2048, 1024, 1664], [4, 4, 4]),
            (48, 1024, [2816, 1536, 2752], [4, 4, 4]),
        ] {
            let caches = caches(first << 10, second << 10);
            let tiles = [(360, 256), (744, 256), (408, 32)];
            assert_eq!(tiles.map(|(bytes, unit)| caches.depth(8192, bytes, unit)), depths);
            assert_eq!(tiles.map(|(bytes, unit)| caches.depth(1024, bytes, unit)), [1024; 3]);
            let bytes = [20 * depths[0], 36 * depths[1], 34 * depths[2]];
            assert_eq!(bytes.map(|bytes| caches.panels(bytes)), panels);
        }
    }

    #[test]
    fn what_passes_by_fits_the_second_level() {
        assert_eq!(caches(0, 512 << 10).second(768 << 10), 384 << 10);
        assert_eq!(caches(0, 2 << 20).second(768 << 10), 768 << 10);
        assert_eq!(Caches::default().second(768 << 10), 768 << 10);
    }

    #[test]
    fn absurd_caches_leave_something_to_multiply() {
        for caches in [caches(0, 0), caches(1, 3), caches(usize::MAX, usize::MAX)] {
            for n in [32, 100, 4096] {
                let depth = caches.depth(n, 360, 32);
                assert!((32..=n.next_multiple_of(32)).contains(&depth), "{n}: {depth}");
            }
            assert!((1..=1000).contains(&caches.second(1000)));
        }
    }
}
