//! Brings models that are on this machine into the store.

use std::fs;
use std::path::{Path, PathBuf};

use crate::add::{About, Added, Ready};
use crate::progress::Progress;
use crate::select::{MAX_LISTED, Selection, select};
use crate::shard::Shard;
use crate::stage::stage;
use crate::{Error, ErrorKind, Name, Store, error::Result};

impl Store {
    /// Imports a GGUF file (of a split one: any part, all are taken) or a directory with a model.
    ///
    /// The bytes are not copied where the file system can share them: first a reflink, then, for
    /// a file that nobody but root and this user can write, a hard link, else a copy; see
    /// [`crate::Means`]. What is hashed is always what the store has then.
    ///
    /// Without a `name` one is made from the file's; if another model has it, it gets the first
    /// digits of the digest.
    ///
    /// # Errors
    /// If there is no model, or one that cannot be read, or the file system refuses.
    pub fn import(
        &self,
        path: &Path,
        name: Option<&Name>,
        progress: &dyn Progress,
    ) -> Result<Added> {
        let (selection, base) = choose(path)?;
        self.layout.prepare()?;
        self.sweep()?;
        let workspace = self.layout.workspace()?;
        let kind = selection.kind;
        let mut ready = Vec::with_capacity(selection.files.len());
        for (index, file) in selection.files.into_iter().enumerate() {
            let from = base.join(&file.listed);
            let (staged, means) = stage(&self.layout, &workspace, &from, index, progress)?;
            ready.push(Ready { file, staged, means });
        }
        let title = (kind == crate::Kind::HfDirectory)
            .then(|| fs::canonicalize(path).ok()?.file_name()?.to_str().map(str::to_owned))
            .flatten();
        self.add(kind, ready, About { name, title: title.as_deref(), ..About::default() })
    }
}

/// The files of the model at `path`, relative to the directory that is returned with them.
pub(crate) fn choose(path: &Path) -> Result<(Selection, PathBuf)> {
    let meta = fs::metadata(path).map_err(Error::io("cannot look at the model", path))?;
    let place = path.display().to_string();
    if meta.is_dir() {
        let names = list(path)?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        return Ok((select(&names, None, &place)?, path.to_owned()));
    }
    let file = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        Error::new(ErrorKind::Model, "the file's name is not UTF-8").at(path.display())
    })?;
    let base = path.parent().unwrap_or(Path::new("")).to_owned();
    if file.ends_with(".safetensors") {
        return Err(Error::new(ErrorKind::Model, "weights alone are no model")
            .at(place)
            .advise("give the directory that also has `config.json`"));
    }
    match Shard::of(file) {
        Some(shard) => {
            let parts: Vec<String> = (1..=shard.count)
                .map(|index| shard.sibling(index))
                .filter(|name| base.join(name).exists())
                .collect();
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            Ok((select(&parts, None, &place)?, base))
        }
        None => {
            let mut selection = Selection { kind: crate::Kind::Gguf, files: Vec::new() };
            // A file without the usual ending is taken at the user's word; its bytes are checked.
            selection.files.push(crate::select::Selected {
                listed: file.to_owned(),
                path: gguf_path(file).parse()?,
                media_type: crate::oci::media::WEIGHT,
            });
            Ok((selection, base))
        }
    }
}

fn gguf_path(file: &str) -> String {
    let plain = file.replace([':', '\\'], "_");
    if plain.to_lowercase().ends_with(".gguf") { plain } else { format!("{plain}.gguf") }
}

/// The files of a directory and of the directories in it, with `/`. Names that are not UTF-8 and
/// hidden ones are passed over.
fn list(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut read = |prefix: &str, dir: &Path, deeper: &mut Vec<String>| -> Result<()> {
        for entry in fs::read_dir(dir).map_err(Error::io("cannot list the directory", dir))? {
            let entry = entry.map_err(Error::io("cannot list the directory", dir))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // Follows links: hub caches are made of them.
            match fs::metadata(entry.path()) {
                _ if name.starts_with('.') => {}
                Ok(meta) if meta.is_dir() => deeper.push(format!("{prefix}{name}")),
                Ok(meta) if meta.is_file() => names.push(format!("{prefix}{name}")),
                _ => {}
            }
            if names.len() > MAX_LISTED {
                break;
            }
        }
        Ok(())
    };
    let mut inner = Vec::new();
    read("", dir, &mut inner)?;
    // Only one below: `1_Pooling/config.json` of sentence embedders.
    for name in inner.iter().filter(|name| *name == "1_Pooling") {
        read(&format!("{name}/"), &dir.join(name), &mut Vec::new())?;
    }
    names.sort();
    Ok(names)
}
