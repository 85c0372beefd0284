//! The files that a machine describes itself with, below a root, read with care.

use std::collections::BTreeSet;
use std::fs::{File, ReadDir};
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::{Absent, Reading, Unit};

/// Bytes of a file, at most. The longest that are read are the package databases of desktops, about
/// 6 MB, and `/proc/cpuinfo` of large servers.
const MOST_BYTES: u64 = 16 << 20;
/// Bytes of a file with a number, at most: there are thousands of them.
const NUMBER_BYTES: u64 = 4096;
/// Entries of a directory, at most.
const MOST_ENTRIES: usize = 1 << 16;

/// The files that a machine describes itself with: `proc`, `sys`, `dev`, `etc` below a root, which is
/// `/` or a made-up one.
///
/// Paths are given without a leading slash; a reading names them so as its source. Nothing is opened
/// that could make the reader wait, such as a pipe, and nothing is read without end. Links in another
/// machine's tree are followed as if its root were `/`, so that they lead to none of this one's files.
///
/// A tree that was captured elsewhere may have a file `errors` at its root, with a line
/// `EACCES path` for each file that could not be read there: it cannot be read here either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    root: PathBuf,
    /// Files below the root that could not be read where the tree was captured.
    refused: BTreeSet<PathBuf>,
}

impl Tree {
    /// The tree below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let mut tree = Self { root: root.into(), refused: BTreeSet::new() };
        if !tree.is_this_machine()
            && let Ok(bytes) = tree.bytes("errors")
        {
            let text = String::from_utf8_lossy(&bytes);
            let paths = text.lines().filter_map(|line| line.strip_prefix("EACCES "));
            tree.refused = paths.map(PathBuf::from).collect();
        }
        tree
    }

    /// This machine's.
    pub fn this_machine() -> Self {
        Self::new("/")
    }

    /// The root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether this is the machine that the program runs on, so that its libraries and calls of the
    /// kernel speak of the same.
    pub fn is_this_machine(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Where `path` is for the operating system.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Whether there is something at `path`.
    pub fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.path(path).exists()
    }

    /// The bytes of a file, of which the first 16 MiB are read.
    ///
    /// # Errors
    ///
    /// What the operating system says; a file that is neither regular nor a device is
    /// [`io::ErrorKind::InvalidData`].
    pub fn bytes(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        self.bytes_of(path.as_ref(), MOST_BYTES)
    }

    fn bytes_of(&self, path: &Path, most: u64) -> io::Result<Vec<u8>> {
        if self.refused.contains(path.strip_prefix("/").unwrap_or(path)) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        if self.is_this_machine() {
            return read_bytes(rustix::fs::CWD, &self.path(path), ResolveFlags::empty(), most);
        }
        read_bytes(&self.open_root()?, path, ResolveFlags::IN_ROOT, most)
    }

    /// The root of another machine's files, below which their links are followed.
    fn open_root(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::open(&self.root, flags, Mode::empty())?)
    }

    /// The text of a file, without white space and zeros at its ends; what is no UTF-8 is replaced.
    pub fn text(&self, path: impl AsRef<Path>) -> Reading<String> {
        self.text_of(path.as_ref(), MOST_BYTES)
    }

    fn text_of(&self, path: &Path, most: u64) -> Reading<String> {
        let value =
            self.bytes_of(path, most).map_err(|error| Absent::from_io(&error)).map(|bytes| {
                let text = String::from_utf8_lossy(&bytes);
                text.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned()
            });
        let source = path.strip_prefix("/").unwrap_or(path).display().to_string();
        Reading { value, unit: Unit::None, source }
    }

    /// The number in a file, which holds nothing else.
    pub fn number<T: FromStr>(&self, path: impl AsRef<Path>, unit: Unit) -> Reading<T> {
        self.text_of(path.as_ref(), NUMBER_BYTES).check(unit, |text| {
            let shown: String = text.chars().take(32).collect();
            text.parse().map_err(|_| format!("`{}` is no such number", shown.escape_debug()))
        })
    }

    /// The entries of a directory.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub(crate) fn entries(&self, directory: impl AsRef<Path>) -> io::Result<ReadDir> {
        let directory = directory.as_ref();
        if self.refused.contains(directory) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        std::fs::read_dir(self.path(directory))
    }

    /// The names in a directory, sorted, numbers by their size; none if it cannot be read.
    pub fn names(&self, directory: impl AsRef<Path>) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(directory)) else { return Vec::new() };
        let names = entries
            .take(MOST_ENTRIES)
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        names.sort_by(|a, b| by_number(a).cmp(&by_number(b)));
        names
    }

    /// The last part of where a link points to, such as the name of a driver.
    pub fn link_name(&self, path: impl AsRef<Path>) -> Option<String> {
        let target = std::fs::read_link(self.path(path)).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    }
}

/// The bytes of a file as [`Tree::bytes`] reads them: below the folder `root`, and never beyond it where
/// `resolve` says so.
fn read_bytes(
    root: impl AsFd,
    path: &Path,
    resolve: ResolveFlags,
    most: u64,
) -> io::Result<Vec<u8>> {
    // A pipe would make the reader wait for a writer.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = if resolve.is_empty() {
        rustix::fs::openat(root, path, flags, Mode::empty())?
    } else {
        // A device in such a tree is not opened: some act when they are.
        let looked = rustix::fs::openat2(
            &root,
            path,
            OFlags::PATH | OFlags::CLOEXEC,
            Mode::empty(),
            resolve,
        )?;
        regular(&File::from(looked))?;
        rustix::fs::openat2(root, path, flags, Mode::empty(), resolve)?
    };
    let file = File::from(file);
    regular(&file)?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn regular(file: &File) -> io::Result<()> {
    match file.metadata()?.is_file() {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::InvalidData, "it is no regular file")),
    }
}

/// The text of a file, read with the same care; `None` if it cannot be read.
pub(crate) fn read_text(path: &Path) -> Option<String> {
    let bytes = read_bytes(rustix::fs::CWD, path, ResolveFlags::empty(), MOST_BYTES).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// `cpu10` comes after `cpu9`.
fn by_number(name: &str) -> (&str, u64, &str) {
    let start = name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len());
    let (letters, rest) = name.split_at(start);
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, _) = rest.split_at(end);
    (letters, digits.parse().unwrap_or(u64::MAX), name)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::probe::Reason;

    #[test]
    fn what_is_there_is_read_and_the_rest_has_a_reason() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::new(dir.path());
        fs::create_dir_all(dir.path().join("sys/d/cpu10")).unwrap();
        fs::create_dir_all(dir.path().join("sys/d/cpu9")).unwrap();
        fs::write(dir.path().join("sys/d/temp"), "41500\n").unwrap();
        fs::write(dir.path().join("sys/d/odd"), "4 1\n").unwrap();
        fs::write(dir.path().join("sys/d/model"), b"Pi 5\xff\0").unwrap();
        symlink("../../bus/drivers/i915", dir.path().join("sys/d/driver")).unwrap();
        assert_eq!(
            tree.number::<i64>("sys/d/temp", Unit::Celsius),
            Reading::new(41500, Unit::Celsius, "sys/d/temp")
        );
        assert_eq!(tree.text("/sys/d/model").get().unwrap(), "Pi 5\u{fffd}");
        let reason = |path| tree.number::<u64>(path, Unit::None).value.unwrap_err().reason;
        assert_eq!(reason("sys/d/none"), Reason::NotFound);
        assert_eq!(reason("sys/d/temp/none"), Reason::NotFound);
        assert_eq!(reason("sys/d/odd"), Reason::Damaged);
        assert_eq!(reason("sys/d"), Reason::Damaged);
        assert_eq!(tree.names("sys/d"), ["cpu9", "cpu10", "driver", "model", "odd", "temp"]);
        assert_eq!(tree.link_name("sys/d/driver").as_deref(), Some("i915"));
        rushlight_testkit::made_up::write_entries(
            "sys/r/energy{0..1}_uj !EACCES\nsys/r/name <<\npackage-0\n.\nsys/r/empty/",
            dir.path(),
        );
        let tree = Tree::new(dir.path());
        let refused = tree.number::<u64>("/sys/r/energy1_uj", Unit::Joules);
        assert_eq!(refused.value.unwrap_err().reason, Reason::Permission);
        assert_eq!(tree.text("sys/r/name").get().unwrap(), "package-0");
        assert_eq!(tree.names("sys/r"), ["empty", "energy0_uj", "energy1_uj", "name"]);
        assert!(!tree.is_this_machine() && Tree::this_machine().is_this_machine());
    }

    #[test]
    fn a_pipe_and_a_file_without_end_are_no_trap() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::new(dir.path());
        let fifo = dir.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
        assert_eq!(tree.text("fifo").value.unwrap_err().reason, Reason::Damaged);
        symlink("/dev/zero", dir.path().join("zero")).unwrap();
        assert_eq!(tree.text("zero").value.unwrap_err().reason, Reason::NotFound);
        assert_eq!(Tree::new("/").text("dev/zero").value.unwrap_err().reason, Reason::Damaged);
        // Links lead no further than the root.
        let outside = tempfile::NamedTempFile::new().unwrap();
        fs::write(outside.path(), "a secret").unwrap();
        symlink(outside.path(), dir.path().join("leak")).unwrap();
        symlink("../../../../../../etc/hostname", dir.path().join("climb")).unwrap();
        for path in ["leak", "climb"] {
            assert_eq!(tree.text(path).value.unwrap_err().reason, Reason::NotFound, "{path}");
        }
        fs::create_dir(dir.path().join("etc")).unwrap();
        fs::write(dir.path().join("etc/hostname"), "its own").unwrap();
        assert_eq!(tree.text("climb").get().unwrap(), "its own");
        let long = File::create(dir.path().join("long")).unwrap();
        long.set_len(1 << 40).unwrap();
        assert_eq!(tree.bytes("long").unwrap().len() as u64, MOST_BYTES);
    }
}
