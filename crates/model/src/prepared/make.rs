//! How the file is made: in chunks, by all processors, and not in vain if it is broken off.
//!
//! ```text
//! NAME.partial   header, panels at their places, the size of chunks (u64), a record of each chunk
//! ```
//!
//! The process that works on it holds a lock on it. Once every chunk is there the records are cut
//! off, the file is synced and gets its name: what has the name is whole.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rushlight_host::{free_bytes, reserve};

use super::Prepared;
use super::journal::{Journal, Record, sum};
use crate::{Error, ErrorKind, PanelSource, shares};

/// Bytes that are left free for others.
const SPARE_BYTES: u64 = 64 << 20;

/// Chunks that are brought to disk together.
const SYNC_CHUNKS: usize = 8;

/// What became of an attempt to make a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Made {
    /// The file is there.
    Whole,
    /// It was told to stop; the next attempt goes on from here.
    Stopped {
        /// Bytes of panels that are there.
        done_bytes: u64,
    },
    /// Another process is making it.
    Busy,
}

/// Some panels of a tensor.
#[derive(Clone, Copy)]
pub(super) struct Chunk<'a> {
    pub(super) index: usize,
    pub(super) source: &'a PanelSource,
    /// The first panel.
    pub(super) first: usize,
    /// How many.
    count: usize,
    /// Where they are in the file.
    pub(super) at: usize,
}

impl Chunk<'_> {
    /// Makes them.
    pub(super) fn pack<'m>(&self, memory: &'m mut Vec<u8>) -> &'m [u8] {
        memory.resize(self.len(), 0);
        self.source.pack(self.first, memory);
        memory
    }

    fn len(&self) -> usize {
        self.count * self.source.panel_bytes()
    }
}

/// All of a file, in order.
pub(super) fn chunks<'a>(prepared: &Prepared<'a>) -> impl Iterator<Item = Chunk<'a>> + Send {
    let (chunk_bytes, offsets) = (prepared.chunk_bytes, prepared.offsets.clone());
    let all = prepared.sources.iter().zip(offsets).flat_map(move |(source, offset)| {
        let step = source.panels_in(chunk_bytes);
        (0..source.panels()).step_by(step).map(move |first| {
            let count = step.min(source.panels() - first);
            let at = offset + first * source.panel_bytes();
            Chunk { index: 0, source, first, count, at }
        })
    });
    all.enumerate().map(|(index, chunk)| Chunk { index, ..chunk })
}

impl Prepared<'_> {
    /// Makes the file, or goes on with it, on all processors or so many `threads`, until `stop` says
    /// so: it is asked before each chunk.
    ///
    /// # Errors
    /// [`ErrorKind::Space`] if the file system has not the room, and [`ErrorKind::Write`].
    pub fn make(
        &self,
        threads: Option<usize>,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Made, Error> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir).map_err(self.write("the directory cannot be made"))?;
        let Some(partial) = self.lock_partial()? else {
            return Ok(if self.path.exists() { Made::Whole } else { Made::Busy });
        };
        let filled = self.begin(&partial, dir).and_then(|()| self.fill(&partial, threads, stop));
        match filled {
            Ok(None) => {}
            Ok(Some(done_bytes)) => return Ok(Made::Stopped { done_bytes }),
            Err(error) => {
                // What cannot be finished must not take the room that others need.
                let _ = fs::remove_file(self.partial());
                return Err(error);
            }
        }
        let placed = partial
            .set_len(self.size_bytes())
            .and_then(|()| partial.set_permissions(Permissions::from_mode(0o444)))
            .and_then(|()| partial.sync_all())
            .and_then(|()| fs::rename(self.partial(), self.path))
            .and_then(|()| File::open(dir)?.sync_all());
        placed.map_err(self.write("the finished file cannot be put in place"))?;
        Ok(Made::Whole)
    }

    fn partial(&self) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".partial");
        name.into()
    }

    /// The file in the making, locked; `None` if another process has it, or has just finished.
    fn lock_partial(&self) -> Result<Option<File>, Error> {
        let path = self.partial();
        let fail = "the file of prepared weights cannot be opened";
        for _ in 0..3 {
            if self.path.exists() {
                return Ok(None);
            }
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o644);
            let file = options.open(&path).map_err(self.write(fail))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(e)) => return Err(self.write(fail)(e)),
            }
            // Whoever had it before may have renamed or removed it.
            let ours = file.metadata().map_err(self.write(fail))?;
            if fs::metadata(&path).is_ok_and(|m| (m.dev(), m.ino()) == (ours.dev(), ours.ino())) {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    /// Leaves the file with its header, its length and its records: those of an earlier attempt at
    /// the same, else empty ones.
    fn begin(&self, file: &File, dir: &Path) -> Result<(), Error> {
        let fail = "the file of prepared weights cannot be written";
        let chunks = chunks(self).count();
        let journal_at = self.size_bytes() + 8;
        let len = journal_at + Journal::len_bytes(chunks);
        let chunk_bytes = (self.chunk_bytes as u64).to_le_bytes();
        let stat = file.metadata().map_err(self.write(fail))?;
        let mut head = vec![0; self.header.len()];
        let mut size = [0; 8];
        let same = stat.len() == len
            && file.read_exact_at(&mut head, 0).is_ok()
            && file.read_exact_at(&mut size, self.size_bytes()).is_ok()
            && (&head, size) == (&self.header, chunk_bytes);
        if same {
            return Ok(());
        }
        file.set_len(0).map_err(self.write(fail))?;
        let free = free_bytes(dir).map_err(|e| self.error(ErrorKind::Write, fail).because(e))?;
        if free < len + SPARE_BYTES {
            let what = format!("`{}` bytes are needed, `{free}` are free", len + SPARE_BYTES);
            let hint = "free some space, or use `--no-prepare`";
            return Err(self.error(ErrorKind::Space, what).with_hint(hint));
        }
        reserve(file, len, &self.partial())
            .map_err(|e| self.error(ErrorKind::Write, fail).because(e))?;
        file.write_all_at(&chunk_bytes, self.size_bytes())
            .and_then(|()| file.write_all_at(&self.header, 0))
            .map_err(self.write(fail))
    }

    /// Makes what is missing and reads back what others made; `None` when all is there, else how
    /// many bytes are.
    fn fill(
        &self,
        file: &File,
        threads: Option<usize>,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<u64>, Error> {
        let sync_bytes = (SYNC_CHUNKS * self.chunk_bytes) as u64;
        let journal = Journal::new(file, self.size_bytes() + 8, sync_bytes);
        let all: Vec<_> = chunks(self).collect();
        let records = journal.read(all.len()).map_err(self.write("the records cannot be read"))?;
        // First what is missing: to read back is of use only when all is there.
        let mut left: Vec<_> = all.iter().zip(records).collect();
        left.retain(|(_, record)| *record != Record::ReadBack);
        left.sort_by_key(|(_, record)| *record != Record::Missing);
        let bytes = |chunks: &[(&Chunk<'_>, Record)], all: bool| -> u64 {
            let counted = chunks.iter().filter(|(_, record)| all || *record == Record::Missing);
            counted.map(|(chunk, _)| chunk.len() as u64).sum()
        };
        let total: u64 = all.iter().map(|chunk| chunk.len() as u64).sum();
        let (unproved, missing) = (bytes(&left, true), bytes(&left, false));
        let (proved, made) = (AtomicU64::new(0), AtomicU64::new(0));
        let threads = threads.unwrap_or_else(shares::all_processors);
        let going = left.iter().take_while(|_| !stop());
        let done = shares::each(threads, going, |memory: &mut Vec<u8>, (chunk, record)| {
            let len = chunk.len() as u64;
            if let Record::Written(wanted) = *record {
                memory.resize(chunk.len(), 0);
                let read = file.read_exact_at(memory, chunk.at as u64);
                if read.is_ok() && sum(memory) == wanted {
                    proved.fetch_add(len, Ordering::Relaxed);
                    let noted = journal.note(chunk.index, Record::ReadBack, 0);
                    return noted.map_err(self.write("the records cannot be written"));
                }
            }
            let packed = chunk.pack(memory);
            file.write_all_at(packed, chunk.at as u64)
                .and_then(|()| journal.note(chunk.index, Record::Written(sum(packed)), len))
                .map_err(self.write("the prepared weights cannot be written"))?;
            proved.fetch_add(len, Ordering::Relaxed);
            if *record == Record::Missing {
                made.fetch_add(len, Ordering::Relaxed);
            }
            Ok(())
        });
        done?;
        journal.sync(0).map_err(self.write("the prepared weights cannot be brought to disk"))?;
        let whole = proved.into_inner() == unproved;
        Ok((!whole).then(|| total - missing + made.into_inner()))
    }

    fn write(&self, what: &'static str) -> impl Fn(io::Error) -> Error + '_ {
        move |e| self.error(ErrorKind::Write, what).because(e)
    }
}
