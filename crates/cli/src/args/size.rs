//! Amounts of memory as people write them.

/// Parses `2GiB`, `1500MiB`, `1.5G`, `500M` or a plain number of MiB, to bytes. `K`, `M`, `G` and `T` are
/// 1024 of each other, with `iB` or without; with `B` alone (`500MB`) they are 1000 of each other.
pub(crate) fn memory(text: &str) -> Result<u64, String> {
    let wrong = || {
        format!(
            "`{text}` is no amount of memory, expected a number with a unit, such as `2GiB`, \
             `1500MiB`, `1.5G` or `500M`, or a plain number of MiB"
        )
    };
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start().to_ascii_lowercase();
    let power = |letter: &str| ["k", "m", "g", "t"].iter().position(|l| *l == letter);
    let unit_bytes = match unit.as_str() {
        "" => Some((1 << 20) as f64),
        "b" => Some(1.0),
        unit => match (unit.strip_suffix("ib"), unit.strip_suffix('b')) {
            (Some(letter), _) => power(letter).map(|p| 1024f64.powi(p as i32 + 1)),
            (None, Some(letter)) => power(letter).map(|p| 1000f64.powi(p as i32 + 1)),
            (None, None) => power(unit).map(|p| 1024f64.powi(p as i32 + 1)),
        },
    };
    let unit_bytes = unit_bytes.ok_or_else(wrong)?;
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let bytes = number * unit_bytes;
    // Above it is no amount that a machine has: 16 EiB would be one more than `u64` holds.
    if !bytes.is_finite() || bytes >= (1u64 << 60) as f64 {
        return Err(wrong());
    }
    Ok(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_with_units() {
        const MIB: u64 = 1 << 20;
        let good = [
            ("512", 512 * MIB),
            ("0", 0),
            ("2GiB", 2048 * MIB),
            ("2gib", 2048 * MIB),
            ("1500MiB", 1500 * MIB),
            ("1.5G", 1536 * MIB),
            ("500M", 500 * MIB),
            ("500MB", 500_000_000),
            ("3 GB", 3_000_000_000),
            ("64k", 1 << 16),
            ("1T", 1 << 40),
            ("4096B", 4096),
            ("0.5", MIB / 2),
        ];
        let wrong: Vec<_> = good.iter().filter(|(text, want)| memory(text) != Ok(*want)).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        for text in ["", "x", "G", "-1G", "1.2.3", "5X", "5iB", "5MM", "1e3", "99999999T", "nan"] {
            let said = memory(text).unwrap_err();
            assert!(said.contains("such as `2GiB`"), "{text}: {said}");
        }
    }
}
