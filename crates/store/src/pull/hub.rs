//! `hf:` sources: the Hugging Face hub's interface, as its own tools use it.

use serde::Deserialize;

use super::address::Address;
use super::download::Wanted;
use super::http::Client;
use crate::add::{About, Added, Ready};
use crate::progress::Progress;
use crate::select::select;
use crate::stage::Means;
use crate::{Digest, Error, ErrorKind, Kind, Name, Source, Store, error::Result};

/// The largest listing that is read; the largest repositories have a few megabytes.
const MAX_LISTING_BYTES: u64 = 64 << 20;

/// Which repository.
#[derive(Clone, Copy)]
pub(crate) struct Which<'a> {
    pub(crate) repository: &'a str,
    pub(crate) revision: Option<&'a str>,
}

/// `GET /api/models/ORG/REPO/revision/REV?blobs=true`.
#[derive(Deserialize)]
struct Listing {
    /// The commit.
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
    #[serde(default, rename = "cardData")]
    card: Option<Card>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
    size: u64,
}

#[derive(Deserialize)]
struct Card {
    /// A word, or a list of them.
    license: Option<serde_json::Value>,
}

impl Store {
    pub(crate) fn pull_hub(
        &self,
        source: &Source,
        which: Which<'_>,
        file: Option<&str>,
        name: Option<&Name>,
        progress: &dyn Progress,
    ) -> Result<Added> {
        let endpoint = self.settings.hf_endpoint.trim_end_matches('/');
        let listing = self.listing(endpoint, which)?;
        let names: Vec<&str> = listing.siblings.iter().map(|s| s.rfilename.as_str()).collect();
        let place = source.to_string();
        let selection = select(&names, file, &place)?;
        let workspace = self.layout.workspace()?;
        let token = self.token();
        let mut ready = Vec::with_capacity(selection.files.len());
        for (index, file) in selection.files.into_iter().enumerate() {
            let listed = listing.siblings.iter().find(|s| s.rfilename == file.listed);
            let wanted = listed.map_or(Ok(Wanted::default()), |s| s.wanted(&place))?;
            let url = format!(
                "{endpoint}/{}/resolve/{}/{}",
                which.repository,
                listing.sha,
                escape(&file.listed)
            );
            let address = Address::parse(&url)?;
            let present = || self.present(&workspace, index, wanted);
            let (staged, means) = match present() {
                Some(staged) => (staged, Means::Present),
                None => self.download(&address, wanted, &token, &file, progress, &present)?,
            };
            ready.push(Ready { file, staged, means });
        }
        let repository = which.repository.rsplit('/').next();
        let license = listing.card.and_then(|card| card.license?.as_str().map(str::to_owned));
        let about = About {
            name,
            title: repository.filter(|_| selection.kind == Kind::HfDirectory),
            source: Some(&place),
            license: license.as_deref(),
        };
        self.add(selection.kind, ready, about)
    }

    fn listing(&self, endpoint: &str, which: Which<'_>) -> Result<Listing> {
        let revision = escape(which.revision.unwrap_or("main")).replace('/', "%2F");
        let url =
            format!("{endpoint}/api/models/{}/revision/{revision}?blobs=true", which.repository);
        let address = Address::parse(&url)?;
        let client = Client::new(&self.settings);
        let (status, bytes) = client.document(&address, &self.token(), MAX_LISTING_BYTES)?;
        let fail = |kind, what: String| Error::new(kind, what).at(&address);
        match status {
            200 => {}
            401 | 403 | 404 => {
                let what = format!(
                    "the hub does not show `{}` at `{}` (HTTP {status})",
                    which.repository,
                    which.revision.unwrap_or("main")
                );
                return Err(fail(ErrorKind::NotFound, what).advise(
                    "check the spelling; for a private or gated model, accept its terms and set \
                     `HF_TOKEN`",
                ));
            }
            status => {
                let what = format!("the hub answers with HTTP {status}");
                return Err(fail(ErrorKind::Network, what));
            }
        }
        let listing: Listing = serde_json::from_slice(&bytes).map_err(|e| {
            fail(ErrorKind::Network, "not the hub's listing of a model".to_owned()).because(e)
        })?;
        // It becomes part of addresses.
        let commit = !listing.sha.is_empty()
            && listing.sha.len() <= 64
            && listing.sha.bytes().all(|b| b.is_ascii_hexdigit());
        if !commit {
            let what = "the listing names no commit".to_owned();
            return Err(fail(ErrorKind::Network, what));
        }
        Ok(listing)
    }

    fn token(&self) -> Vec<(&'static str, String)> {
        let token = self.settings.hf_token.as_ref();
        token.map(|token| ("authorization", format!("Bearer {token}"))).into_iter().collect()
    }
}

impl Sibling {
    /// Large files come with their digest; of small ones the hub knows only a git hash, so their
    /// size and the connection must do.
    fn wanted(&self, place: &str) -> Result<Wanted> {
        match &self.lfs {
            Some(lfs) => {
                let digest = Digest::from_hex(&lfs.sha256).map_err(|e| e.at(place))?;
                Ok(Wanted { digest: Some(digest), len_bytes: Some(lfs.size) })
            }
            None => Ok(Wanted { digest: None, len_bytes: self.size }),
        }
    }
}

/// Percent-encodes everything but unreserved characters (RFC 3986, 2.3) and `/`.
fn escape(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn escapes() {
        assert_eq!(super::escape("a b/ü?#%.gguf"), "a%20b/%C3%BC%3F%23%25.gguf");
    }
}
