//! How the rows of matrices that are multiplied together are shared between threads.

use std::ops::Range;

/// Rows of a share in tiles are a multiple of this: what AVX2's kernels unpack before they multiply.
const TILE_PANELS: usize = 64;
/// Rows of any other share are: the widest kernel's panel.
const PANEL: usize = 16;

/// A share is this part of what one thread would have of the rest, so that the first ones are large and
/// those that the threads end with are small. Thirds were as good as halves.
const PART: usize = 2;

/// How large shares are, in rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// They are a multiple of this, except where a matrix ends.
    unit: usize,
    /// Smaller ones are not worth a call, except where threads would have none.
    least: usize,
    most: usize,
    /// So many does each thread have of a small matrix.
    each: usize,
}

impl Sizes {
    /// For few tokens: as many rows as hold so many bytes of weights, at least. The most keeps what an
    /// adapter adds to a share below half a megabyte.
    pub(super) fn reading(rows: usize, bytes: usize, least_bytes: usize) -> Self {
        let least = least_bytes.saturating_mul(rows) / bytes.max(1);
        Self { unit: PANEL, least, most: 16 << 10, each: PART }
    }

    /// For kernels that unpack weights in each call, and take activations that are packed already.
    pub(super) fn tiles() -> Self {
        Self { unit: TILE_PANELS, least: TILE_PANELS, most: 256, each: PART }
    }

    /// For kernels that pack all activations in each call, where 64 rows were a quarter slower per product
    /// than 256.
    pub(super) fn packing() -> Self {
        Self { unit: PANEL, least: 256, most: 256, each: 1 }
    }
}

/// The rest of some rows, given away in shares that become smaller: whoever is free takes the next, so
/// with few large shares all threads still end together.
#[derive(Debug)]
pub(super) struct Shares {
    left: usize,
    threads: usize,
    sizes: Sizes,
}

impl Shares {
    /// Of so many rows in all.
    pub(super) fn new(rows: usize, threads: usize, mut sizes: Sizes) -> Self {
        let threads = threads.max(1);
        // Of a small matrix each thread has something, and of equal threads none waits for long.
        let fair = (rows / (sizes.each * threads)).next_multiple_of(PANEL).max(PANEL);
        if fair < sizes.least {
            (sizes.least, sizes.unit) = (fair, PANEL);
        }
        Self { left: rows, threads, sizes }
    }

    /// The shares of the next matrix, which has so many of the rows.
    pub(super) fn of(&mut self, rows: usize) -> impl Iterator<Item = Range<usize>> {
        let mut start = 0;
        std::iter::from_fn(move || {
            let own = rows - start;
            let fair = match self.threads {
                1 => self.left,
                threads => self.left / (PART * threads),
            };
            let Sizes { unit, least, most, .. } = self.sizes;
            let share = fair.max(least).min(most).next_multiple_of(unit);
            // What remains of the matrix goes along if it is no share by itself.
            let share = if own < share + least / 2 { own } else { share };
            let range = start..start + share;
            start += share;
            self.left -= share;
            (share > 0).then_some(range)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(rows: &[usize], threads: usize, sizes: Sizes) -> Vec<Vec<Range<usize>>> {
        let mut shares = Shares::new(rows.iter().sum(), threads, sizes);
        rows.iter().map(|&rows| shares.of(rows).collect()).collect()
    }

    const READING: Sizes = Sizes { unit: PANEL, least: 60, most: 16 << 10, each: PART };

    /// The most rows that a thread has, all being as fast: each takes the next share when it is free.
    fn most_of_a_thread(rows: &[usize], threads: usize, sizes: Sizes) -> usize {
        let mut busy = vec![0; threads];
        for share in shares(rows, threads, sizes).concat() {
            *busy.iter_mut().min().unwrap() += share.len();
        }
        busy.into_iter().max().unwrap()
    }

    #[test]
    fn every_row_is_in_one_share_and_panels_are_whole() {
        let matrices: [&[usize]; 7] =
            [&[1], &[16], &[576], &[576, 192, 192], &[1536, 1536], &[49152], &[5, 1, 40]];
        for (rows, threads) in matrices.iter().flat_map(|&m| [1, 2, 3, 8, 64].map(|t| (m, t))) {
            for sizes in [READING, Sizes::tiles(), Sizes::packing()] {
                for (shares, &rows) in shares(rows, threads, sizes).iter().zip(rows) {
                    let mut end = 0;
                    for share in shares {
                        assert_eq!(share.start, end);
                        assert!(share.start.is_multiple_of(PANEL), "{shares:?}");
                        let most = sizes.most + sizes.least / 2;
                        assert!((1..=most).contains(&share.len()), "{shares:?}");
                        end = share.end;
                    }
                    assert_eq!(end, rows, "{shares:?}");
                }
            }
        }
    }

    #[test]
    fn the_first_shares_are_large_and_the_last_ones_the_least() {
        let all = shares(&[8192, 8192], 2, READING).concat();
        let lengths: Vec<_> = all.iter().map(Range::len).collect();
        assert_eq!(lengths[..4], [4096, 3072, 1024, 2048]);
        assert!(lengths.iter().rev().take(4).all(|&n| n <= 96), "{lengths:?}");
        assert!(lengths.len() < 40, "{lengths:?}");
    }

    #[test]
    fn threads_of_one_speed_end_nearly_together() {
        for threads in [2, 3, 4, 8, 64] {
            for rows in [&[576][..], &[576, 192, 192], &[1536, 1536], &[2048], &[49152]] {
                let sum: usize = rows.iter().sum();
                for sizes in [READING, Sizes { least: 202, ..READING }, Sizes::tiles()] {
                    let most = most_of_a_thread(rows, threads, sizes);
                    // A share of the end, or of a small matrix half of what a thread should have.
                    let fair = sum.div_ceil(threads);
                    let more = sizes.least.min(fair / 2) + PANEL + sizes.unit;
                    assert!(most <= fair + more, "{rows:?}, {threads}: {most}, {sizes:?}");
                }
            }
        }
    }

    #[test]
    fn small_matrices_are_halved_evenly() {
        assert_eq!(most_of_a_thread(&[576], 2, Sizes { least: 202, ..READING }), 288);
        assert_eq!(most_of_a_thread(&[64], 2, Sizes { least: 4096, ..READING }), 32);
    }

    #[test]
    fn packing_is_done_once_a_thread() {
        assert_eq!(shares(&[448], 2, Sizes::packing()).concat(), [0..224, 224..448]);
        assert_eq!(shares(&[576], 2, Sizes::packing()).concat(), [0..256, 256..576]);
        assert_eq!(shares(&[576], 4, Sizes::packing()).concat().len(), 4);
    }

    #[test]
    fn tiles_are_whole_sets_of_panels() {
        for share in shares(&[1536, 1536], 2, Sizes::tiles()).concat() {
            assert!(share.len().is_multiple_of(64) && share.len() <= 256, "{share:?}");
        }
    }

    #[test]
    fn one_thread_takes_a_matrix_at_once() {
        assert_eq!(shares(&[576, 192], 1, READING).concat(), [0..576, 0..192]);
    }
}
