//! The store's directory: who may write what, and when.
//!
//! ```text
//! oci-layout                  says what this is
//! index.json                  the names; replaced as a whole, under `lock`
//! blobs/sha256/HEX            whole files, named by their digest, never changed
//! views/HEX/FILE              links to the blobs of manifest HEX under the files' own names
//! prepared/LAYOUT/HEX         the weights of manifest HEX as some kernels want them
//! ingest/HEX.partial          a download that can go on; locked while it does
//! ingest/NAME/                what one process is working on; its file `lock` is locked
//! lock                        held for moments: to put finished blobs and index.json in place
//! ```
//!
//! A blob appears by a rename of a file that is complete, hashed and on disk. `index.json` is
//! replaced after the blobs that it names are there. So whatever is killed whenever, what looks
//! whole is whole. Locks are `flock`s: they end with the process that holds them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, flock};

use crate::oci::{Index, MAX_INDEX_BYTES};
use crate::{Descriptor, Digest, Error, ErrorKind, error::Result};

const OCI_LAYOUT: &str = r#"{"imageLayoutVersion": "1.0.0"}"#;

/// The directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    dir: PathBuf,
}

/// A complete file on its way to the blobs, with what it was found to be.
#[derive(Debug)]
pub(crate) struct Staged {
    /// Where it is now; `None` if it is in its place already.
    pub(crate) path: Option<PathBuf>,
    pub(crate) digest: Digest,
    pub(crate) len_bytes: u64,
    /// The lock on a finished download, kept until it is in its place.
    pub(crate) _lock: Option<File>,
}

impl Layout {
    /// Looks at `dir`, which need not be there yet.
    pub(crate) fn open(dir: PathBuf) -> Result<Self> {
        let marker = dir.join("oci-layout");
        match read_bounded(&marker, 4096) {
            Ok(bytes) => {
                let version = serde_json::from_slice::<serde_json::Value>(&bytes)
                    .ok()
                    .and_then(|v| v.get("imageLayoutVersion")?.as_str().map(str::to_owned));
                if version.as_deref() != Some("1.0.0") {
                    let what = "not an OCI image layout of version `1.0.0`";
                    return Err(Error::new(ErrorKind::Layout, what).at(marker.display()));
                }
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io("cannot read", &marker)(e)),
        }
        Ok(Self { dir })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.dir.join("blobs/sha256")
    }

    pub(crate) fn ingest(&self) -> PathBuf {
        self.dir.join("ingest")
    }

    pub(crate) fn views(&self) -> PathBuf {
        self.dir.join("views")
    }

    pub(crate) fn prepared(&self) -> PathBuf {
        self.dir.join("prepared")
    }

    /// Makes the directories.
    pub(crate) fn prepare(&self) -> Result<()> {
        for dir in [self.blobs(), self.ingest(), self.views()] {
            fs::create_dir_all(&dir).map_err(Error::io("cannot make the directory", &dir))?;
        }
        let marker = self.dir.join("oci-layout");
        if !marker.exists() {
            self.lock()?.replace("oci-layout", OCI_LAYOUT.as_bytes())?;
        }
        Ok(())
    }

    /// Waits for the store's lock. Nothing slow may be done while it is held.
    pub(crate) fn lock(&self) -> Result<Locked<'_>> {
        let path = self.dir.join("lock");
        let file = open_lock(&path)?;
        flock(&file, FlockOperation::LockExclusive).map_err(Error::io("cannot lock", &path))?;
        Ok(Locked { layout: self, _file: file })
    }

    /// The names as they are at this moment.
    pub(crate) fn index(&self) -> Result<Index> {
        let path = self.dir.join("index.json");
        match read_bounded(&path, MAX_INDEX_BYTES) {
            Ok(bytes) => Index::parse(&bytes).map_err(|e| e.at(path.display())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Index::default()),
            Err(e) => Err(Error::io("cannot read", &path)(e)),
        }
    }

    /// Whether the blob is there, by its size. A file of another size under its name is an error.
    pub(crate) fn has_blob(&self, blob: &Descriptor) -> Result<bool> {
        let path = self.blob(&blob.digest);
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_file() && meta.len() == blob.size => Ok(true),
            Ok(meta) => Err(Error::new(
                ErrorKind::Mismatch,
                format!("the blob has {} bytes, expected {}", meta.len(), blob.size),
            )
            .at(path.display())
            .advise("the store is damaged: remove the model, prune, and pull it again")),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(Error::io("cannot look at the blob", &path)(e)),
        }
    }

    /// The bytes of a small blob, proved by its digest.
    pub(crate) fn read_blob(&self, blob: &Descriptor, max_bytes: u64) -> Result<Vec<u8>> {
        let path = self.blob(&blob.digest);
        if blob.size > max_bytes {
            let what = format!("{} bytes, expected at most {max_bytes}", blob.size);
            return Err(Error::new(ErrorKind::Layout, what).at(path.display()));
        }
        let bytes = read_bounded(&path, max_bytes).map_err(Error::io("cannot read", &path))?;
        if bytes.len() as u64 != blob.size || Digest::of(&bytes) != blob.digest {
            let what = format!(
                "the blob is not what its name says: expected {} bytes of {}, found {} of {}",
                blob.size,
                blob.digest,
                bytes.len(),
                Digest::of(&bytes)
            );
            return Err(Error::new(ErrorKind::Mismatch, what).at(path.display()));
        }
        Ok(bytes)
    }

    /// A directory of this process, removed when it is dropped, or by [`Layout::sweep`] of another
    /// process if this one is killed.
    pub(crate) fn workspace(&self) -> Result<Workspace> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // Under the lock, so that nobody sweeps the directory before its own lock is held.
        let _lock = self.lock()?;
        let nanos = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos());
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = self.ingest().join(format!("{}-{nanos}-{count}", std::process::id()));
        fs::create_dir(&dir).map_err(Error::io("cannot make the directory", &dir))?;
        let path = dir.join("lock");
        let file = open_lock(&path)?;
        flock(&file, FlockOperation::LockExclusive).map_err(Error::io("cannot lock", &path))?;
        Ok(Workspace { dir, _lock: file })
    }

    /// Bytes that this user can still write here.
    pub(crate) fn free_bytes(&self) -> Result<u64> {
        let stat = rustix::fs::statvfs(&self.dir)
            .map_err(Error::io("cannot ask for the free space", &self.dir))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Fails if `needed_bytes` do not fit.
    pub(crate) fn check_space(&self, needed_bytes: u64) -> Result<()> {
        let free = self.free_bytes()?;
        if needed_bytes <= free {
            return Ok(());
        }
        let what = format!("{needed_bytes} bytes are needed, {free} are free");
        Err(Error::new(ErrorKind::Space, what)
            .at(self.dir.display())
            .advise("free some space, or choose another directory with `--store`"))
    }
}

/// The store's lock, held.
#[derive(Debug)]
pub(crate) struct Locked<'a> {
    layout: &'a Layout,
    _file: File,
}

impl Locked<'_> {
    /// Moves a finished file to its place. A blob that is there already is replaced by the file,
    /// whose digest has just been proved: that repairs a damaged one.
    pub(crate) fn place(&self, staged: &Staged) -> Result<()> {
        let to = self.layout.blob(&staged.digest);
        if let Some(path) = &staged.path {
            fs::rename(path, &to).map_err(Error::io("cannot move to the blobs", &to))?;
        }
        let blob = Descriptor::new("", staged.digest, staged.len_bytes);
        if self.layout.has_blob(&blob)? {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NotFound, "the blob was pruned while it was being used")
            .at(to.display())
            .advise("try again"))
    }

    /// Writes a small blob.
    pub(crate) fn put(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        let path = self.layout.blob(&digest);
        if fs::read(&path).ok().as_deref() != Some(bytes) {
            self.replace(&format!("blobs/sha256/{}", digest.hex()), bytes)?;
            make_read_only(&path)?;
        }
        Ok(digest)
    }

    /// Makes the blobs' names durable. To be called before the index names them.
    pub(crate) fn sync_blobs(&self) -> Result<()> {
        sync_dir(&self.layout.blobs())
    }

    pub(crate) fn write_index(&self, index: &Index) -> Result<()> {
        self.replace("index.json", &index.to_json())
    }

    /// Replaces a file as a whole.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let to = self.layout.dir.join(name);
        // The lock makes one name enough; one left by a killed process is overwritten.
        let temporary = self.layout.ingest().join("replacement");
        let written = File::create(&temporary).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        written.map_err(Error::io("cannot write", &temporary))?;
        fs::rename(&temporary, &to).map_err(Error::io("cannot replace", &to))?;
        sync_dir(to.parent().unwrap_or(&self.layout.dir))
    }
}

/// A directory that one process works in.
#[derive(Debug)]
pub(crate) struct Workspace {
    dir: PathBuf,
    _lock: File,
}

impl Workspace {
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // What is left is swept by the next pull or prune.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn open_lock(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.open(path).map_err(Error::io("cannot open the lock file", path))
}

/// Whether nobody holds the lock on `path` now; a file that is not there is free.
pub(crate) fn is_free(path: &Path) -> bool {
    match File::open(path) {
        Ok(file) => flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok(),
        Err(e) => e.kind() == io::ErrorKind::NotFound,
    }
}

/// Reads a file of at most `max_bytes`.
pub(crate) fn read_bounded(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("more than {max_bytes} bytes"),
        ));
    }
    Ok(bytes)
}

pub(crate) fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(Error::io("cannot sync the directory", dir))
}

pub(crate) fn make_read_only(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o444))
        .map_err(Error::io("cannot make read-only", path))
}
