//! The place of prepared weights: a model's weights again, in the layout of some kernels.
//!
//! ```text
//! prepared/LAYOUT/HEX            of the model whose manifest is HEX; whole
//! prepared/LAYOUT/HEX.partial    on the way; locked by who works on it
//! ```
//!
//! The manifest's digest fixes every byte of the model, so it names what is made of it: of a single
//! file, of a split one, of a directory. Whoever makes these files knows what is in them; the store
//! knows when they are of no use any more.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::prune::{for_each, remove_file};
use crate::{Digest, Error, Pruned, Store, error::Result};

impl Store {
    /// Where the prepared weights of the model with this manifest are, or would be.
    pub fn prepared(&self, digest: &Digest, layout: &str) -> PathBuf {
        self.layout.prepared().join(layout).join(digest.hex())
    }

    /// Bytes of a model's prepared weights, of all layouts, those on the way included.
    pub fn prepared_bytes(&self, digest: &Digest) -> u64 {
        let layouts = fs::read_dir(self.layout.prepared()).into_iter().flatten().flatten();
        let bytes = |path: PathBuf| fs::metadata(path).map_or(0, |meta| meta.len());
        let both = |layout: fs::DirEntry| {
            let whole = layout.path().join(digest.hex());
            bytes(whole.with_extension("partial")) + bytes(whole)
        };
        layouts.map(both).sum()
    }

    /// Removes prepared weights but those that `keep` names by layout and model, and those that
    /// somebody is working on.
    pub(crate) fn sweep_prepared(
        &self,
        keep: impl Fn(&OsStr, Option<&Digest>) -> bool,
        pruned: &mut Pruned,
    ) -> Result<()> {
        for_each(&self.layout.prepared(), |dir, layout| {
            if !dir.is_dir() {
                return Ok(());
            }
            for_each(dir, |path, name| {
                let name = name.to_str().unwrap_or_default();
                let hex = name.strip_suffix(".partial").unwrap_or(name);
                let digest = Digest::from_hex(hex).ok();
                if !keep(layout, digest.as_ref()) && (name == hex || is_idle(path)?) {
                    pruned.prepared += 1;
                    pruned.freed_bytes += remove_file(path)?;
                }
                Ok(())
            })?;
            // Only an empty one goes.
            let _ = fs::remove_dir(dir);
            Ok(())
        })
    }
}

/// Whether nobody works on the file now.
fn is_idle(path: &Path) -> Result<bool> {
    match File::open(path) {
        Ok(file) => Ok(flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io("cannot open", path)(e)),
    }
}
