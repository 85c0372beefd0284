//! What this process keeps in memory.

use std::fs;
use std::path::Path;

use crate::memory::kib_field;

/// The resident memory of this process, from `/proc/self/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resident {
    /// `VmRSS`: all pages in memory now.
    pub total_bytes: u64,
    /// `VmHWM`: the most that `total_bytes` has been.
    pub peak_bytes: u64,
    /// `RssAnon`: pages that belong to no file, thus need memory or swap.
    pub anonymous_bytes: u64,
    /// `RssFile` and `RssShmem`: pages of mapped files (weights), shared and reclaimable.
    pub file_bytes: u64,
}

/// Reads it below `root` (`/`, or a made-up tree); `None` if the file is not there.
pub fn resident(root: &Path) -> Option<Resident> {
    let status = fs::read_to_string(root.join("proc/self/status")).ok()?;
    let total_bytes = kib_field(&status, "VmRSS")?;
    let anonymous_bytes = kib_field(&status, "RssAnon").unwrap_or(0);
    Some(Resident {
        total_bytes,
        peak_bytes: kib_field(&status, "VmHWM")?,
        anonymous_bytes,
        file_bytes: total_bytes.saturating_sub(anonymous_bytes),
    })
}

/// The most memory this process has had resident; `None` without `/proc`.
pub fn peak_rss_bytes() -> Option<u64> {
    resident(Path::new("/")).map(|r| r.peak_bytes)
}

/// The memory this process has resident now; `None` without `/proc`.
pub fn resident_bytes() -> Option<u64> {
    resident(Path::new("/")).map(|r| r.total_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_fields() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("proc/self")).unwrap();
        let status = "VmHWM:\t  300 kB\nVmRSS:\t  200 kB\nRssAnon:\t  50 kB\nRssFile:\t 150 kB\n";
        fs::write(dir.path().join("proc/self/status"), status).unwrap();
        let r = resident(dir.path()).unwrap();
        assert_eq!(
            [r.total_bytes, r.peak_bytes, r.anonymous_bytes, r.file_bytes],
            [200, 300, 50, 150].map(|kib| kib * 1024)
        );
        assert_eq!(resident(Path::new("/nonexistent")), None);
    }

    #[test]
    fn memory_that_is_touched_is_resident() {
        let before = resident_bytes().unwrap();
        let block = vec![1u8; 64 << 20];
        let after = resident_bytes().unwrap();
        // Tests beside this one may have given some back.
        assert!(after >= before + (40 << 20), "{before} -> {after}");
        assert!(peak_rss_bytes().unwrap() >= after);
        assert_eq!(block[block.len() - 1], 1);
    }
}
