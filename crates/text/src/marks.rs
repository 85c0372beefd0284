//! Finds marks in a text that arrives in pieces.

/// Where the first of `marks` begins in `text`, and which it is.
pub(crate) fn find<'m>(text: &str, marks: &[&'m str]) -> Option<(usize, &'m str)> {
    marks.iter().filter_map(|mark| Some((text.find(mark)?, *mark))).min_by_key(|(at, _)| *at)
}

/// How much of `text` is certainly before the next of `marks`: its end may be the beginning of
/// one, which the next piece will show.
pub(crate) fn certain(text: &str, marks: &[&str]) -> usize {
    let longest = marks.iter().map(|mark| mark.len()).max().unwrap_or(0);
    let from = text.floor_char_boundary(text.len().saturating_sub(longest));
    let starts = text.get(from..).unwrap_or_default().char_indices().map(|(at, _)| from + at);
    let begins = |at: &usize| {
        let rest = text.get(*at..).unwrap_or_default();
        marks.iter().any(|mark| mark.starts_with(rest))
    };
    starts.into_iter().find(begins).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_begin_a_mark_waits() {
        let marks = ["<tool>", "[TOOL]"];
        for (text, expected) in [
            ("", 0),
            ("abc", 3),
            ("abc<", 3),
            ("abc<tool", 3),
            ("a<tooth", 7),
            ("<<", 1),
            ("é[TOO", 2),
            ("é", 2),
            ("<to [T", 4),
        ] {
            assert_eq!(certain(text, &marks), expected, "{text}");
        }
        assert_eq!(find("a[TOOL]<tool>", &marks), Some((1, "[TOOL]")));
        assert_eq!(find("a<tool", &marks), None);
    }
}
