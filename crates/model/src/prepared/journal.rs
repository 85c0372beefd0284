//! What of a file in the making is done: a record for each chunk, behind the panels.
//!
//! A chunk is recorded after its bytes are on disk, so a record is never ahead of them. The process
//! that goes on later reads recorded chunks back before it trusts them; since that takes time, of
//! which there may be little, it is recorded as well.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, PoisonError};

/// Bytes of a record.
const RECORD: usize = 16;

/// What is known of a chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Record {
    /// It is to be made.
    #[default]
    Missing,
    /// It was written, with this sum.
    Written(u64),
    /// It was read back after the process that wrote it had ended.
    ReadBack,
}

impl Record {
    fn to_bytes(self) -> [u8; RECORD] {
        let (state, sum): (u64, u64) = match self {
            Record::Missing => (0, 0),
            Record::Written(sum) => (1, sum),
            Record::ReadBack => (2, 0),
        };
        (u128::from(state) | u128::from(sum) << 64).to_le_bytes()
    }

    fn from_bytes(bytes: [u8; RECORD]) -> Self {
        let both = u128::from_le_bytes(bytes);
        match both as u64 {
            1 => Record::Written((both >> 64) as u64),
            2 => Record::ReadBack,
            _ => Record::Missing,
        }
    }
}

/// The records of a file.
pub(super) struct Journal<'f> {
    file: &'f File,
    /// Where they begin.
    at: u64,
    /// Bytes that may be written before they are brought to disk: little enough that a slow disk
    /// does not keep anybody waiting who wants to stop.
    sync_bytes: u64,
    pending: Mutex<Pending>,
    /// One thread syncs; others that come to it wait, and so do not run ahead of the disk.
    syncing: Mutex<()>,
}

/// Records of what may not be on disk yet.
#[derive(Default)]
struct Pending {
    records: Vec<(usize, Record)>,
    bytes: u64,
}

impl<'f> Journal<'f> {
    pub(super) fn new(file: &'f File, at: u64, sync_bytes: u64) -> Self {
        Self { file, at, sync_bytes, pending: Mutex::default(), syncing: Mutex::default() }
    }

    /// Bytes of the records of `chunks`.
    pub(super) fn len_bytes(chunks: usize) -> u64 {
        chunks as u64 * RECORD as u64
    }

    /// All records.
    pub(super) fn read(&self, chunks: usize) -> io::Result<Vec<Record>> {
        let mut bytes = vec![0; chunks * RECORD];
        self.file.read_exact_at(&mut bytes, self.at)?;
        Ok(bytes.as_chunks().0.iter().copied().map(Record::from_bytes).collect())
    }

    /// Notes a chunk of which `bytes` were written just now.
    pub(super) fn note(&self, chunk: usize, record: Record, bytes: u64) -> io::Result<()> {
        let full = {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            pending.records.push((chunk, record));
            pending.bytes += bytes;
            pending.bytes >= self.sync_bytes
        };
        if full { self.sync(self.sync_bytes) } else { Ok(()) }
    }

    /// Brings to disk what was noted, if it is as many bytes, and records it.
    pub(super) fn sync(&self, least_bytes: u64) -> io::Result<()> {
        let _turn = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            if pending.bytes < least_bytes {
                return Ok(());
            }
            std::mem::take(&mut *pending)
        };
        if pending.bytes > 0 {
            self.file.sync_data()?;
        }
        for (chunk, record) in pending.records {
            self.file.write_all_at(&record.to_bytes(), self.at + Self::len_bytes(chunk))?;
        }
        Ok(())
    }
}

/// A sum of bytes that damage changes: any change of one word, and all but one in 2^64 of others.
/// It does not withstand somebody who wants it to stay the same.
pub(super) fn sum(bytes: &[u8]) -> u64 {
    // Four at once, as each step waits for the last one. The constants are those of xxHash64.
    let mut lanes = [1u64, 2, 3, 4];
    let step = |lane: u64, word: [u8; 8]| {
        let mixed = lane ^ u64::from_le_bytes(word);
        mixed.wrapping_mul(0x9e37_79b1_85eb_ca87).rotate_left(31)
    };
    let (words, rest) = bytes.as_chunks::<8>();
    let (fours, words) = words.as_chunks::<4>();
    for four in fours {
        for (lane, word) in lanes.iter_mut().zip(four) {
            *lane = step(*lane, *word);
        }
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let lanes = lanes.map(u64::to_le_bytes);
    let tail = words.iter().chain([&last]).chain(&lanes);
    tail.fold(bytes.len() as u64, |sum, word| step(sum, *word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_changed_byte_changes_the_sum() {
        for len in [0, 1, 7, 8, 64, 100] {
            let mut bytes = vec![7; len];
            let before = sum(&bytes);
            for at in 0..len {
                bytes[at] ^= 0x10;
                assert_ne!(sum(&bytes), before, "byte {at} of {len}");
                bytes[at] ^= 0x10;
            }
            assert_ne!(sum(&[&bytes[..], &[0]].concat()), before, "one more than {len}");
        }
    }

    #[test]
    fn records_are_read_as_they_were_written_after_a_sync() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(100 + Journal::len_bytes(4)).unwrap();
        let journal = Journal::new(&file, 100, 50);
        journal.note(1, Record::Written(u64::MAX), 5).unwrap();
        assert_eq!(journal.read(4).unwrap(), [Record::Missing; 4]);
        journal.note(3, Record::ReadBack, 45).unwrap();
        let expected =
            [Record::Missing, Record::Written(u64::MAX), Record::Missing, Record::ReadBack];
        assert_eq!(journal.read(4).unwrap(), expected);
        assert!(journal.read(5).is_err());
    }
}
