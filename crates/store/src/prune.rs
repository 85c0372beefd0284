//! Removes what nothing needs any more.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::layout::is_free;
use crate::{Digest, Error, Store, error::Result};

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// Blobs that no model needs.
    pub blobs: usize,
    /// Files of prepared weights whose model is gone or whose layout is not in use.
    pub prepared: usize,
    /// Downloads and working directories that nobody is working on.
    pub leftovers: usize,
    /// The space that became free (hard-linked blobs whose original lives on count nothing).
    pub freed_bytes: u64,
}

impl Store {
    /// Removes blobs that no model of the index needs, downloads that nobody is working on, and
    /// prepared weights of models that are gone or of another layout than `layout`.
    ///
    /// Safe beside a running pull or import: what those have finished so far lies in locked places,
    /// and comes to the blobs together with its entry in the index, under the same lock as this.
    /// A process that runs a removed model keeps its mapping.
    ///
    /// # Errors
    /// If a manifest cannot be read (then nothing is removed: what it needs is not known), or the
    /// file system refuses.
    pub fn prune(&self, layout: &str) -> Result<Pruned> {
        let mut pruned = Pruned::default();
        if !self.layout.blobs().is_dir() {
            return Ok(pruned);
        }
        let _locked = self.layout.lock()?;
        let index = self.layout.index()?;
        // Entries of other tools keep the blob they name; what that names in turn is not known
        // here, so such a store is not pruned of blobs.
        let models = index.models()?;
        let mut needed: BTreeSet<Digest> = index.digests().collect();
        let foreign = index.entries() > models.len();
        for entry in &models {
            let manifest = self.manifest(entry)?;
            needed.insert(manifest.config.digest);
            needed.extend(manifest.layers.iter().map(|layer| layer.digest));
        }
        let views: BTreeSet<String> = models.iter().map(|entry| entry.digest.hex()).collect();
        for_each(&self.layout.views(), |path, name| {
            let kept = name.to_str().is_some_and(|name| views.contains(name));
            if kept { Ok(()) } else { remove_dir(path) }
        })?;
        for_each(&self.layout.blobs(), |path, name| {
            let digest = name.to_str().and_then(|hex| Digest::from_hex(hex).ok());
            match digest {
                Some(digest) if !foreign && !needed.contains(&digest) => {
                    pruned.blobs += 1;
                    pruned.freed_bytes += remove_file(path)?;
                    Ok(())
                }
                _ => Ok(()),
            }
        })?;
        let named = |digest: &Digest| models.iter().any(|entry| entry.digest == *digest);
        let keep = |of: &OsStr, digest: Option<&Digest>| of == layout && digest.is_some_and(named);
        self.sweep_prepared(keep, &mut pruned)?;
        self.sweep_ingest(true, &mut pruned)?;
        Ok(pruned)
    }

    /// Removes the working directories of processes that were killed. Called before each work.
    pub(crate) fn sweep(&self) -> Result<()> {
        let _locked = self.layout.lock()?;
        self.sweep_ingest(false, &mut Pruned::default())
    }

    /// With the store's lock held, under which working directories are made and locked.
    fn sweep_ingest(&self, partials: bool, pruned: &mut Pruned) -> Result<()> {
        for_each(&self.layout.ingest(), |path, _| {
            if path.is_dir() {
                if is_free(&path.join("lock")) {
                    pruned.leftovers += 1;
                    pruned.freed_bytes += size_of_dir(path);
                    remove_dir(path)?;
                }
            } else if partials && path.extension() == Some(OsStr::new("partial")) {
                // Removed under its own lock: a process that waits for it then sees that the name
                // is gone and begins anew.
                let file = match File::open(path) {
                    Ok(file) => file,
                    Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
                    Err(e) => return Err(Error::io("cannot open", path)(e)),
                };
                if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                    pruned.leftovers += 1;
                    pruned.freed_bytes += remove_file(path)?;
                    remove_file(&path.with_extension("json"))?;
                }
            }
            Ok(())
        })
    }
}

/// Calls `f` with each entry of `dir`; one that is not there has none: another process may be
/// making the store just now.
pub(crate) fn for_each(dir: &Path, mut f: impl FnMut(&Path, &OsStr) -> Result<()>) -> Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(Error::io("cannot list the directory", dir))?,
    };
    for entry in entries {
        let entry = entry.map_err(Error::io("cannot list the directory", dir))?;
        f(&entry.path(), &entry.file_name())?;
    }
    Ok(())
}

/// Removes a file and returns the bytes that became free; one that is gone is no error.
pub(crate) fn remove_file(path: &Path) -> Result<u64> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(e) => return Err(Error::io("cannot look at", path)(e)),
    };
    fs::remove_file(path).map_err(Error::io("cannot remove", path))?;
    Ok(if meta.nlink() == 1 { meta.len() } else { 0 })
}

/// One that its owner is just removing is no error.
fn remove_dir(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("cannot remove", path)(e)),
        _ => Ok(()),
    }
}

fn size_of_dir(path: &Path) -> u64 {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|meta| meta.len()).sum()
}
