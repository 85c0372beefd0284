//! The kernel's lists of processors: `0-3,8,10-11`.

/// Processors, at most: the kernel's `NR_CPUS` is at most 8192 and its usual value 512.
const MOST: usize = 4096;

/// Parses a list; `None` if it is not one. A lying file cannot make it long.
pub(crate) fn parse(text: &str) -> Option<Vec<usize>> {
    let mut listed = vec![false; MOST];
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last {
            return None;
        }
        listed.get_mut(first..=last)?.fill(true);
    }
    Some((0..MOST).filter(|&cpu| listed[cpu]).collect())
}

/// Writes ascending processors as a list.
pub(crate) fn show(cpus: &[usize]) -> String {
    let runs = cpus.chunk_by(|a, b| a + 1 == *b);
    let run = |run: &[usize]| match run {
        [] => String::new(),
        [only] => only.to_string(),
        [first, .., last] => format!("{first}-{last}"),
    };
    runs.map(run).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::{parse, show};

    #[test]
    fn lists() {
        for (text, expected) in [
            ("0\n", Some(vec![0])),
            ("0-3,8,10-11\n", Some(vec![0, 1, 2, 3, 8, 10, 11])),
            ("", Some(vec![])),
            ("3-1", None),
            ("0-99999999999", None),
            ("0-9999999", None),
            ("x", None),
            ("4095,4095,0-1,1-2", Some(vec![0, 1, 2, 4095])),
            ("4096", None),
        ] {
            assert_eq!(parse(text), expected, "{text:?}");
        }
        assert_eq!(show(&[0, 1, 2, 3, 8, 10, 11]), "0-3,8,10-11");
        assert_eq!(show(&[]), "");
    }
}
