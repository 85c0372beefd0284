//! Reads everything again and says what is not what it was.

use std::collections::BTreeMap;

use crate::progress::Progress;
use crate::stage::hash;
use crate::store::{name_of, no_such_model};
use crate::{Digest, Error, ErrorKind, FilePath, Name, Store, error::Result};

/// What a verification found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Verified {
    /// The models that were looked at.
    pub models: usize,
    /// The files that were read, each once.
    pub files: usize,
    /// The bytes that were read.
    pub read_bytes: u64,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

/// A damaged or missing file.
#[derive(Debug)]
#[non_exhaustive]
pub struct Fault {
    /// The model it belongs to.
    pub name: Name,
    /// Its path inside the model; `None` for the manifest or the configuration.
    pub path: Option<FilePath>,
    /// What is wrong with it.
    pub error: Error,
}

impl Store {
    /// Reads every file of one model, or of all, and compares digests and sizes. Damage is in the
    /// result, not an error.
    ///
    /// # Errors
    /// If the index cannot be read or there is no such model.
    pub fn verify(&self, spec: Option<&str>, progress: &dyn Progress) -> Result<Verified> {
        let entries = match spec {
            Some(spec) => match self.find(spec)? {
                Some(found) => vec![found],
                None => return Err(no_such_model(spec)),
            },
            None => {
                let models = self.layout.index()?.models()?;
                let named = models.into_iter().filter_map(|d| Some((name_of(&d)?, d)));
                named.collect()
            }
        };
        let mut seen: BTreeMap<Digest, Option<String>> = BTreeMap::new();
        let mut verified =
            Verified { models: entries.len(), files: 0, read_bytes: 0, faults: Vec::new() };
        for (name, entry) in entries {
            let documents = self.manifest(&entry).and_then(|manifest| {
                self.layout.read_blob(&manifest.config, crate::oci::MAX_DOCUMENT_BYTES)?;
                Ok(manifest)
            });
            let manifest = match documents {
                Ok(manifest) => manifest,
                Err(error) => {
                    verified.faults.push(Fault { name, path: None, error });
                    continue;
                }
            };
            for (path, layer) in manifest.files() {
                let blob = self.layout.blob(&layer.digest);
                let fault = seen.entry(layer.digest).or_insert_with(|| {
                    let (digest, len) = match hash(&blob, path.as_str(), progress) {
                        Ok(found) => found,
                        Err(error) => return Some(error.to_string()),
                    };
                    verified.files += 1;
                    verified.read_bytes += len;
                    let (size, wanted) = (layer.size, layer.digest);
                    (digest != wanted || len != size).then(|| {
                        format!("expected {size} bytes of {wanted}, found {len} of {digest}")
                    })
                });
                if let Some(what) = fault {
                    let error = Error::new(ErrorKind::Mismatch, what.clone()).at(blob.display());
                    verified.faults.push(Fault { name: name.clone(), path: Some(path), error });
                }
            }
        }
        Ok(verified)
    }
}
