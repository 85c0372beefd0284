//! How the rows of matrices that are multiplied together are shared between threads.

use std::ops::{Range, RangeInclusive};

/// Rows of a matrix are handed out in multiples of this: the widest kernel's panel.
const PANEL: usize = 16;

/// A share is at least this part of what one thread would have of the rest, so that the first ones
/// are large and those that the threads end with are small. Thirds were as good as halves.
const PART: usize = 2;

/// The rest of some rows, given away in shares that become smaller: whoever is free takes the
/// next, so with few large shares all threads still end together. Eight equal ones for two threads
/// made answers 5 to 20 % slower; equal ones of 256 KiB were between.
#[derive(Debug)]
pub(super) struct Shares {
    left: usize,
    threads: usize,
    size: RangeInclusive<usize>,
}

impl Shares {
    /// Of so many rows in all, with shares of about `size` rows.
    pub(super) fn new(rows: usize, threads: usize, size: RangeInclusive<usize>) -> Self {
        Self { left: rows, threads, size }
    }

    /// The shares of the next matrix, which has so many of the rows.
    pub(super) fn of(&mut self, rows: usize) -> impl Iterator<Item = Range<usize>> + use<'_> {
        let mut start = 0;
        std::iter::from_fn(move || {
            let own = rows - start;
            let fair = match self.threads {
                1 => self.left,
                threads => self.left / (PART * threads),
            };
            let share = fair.max(*self.size.start()).min(*self.size.end());
            let share = share.max(1).next_multiple_of(PANEL);
            // What remains of the matrix goes along if it is no share by itself.
            let share = if own < share + self.size.start() / 2 { own } else { share };
            let range = start..start + share;
            start += share;
            self.left = self.left.saturating_sub(share);
            (share > 0).then_some(range)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(
        rows: &[usize],
        threads: usize,
        size: RangeInclusive<usize>,
    ) -> Vec<Vec<Range<usize>>> {
        let mut shares = Shares::new(rows.iter().sum(), threads, size);
        rows.iter().map(|&rows| shares.of(rows).collect()).collect()
    }

    #[test]
    fn every_row_is_in_one_share_and_panels_are_whole() {
        let matrices: [&[usize]; 6] =
            [&[1], &[16], &[576, 192, 192], &[1536, 1536], &[49152], &[5, 1, 40]];
        for (rows, threads) in matrices.iter().flat_map(|&m| [1, 2, 3, 8, 64].map(|t| (m, t))) {
            for size in [0..=usize::MAX, 16..=16, 60..=100, 64..=256, 4096..=usize::MAX] {
                for (shares, &rows) in shares(rows, threads, size.clone()).iter().zip(rows) {
                    let mut end = 0;
                    for share in shares {
                        assert_eq!(share.start, end);
                        assert!(share.start.is_multiple_of(PANEL), "{shares:?}");
                        let (least, most) = (size.start() / 2, size.end().saturating_mul(2));
                        let whole = share.len() == rows;
                        assert!(whole || (least..=most).contains(&share.len()), "{shares:?}");
                        end = share.end;
                    }
                    assert_eq!(end, rows, "{shares:?}");
                }
            }
        }
    }

    #[test]
    fn the_first_shares_are_large_and_the_last_ones_the_least() {
        let all = shares(&[8192, 8192], 2, 64..=usize::MAX).concat();
        let lengths: Vec<_> = all.iter().map(Range::len).collect();
        assert_eq!(lengths[..4], [4096, 3072, 1024, 2048]);
        assert!(lengths.iter().rev().take(4).all(|&n| n <= 96), "{lengths:?}");
        assert!(lengths.len() < 40, "{lengths:?}");
    }

    #[test]
    fn threads_of_one_speed_end_within_a_least_share() {
        for threads in [2, 3, 4, 8] {
            let mut busy = vec![0; threads];
            for share in shares(&[1536, 1536], threads, 16..=usize::MAX).concat() {
                *busy.iter_mut().min().unwrap() += share.len();
            }
            let (most, least) = (busy.iter().max().unwrap(), busy.iter().min().unwrap());
            assert!(most - least <= 16, "{busy:?}");
        }
    }

    #[test]
    fn one_thread_takes_a_matrix_at_once() {
        assert_eq!(shares(&[576, 192], 1, 16..=usize::MAX), [[0..576], [0..192]]);
    }
}
