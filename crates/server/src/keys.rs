//! API keys: the server knows only their digests.

mod bucket;
mod line;
mod scope;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

use crate::fresh::{self, Open};
use crate::{Error, ErrorKind};
pub(crate) use bucket::Bucket;
pub(crate) use line::Settings;
pub(crate) use scope::Scope;

/// The keys that open the server.
#[derive(Debug)]
pub(crate) struct Keys(Vec<Arc<Key>>);

/// A key, and what is left of what it may have.
#[derive(Debug)]
pub(crate) struct Key {
    digest: [u8; 32],
    settings: Settings,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

/// What there is too little of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Requests,
    Tokens,
}

impl Key {
    fn new(digest: [u8; 32], settings: Settings) -> Self {
        let requests = settings.requests.map(Bucket::new);
        let tokens = settings.tokens.map(Bucket::new);
        Self { digest, settings, requests, tokens }
    }

    /// Whether it is the same key, whatever it may do by now.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.digest == other.digest
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether it opens nothing any more, so many seconds after 1970.
    pub(crate) fn is_expired(&self, now_seconds: u64) -> bool {
        self.settings.expires.is_some_and(|expires| expires <= now_seconds)
    }

    /// Whether it is for such routes.
    pub(crate) fn is_for(&self, scope: Scope) -> bool {
        self.settings.scopes.as_ref().is_none_or(|scopes| scopes.contains(&scope))
    }

    /// What is left of requests and tokens, where they are limited.
    pub(crate) fn buckets(&self) -> [(Limit, Option<&Bucket>); 2] {
        [(Limit::Requests, self.requests.as_ref()), (Limit::Tokens, self.tokens.as_ref())]
    }

    /// Takes a request; if it may not be, what there is too little of and for how long.
    pub(crate) fn take_request(&self) -> Result<(), (Limit, Duration)> {
        for (limit, bucket) in self.buckets() {
            bucket.map_or(Ok(()), Bucket::check).map_err(|wait| (limit, wait))?;
        }
        if let Some(requests) = &self.requests {
            requests.spend(1);
        }
        Ok(())
    }

    /// Takes tokens that were read or written.
    pub(crate) fn spend(&self, tokens: usize) {
        if let Some(bucket) = &self.tokens {
            bucket.spend(tokens);
        }
    }
}

impl Keys {
    /// Reads a file with a SHA-256 digest on each line: 64 hexadecimal digits, with or without
    /// `sha256:` before them, and after them settings, see [`line`]. What comes after `#` is for
    /// people. Keys that are the same as `before` have what is left to them.
    pub(crate) fn read(path: &Path, before: Option<&Self>) -> Result<Self, Error> {
        let what = |what: &str| {
            Error::new(ErrorKind::Keys, format!("the key file `{}` {what}", path.display()))
        };
        let text = fresh::read(path, "key file", ErrorKind::Keys, Open::ToRead)?;
        let text = String::from_utf8(text).map_err(|e| what("is no text").because(e))?;
        let mut keys = Self::parse(&text).map_err(|(line, wrong)| {
            what(&format!("has {wrong} in line `{line}`"))
                .with_hint("`printf %s KEY | sha256sum` makes a digest of a key")
        })?;
        if keys.0.is_empty() {
            return Err(what("has no keys"));
        }
        for key in &mut keys.0 {
            let mut same = before.iter().flat_map(|before| &before.0);
            let same = same.find(|old| old.digest == key.digest && old.settings == key.settings);
            if let Some(same) = same {
                *key = same.clone();
            }
        }
        Ok(keys)
    }

    /// Parses the text of a file; the error is the number of the line and what is wrong there.
    fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut keys: Vec<Arc<Key>> = Vec::new();
        for (at, text) in text.lines().enumerate() {
            let Some((digest, settings)) = line::parse(text).map_err(|wrong| (at + 1, wrong))?
            else {
                continue;
            };
            if keys.iter().any(|key| key.digest == digest) {
                return Err((at + 1, "a digest that an earlier line has".to_owned()));
            }
            keys.push(Arc::new(Key::new(digest, settings)));
        }
        Ok(Self(keys))
    }

    /// The key that is this one. The time it takes does not say how near another was.
    pub(crate) fn find(&self, key: &[u8]) -> Option<&Arc<Key>> {
        let found: [u8; 32] = Sha256::digest(key).into();
        let mut place = u32::MAX;
        for (at, known) in (0..).zip(&self.0) {
            place.conditional_assign(&at, known.digest.as_slice().ct_eq(found.as_slice()));
        }
        self.0.get(place as usize)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// Of `secret`.
    const SECRET: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

    #[test]
    fn keys_are_known_by_their_digests() {
        let upper = SECRET.to_uppercase();
        let opens = [
            SECRET.to_owned(),
            format!("# keys\n\n  sha256:{SECRET} of the camera\n"),
            format!("{}\n{upper}\r\n", "0".repeat(64)),
            format!("{}\n{SECRET} rpm=5\n{}", "0".repeat(64), "1".repeat(64)),
        ];
        for text in opens {
            let keys = Keys::parse(&text).unwrap();
            assert!(keys.find(b"secret").is_some(), "{text}");
            for other in [&b""[..], b"Secret", b"secret ", SECRET.as_bytes()] {
                assert!(keys.find(other).is_none(), "{text} {other:?}");
            }
        }
    }

    #[test]
    fn what_is_no_digest_is_refused_with_its_line() {
        let cases = [
            ("secret".to_owned(), 1),
            (format!("{SECRET}\n\n{}", &SECRET[1..]), 3),
            (format!("# x\nsha512:{SECRET}"), 2),
            (format!("{}g", &SECRET[1..]), 1),
            (format!("{}é", &SECRET[2..]), 1),
            (format!("{SECRET}\nsha256:{} twice", SECRET.to_uppercase()), 2),
            (format!("\n{SECRET} rqm=1"), 2),
        ];
        for (text, line) in cases {
            assert_eq!(Keys::parse(&text).unwrap_err().0, line, "{text}");
        }
    }

    #[test]
    fn a_file_must_have_keys_and_be_safe() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let cases = [
            (None, 0, "cannot be read"),
            (Some("# none\n"), 0o600, "has no keys"),
            (Some(SECRET), 0o602, "written by everyone"),
            (Some("x\n"), 0o600, "in line `1`"),
        ];
        for (text, mode, message) in cases {
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            }
            let error = Keys::read(&path, None).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
        }
        std::fs::write(&path, SECRET).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(Keys::read(&path, None).unwrap().find(b"secret").is_some());
    }

    #[test]
    fn what_is_left_to_a_key_outlasts_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let read = |text: String, before: Option<&Keys>| {
            std::fs::write(&path, text).unwrap();
            Keys::read(&path, before).unwrap()
        };
        let left = |keys: &Keys| {
            let key = keys.find(b"secret").unwrap();
            key.buckets().map(|(_, bucket)| bucket.map(Bucket::remaining))
        };
        let first = read(format!("{SECRET} rpm=5 tpm=7"), None);
        assert_eq!(first.find(b"secret").unwrap().take_request(), Ok(()));
        first.find(b"secret").unwrap().spend(3);
        assert_eq!(left(&first), [Some(4), Some(4)]);
        let same = read(format!("{}\n{SECRET} rpm=5 tpm=7 # again", "0".repeat(64)), Some(&first));
        assert_eq!(left(&same), [Some(4), Some(4)]);
        let other = read(format!("{SECRET} rpm=6"), Some(&same));
        assert_eq!(left(&other), [Some(6), None]);
    }

    #[test]
    fn a_request_asks_for_no_more_than_the_priority_of_its_key() {
        let cases = [
            ("", 5, 5),
            ("", -5, -5),
            ("priority=3", 0, 3),
            ("priority=3", 5, 3),
            ("priority=3", -5, -2),
            ("priority=-3", 5, -3),
            ("priority=-2147483648", -5, i32::MIN),
        ];
        for (settings, asked, want) in cases {
            let keys = Keys::parse(&format!("{SECRET} {settings}")).unwrap();
            let caller = crate::caller::Caller::new(keys.find(b"secret").cloned());
            assert_eq!(caller.priority(asked), want, "{settings} {asked}");
        }
    }
}
