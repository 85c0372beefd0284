//! A map from hashes to numbers, built once: eight bytes a slot, no key kept.
//!
//! Start-up is a few hundred thousand insertions at random places of megabytes, which cost cache
//! misses rather than work. So the pairs are first sorted into runs by the high bits of their
//! hash, which are the place in the table: each run then fills a part that stays in the cache.

/// A slot: 32 bits of the hash, which are no part of the place, and the number plus one.
#[derive(Clone, Copy, Default)]
struct Slot {
    tag: u32,
    number: u32,
}

/// The map. Whoever asks it must know a right answer from a wrong one: a tag is not a key.
#[derive(Default)]
pub(crate) struct Table {
    slots: Vec<Slot>,
    /// How far a hash is shifted to be a place.
    shift: u32,
}

/// The bits of a hash that say which run it belongs to.
const RUN_BITS: u32 = 6;

/// How many slots are looked at for one hash. At the load here, honest hashes stay below 200; a
/// file that repeats itself a million times loses the repetitions.
const LONGEST_PROBE: usize = 512;

impl Table {
    /// The map of `pairs`. Of two pairs with one hash, the first is found first.
    pub(crate) fn new(pairs: impl ExactSizeIterator<Item = (u64, u32)>) -> Self {
        // A load of at most two thirds.
        let slots = (pairs.len() * 3 / 2 + 1).next_power_of_two().max(1 << RUN_BITS);
        let mut table =
            Self { slots: vec![Slot::default(); slots], shift: 64 - slots.trailing_zeros() };
        let mut runs: Vec<Vec<(u64, u32)>> = Vec::new();
        runs.resize_with(1 << RUN_BITS, || Vec::with_capacity(pairs.len() >> (RUN_BITS - 1)));
        for (hash, number) in pairs {
            if let Some(run) = runs.get_mut((hash >> (64 - RUN_BITS)) as usize) {
                run.push((hash, number));
            }
        }
        for (hash, number) in runs.into_iter().flatten() {
            table.insert(hash, number);
        }
        table
    }

    fn insert(&mut self, hash: u64, number: u32) {
        let mask = self.slots.len() - 1;
        let place = (hash >> self.shift) as usize;
        for at in place..place + LONGEST_PROBE {
            let Some(slot) = self.slots.get_mut(at & mask) else { return };
            if slot.number == 0 {
                *slot = Slot { tag: hash as u32, number: number + 1 };
                return;
            }
        }
    }

    /// The first number with this hash that `accept` takes.
    #[inline]
    pub(crate) fn find(&self, hash: u64, accept: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len().wrapping_sub(1);
        let place = hash.checked_shr(self.shift).unwrap_or(0) as usize;
        for at in place..place + LONGEST_PROBE {
            let slot = self.slots.get(at & mask)?;
            let number = slot.number.checked_sub(1)?;
            if slot.tag == hash as u32 && accept(number) {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::hash;

    #[test]
    fn what_went_in_comes_out() {
        for count in [0usize, 1, 2, 63, 64, 65, 1000, 50_000] {
            let key = |number: u32| hash(&number.to_le_bytes());
            let table = Table::new((0..count as u32).map(|number| (key(number), number)));
            for number in 0..count as u32 {
                assert_eq!(table.find(key(number), |found| found == number), Some(number));
            }
            let absent = (count as u32..count as u32 + 1000)
                .filter(|&number| table.find(key(number), |found| found == number).is_some());
            assert_eq!(absent.count(), 0, "{count}");
        }
    }

    #[test]
    fn equal_hashes_are_told_apart_by_the_caller() {
        let table = Table::new([(7, 1), (7, 2), (u64::MAX, 3), (u64::MAX, 4)].into_iter());
        assert_eq!(table.find(7, |_| true), Some(1));
        assert_eq!(table.find(7, |number| number == 2), Some(2));
        assert_eq!(table.find(7, |_| false), None);
        assert_eq!(table.find(u64::MAX, |number| number == 4), Some(4));
        assert_eq!(table.find(8, |_| true), None);
        assert_eq!(Table::default().find(7, |_| true), None);
        let same = Table::new((0..100_000).map(|number| (7, number)));
        assert_eq!(same.find(7, |_| true), Some(0));
        assert_eq!(same.find(7, |number| number == 99_999), None);
    }
}
