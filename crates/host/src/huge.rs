//! Memory for what is read all the time and never grows: on huge pages, where the kernel gives them.

#![expect(unsafe_code, reason = "pages are given back to the kernel by address")]

use std::io;
use std::ops::{Deref, DerefMut, Range};

use memmap2::{Advice, MmapMut, UncheckedAdvice};

/// Zeroed memory of this process's own, page-aligned.
///
/// Larger pages need fewer look-ups of addresses: weights beyond the last cache were read 10 to 20 %
/// faster from them (Sapphire Rapids). Linux gives them where `transparent_hugepage/enabled` says
/// `madvise` or `always`.
#[derive(Debug)]
pub struct HugeMemory(MmapMut);

impl HugeMemory {
    /// So many bytes, at least 1.
    ///
    /// # Errors
    /// If the kernel gives no address space.
    pub fn new(bytes: usize) -> io::Result<Self> {
        let map = MmapMut::map_anon(bytes.max(1))?;
        // Only speed depends on it.
        let _ = map.advise(Advice::HugePage);
        Ok(Self(map))
    }

    /// Gives the pages that lie wholly in `range` back to the kernel; what is in the range afterwards
    /// is what was there, or zeros. A range that is not inside changes nothing.
    pub fn give_back(&mut self, range: Range<usize>) {
        let page = rustix::param::page_size();
        let (start, end) = (range.start.next_multiple_of(page), range.end / page * page);
        if range.end > self.0.len() || start >= end {
            return;
        }
        // SAFETY: the map is anonymous and private, borrowed mutably, and any bytes are valid in it:
        // the kernel puts zeros where pages are gone.
        let given =
            unsafe { self.0.unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start) };
        // Only memory depends on it.
        let _ = given;
    }
}

impl Deref for HugeMemory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for HugeMemory {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_zero_and_aligned_and_takes_what_is_written() {
        let mut memory = HugeMemory::new(5_000_001).unwrap();
        assert!(memory.iter().all(|&x| x == 0) && memory.as_ptr().align_offset(4096) == 0);
        memory[5_000_000] = 7;
        assert_eq!((memory.len(), memory[5_000_000]), (5_000_001, 7));
        assert!(HugeMemory::new(usize::MAX / 2).is_err());
    }

    #[test]
    fn what_is_given_back_is_not_resident_and_its_neighbours_stay() {
        let size = 64 << 20;
        let mut memory = HugeMemory::new(size).unwrap();
        memory.fill(7);
        let before = crate::resident(std::path::Path::new("/")).unwrap().anonymous_bytes;
        memory.give_back(100..size - 100);
        let after = crate::resident(std::path::Path::new("/")).unwrap().anonymous_bytes;
        // Tests beside this one may have taken some.
        assert!(after + (32 << 20) < before, "{before} -> {after}");
        assert!(memory[..100].iter().chain(&memory[size - 100..]).all(|&x| x == 7));
        assert_eq!(memory[size / 2], 0);
        memory.give_back(0..size + 1);
        memory.give_back(8..16);
        assert_eq!((memory[0], memory[8]), (7, 7));
    }
}
