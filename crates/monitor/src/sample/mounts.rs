//! File systems that can become full.

use rushlight_host::probe::Absent;

use super::files::Files;
use super::rate::shown;
use super::{Filesystem, Sample};

/// File systems, at most.
const MOST: usize = 64;
/// Those that a disk of this machine holds: to ask others may wait for a network without end.
const LOCAL: [&str; 12] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "bcachefs", "overlay", "vfat", "jfs",
    "ubifs",
];

pub(super) fn read(files: &mut Files, sample: &mut Sample) {
    sample.filesystems.clear();
    // The kernel is asked about paths of this machine, not of a made-up tree.
    if !files.tree().is_this_machine() {
        return;
    }
    let text = match files.text("proc/self/mounts") {
        Ok(text) => text,
        Err(error) => {
            sample.lacks("filesystems", &Absent::from_io(&error));
            return;
        }
    };
    let mut devices: Vec<&str> = Vec::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let (Some(device), Some(path), Some(kind)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let is_one = LOCAL.contains(&kind) && (path == "/" || device.starts_with("/dev/"));
        // The same one may be mounted in many places.
        if !is_one || devices.contains(&device) || devices.len() >= MOST {
            continue;
        }
        let Ok(stat) = rustix::fs::statvfs(unescaped(path)) else { continue };
        devices.push(device);
        sample.filesystems.push(Filesystem {
            path: shown(&unescaped(path), 128),
            total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
            used_bytes: stat.f_blocks.saturating_sub(stat.f_bfree).saturating_mul(stat.f_frsize),
            free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        });
    }
}

/// A path as it was before white space in it became octal digits (proc_mounts(5), getmntent(3)).
fn unescaped(path: &str) -> String {
    [(r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", r"\")]
        .iter()
        .fold(path.to_owned(), |path, (escaped, plain)| path.replace(escaped, plain))
}
