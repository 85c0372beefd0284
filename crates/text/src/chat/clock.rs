//! `strftime_now`: the date for templates that tell it to the model.

use std::fmt::Write as _;

use minijinja::{Error, ErrorKind};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Formats seconds since 1970 (UTC) by the conversions that templates use.
pub(super) fn format(seconds: u64, format: &str) -> Result<String, Error> {
    let days = seconds / 86_400;
    let (year, month, day) = date(days);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let month_name = MONTHS.get(month as usize - 1).copied().unwrap_or_default();
    // 1970-01-01 was a Thursday.
    let day_name = DAYS.get(((days + 4) % 7) as usize).copied().unwrap_or_default();
    let short = |name: &'static str| name.get(..3).unwrap_or(name);

    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(char) = chars.next() {
        if char != '%' {
            out.push(char);
            continue;
        }
        let written = match chars.next() {
            Some('Y') => write!(out, "{year}"),
            Some('y') => write!(out, "{:02}", year % 100),
            Some('m') => write!(out, "{month:02}"),
            Some('d') => write!(out, "{day:02}"),
            Some('e') => write!(out, "{day:2}"),
            Some('B') => write!(out, "{month_name}"),
            Some('b') => write!(out, "{}", short(month_name)),
            Some('A') => write!(out, "{day_name}"),
            Some('a') => write!(out, "{}", short(day_name)),
            Some('H') => write!(out, "{hour:02}"),
            Some('I') => write!(out, "{:02}", (hour + 11) % 12 + 1),
            Some('p') => write!(out, "{}", if hour < 12 { "AM" } else { "PM" }),
            Some('M') => write!(out, "{minute:02}"),
            Some('S') => write!(out, "{second:02}"),
            Some('F') => write!(out, "{year}-{month:02}-{day:02}"),
            Some('T') => write!(out, "{hour:02}:{minute:02}:{second:02}"),
            Some('Z') => write!(out, "UTC"),
            Some('z') => write!(out, "+0000"),
            Some('%') => write!(out, "%"),
            other => {
                let other = other.map(String::from).unwrap_or_default();
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    format!("strftime_now does not know `%{other}`"),
                ));
            }
        };
        written.expect("writing to a string does not fail");
    }
    Ok(out)
}

/// Year, month (1 to 12) and day (1 to 31) of the day with this number since 1970-01-01.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_as_the_date_command_tells_them() {
        // date -u -d @SECONDS '+%Y-%m-%d %H:%M:%S %A %B %e %I%p'
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00 Thursday January  1 12AM"),
            (951_782_400, "2000-02-29 00:00:00 Tuesday February 29 12AM"),
            (1_732_375_999, "2024-11-23 15:33:19 Saturday November 23 03PM"),
            (4_107_542_399, "2100-02-28 23:59:59 Sunday February 28 11PM"),
            (4_107_542_400, "2100-03-01 00:00:00 Monday March  1 12AM"),
        ] {
            let got = format(seconds, "%Y-%m-%d %H:%M:%S %A %B %e %I%p").unwrap();
            assert_eq!(got, expected, "{seconds}");
        }
        assert_eq!(format(0, "%d %b %y %a 100%%").unwrap(), "01 Jan 70 Thu 100%");
        assert!(format(0, "%Q").is_err());
        assert!(format(0, "%").is_err());
    }
}
