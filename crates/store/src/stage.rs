//! Brings a local file into the store without a second copy where the file system allows.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::digest::{Hashing, pump};
use crate::layout::{Layout, Staged, Workspace, make_read_only};
use crate::progress::{Phase, Progress, reporter};
use crate::{Error, ErrorKind, error::Result};

/// How the bytes of a file came to be in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Means {
    /// A clone that shares blocks until one side is written (btrfs, XFS, bcachefs): no space, no
    /// risk.
    Reflink,
    /// A second name of the same file: no space, but who writes into the original changes the blob.
    /// `verify` would tell. Only done for files that nobody but root and this user can write.
    HardLink,
    /// A copy.
    Copy,
    /// It came over the network or out of a package.
    Fetched,
    /// The store had it.
    Present,
}

/// Takes the regular file `from` into `workspace` under the name `index` and hashes what is there.
pub(crate) fn stage(
    layout: &Layout,
    workspace: &Workspace,
    from: &Path,
    index: usize,
    progress: &dyn Progress,
) -> Result<(Staged, Means)> {
    let mut source = open_regular(from)?;
    let meta = source.metadata().map_err(Error::io("cannot look at the file", from))?;
    let to = workspace.dir().join(index.to_string());
    let item = from.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();

    let means = if reflink(&source, &to) {
        Means::Reflink
    } else if is_quiet(&meta) && hard_link(&source, from, &to) {
        Means::HardLink
    } else {
        Means::Copy
    };
    let (digest, len_bytes) = if means == Means::Copy {
        layout.check_space(meta.len())?;
        let report = reporter(progress, Phase::Copy, &item, Some(meta.len()));
        let file = File::create(&to).map_err(Error::io("cannot create", &to))?;
        let mut hashing = Hashing::new(file);
        pump(&mut source, &mut hashing, report).map_err(Error::io("cannot copy", from))?;
        hashing.finish()
    } else {
        // What is hashed is what the store has, not the original.
        hash(&to, &item, progress)?
    };
    let kept = File::open(&to).map_err(Error::io("cannot open", &to))?;
    kept.sync_all().map_err(Error::io("cannot sync", &to))?;
    if means != Means::HardLink {
        // The mode of a hard link is also the original's.
        make_read_only(&to)?;
    }
    Ok((Staged { path: Some(to), digest, len_bytes, _lock: None }, means))
}

/// Hashes a file on disk.
pub(crate) fn hash(
    path: &Path,
    item: &str,
    progress: &dyn Progress,
) -> Result<(crate::Digest, u64)> {
    let mut file = open_regular(path)?;
    let len = file.metadata().map_err(Error::io("cannot look at the file", path))?.len();
    let mut hashing = Hashing::new(std::io::sink());
    let report = reporter(progress, Phase::Hash, item, Some(len));
    pump(&mut file, &mut hashing, report).map_err(Error::io("cannot read", path))?;
    Ok(hashing.finish())
}

/// Opens without waiting for the other end of a FIFO, and only what is a regular file.
pub(crate) fn open_regular(path: &Path) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty())
        .map(File::from)
        .map_err(Error::io("cannot open the file", path))?;
    let meta = file.metadata().map_err(Error::io("cannot look at the file", path))?;
    if meta.is_file() {
        return Ok(file);
    }
    let found = if meta.is_dir() { "a directory" } else { "a device, FIFO or socket" };
    let what = format!("expected a regular file, found {found}");
    Err(Error::new(ErrorKind::Model, what).at(path.display()))
}

fn reflink(source: &File, to: &Path) -> bool {
    let Ok(target) = OpenOptions::new().write(true).create_new(true).open(to) else { return false };
    let cloned = rustix::fs::ioctl_ficlone(&target, source).is_ok();
    if !cloned {
        // The copy or the link that comes now needs the name.
        let _ = fs::remove_file(to);
    }
    cloned
}

/// Whether nobody but root and this user can write the file.
fn is_quiet(meta: &fs::Metadata) -> bool {
    let ours = [0, rustix::process::geteuid().as_raw()].contains(&meta.uid());
    ours && meta.mode() & 0o022 == 0
}

/// Links what was opened, and proves that the name still led to it.
fn hard_link(source: &File, from: &Path, to: &Path) -> bool {
    let Ok(path) = fs::canonicalize(from) else { return false };
    if fs::hard_link(path, to).is_err() {
        return false;
    }
    let same = match (source.metadata(), fs::symlink_metadata(to)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    };
    if !same {
        let _ = fs::remove_file(to);
    }
    same
}

/// A second name for a blob, so that `prune` in another process does not take it away while this
/// one builds on it; `None` where the file system has no hard links.
pub(crate) fn pin(
    layout: &Layout,
    workspace: &Workspace,
    blob: &crate::Digest,
    index: usize,
) -> Option<PathBuf> {
    let to = workspace.dir().join(index.to_string());
    fs::hard_link(layout.blob(blob), &to).ok().map(|()| to)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn links_what_is_quiet_and_copies_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::open(dir.path().join("store")).unwrap();
        layout.prepare().unwrap();
        let workspace = layout.workspace().unwrap();
        let from = dir.path().join("model.gguf");
        fs::write(&from, b"weights").unwrap();

        for (index, mode) in [(0, 0o644), (1, 0o666)] {
            fs::set_permissions(&from, fs::Permissions::from_mode(mode)).unwrap();
            let (staged, means) = stage(&layout, &workspace, &from, index, &()).unwrap();
            assert_eq!((staged.digest, staged.len_bytes), (crate::Digest::of(b"weights"), 7));
            let kept = fs::metadata(staged.path.unwrap()).unwrap();
            // A file system with reflinks always takes that way.
            if means != Means::Reflink {
                assert_eq!(means, if index == 0 { Means::HardLink } else { Means::Copy });
                let same = kept.ino() == fs::metadata(&from).unwrap().ino();
                assert_eq!(same, means == Means::HardLink);
            }
            let expected = if means == Means::HardLink { 0o644 } else { 0o444 };
            assert_eq!(kept.mode() & 0o777, expected);
            assert_eq!(fs::metadata(&from).unwrap().mode() & 0o777, mode);
        }
    }

    #[test]
    fn only_regular_files() {
        for path in ["/dev/zero", "/dev/random", "/tmp", "/dev/null"] {
            let error = open_regular(Path::new(path)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Model, "{path}");
        }
    }
}
