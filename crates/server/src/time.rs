//! Times as RFC 3339 writes them.

use std::time::{Duration, SystemTime};

const DAY_SECONDS: u64 = 86_400;

/// A time in UTC, such as `2026-11-26T02:32:23.000000001Z`.
pub fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (seconds, nanoseconds) = (since.as_secs(), since.subsec_nanos());
    let (year, month, day) = date(seconds / DAY_SECONDS);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanoseconds:09}Z")
}

/// The same of so many seconds after 1970.
pub(crate) fn rfc3339_of_seconds(seconds: u64) -> String {
    rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// The seconds since 1970 at which a day such as `2027-01-01` begins; `None` if there is none, or it is
/// before.
pub(crate) fn seconds_of_date(text: &str) -> Option<u64> {
    let mut parts = text.split('-');
    let mut part = |digits: usize| {
        let part = parts.next().filter(|part| part.len() == digits)?;
        part.bytes().all(|digit| digit.is_ascii_digit()).then(|| part.parse::<u64>().ok())?
    };
    let (year, month, day) = (part(4)?, part(2)?, part(2)?);
    if parts.next().is_some() {
        return None;
    }
    // No date is further from the first of its year than this; what is not there is not found.
    let first = year.checked_sub(1970)? * 365;
    let leaps = (year - 1970) / 4 + 1;
    (first..first + leaps + 366)
        .find(|days| date(*days) == (year, month, day))
        .map(|days| days * DAY_SECONDS)
}

/// Year, month and day of so many days after 1970-01-01, as Howard Hinnant's `civil_from_days`
/// counts them (<https://howardhinnant.github.io/date_algorithms.html>): years begin in March, so
/// that the day that leap years add is the last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        // By `date -u -d @SECONDS`.
        let cases = [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000000Z"),
            (951_868_800, "2000-03-01T00:00:00.000000000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000000Z"),
        ];
        for (seconds, want) in cases {
            assert_eq!(rfc3339_of_seconds(seconds), want);
        }
        let days =
            ["1970-01-01", "1999-12-31", "2000-02-29", "2024-12-31", "2100-03-01", "9999-12-31"];
        for day in days {
            let seconds = seconds_of_date(day).unwrap();
            assert_eq!(rfc3339_of_seconds(seconds), format!("{day}T00:00:00.000000000Z"));
        }
        let none =
            ["1969-12-31", "2100-02-29", "2027-13-01", "2027-1-01", "2027-01-01Z", "+027-01-01"];
        for day in none {
            assert_eq!(seconds_of_date(day), None, "{day}");
        }
        let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(5);
        assert_eq!(rfc3339(time), "1970-01-01T00:00:00.000000005Z");
    }
}
