//! The head of a file of prepared weights.

use std::ops::Range;

use crate::panels::ALIGNMENT;
use crate::{Error, ErrorKind, PanelSource};

const MAGIC: &[u8; 8] = b"rushprep";
const VERSION: u32 = 1;

/// What a file of prepared weights says of itself, every range proved to lie inside the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedHeader<'a> {
    /// The name of the layout.
    pub(super) layout: &'a str,
    /// What it was made of.
    pub(super) source: &'a str,
    pub(super) entries: Vec<Entry<'a>>,
}

/// One tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    pub(super) format: String,
    pub(super) rows: u64,
    pub(super) cols: u64,
    /// Where its panels are.
    pub(super) range: Range<usize>,
}

impl<'a> Entry<'a> {
    /// The entry that a source has when its panels begin at `offset`.
    pub(super) fn of(source: &'a PanelSource, offset: usize) -> Self {
        Self {
            name: source.name(),
            format: source.format().to_string(),
            rows: source.rows() as u64,
            cols: source.cols() as u64,
            range: offset..offset + source.packed_bytes(),
        }
    }
}

/// The bytes of a header.
pub(super) fn encode(layout: &str, source: &str, entries: &[Entry<'_>]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    let u32 = |out: &mut Vec<u8>, n: usize| {
        let n = u32::try_from(n).expect("names and numbers of tensors are small");
        out.extend(n.to_le_bytes());
    };
    let text = |out: &mut Vec<u8>, text: &str| {
        u32(out, text.len());
        out.extend(text.as_bytes());
    };
    out.extend(VERSION.to_le_bytes());
    text(&mut out, layout);
    text(&mut out, source);
    u32(&mut out, entries.len());
    for entry in entries {
        text(&mut out, entry.name);
        text(&mut out, &entry.format);
        let (offset, len) = (entry.range.start as u64, entry.range.len() as u64);
        out.extend([entry.rows, entry.cols, offset, len].map(u64::to_le_bytes).as_flattened());
    }
    out
}

impl<'a> PreparedHeader<'a> {
    /// Reads the head of the file whose bytes are `file`.
    ///
    /// # Errors
    /// If it is no such file, of another version, or its numbers are impossible together.
    pub fn parse(file: &'a [u8]) -> Result<Self, Error> {
        let mut cursor = Cursor { rest: file, at: 0 };
        if cursor.array::<8>()? != *MAGIC {
            return Err(broken("no prepared weights: another magic number"));
        }
        let version = cursor.u32()?;
        if version != VERSION {
            return Err(broken(format!("version `{version}`, expected `{VERSION}`")));
        }
        let (layout, source) = (cursor.text()?, cursor.text()?);
        let count = cursor.u32()?;
        let mut entries: Vec<Entry<'a>> = Vec::new();
        for _ in 0..count {
            entries.push(cursor.entry(file.len())?);
        }
        // What lies behind the header, each after the last, and nothing after them.
        let mut end = cursor.at;
        for entry in &entries {
            if entry.range.start < end {
                let (name, start) = (entry.name, entry.range.start);
                return Err(broken(format!("`{name}` begins at `{start}`, expected `{end}` on")));
            }
            end = entry.range.end;
        }
        if !entries.is_empty() && end != file.len() {
            return Err(broken(format!("`{}` bytes, expected `{end}`", file.len())));
        }
        Ok(Self { layout, source, entries })
    }

    /// The range of bytes of each tensor's panels.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.entries.iter().map(|entry| entry.range.clone())
    }
}

/// Walks bytes that nobody has vouched for.
struct Cursor<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            let (at, left) = (self.at, self.rest.len());
            return Err(broken(format!("`{left}` bytes from `{at}` on, expected `{count}`")));
        };
        self.rest = rest;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        Ok(self.take(N)?.try_into().expect("as many as were asked for"))
    }

    fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn text(&mut self) -> Result<&'a str, Error> {
        let count = self.u32()? as usize;
        let at = self.at;
        std::str::from_utf8(self.take(count)?)
            .map_err(|e| broken(format!("the text at `{at}` is not UTF-8")).because(e))
    }

    fn entry(&mut self, file_bytes: usize) -> Result<Entry<'a>, Error> {
        let (name, format) = (self.text()?, self.text()?.to_owned());
        let [rows, cols, offset, len] = [self.u64()?, self.u64()?, self.u64()?, self.u64()?];
        let range = usize::try_from(offset).ok().and_then(|start| {
            let end = start.checked_add(usize::try_from(len).ok()?)?;
            (end <= file_bytes && start.is_multiple_of(ALIGNMENT)).then_some(start..end)
        });
        let range = range.ok_or_else(|| {
            broken(format!(
                "`{name}` has `{len}` bytes at `{offset}`, expected a multiple of `{ALIGNMENT}` \
                 inside the file's `{file_bytes}`"
            ))
        })?;
        Ok(Entry { name, format, rows, cols, range })
    }
}

fn broken(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Prepared, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        let entry = |name, range| {
            let format = "Q8_0".to_owned();
            Entry { name, format, rows: 16, cols: 32, range }
        };
        let mut file = encode("panels", "sha256:0", &[entry("a", 256..320), entry("b", 320..448)]);
        assert!(file.len() < 256);
        file.resize(448, 0);
        file
    }

    #[test]
    fn what_is_written_is_read() {
        let file = file();
        let header = PreparedHeader::parse(&file).unwrap();
        assert_eq!((header.layout, header.source), ("panels", "sha256:0"));
        assert_eq!(header.ranges().collect::<Vec<_>>(), [256..320, 320..448]);
        let [a, b] = &*header.entries else { panic!("two entries: {header:?}") };
        assert_eq!((a.name, &*a.format, a.rows, a.cols), ("a", "Q8_0", 16, 32));
        assert_eq!(b.name, "b");
    }

    #[test]
    fn every_cut_and_every_number_out_of_bounds_is_an_error() {
        let whole = file();
        for len in 0..whole.len() {
            let error = PreparedHeader::parse(&whole[..len]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Prepared, "cut at {len}");
        }
        let longer = [&whole[..], &[0]].concat();
        assert!(PreparedHeader::parse(&longer).is_err());
        // Magic, version, both texts' lengths, the count, the lengths of `a`'s texts, then its
        // offset and length.
        let head = 8 + 4 + (4 + 6) + (4 + 8);
        let numbers = [0, 8, 12, 22, head, head + 4, head + 9, head + 33, head + 41];
        for at in numbers {
            for byte in [1, 0x7f, 0xff] {
                let mut bad = whole.clone();
                for (i, b) in bad[at..].iter_mut().take(4).enumerate() {
                    *b = if i == 3 || byte == 1 { byte } else { 0xff };
                }
                let result = PreparedHeader::parse(&bad);
                assert!(result.is_err(), "{byte} at {at}: {result:?}");
            }
        }
    }
}
