//! Counters that become rates.

/// What was counted between two readings. A counter of 32 bits may have begun anew; one that is less
/// for another reason belongs to something that was replaced, and nothing is known of it.
pub(super) fn counted(before: u64, now: u64) -> u64 {
    const HALF: u64 = 1 << 31;
    match now.checked_sub(before) {
        Some(more) => more,
        None if before <= u64::from(u32::MAX) && before >= HALF && now < HALF => {
            now + (1 << 32) - before
        }
        None => 0,
    }
}

/// Per second; 0 of no time.
pub(super) fn per_second(count: u64, seconds: f64) -> u64 {
    // A float becomes the nearest integer that there is.
    if seconds > 0.0 { (count as f64 / seconds).round() as u64 } else { 0 }
}

/// The share in per cent, with two digits; 0 of nothing.
pub(super) fn percent(part: f64, whole: f64) -> f32 {
    if whole > 0.0 && part.is_finite() { rounded(part / whole * 100.0, 100.0) as f32 } else { 0.0 }
}

/// To a part of 1, so that JSON has no digits that mean nothing.
pub(super) fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

/// A text of others as it may be shown: at most `most` characters, none of which steers a terminal.
pub(crate) fn shown(text: &str, most: usize) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().take(most).map(|c| if steers(c) { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_may_begin_anew() {
        let cases = [
            ((10, 25), 15),
            ((u64::from(u32::MAX) - 4, 5), 10),
            ((1 << 40, 5), 0),
            ((100, 5), 0),
            ((0, 0), 0),
        ];
        for ((before, now), want) in cases {
            assert_eq!(counted(before, now), want, "{before} {now}");
        }
        assert_eq!(per_second(10, 0.0), 0);
        assert_eq!(per_second(10, 4.0), 3);
        assert_eq!((percent(1.0, 3.0), percent(1.0, 0.0)), (33.33, 0.0));
    }

    #[test]
    fn what_steers_a_terminal_is_not_shown() {
        assert_eq!(shown("a\u{1b}[2Jb\u{202e}c", 99), "a?[2Jb?c");
        assert_eq!(shown("abc", 2), "ab");
    }
}
