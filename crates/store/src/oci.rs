//! The JSON documents of the store: OCI image layout 1.1 with CNCF ModelPack media types.
//!
//! Sources: the OCI image specification 1.1 (image-layout.md, manifest.md, descriptor.md) and the
//! ModelPack specification (docs/spec.md, docs/config.md, specs-go/v1/mediatype.go).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Digest, Error, ErrorKind, FilePath, error::Result};

/// Media types and annotation keys.
pub mod media {
    /// `mediaType` of a manifest.
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// `artifactType` of a model's manifest.
    pub const MODEL: &str = "application/vnd.cncf.model.manifest.v1+json";
    /// A model's configuration.
    pub const CONFIG: &str = "application/vnd.cncf.model.config.v1+json";
    /// A file of weights as it is.
    pub const WEIGHT: &str = "application/vnd.cncf.model.weight.v1.raw";
    /// A file that goes with the weights: `config.json`, `tokenizer.json`, …
    pub const WEIGHT_CONFIG: &str = "application/vnd.cncf.model.weight.config.v1.raw";
    /// A file for people: `README.md`, `LICENSE`.
    pub const DOC: &str = "application/vnd.cncf.model.doc.v1.raw";
    /// Annotation of a layer: the path of the file.
    pub const FILE_PATH: &str = "org.cncf.model.filepath";
    /// Annotation of an entry of `index.json`: the model's name.
    pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
    /// Annotation of a manifest: the licence.
    pub const LICENSES: &str = "org.opencontainers.image.licenses";
    /// Annotation of an entry of `index.json`: where the model was pulled from.
    pub const SOURCE: &str = "org.rushlight.source";
}

/// The largest `index.json` that is read.
pub(crate) const MAX_INDEX_BYTES: u64 = 16 << 20;
/// The largest manifest or configuration that is read.
pub(crate) const MAX_DOCUMENT_BYTES: u64 = 4 << 20;
/// The most files of one model.
const MAX_LAYERS: usize = 4096;

/// A reference to a blob: what it is, its digest and its size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Descriptor {
    /// What the blob is.
    pub media_type: String,
    /// The SHA-256 of its bytes.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What the manifest describes, on a descriptor of a manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Free text by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    pub(crate) fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            artifact_type: None,
            annotations: BTreeMap::new(),
        }
    }

    pub(crate) fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.annotations.insert(key.to_owned(), value.into());
        self
    }
}

/// A model: its configuration and its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Manifest {
    schema_version: u32,
    media_type: String,
    artifact_type: String,
    /// The blob of the [`ModelConfig`].
    pub config: Descriptor,
    /// The files, weights first.
    pub layers: Vec<Descriptor>,
    /// Free text by key, such as the licence.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    pub(crate) fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: media::MANIFEST.to_owned(),
            artifact_type: media::MODEL.to_owned(),
            config,
            layers,
            annotations: BTreeMap::new(),
        }
    }

    /// Parses and checks a manifest.
    ///
    /// # Errors
    /// If it is not a ModelPack manifest of raw layers with plain file names that differ, also
    /// without regard to case.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let wrong = |what: String| Err(Error::new(ErrorKind::Layout, what));
        let manifest: Self = serde_json::from_slice(bytes)
            .map_err(|e| Error::new(ErrorKind::Layout, "not a model's manifest").because(e))?;
        for (field, found, expected) in [
            ("mediaType", &*manifest.media_type, media::MANIFEST),
            ("artifactType", &manifest.artifact_type, media::MODEL),
            ("config.mediaType", &manifest.config.media_type, media::CONFIG),
        ] {
            if found != expected {
                let found: String = found.chars().take(100).collect();
                return wrong(format!("manifest: `{field}` is `{found}`, expected `{expected}`"));
            }
        }
        if manifest.schema_version != 2 {
            return wrong(format!(
                "manifest: `schemaVersion` is `{}`, expected `2`",
                manifest.schema_version
            ));
        }
        if manifest.layers.is_empty() || manifest.layers.len() > MAX_LAYERS {
            return wrong(format!(
                "manifest: {} layers, expected 1 to {MAX_LAYERS}",
                manifest.layers.len()
            ));
        }
        let mut seen = BTreeSet::new();
        for layer in &manifest.layers {
            let path = layer_path(layer)?;
            if ![media::WEIGHT, media::WEIGHT_CONFIG, media::DOC].contains(&&*layer.media_type) {
                let found: String = layer.media_type.chars().take(100).collect();
                return wrong(format!(
                    "manifest: layer `{path}` is `{found}`, expected raw weights, configuration or \
                     documentation"
                ));
            }
            if !seen.insert(path.as_str().to_lowercase()) {
                return wrong(format!("manifest: two layers are called `{path}`"));
            }
        }
        Ok(manifest)
    }

    /// The files with their layers.
    pub fn files(&self) -> impl Iterator<Item = (FilePath, &Descriptor)> {
        // `parse` has proved every name; what is made here has them by construction.
        self.layers.iter().filter_map(|layer| Some((layer_path(layer).ok()?, layer)))
    }
}

fn layer_path(layer: &Descriptor) -> Result<FilePath> {
    match layer.annotations.get(media::FILE_PATH) {
        Some(path) => path.parse(),
        None => Err(Error::new(
            ErrorKind::Layout,
            format!("manifest: layer {} has no annotation `{}`", layer.digest, media::FILE_PATH),
        )),
    }
}

/// A model's configuration document, the part of it that is written here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelConfig {
    /// About the model.
    pub descriptor: ModelDescriptor,
    /// The files' digests.
    pub modelfs: ModelFs,
    /// The technical side.
    pub config: ModelFormat,
}

/// Who and what the model is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelDescriptor {
    /// `llama`, `qwen2`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// The name that the file gives itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// SPDX expressions, as far as the files say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub licenses: Vec<String>,
}

/// The digests of the layers, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ModelFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// One per layer.
    pub diff_ids: Vec<Digest>,
}

/// What the files are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelFormat {
    /// `gguf` or `safetensors`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
}

/// `index.json`. Entries are kept as they were read, so that those of other tools survive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Index {
    #[serde(rename = "schemaVersion")]
    schema_version: u32,
    manifests: Vec<serde_json::Value>,
    #[serde(flatten)]
    other: serde_json::Map<String, serde_json::Value>,
}

impl Default for Index {
    fn default() -> Self {
        let kind = "application/vnd.oci.image.index.v1+json";
        let other = [("mediaType".to_owned(), kind.into())].into_iter().collect();
        Self { schema_version: 2, manifests: Vec::new(), other }
    }
}

impl Index {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let index: Self = serde_json::from_slice(bytes)
            .map_err(|e| Error::new(ErrorKind::Layout, "not an OCI index").because(e))?;
        if index.schema_version != 2 {
            let what = format!("`schemaVersion` is `{}`, expected `2`", index.schema_version);
            return Err(Error::new(ErrorKind::Layout, what));
        }
        Ok(index)
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }

    /// The models' entries; what other tools put beside them is passed over.
    pub(crate) fn models(&self) -> Result<Vec<Descriptor>> {
        let text = |entry: &serde_json::Value, key: &str| {
            entry.get(key).and_then(|value| value.as_str().map(str::to_owned))
        };
        let ours = self.manifests.iter().filter(|entry| {
            text(entry, "mediaType").as_deref() == Some(media::MANIFEST)
                && text(entry, "artifactType").as_deref() == Some(media::MODEL)
        });
        ours.map(|entry| {
            Descriptor::deserialize(entry)
                .map_err(|e| Error::new(ErrorKind::Layout, "a damaged entry").because(e))
        })
        .collect()
    }

    /// How many entries there are, whoever wrote them.
    pub(crate) fn entries(&self) -> usize {
        self.manifests.len()
    }

    /// Every digest that any entry mentions, whoever wrote it.
    pub(crate) fn digests(&self) -> impl Iterator<Item = Digest> {
        self.manifests.iter().filter_map(|entry| entry.get("digest")?.as_str()?.parse().ok())
    }

    /// Removes the entries that `remove` says.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&Descriptor) -> bool) {
        self.manifests.retain(|entry| Descriptor::deserialize(entry).map_or(true, |d| keep(&d)));
    }

    pub(crate) fn push(&mut self, entry: &Descriptor) {
        self.manifests.push(serde_json::to_value(entry).expect("strings and numbers become JSON"));
    }
}

pub(crate) fn to_json(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(document).expect("strings and numbers become JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> serde_json::Value {
        let layer = |path: &str| {
            Descriptor::new(media::WEIGHT, Digest::of(path.as_bytes()), 1)
                .with(media::FILE_PATH, path)
        };
        let config = Descriptor::new(media::CONFIG, Digest::of(b""), 2);
        serde_json::to_value(Manifest::new(config, vec![layer("a.gguf"), layer("b.gguf")])).unwrap()
    }

    #[test]
    fn a_manifest_goes_round() {
        let manifest = Manifest::parse(&to_json(&sample())).unwrap();
        let files: Vec<_> = manifest.files().map(|(path, _)| path.to_string()).collect();
        assert_eq!(files, ["a.gguf", "b.gguf"]);
        assert_eq!(serde_json::to_value(&manifest).unwrap(), sample());
    }

    #[test]
    fn hostile_manifests_are_refused() {
        let long = "x".repeat(5000);
        let mut failures = Vec::new();
        for (pointer, value, word) in [
            ("/schemaVersion", 1.into(), "schemaVersion"),
            ("/mediaType", "application/vnd.oci.image.index.v1+json".into(), "mediaType"),
            ("/artifactType", "application/vnd.evil".into(), "artifactType"),
            ("/artifactType", long.into(), "artifactType"),
            ("/config/mediaType", "text/html".into(), "config.mediaType"),
            ("/config/digest", "sha256:../../etc/passwd".into(), "not a model's manifest"),
            ("/layers", serde_json::json!([]), "0 layers"),
            ("/layers/0/size", (-1).into(), "not a model's manifest"),
            ("/layers/0/size", 1.5.into(), "not a model's manifest"),
            ("/layers/0/digest", "sha512:aa".into(), "not a model's manifest"),
            ("/layers/0/mediaType", "application/x-tar".into(), "expected raw weights"),
            ("/layers/0/annotations", serde_json::json!({}), "has no annotation"),
            ("/layers/0/annotations/org.cncf.model.filepath", "../x".into(), "no path inside"),
            ("/layers/0/annotations/org.cncf.model.filepath", "/x".into(), "no path inside"),
            ("/layers/0/annotations/org.cncf.model.filepath", "B.gguf".into(), "two layers"),
        ] {
            let mut manifest = sample();
            *manifest.pointer_mut(pointer).unwrap() = value;
            match Manifest::parse(&to_json(&manifest)) {
                Ok(_) => failures.push(format!("{pointer}: accepted")),
                Err(e) if !e.to_string().contains(word) => failures.push(format!("{pointer}: {e}")),
                Err(e) if e.to_string().len() > 400 => failures.push(format!("{pointer}: long")),
                Err(_) => {}
            }
        }
        assert_eq!(failures, [""; 0]);
        Manifest::parse("[".repeat(100_000).as_bytes()).unwrap_err();
    }

    #[test]
    fn entries_of_other_tools_survive_and_are_not_models() {
        let other = serde_json::json!({
            "schemaVersion": 2,
            "annotations": { "a": "b" },
            "manifests": [
                { "mediaType": "application/vnd.oci.image.index.v1+json", "digest": "sha512:0", "size": 1 },
                { "mediaType": media::MANIFEST, "digest": Digest::of(b"x"), "size": 1, "platform": { "os": "linux" } },
            ],
        });
        let mut index = Index::parse(&to_json(&other)).unwrap();
        assert_eq!(index.models().unwrap(), []);
        assert_eq!(index.digests().collect::<Vec<_>>(), [Digest::of(b"x")]);
        let mut model = Descriptor::new(media::MANIFEST, Digest::of(b"m"), 3);
        model.artifact_type = Some(media::MODEL.to_owned());
        index.push(&model);
        index.retain(|_| true);
        assert_eq!(index.models().unwrap(), [model]);
        let written: serde_json::Value = serde_json::from_slice(&index.to_json()).unwrap();
        assert_eq!(written["manifests"][0], other["manifests"][0]);
        assert_eq!(written["manifests"][1], other["manifests"][1]);
        assert_eq!(written["annotations"], other["annotations"]);
    }
}
