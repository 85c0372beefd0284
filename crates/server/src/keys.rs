//! API keys: the server knows only their digests.

use std::path::Path;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::fresh::{self, Open};
use crate::{Error, ErrorKind};

/// The keys that open the server.
#[derive(Clone, Debug)]
pub(crate) struct Keys(Vec<[u8; 32]>);

impl Keys {
    /// Reads a file with a SHA-256 digest on each line: 64 hexadecimal digits, with or without
    /// `sha256:` before them. What follows a digest is for people, as are lines with `#`.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let what = |what: &str| {
            Error::new(ErrorKind::Keys, format!("the key file `{}` {what}", path.display()))
        };
        let text = fresh::read(path, "key file", ErrorKind::Keys, Open::ToRead)?;
        let text = String::from_utf8(text).map_err(|e| what("is no text").because(e))?;
        let keys = Self::parse(&text).map_err(|line| {
            what(&format!("has no SHA-256 digest in line `{line}`"))
                .with_hint("`printf %s KEY | sha256sum` makes one of a key")
        })?;
        if keys.0.is_empty() {
            return Err(what("has no keys"));
        }
        Ok(keys)
    }

    /// Parses the text of a file; the error is the number of the line.
    fn parse(text: &str) -> Result<Self, usize> {
        let mut keys = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let first = line.split_whitespace().next().unwrap_or_default();
            let digits = first.strip_prefix("sha256:").unwrap_or(first);
            keys.push(digest(digits).ok_or(at + 1)?);
        }
        Ok(Self(keys))
    }

    /// Whether a key is one of them. The time it takes does not say which, or how near it was.
    pub(crate) fn accept(&self, key: &[u8]) -> bool {
        let found: [u8; 32] = Sha256::digest(key).into();
        let same = self.0.iter().fold(subtle::Choice::from(0), |same, known| {
            same | known.as_slice().ct_eq(found.as_slice())
        });
        same.into()
    }
}

fn digest(digits: &str) -> Option<[u8; 32]> {
    let digits = digits.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |d: u8| char::from(d).to_digit(16);
        *byte = (digit(*pair.first()?)? * 16 + digit(*pair.last()?)?) as u8;
    }
    Some(bytes)
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
        ];
        for text in opens {
            let keys = Keys::parse(&text).unwrap();
            assert!(keys.accept(b"secret"), "{text}");
            for other in [&b""[..], b"Secret", b"secret ", SECRET.as_bytes()] {
                assert!(!keys.accept(other), "{text} {other:?}");
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
        ];
        for (text, line) in cases {
            assert_eq!(Keys::parse(&text).unwrap_err(), line, "{text}");
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
            let error = Keys::read(&path).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
        }
        std::fs::write(&path, SECRET).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(Keys::read(&path).unwrap().accept(b"secret"));
    }
}
