//! `cargo xtask sizes`: a file is one idea, which shows in its length.

use crate::sources::sources;
use anyhow::{Result, bail};

/// Lines without tests above which a file is two ideas.
const MOST: usize = 500;
/// Lines above which it is named.
const LONG: usize = 300;

#[derive(Debug, PartialEq)]
enum Size {
    Fine,
    Long,
    TooLong,
}

fn size(lines: usize) -> Size {
    if lines > MOST {
        Size::TooLong
    } else if lines > LONG {
        Size::Long
    } else {
        Size::Fine
    }
}

/// Fails when a file outside tests and benches is too long.
pub(crate) fn sizes() -> Result<()> {
    let mut too_long = 0;
    let sources = sources()?;
    for source in sources.iter().filter(|source| !source.is_beside()) {
        let lines = source.body().count();
        let path = source.path.display();
        match size(lines) {
            Size::Fine => {}
            Size::Long => eprintln!("  long: {path} has {lines} lines without tests"),
            Size::TooLong => {
                too_long += 1;
                eprintln!("  too long: {path} has {lines} lines without tests, {MOST} at most");
            }
        }
    }
    if too_long > 0 {
        bail!("{too_long} files are over {MOST} lines without tests: split them by idea");
    }
    eprintln!("  {} files, none over {MOST} lines without tests", sources.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{LONG, MOST, Size, size};

    #[test]
    fn limits_are_inclusive() {
        let found = [0, LONG, LONG + 1, MOST, MOST + 1].map(size);
        assert_eq!(found, [Size::Fine, Size::Fine, Size::Long, Size::Long, Size::TooLong]);
    }
}
