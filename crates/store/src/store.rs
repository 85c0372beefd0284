//! The store itself: open, list, find, show, remove.

use std::path::{Path, PathBuf};

use crate::layout::Layout;
use crate::oci::{MAX_DOCUMENT_BYTES, media};
use crate::{
    Descriptor, Digest, Error, ErrorKind, FilePath, Kind, Manifest, ModelConfig, Name, Pruned,
    Settings, error::Result,
};

/// Models by digest in one directory.
///
/// Opening and reading change nothing on disk; the directory is made by the first import or pull.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) layout: Layout,
    pub(crate) settings: Settings,
}

/// A named model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its name.
    pub name: Name,
    /// The digest of its manifest, which fixes every byte of it.
    pub digest: Digest,
    /// What kind of files it is.
    pub kind: Kind,
    /// The sum of its files.
    pub size_bytes: u64,
    /// Where it was pulled from, if it was.
    pub source: Option<String>,
    /// Its licence, as far as the files say.
    pub license: Option<String>,
}

/// All that the store knows about a model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Model {
    /// Name, digest, size, source.
    pub entry: Entry,
    /// The manifest.
    pub manifest: Manifest,
    /// The configuration document.
    pub config: ModelConfig,
    /// The files: path inside the model, size, digest, and where the blob is.
    pub files: Vec<ModelFile>,
}

/// A model whose name was taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removed {
    /// The name it had.
    pub name: Name,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The sum of its files; zero if its manifest cannot be read.
    pub size_bytes: u64,
}

/// A file of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelFile {
    /// Its path inside the model.
    pub path: FilePath,
    /// Its media type.
    pub media_type: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its digest.
    pub digest: Digest,
    /// The blob.
    pub blob: PathBuf,
}

impl Store {
    /// Opens the store in `dir`, which need not exist. What the environment says about hubs and
    /// tokens is read now: [`Settings::from_env`].
    ///
    /// # Errors
    /// If the directory is a layout of another version or cannot be read.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self> {
        Ok(Self { layout: Layout::open(dir.into())?, settings: Settings::from_env() })
    }

    /// The same store with other settings.
    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Where models are kept unless the user says otherwise: `RUSHLIGHT_STORE`, else
    /// `rushlight/store` below `XDG_DATA_HOME`, else below `~/.local/share`.
    ///
    /// # Errors
    /// If none of the variables, nor `HOME`, is set.
    pub fn default_dir() -> Result<PathBuf> {
        default_dir(|name| std::env::var_os(name).map(PathBuf::from))
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        self.layout.dir()
    }

    /// All models, by name.
    ///
    /// # Errors
    /// If `index.json` or a manifest cannot be read or breaks the rules.
    pub fn list(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for descriptor in self.layout.index()?.models()? {
            if let Some(name) = name_of(&descriptor) {
                let manifest = self.manifest(&descriptor).map_err(|e| {
                    Error::new(e.kind(), "the model's manifest is damaged")
                        .at(&name)
                        .because(e)
                        .advise(format!("take it away with `rushlight remove {name}`"))
                })?;
                entries.push(entry(name, &descriptor, &manifest));
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// All about the model called `spec`: a name, a name without its tag where only one tag is
    /// there, or the digest of its manifest.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Ambiguous`], and those of [`Store::list`].
    pub fn show(&self, spec: &str) -> Result<Model> {
        let Some((name, descriptor)) = self.find(spec)? else { return Err(no_such_model(spec)) };
        let manifest = self.manifest(&descriptor)?;
        let config = self.layout.read_blob(&manifest.config, MAX_DOCUMENT_BYTES)?;
        let config = serde_json::from_slice(&config).map_err(|e| {
            Error::new(ErrorKind::Layout, "not a model's configuration")
                .at(self.layout.blob(&manifest.config.digest).display())
                .because(e)
        })?;
        let files = manifest.files().map(|(path, layer)| ModelFile {
            path,
            media_type: layer.media_type.clone(),
            size_bytes: layer.size,
            digest: layer.digest,
            blob: self.layout.blob(&layer.digest),
        });
        let files = files.collect();
        Ok(Model { entry: entry(name, &descriptor, &manifest), manifest, config, files })
    }

    /// Takes a name away, also that of a damaged model. The files stay until [`Store::prune`], but
    /// for prepared weights, which can be made again.
    ///
    /// # Errors
    /// If there is no such model, or the index cannot be read or written.
    pub fn remove(&self, spec: &str) -> Result<Removed> {
        let Some((name, descriptor)) = self.find(spec)? else { return Err(no_such_model(spec)) };
        let size_bytes = self.manifest(&descriptor).map_or(0, |manifest| size_of(&manifest));
        let locked = self.layout.lock()?;
        let mut index = self.layout.index()?;
        index.retain(|entry| name_of(entry).as_ref() != Some(&name));
        locked.write_index(&index)?;
        if !index.digests().any(|digest| digest == descriptor.digest) {
            let keep = |_: &_, digest: Option<&Digest>| digest != Some(&descriptor.digest);
            self.sweep_prepared(keep, &mut Pruned::default())?;
        }
        Ok(Removed { name, digest: descriptor.digest, size_bytes })
    }

    /// The entry of the index that `spec` means, without looking at anything else.
    pub(crate) fn find(&self, spec: &str) -> Result<Option<(Name, Descriptor)>> {
        let models = self.layout.index()?.models()?;
        let mut named: Vec<_> =
            models.into_iter().filter_map(|entry| Some((name_of(&entry)?, entry))).collect();
        if spec.starts_with("sha256:") {
            let digest: Digest = spec.parse()?;
            return Ok(named.into_iter().find(|(_, entry)| entry.digest == digest));
        }
        let Ok(wanted) = spec.parse::<Name>() else { return Ok(None) };
        if let Some(at) = named.iter().position(|(name, _)| *name == wanted) {
            return Ok(Some(named.swap_remove(at)));
        }
        if spec.contains(':') {
            return Ok(None);
        }
        named.retain(|(name, _)| name.repository() == wanted.repository());
        if named.len() > 1 {
            let names: Vec<_> = named.iter().map(|(name, _)| name.to_string()).collect();
            return Err(Error::new(ErrorKind::Ambiguous, format!("{} models", names.len()))
                .at(spec)
                .advise(format!("name one of: {}", names.join(", "))));
        }
        Ok(named.pop())
    }

    /// The entry that was pulled from `source`.
    pub(crate) fn find_source(&self, source: &str) -> Result<Option<(Name, Descriptor)>> {
        let models = self.layout.index()?.models()?;
        Ok(models
            .into_iter()
            .filter(|entry| entry.annotations.get(media::SOURCE).is_some_and(|s| s == source))
            .find_map(|entry| Some((name_of(&entry)?, entry))))
    }

    /// The manifest that an entry of the index names, proved by its digest.
    pub(crate) fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let bytes = self.layout.read_blob(descriptor, MAX_DOCUMENT_BYTES)?;
        Manifest::parse(&bytes).map_err(|e| e.at(self.layout.blob(&descriptor.digest).display()))
    }
}

pub(crate) fn no_such_model(spec: &str) -> Error {
    Error::new(ErrorKind::NotFound, "no such model in the store")
        .at(spec.escape_debug())
        .advise("`rushlight list` shows the models that are there")
}

pub(crate) fn name_of(entry: &Descriptor) -> Option<Name> {
    entry.annotations.get(media::REF_NAME)?.parse().ok()
}

pub(crate) fn kind_of(manifest: &Manifest) -> Kind {
    let gguf = manifest.files().any(|(path, layer)| {
        layer.media_type == media::WEIGHT && path.as_str().to_lowercase().ends_with(".gguf")
    });
    if gguf { Kind::Gguf } else { Kind::HfDirectory }
}

fn size_of(manifest: &Manifest) -> u64 {
    manifest.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.size))
}

fn entry(name: Name, descriptor: &Descriptor, manifest: &Manifest) -> Entry {
    Entry {
        name,
        digest: descriptor.digest,
        kind: kind_of(manifest),
        size_bytes: size_of(manifest),
        source: descriptor.annotations.get(media::SOURCE).cloned(),
        license: manifest.annotations.get(media::LICENSES).cloned(),
    }
}

fn default_dir(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf> {
    let set = |name| variable(name).filter(|value| !value.as_os_str().is_empty());
    if let Some(dir) = set("RUSHLIGHT_STORE") {
        return Ok(dir);
    }
    // The XDG base directory specification: relative paths are to be ignored.
    let data = set("XDG_DATA_HOME")
        .filter(|dir| dir.is_absolute())
        .or_else(|| Some(set("HOME")?.join(".local/share")));
    match data {
        Some(data) => Ok(data.join("rushlight/store")),
        None => Err(Error::new(
            ErrorKind::NotFound,
            "no place for the store: none of `RUSHLIGHT_STORE`, `XDG_DATA_HOME` and `HOME` is set",
        )
        .advise("say where with `--store`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_directory() {
        for (variables, expected) in [
            (&[("RUSHLIGHT_STORE", "/s"), ("HOME", "/h")][..], Some("/s")),
            (&[("RUSHLIGHT_STORE", ""), ("XDG_DATA_HOME", "/x")], Some("/x/rushlight/store")),
            (
                &[("XDG_DATA_HOME", "relative"), ("HOME", "/h")],
                Some("/h/.local/share/rushlight/store"),
            ),
            (&[], None),
        ] {
            let found = default_dir(|name| {
                variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
            });
            assert_eq!(found.ok().as_deref(), expected.map(Path::new), "{variables:?}");
        }
    }
}
