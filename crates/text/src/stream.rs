//! Text as it is generated, never a part of a character.

use crate::tokenizer::Tokenizer;

/// Turns tokens that arrive one by one into text.
///
/// A token of a byte-level vocabulary may end within a character; its bytes wait here for the
/// rest. Bytes that no continuation can make UTF-8 become U+FFFD at once.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    /// Bytes of a character that is not complete: at most three.
    waiting: Vec<u8>,
    /// What the last push returned.
    text: String,
    /// Control tokens that are shown, ascending.
    shown: Vec<u32>,
}

impl StreamDecoder {
    /// A decoder at the start of a text.
    pub fn new() -> Self {
        Self::default()
    }

    /// A decoder that gives the names of these control tokens as text, for what looks for them
    /// there: marks of tool calls.
    pub fn showing(ids: impl IntoIterator<Item = u32>) -> Self {
        let mut shown: Vec<u32> = ids.into_iter().collect();
        shown.sort_unstable();
        Self { shown, ..Self::default() }
    }

    /// The text that `id` completes, which may be empty. Control tokens give none, but for those
    /// that are shown.
    pub fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> &str {
        if tokenizer.is_control(id) && self.shown.binary_search(&id).is_err() {
            return self.push_bytes(&[]);
        }
        self.push_bytes(&tokenizer.token_bytes(id))
    }

    /// The text that `bytes` complete, which may be empty.
    pub fn push_bytes(&mut self, bytes: &[u8]) -> &str {
        self.text.clear();
        self.waiting.extend_from_slice(bytes);
        let mut done = 0;
        for chunk in self.waiting.utf8_chunks() {
            self.text.push_str(chunk.valid());
            done += chunk.valid().len();
            let invalid = chunk.invalid();
            let at_end = done + invalid.len() == self.waiting.len();
            if at_end && is_prefix(invalid) {
                break;
            }
            if !invalid.is_empty() {
                self.text.push(char::REPLACEMENT_CHARACTER);
            }
            done += invalid.len();
        }
        self.waiting.drain(..done);
        &self.text
    }

    /// The rest at the end of a text: U+FFFD where a character never got complete, else nothing.
    pub fn finish(&mut self) -> &str {
        self.text.clear();
        if !self.waiting.is_empty() {
            self.text.push(char::REPLACEMENT_CHARACTER);
            self.waiting.clear();
        }
        &self.text
    }
}

/// Whether more bytes may make `bytes` a character.
fn is_prefix(bytes: &[u8]) -> bool {
    matches!(std::str::from_utf8(bytes), Err(error) if error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_wait_for_their_bytes() {
        type Case<'a> = (&'a [&'a [u8]], &'a [&'a str], &'a str);
        let cases: &[Case<'_>] = &[
            (&[b"ab", b"c"], &["ab", "c"], ""),
            (&[b"\xe6", b"\x97", b"\xa5x"], &["", "", "日x"], ""),
            (&[b"a\xf0\x9f", b"\x98\x80"], &["a", "😀"], ""),
            (&[b"\xf0\x9f", b"b"], &["", "\u{fffd}b"], ""),
            (&[b"\xff\xe6", b"\x97"], &["\u{fffd}", ""], "\u{fffd}"),
            (&[b"\xed\xa0", b"\x80"], &["\u{fffd}\u{fffd}", "\u{fffd}"], ""),
            (&[b"", b"x"], &["", "x"], ""),
        ];
        for (pushes, expected, rest) in cases {
            let mut decoder = StreamDecoder::new();
            let got: Vec<String> =
                pushes.iter().map(|bytes| decoder.push_bytes(bytes).to_owned()).collect();
            assert_eq!(&got, expected, "{pushes:?}");
            assert_eq!(decoder.finish(), *rest, "{pushes:?}");
            assert_eq!(decoder.finish(), "", "{pushes:?}");
        }
    }
}
