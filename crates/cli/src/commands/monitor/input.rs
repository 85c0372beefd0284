//! Bytes of a terminal as keys (xterm's ctlseqs, "PC-Style Function Keys", and the Linux console's).

use rushlight_monitor::screen::Key;

/// The keys that `bytes` of one reading mean. A terminal sends the bytes of a key together, so that an
/// escape at the end is the key itself. What is not known is left out.
pub(super) fn keys(mut bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    while let [first, rest @ ..] = bytes {
        bytes = rest;
        let key = match *first {
            0x1b => {
                let (key, rest) = escape(rest);
                bytes = rest;
                key
            }
            b'\r' | b'\n' => Some(Key::Enter),
            0x7f | 0x08 => Some(Key::Backspace),
            control @ 1..=26 => Some(Key::Control(char::from(b'a' + control - 1))),
            0..=31 => None,
            letter if letter.is_ascii() => Some(Key::Char(char::from(letter))),
            start => {
                let (letter, rest) = wide(start, rest);
                bytes = rest;
                letter.map(Key::Char)
            }
        };
        keys.extend(key);
    }
    keys
}

/// What follows an escape: `[` or `O`, numbers and marks, a letter.
fn escape(bytes: &[u8]) -> (Option<Key>, &[u8]) {
    let Some((b'[' | b'O', rest)) = bytes.split_first() else {
        // Another escape may follow at once.
        return (Some(Key::Escape), bytes);
    };
    // `ESC [ [ A` is a function key of the Linux console.
    let rest = rest.strip_prefix(b"[").unwrap_or(rest);
    let end = rest.iter().position(|byte| (0x40..=0x7e).contains(byte));
    let Some((parameters, [last, rest @ ..])) = end.and_then(|end| rest.split_at_checked(end))
    else {
        return (None, &[]);
    };
    let key = match (parameters, last) {
        (_, b'A') => Some(Key::Up),
        (_, b'B') => Some(Key::Down),
        (_, b'C') => Some(Key::Right),
        (_, b'D') => Some(Key::Left),
        (_, b'H') | (b"1" | b"7", b'~') => Some(Key::Home),
        (_, b'F') | (b"4" | b"8", b'~') => Some(Key::End),
        (b"5", b'~') => Some(Key::PageUp),
        (b"6", b'~') => Some(Key::PageDown),
        _ => None,
    };
    (key, rest)
}

/// A letter of several bytes in UTF-8.
fn wide(start: u8, rest: &[u8]) -> (Option<char>, &[u8]) {
    let more = match start {
        0xc2..=0xdf => 1,
        0xe0..=0xef => 2,
        0xf0..=0xf4 => 3,
        _ => return (None, rest),
    };
    let Some((end, after)) = rest.split_at_checked(more) else { return (None, &[]) };
    let bytes = [&[start], end].concat();
    match std::str::from_utf8(&bytes) {
        Ok(text) => (text.chars().next(), after),
        Err(_) => (None, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_keys() {
        let cases: [(&[u8], &[Key]); 14] = [
            (b"q", &[Key::Char('q')]),
            (b"\x1b", &[Key::Escape]),
            (b"\x1b\x1b", &[Key::Escape, Key::Escape]),
            (b"\x1b[A\x1bOB", &[Key::Up, Key::Down]),
            (b"\x1b[1;5C", &[Key::Right]),
            (b"\x1b[5~\x1b[6~x", &[Key::PageUp, Key::PageDown, Key::Char('x')]),
            (b"\x1b[1~\x1b[4~\x1b[H\x1b[F", &[Key::Home, Key::End, Key::Home, Key::End]),
            (b"\x1b[[A", &[Key::Up]),
            (b"\x1b[12~\x1b[?1;2c", &[]),
            (b"\x1b[", &[]),
            (
                b"\x03\x0c\r\x7f",
                &[Key::Control('c'), Key::Control('l'), Key::Enter, Key::Backspace],
            ),
            ("ä€".as_bytes(), &[Key::Char('ä'), Key::Char('€')]),
            (b"\xff\xc3(x", &[Key::Char('('), Key::Char('x')]),
            (b"\xe2\x82", &[]),
        ];
        for (bytes, want) in cases {
            assert_eq!(keys(bytes), want, "{bytes:?}");
        }
    }
}
