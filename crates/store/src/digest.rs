//! SHA-256 digests: strict to read, since they become file names.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::{Error, ErrorKind};

/// The SHA-256 of some bytes, written `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 64 digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Parses the 64 digits alone.
    ///
    /// # Errors
    /// If it is anything but 64 digits of `0-9a-f`.
    pub fn from_hex(hex: &str) -> Result<Self, Error> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut bytes = [0; 32];
        let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
        let whole = pairs.len() == bytes.len() && rest.is_empty();
        let written = bytes.iter_mut().zip(pairs).try_for_each(|(byte, &[high, low])| {
            *byte = digit(high)? << 4 | digit(low)?;
            Some(())
        });
        match written {
            Some(()) if whole => Ok(Self(bytes)),
            _ => Err(Error::new(
                ErrorKind::Syntax,
                format!(
                    "`{}` is no SHA-256 digest: expected 64 digits of 0-9 and a-f",
                    hex.chars().take(80).collect::<String>().escape_debug()
                ),
            )),
        }
    }
}

impl FromStr for Digest {
    type Err = Error;

    /// Parses `sha256:` and the 64 digits; no other algorithm.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text.strip_prefix("sha256:") {
            Some(hex) => Self::from_hex(hex),
            None => Err(Error::new(
                ErrorKind::Syntax,
                format!(
                    "`{}` is no digest: expected `sha256:` and 64 hexadecimal digits",
                    text.chars().take(80).collect::<String>().escape_debug()
                ),
            )),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Hashes and counts what is written through it.
pub(crate) struct Hashing<W> {
    inner: W,
    hash: Sha256,
    len_bytes: u64,
}

impl<W> Hashing<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, hash: Sha256::new(), len_bytes: 0 }
    }

    pub(crate) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// Goes on to `inner` with what has been hashed so far.
    pub(crate) fn with<V>(self, inner: V) -> Hashing<V> {
        Hashing { inner, hash: self.hash, len_bytes: self.len_bytes }
    }

    /// Forgets what has been hashed.
    pub(crate) fn restart(&mut self) -> &mut W {
        self.hash = Sha256::new();
        self.len_bytes = 0;
        &mut self.inner
    }

    /// What is written to, the digest and the number of bytes.
    pub(crate) fn into_parts(self) -> (W, Digest, u64) {
        (self.inner, Digest(self.hash.finalize().into()), self.len_bytes)
    }

    /// The digest and the number of bytes.
    pub(crate) fn finish(self) -> (Digest, u64) {
        (Digest(self.hash.finalize().into()), self.len_bytes)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        if let Some(bytes) = bytes.get(..written) {
            self.hash.update(bytes);
        }
        self.len_bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Copies everything from `from` to `to`, telling `step` the number of bytes after each piece.
pub(crate) fn pump(
    from: &mut impl Read,
    to: &mut impl Write,
    mut step: impl FnMut(u64),
) -> io::Result<u64> {
    // Large enough that the calls do not count beside the hash, small enough for its cache.
    let mut buffer = vec![0; 256 << 10];
    let mut total = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        to.write_all(buffer.get(..read).ok_or(io::ErrorKind::InvalidData)?)?;
        total += read as u64;
        step(total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_digests() {
        // FIPS 180-4, the examples "abc" and the empty message.
        for (text, hex) in [
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ] {
            assert_eq!(Digest::of(text.as_bytes()).hex(), hex);
            let mut hashing = Hashing::new(io::sink());
            let copied = pump(&mut text.as_bytes(), &mut hashing, |_| ()).unwrap();
            let (digest, len) = hashing.finish();
            assert_eq!((digest.to_string(), len), (format!("sha256:{hex}"), copied));
            assert_eq!(format!("sha256:{hex}").parse::<Digest>().unwrap(), digest);
        }
    }

    #[test]
    fn whatever_could_be_a_path_is_refused() {
        let good = "a".repeat(64);
        for bad in [
            String::new(),
            good.clone(),
            format!("sha512:{good}"),
            format!("SHA256:{good}"),
            format!("sha256:{}", "A".repeat(64)),
            format!("sha256:{}", &good[1..]),
            format!("sha256:{good}a"),
            format!("sha256:{good}/"),
            format!("sha256:../../../../../../etc/passwd{}", &good[..35]),
            format!("sha256:{}\0", &good[1..]),
            format!("sha256:{}g", &good[1..]),
            format!("sha256:{}\u{e9}", &good[2..]),
            format!("sha256-{good}"),
            format!(" sha256:{good}"),
            format!("sha256:{good}\n"),
        ] {
            let error = bad.parse::<Digest>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Syntax, "{bad:?}");
        }
    }
}
