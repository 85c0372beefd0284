//! The time of day where the device stands.

#![expect(unsafe_code, reason = "the zone's rules are the C library's")]

/// Minutes after midnight, local time, as `TZ` or `/etc/localtime` has it; UTC where they cannot be
/// read.
pub fn local_minute() -> u16 {
    // SAFETY: with a null pointer `time` only returns the seconds.
    let now = unsafe { libc::time(std::ptr::null_mut()) };
    let mut parts = std::mem::MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are to values of this function; `localtime_r` keeps neither.
    let found = unsafe { libc::localtime_r(&raw const now, parts.as_mut_ptr()) };
    if found.is_null() {
        return u16::try_from(now.rem_euclid(86_400) / 60).unwrap_or(0);
    }
    // SAFETY: all of it is integers and a pointer, for which zeros are values, and the call wrote it.
    let parts = unsafe { parts.assume_init() };
    u16::try_from(parts.tm_hour * 60 + parts.tm_min).unwrap_or(0).min(24 * 60 - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_minute_of_a_day_near_what_date_says() {
        let out = std::process::Command::new("date").arg("+%H:%M").output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let (hours, minutes) = text.trim().split_once(':').unwrap();
        let told: u16 = hours.parse::<u16>().unwrap() * 60 + minutes.parse::<u16>().unwrap();
        let apart = (local_minute() + 1440 - told) % 1440;
        assert!(apart <= 1, "{told} {}", local_minute());
    }
}
