//! Turns staged files into a named model.

use std::path::PathBuf;

use rushlight_formats::{Gguf, SafeTensors};
use rushlight_host::Mapping;

use crate::error::Result;
use crate::layout::Staged;
use crate::oci::{self, ModelConfig, media};
use crate::select::Selected;
use crate::stage::Means;
use crate::store::name_of;
use crate::{Descriptor, Digest, Error, ErrorKind, FilePath, Kind, Manifest, Name, Store};

/// What an import or a pull has done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Added {
    /// The model's name.
    pub name: Name,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The model that had the name before, if it was another one.
    pub replaced: Option<Digest>,
    /// Its files.
    pub files: Vec<AddedFile>,
}

/// A file of an added model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddedFile {
    /// Its path inside the model.
    pub path: FilePath,
    /// Its size.
    pub size_bytes: u64,
    /// How it came into the store.
    pub means: Means,
}

/// A file ready to be put in its place.
pub(crate) struct Ready {
    pub(crate) file: Selected,
    pub(crate) staged: Staged,
    pub(crate) means: Means,
}

/// What is known about a model beside its files.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct About<'a> {
    /// The name that the user wants.
    pub(crate) name: Option<&'a Name>,
    /// Where a name comes from if the user wants none and it is not to be the first file's.
    pub(crate) title: Option<&'a str>,
    pub(crate) source: Option<&'a str>,
    pub(crate) license: Option<&'a str>,
}

impl Store {
    /// Puts the files in their place and names them. The only slow thing has been done before.
    pub(crate) fn add(&self, kind: Kind, ready: Vec<Ready>, about: About<'_>) -> Result<Added> {
        let mut config = self.describe(kind, &ready)?;
        if let (true, Some(license)) = (config.descriptor.licenses.is_empty(), about.license) {
            config.descriptor.licenses.push(license.to_owned());
        }
        config.modelfs.kind = "layers".to_owned();
        config.modelfs.diff_ids = ready.iter().map(|r| r.staged.digest).collect();
        config.config.format = Some(kind.format().to_owned());
        let config_bytes = oci::to_json(&config);
        let layers = ready.iter().map(|r| {
            Descriptor::new(r.file.media_type, r.staged.digest, r.staged.len_bytes)
                .with(media::FILE_PATH, r.file.path.as_str())
        });
        let mut manifest = Manifest::new(
            Descriptor::new(media::CONFIG, Digest::of(&config_bytes), config_bytes.len() as u64),
            layers.collect(),
        );
        if !config.descriptor.licenses.is_empty() {
            let licenses = config.descriptor.licenses.join(" AND ");
            manifest.annotations.insert(media::LICENSES.to_owned(), licenses);
        }
        let manifest_bytes = oci::to_json(&manifest);
        // What could not be read back must not be written.
        Manifest::parse(&manifest_bytes)?;

        let locked = self.layout.lock()?;
        for file in &ready {
            locked.place(&file.staged)?;
        }
        locked.put(&config_bytes)?;
        let digest = locked.put(&manifest_bytes)?;
        locked.sync_blobs()?;

        let mut index = self.layout.index()?;
        let models = index.models()?;
        let name = match about.name {
            Some(name) => name.clone(),
            None => choose_name(&models, digest, &ready, about),
        };
        let replaced = models
            .iter()
            .find(|entry| name_of(entry).as_ref() == Some(&name))
            .map(|entry| entry.digest)
            .filter(|old| *old != digest);
        index.retain(|entry| name_of(entry).as_ref() != Some(&name));
        if let Some(source) = about.source {
            // One entry at most answers for a source.
            for mut entry in index.models()? {
                if entry.annotations.get(media::SOURCE).is_some_and(|s| s == source) {
                    index.retain(|other| *other != entry);
                    entry.annotations.remove(media::SOURCE);
                    index.push(&entry);
                }
            }
        }
        let mut entry = Descriptor::new(media::MANIFEST, digest, manifest_bytes.len() as u64)
            .with(media::REF_NAME, name.to_string());
        entry.artifact_type = Some(media::MODEL.to_owned());
        if let Some(source) = about.source {
            entry = entry.with(media::SOURCE, source);
        }
        index.push(&entry);
        locked.write_index(&index)?;
        drop(locked);

        let files = ready.into_iter().map(|r| AddedFile {
            path: r.file.path,
            size_bytes: r.staged.len_bytes,
            means: r.means,
        });
        Ok(Added { name, digest, replaced, files: files.collect() })
    }

    /// Proves that the weights are what they pretend to be and reads what they say of themselves.
    fn describe(&self, kind: Kind, ready: &[Ready]) -> Result<ModelConfig> {
        let mut config = ModelConfig::default();
        match kind {
            Kind::Gguf => {
                for (index, file) in ready.iter().enumerate() {
                    let bytes = self.map(file)?;
                    let gguf = Gguf::parse(&bytes).map_err(|e| not_a_model(file, "GGUF", e))?;
                    check_split(&gguf, file, index, ready.len())?;
                    if index > 0 {
                        continue;
                    }
                    let text = |key| {
                        gguf.str(key).ok().flatten().map(clean).filter(|text| !text.is_empty())
                    };
                    config.descriptor.family = text("general.architecture");
                    config.descriptor.name = text("general.name");
                    config.descriptor.licenses.extend(text("general.license"));
                }
            }
            Kind::HfDirectory => {
                for file in ready.iter().filter(|r| r.file.media_type == media::WEIGHT) {
                    let bytes = self.map(file)?;
                    SafeTensors::parse(&bytes).map_err(|e| not_a_model(file, "safetensors", e))?;
                }
                let read = |name: &str| {
                    let file = ready.iter().find(|r| r.file.path.as_str() == name)?;
                    let path = self.where_is(&file.staged);
                    crate::layout::read_bounded(&path, oci::MAX_DOCUMENT_BYTES).ok()
                };
                let json: Option<serde_json::Value> =
                    read("config.json").and_then(|bytes| serde_json::from_slice(&bytes).ok());
                let Some(json) = json else {
                    return Err(Error::new(ErrorKind::Model, "`config.json` is not JSON"));
                };
                let text = |key: &str| json.get(key)?.as_str().map(clean);
                config.descriptor.family = text("model_type");
                config.descriptor.name = text("_name_or_path").filter(|name| !name.is_empty());
                let card = read("README.md").and_then(|bytes| String::from_utf8(bytes).ok());
                config.descriptor.licenses.extend(card.as_deref().and_then(card_license));
            }
        }
        Ok(config)
    }

    fn map(&self, file: &Ready) -> Result<Mapping> {
        let path = self.where_is(&file.staged);
        Mapping::open(&path)
            .map_err(|e| Error::new(ErrorKind::Io, "cannot map").at(path.display()).because(e))
    }

    fn where_is(&self, staged: &Staged) -> PathBuf {
        staged.path.clone().unwrap_or_else(|| self.layout.blob(&staged.digest))
    }
}

fn not_a_model(file: &Ready, format: &str, because: rushlight_formats::Error) -> Error {
    Error::new(ErrorKind::Model, format!("not a {format} file that can be read"))
        .at(&file.file.listed)
        .because(because)
}

/// Proves that a file is the part of a split model that its place in the list says.
fn check_split(gguf: &Gguf<'_>, file: &Ready, index: usize, files: usize) -> Result<()> {
    let found = gguf.split().map_or((0, 1), |split| (split.index, split.count));
    if found == (index, files) {
        return Ok(());
    }
    let what = format!(
        "the file says it is part {} of {}, expected part {} of {files}",
        found.0 + 1,
        found.1,
        index + 1
    );
    Err(Error::new(ErrorKind::Model, what)
        .at(&file.file.listed)
        .advise("a split model needs all its parts, called `NAME-00001-of-0000N.gguf`"))
}

/// A name that nothing else has: the one that the same source had before, else from the file.
fn choose_name(models: &[Descriptor], digest: Digest, ready: &[Ready], about: About<'_>) -> Name {
    let same_source = |entry: &&Descriptor| {
        about.source.is_some()
            && entry.annotations.get(media::SOURCE).map(String::as_str) == about.source
    };
    if let Some(name) = models.iter().find(same_source).and_then(name_of) {
        return name;
    }
    let first = ready.first().map_or("model", |r| r.file.path.file_name());
    let name = Name::from_file_name(about.title.unwrap_or(first));
    let taken =
        models.iter().any(|entry| name_of(entry).as_ref() == Some(&name) && entry.digest != digest);
    match digest.hex().get(..8) {
        Some(short) if taken => name.with_suffix(short),
        _ => name,
    }
}

/// Text from a file that will be shown: one line, bounded.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// `license:` of the YAML at the top of a model card.
fn card_license(card: &str) -> Option<String> {
    let (matter, _) = card.strip_prefix("---")?.split_once("\n---")?;
    let license = matter.lines().find_map(|line| line.strip_prefix("license:"))?;
    Some(clean(license.trim().trim_matches(['"', '\'']))).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_of_cards() {
        for (card, expected) in [
            ("---\nlicense: apache-2.0\ntags:\n- x\n---\n# T\n", Some("apache-2.0")),
            ("---\nlicense: \"mit\"\n---\n", Some("mit")),
            ("# license: mit\n", None),
            ("---\nlicense:\n---\n", None),
        ] {
            assert_eq!(card_license(card).as_deref(), expected, "{card:?}");
        }
    }
}
