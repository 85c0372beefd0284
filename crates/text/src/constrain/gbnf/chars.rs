//! Sets of characters, from above: ASCII exactly, all others as one.

/// A set that has every character of the real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Chars {
    ascii: u128,
    others: bool,
}

impl Chars {
    pub(super) const NONE: Self = Self { ascii: 0, others: false };
    pub(super) const ALL: Self = Self { ascii: u128::MAX, others: true };

    /// The characters from `first` to `last`.
    pub(super) fn range(first: char, last: char) -> Self {
        let ascii = match u32::from(first) {
            from @ 0..128 => (u128::MAX << from) & (u128::MAX >> (127 - u32::from(last).min(127))),
            _ => 0,
        };
        Self { ascii, others: !last.is_ascii() }
    }

    /// Those that are not in a set whose ASCII is `self`'s.
    pub(super) fn negated(self) -> Self {
        Self { ascii: !self.ascii, others: true }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self { ascii: self.ascii | other.ascii, others: self.others | other.others }
    }

    pub(super) fn meets(self, other: Self) -> bool {
        self.ascii & other.ascii != 0 || (self.others && other.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_their_characters() {
        let signs = ['\0', 'a', 'm', 'z', '\u{7f}', '\u{80}', 'é', '😀'];
        for (number, &first) in signs.iter().enumerate() {
            for &last in &signs[number..] {
                let range = Chars::range(first, last);
                for sign in (0..=300).filter_map(char::from_u32) {
                    let has = (first..=last).contains(&sign);
                    let expected = has || !sign.is_ascii() && !last.is_ascii();
                    let found = range.meets(Chars::range(sign, sign));
                    assert_eq!(found, expected, "{first:?} {last:?} {sign:?}");
                    let outside = range.negated().meets(Chars::range(sign, sign));
                    assert!(has || outside, "{first:?} {last:?} {sign:?}");
                }
            }
        }
    }
}
