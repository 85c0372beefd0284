//! Hours with a limit of their own.

use std::str::FromStr;

use crate::{Error, ErrorKind};

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// A window of local time, every day, and the watts that may be spent in it.
///
/// Written `22:00-06:00` or `22:00-06:00=5`: it begins with the first minute, ends before the last,
/// and may go past midnight.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct QuietHours {
    /// Minutes after midnight when it begins.
    pub from: u16,
    /// Minutes after midnight when it has ended.
    pub to: u16,
    /// Watts that may be spent in it; without a word half of what may be spent otherwise, or half
    /// of full power where no watts are limited.
    pub watts: Option<f64>,
}

impl QuietHours {
    /// Whether it is quiet so many minutes after midnight.
    pub fn contains(&self, minute: u16) -> bool {
        let minute = minute % DAY;
        match self.from < self.to {
            true => (self.from..self.to).contains(&minute),
            false => minute >= self.from || minute < self.to,
        }
    }
}

impl FromStr for QuietHours {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |what: String| {
            Error::new(ErrorKind::Limit, format!("quiet hours `{text}`: {what}"))
                .with_hint("expected `22:00-06:00`, or `22:00-06:00=5` for 5 watts")
        };
        let (window, watts) = match text.split_once('=') {
            Some((window, watts)) => (window, Some(watts)),
            None => (text, None),
        };
        let Some((from, to)) = window.split_once('-') else {
            return Err(wrong(format!("`{window}` has no `-` between two times")));
        };
        let time = |text: &str| {
            minutes(text)
                .ok_or_else(|| wrong(format!("`{text}` is not a time from 00:00 to 23:59")))
        };
        let (from, to) = (time(from)?, time(to)?);
        if from == to {
            return Err(wrong("they begin when they end".to_owned()));
        }
        let watts = match watts {
            Some(text) => match text.parse::<f64>() {
                Ok(watts) if watts.is_finite() && watts > 0.0 => Some(watts),
                _ => return Err(wrong(format!("`{text}` is not a number of watts above 0"))),
            },
            None => None,
        };
        Ok(Self { from, to, watts })
    }
}

/// `HH:MM` in minutes after midnight.
fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str, below: u16| {
        let all_digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        all_digits.then(|| text.parse::<u16>().ok()).flatten().filter(|n| *n < below)
    };
    Some(number(hours, 24)? * 60 + number(minutes, 60)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_or_refused() {
        let good = |from, to, watts| Some(QuietHours { from, to, watts });
        let cases = [
            ("22:00-06:00", good(22 * 60, 6 * 60, None)),
            ("22:00-06:00=5", good(22 * 60, 6 * 60, Some(5.0))),
            ("00:00-23:59=0.5", good(0, 23 * 60 + 59, Some(0.5))),
            ("22:00", None),
            ("22:00-22:00", None),
            ("24:00-06:00", None),
            ("22:60-06:00", None),
            ("2:00-06:00", None),
            ("+2:00-06:00", None),
            ("22:00-06:00=", None),
            ("22:00-06:00=0", None),
            ("22:00-06:00=-1", None),
            ("22:00-06:00=NaN", None),
            ("22:00-06:00=inf", None),
            ("22:00-06:00-07:00", None),
            ("", None),
        ];
        let wrong: Vec<_> = cases
            .iter()
            .map(|(text, want)| (text, text.parse::<QuietHours>().ok(), want))
            .filter(|(_, found, want)| found != *want)
            .collect();
        assert!(wrong.is_empty(), "(text, found, expected): {wrong:?}");
    }

    #[test]
    fn a_window_past_midnight_is_both_ends_of_a_day() {
        let night: QuietHours = "22:00-06:00".parse().unwrap();
        let day: QuietHours = "09:30-17:00".parse().unwrap();
        let at = |hours: u16, minutes: u16| hours * 60 + minutes;
        let cases = [
            (at(21, 59), false, false),
            (at(22, 0), true, false),
            (at(23, 59), true, false),
            (at(0, 0), true, false),
            (at(5, 59), true, false),
            (at(6, 0), false, false),
            (at(9, 29), false, false),
            (at(9, 30), false, true),
            (at(17, 0), false, false),
        ];
        for (minute, in_night, in_day) in cases {
            assert_eq!(night.contains(minute), in_night, "night at {minute}");
            assert_eq!(day.contains(minute), in_day, "day at {minute}");
        }
    }
}
