//! Files as bytes: mapped read-only, or copied where a map is not to be trusted.
//!
//! A mapped file that another process shortens turns the next access behind its new end into
//! `SIGBUS`, which kills the whole process. Nothing but owning the bytes prevents that. So:
//!
//! - [`Mapping::open`] maps. Right for files that only this user or root can write, such as the
//!   blobs of the store.
//! - [`Mapping::open_private`] copies into anonymous memory: nobody can change it, at the price of
//!   the file's size in memory that is neither shared nor reclaimable.
//! - [`Mapping::open_guarded`] maps when only root or this user can write the file, else copies.
//!
//! [`Mapping::check_unchanged`] notices an accident (a model file rewritten in place) before a run;
//! it cannot close the race against somebody who shortens the file during the run.

#![expect(unsafe_code, reason = "a file map is only as stable as the file")]

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::ops::{Deref, Range};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use memmap2::{Advice, Mmap, MmapMut, UncheckedAdvice};
use rustix::fs::{Mode, OFlags};

use crate::{Error, ErrorKind};

/// The bytes of one regular file, read-only.
#[derive(Debug)]
pub struct Mapping {
    bytes: Bytes,
    path: PathBuf,
    /// Kept while the bytes are the file's own, to look at it again.
    file: Option<File>,
    seen: Seen,
}

#[derive(Debug)]
enum Bytes {
    /// An empty file cannot be mapped.
    Empty,
    Shared(Mmap),
    Private(Mmap),
}

/// What the file looked like when it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    len_bytes: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
}

impl Mapping {
    /// Maps the file at `path`.
    ///
    /// # Errors
    /// If the file cannot be opened, is not a regular file, or cannot be mapped.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let (file, stat) = open_regular(path)?;
        Self::shared(file, &stat, path)
    }

    /// Copies the file at `path` into memory of this process.
    ///
    /// # Errors
    /// If the file cannot be opened, is not a regular file, cannot be read, changes its length
    /// while it is read, or does not fit into memory.
    pub fn open_private(path: &Path) -> Result<Self, Error> {
        let (file, stat) = open_regular(path)?;
        Self::private(file, &stat, path)
    }

    /// Maps the file if only root and this user can write it, else copies it.
    ///
    /// # Errors
    /// As [`Mapping::open`] and [`Mapping::open_private`].
    pub fn open_guarded(path: &Path) -> Result<Self, Error> {
        let (file, stat) = open_regular(path)?;
        match others_can_write(&stat) {
            false => Self::shared(file, &stat, path),
            true => Self::private(file, &stat, path),
        }
    }

    /// Bytes that [`Mapping::open_guarded`] copies: none of a file that it maps, or that is not there.
    pub fn copied_bytes(path: &Path) -> u64 {
        let stat = std::fs::metadata(path).ok();
        stat.filter(others_can_write).map_or(0, |stat| stat.len())
    }

    fn shared(file: File, stat: &Metadata, path: &Path) -> Result<Self, Error> {
        let seen = Seen::of(stat);
        let bytes = if seen.len_bytes == 0 {
            Bytes::Empty
        } else {
            let len = address_space(seen.len_bytes, path)?;
            // SAFETY: the map is read-only and its length is the file's at this moment. That nobody
            // changes the file while it is mapped cannot be proved here; the module's documentation
            // says which files this is for, and the type never hands out `&mut`.
            let map = unsafe { memmap2::MmapOptions::new().len(len).map(&file) };
            Bytes::Shared(map.map_err(|e| Error::io("cannot map the file", path, e))?)
        };
        Ok(Self { bytes, path: path.to_owned(), file: Some(file), seen })
    }

    fn private(mut file: File, stat: &Metadata, path: &Path) -> Result<Self, Error> {
        let seen = Seen::of(stat);
        let bytes = if seen.len_bytes == 0 {
            Bytes::Empty
        } else {
            let len = address_space(seen.len_bytes, path)?;
            let fail = |e| Error::io("cannot copy the file into memory", path, e);
            let mut copy = MmapMut::map_anon(len).map_err(fail)?;
            file.read_exact(&mut copy).map_err(fail)?;
            Bytes::Private(copy.make_read_only().map_err(fail)?)
        };
        let now = stat_of(&file, path)?;
        if Seen::of(&now) != seen {
            return Err(Error::at(ErrorKind::Changed, "the file changed while it was read", path));
        }
        Ok(Self { bytes, path: path.to_owned(), file: None, seen })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the bytes are a copy that no other process can change.
    pub fn is_private(&self) -> bool {
        !matches!(self.bytes, Bytes::Shared(_))
    }

    /// Whether the file still has the length and the modification time it had when it was mapped.
    ///
    /// # Errors
    /// [`ErrorKind::Changed`] with what was expected and found, or the error of `fstat`.
    pub fn check_unchanged(&self) -> Result<(), Error> {
        let Some(file) = &self.file else { return Ok(()) };
        let now = Seen::of(&stat_of(file, &self.path)?);
        let what = if now.len_bytes != self.seen.len_bytes {
            format!(
                "the file changed while in use: had {} bytes, has {}",
                self.seen.len_bytes, now.len_bytes
            )
        } else if now.modified != self.seen.modified {
            "the file was written while in use: its modification time is newer".to_owned()
        } else {
            return Ok(());
        };
        Err(Error::at(ErrorKind::Changed, what, &self.path))
    }

    /// As [`Mapping::check_unchanged`], for those who only want to know.
    pub fn still_whole(&self) -> bool {
        self.check_unchanged().is_ok()
    }

    /// Tells the kernel that the bytes will be read from front to back. A hint: never fails.
    pub fn advise_sequential(&self) {
        self.advise(Advice::Sequential);
    }

    /// Tells the kernel that all bytes will be needed soon. A hint: never fails.
    pub fn advise_willneed(&self) {
        self.advise(Advice::WillNeed);
    }

    /// Asks for huge pages, where the file system has them for file maps. A hint: never fails.
    pub fn advise_hugepages(&self) {
        self.advise(Advice::HugePage);
    }

    /// Reads every page in now, so that a file already cut short is an error here, not `SIGBUS`.
    ///
    /// # Errors
    /// What the kernel says (`EFAULT` for a page behind the file's end); kernels before 5.14 do
    /// not know the request, which is no error.
    pub fn prefault(&self) -> Result<(), Error> {
        let Bytes::Shared(map) = &self.bytes else { return Ok(()) };
        match map.advise(Advice::PopulateRead) {
            Err(e) if e.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()) => Ok(()),
            result => result.map_err(|e| Error::io("cannot read the mapped file", &self.path, e)),
        }
    }

    /// Takes the pages of `range` out of this process's memory; they stay in the page cache, and a
    /// later access finds them there or reads them again. A hint: never fails.
    pub fn release(&self, range: Range<usize>) {
        // A private copy has no file to be read from again.
        let Bytes::Shared(map) = &self.bytes else { return };
        if range.is_empty() || range.end > map.len() {
            return;
        }
        let pages = UncheckedAdvice::DontNeed;
        // SAFETY: the map is of a file, shared and read-only, so there is nothing in its pages that
        // the file does not have.
        let released = unsafe { map.unchecked_advise_range(pages, range.start, range.len()) };
        // Only memory depends on it.
        let _ = released;
    }

    fn advise(&self, advice: Advice) {
        if let Bytes::Shared(map) | Bytes::Private(map) = &self.bytes {
            // Only speed depends on it, and kernels and file systems differ in what they know.
            let _ = map.advise(advice);
        }
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Empty => &[],
            Bytes::Shared(map) | Bytes::Private(map) => map,
        }
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Seen {
    fn of(stat: &Metadata) -> Self {
        Self { len_bytes: stat.len(), modified: (stat.mtime(), stat.mtime_nsec()) }
    }
}

/// Whether others than root and this user can write a file.
fn others_can_write(stat: &Metadata) -> bool {
    let ours = [0, rustix::process::geteuid().as_raw()].contains(&stat.uid());
    !ours || stat.mode() & (Mode::WGRP | Mode::WOTH).bits() != 0
}

/// Opens without waiting for the other end of a FIFO, and proves by `fstat` of what was opened (not
/// of what the path names a moment later) that it is a regular file.
fn open_regular(path: &Path) -> Result<(File, Metadata), Error> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty())
        .map(File::from)
        .map_err(|e| Error::io("cannot open the file", path, e.into()))?;
    let stat = stat_of(&file, path)?;
    let kind = stat.file_type();
    if kind.is_file() {
        return Ok((file, stat));
    }
    let found = if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    let what = format!("expected a regular file, found {found}");
    Err(Error::at(ErrorKind::NotARegularFile, what, path))
}

fn stat_of(file: &File, path: &Path) -> Result<Metadata, Error> {
    file.metadata().map_err(|e| Error::io("cannot look at the file", path, e))
}

fn address_space(len_bytes: u64, path: &Path) -> Result<usize, Error> {
    usize::try_from(len_bytes).map_err(|_| {
        let cause = io::Error::from(io::ErrorKind::FileTooLarge);
        Error::io(format!("{len_bytes} bytes are more than this machine can map"), path, cause)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(dir: &Path, content: &[u8]) -> PathBuf {
        let path = dir.join("file");
        std::fs::write(&path, content).unwrap();
        path
    }

    #[test]
    fn every_way_of_opening_gives_the_bytes() {
        let dir = tempfile::tempdir().unwrap();
        for content in [&b""[..], b"x", &[7; 100_000]] {
            let path = file(dir.path(), content);
            assert_eq!(&*Mapping::open(&path).unwrap(), content);
            assert_eq!(&*Mapping::open_private(&path).unwrap(), content);
            assert_eq!(&*Mapping::open_guarded(&path).unwrap(), content);
        }
    }

    #[test]
    fn released_pages_are_there_again_when_read() {
        let dir = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..1_000_000u32).map(|i| i as u8).collect();
        let path = file(dir.path(), &content);
        for map in [Mapping::open(&path).unwrap(), Mapping::open_private(&path).unwrap()] {
            for range in [0..content.len(), 5000..300_000, 7..7, 5..content.len() + 1] {
                assert_eq!(*map, *content);
                map.release(range);
            }
            assert_eq!(*map, *content);
        }
    }

    #[test]
    fn only_regular_files_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
        for (path, word) in
            [(dir.path(), "a directory"), (&*fifo, "a FIFO"), (Path::new("/dev/zero"), "a device")]
        {
            for open in [Mapping::open, Mapping::open_private, Mapping::open_guarded] {
                let error = open(path).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NotARegularFile, "{error}");
                assert!(error.to_string().contains(word), "{error}");
            }
        }
        let error = Mapping::open(&dir.path().join("none")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
    }

    #[test]
    fn a_file_cut_short_is_noticed_and_a_copy_does_not_care() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), &[1; 100_000]);
        let map = Mapping::open(&path).unwrap();
        let copy = Mapping::open_private(&path).unwrap();
        map.check_unchanged().unwrap();
        map.prefault().unwrap();

        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(5000).unwrap();
        let error = map.check_unchanged().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Changed);
        assert!(error.to_string().ends_with("had 100000 bytes, has 5000"), "{error}");
        assert!(!map.still_whole());
        // EFAULT from the kernel where a plain read would be SIGBUS.
        map.prefault().unwrap_err();
        assert!(copy.still_whole());
        assert_eq!(&*copy, [1; 100_000]);
    }

    #[test]
    fn a_file_written_in_place_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), b"abc");
        let map = Mapping::open(&path).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().write_all(b"x").unwrap();
        assert_eq!(map.check_unchanged().unwrap_err().kind(), ErrorKind::Changed);
    }

    #[test]
    fn a_file_that_others_can_write_is_copied() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), b"abc");
        for (mode, private) in [(0o644, false), (0o600, false), (0o664, true), (0o646, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(Mapping::open_guarded(&path).unwrap().is_private(), private, "{mode:o}");
            assert_eq!(Mapping::copied_bytes(&path), if private { 3 } else { 0 }, "{mode:o}");
        }
        assert_eq!(Mapping::copied_bytes(&dir.path().join("none")), 0);
    }

    #[test]
    fn it_can_be_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Mapping>();
    }
}
