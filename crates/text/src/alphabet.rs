//! The byte alphabet of byte-level vocabularies: one printable character for each byte.
//!
//! Source: `bytes_to_unicode` of GPT-2 (Radford et al. 2019). The printable bytes of Latin-1 stand
//! for themselves; the other 68, in order, are U+0100 to U+0143.

/// Whether a byte is its own character.
const fn is_printable(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff)
}

/// The character of every byte.
#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
pub(crate) const CHARS: [char; 256] = {
    let mut chars = ['\0'; 256];
    let mut next = 0x100u32;
    let mut byte = 0usize;
    while byte < 256 {
        chars[byte] = if is_printable(byte as u8) {
            byte as u8 as char
        } else {
            next += 1;
            match char::from_u32(next - 1) {
                Some(char) => char,
                None => panic!("U+0100 to U+0143 are characters"),
            }
        };
        byte += 1;
    }
    chars
};

/// The byte of each of the first `0x144` code points, where it has one.
#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
const BYTES: [Option<u8>; 0x144] = {
    let mut bytes = [None; 0x144];
    let mut byte = 0usize;
    while byte < 256 {
        bytes[CHARS[byte] as usize] = Some(byte as u8);
        byte += 1;
    }
    bytes
};

/// Appends the bytes that `text` spells. False, with nothing appended, when a character is none
/// of the alphabet's: then the text stands for itself.
pub(crate) fn decode_into(text: &str, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    out.reserve(text.len());
    for char in text.chars() {
        match BYTES.get(char as usize) {
            Some(Some(byte)) => out.push(*byte),
            _ => {
                out.truncate(start);
                return false;
            }
        }
    }
    true
}

/// The characters that spell `bytes`.
pub(crate) fn encode(bytes: &[u8]) -> String {
    bytes.iter().filter_map(|&byte| CHARS.get(usize::from(byte))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_there_and_back() {
        let all: Vec<u8> = (0..=255).collect();
        let text = encode(&all);
        assert_eq!(text.chars().count(), 256);
        let mut back = Vec::new();
        assert!(decode_into(&text, &mut back));
        assert_eq!(back, all);
        assert_eq!(encode(b" \n"), "\u{120}\u{10a}");
    }

    #[test]
    fn other_characters_are_refused_whole() {
        let mut out = b"kept".to_vec();
        for text in ["a b", "\u{2581}", "x\u{144}"] {
            assert!(!decode_into(text, &mut out), "{text}");
        }
        assert_eq!(out, b"kept");
    }
}
