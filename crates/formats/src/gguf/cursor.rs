//! Reads little-endian numbers and strings in order; never past the end.

use crate::error::{Error, ErrorKind};

/// A place in the bytes of a file.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where `bytes` begin in the file.
    base: usize,
}

impl<'a> Cursor<'a> {
    /// At the first of `bytes`, which begin at `base` in the file.
    pub(crate) fn new(bytes: &'a [u8], base: usize) -> Self {
        Cursor { bytes, at: 0, base }
    }

    /// Bytes from the beginning of the file.
    pub(crate) fn at(&self) -> usize {
        self.base + self.at
    }

    /// Bytes up to the end of the file.
    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// What lies between an earlier place and this one.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start - self.base..self.at).expect("an earlier place of the same cursor")
    }

    /// The next `length` bytes, which are `what`.
    pub(crate) fn take(&mut self, length: u64, what: &str) -> Result<&'a [u8], Error> {
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        match end.and_then(|end| self.bytes.get(self.at..end)) {
            Some(taken) => {
                self.at += taken.len();
                Ok(taken)
            }
            None => Err(Error::new(
                ErrorKind::Truncated,
                format!("{what} at offset `{}`", self.at()),
                format!("`{}` bytes up to the end", self.remaining()),
                format!("`{length}` bytes"),
            )),
        }
    }

    /// The next `N` bytes, which are `what`.
    pub(crate) fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Error> {
        let bytes = self.take(N as u64, what)?;
        Ok(bytes.try_into().expect("as many bytes were taken"))
    }

    pub(crate) fn u32(&mut self, what: &str) -> Result<u32, Error> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, what: &str) -> Result<u64, Error> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A string's bytes: a 64-bit length, then as many bytes.
    pub(crate) fn string_bytes(&mut self, what: &str) -> Result<&'a [u8], Error> {
        let length = self.u64(what)?;
        self.take(length, what)
    }

    /// A string of at most `limit` bytes, in UTF-8.
    pub(crate) fn string(&mut self, limit: usize, what: &str) -> Result<&'a str, Error> {
        let at = self.at();
        let length = self.u64(what)?;
        if length > limit as u64 {
            return Err(Error::new(
                ErrorKind::Limit,
                format!("{what} at offset `{at}`"),
                format!("a length of `{length}` bytes"),
                format!("at most `{limit}`"),
            ));
        }
        let bytes = self.take(length, what)?;
        std::str::from_utf8(bytes).map_err(|error| {
            Error::new(
                ErrorKind::Encoding,
                format!("{what} at offset `{at}`"),
                format!("bytes that are not UTF-8 after `{}` that are", error.valid_up_to()),
                "UTF-8",
            )
            .with_source(error)
        })
    }
}
