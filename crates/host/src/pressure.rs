//! How short of memory this process is, by the kernel's own measure.

mod alarm;

use std::path::{Path, PathBuf};

use crate::cgroup;
use crate::probe::read_text;

pub use alarm::PressureAlarm;

/// The share of the last ten seconds, in per cent, in which everything that could run waited for
/// memory (`full`, `avg10`; Documentation/accounting/psi.rst), of the machine below `root` or, if that
/// is more, of a control group of this process. `None` where the kernel does not measure it.
pub fn memory_pressure(root: &Path) -> Option<f32> {
    files(root).filter_map(|file| full(&read_text(&file)?)).max_by(f32::total_cmp)
}

/// Where the pressure is told.
fn files(root: &Path) -> impl Iterator<Item = PathBuf> {
    let groups = cgroup::groups(root, "memory").into_iter().filter(|groups| groups.unified);
    let groups = groups.flat_map(|groups| groups.directories);
    let files = groups.map(|group| group.join("memory.pressure"));
    files.chain([root.join("proc/pressure/memory")])
}

/// `full avg10=0.12 avg60=…`
fn full(text: &str) -> Option<f32> {
    let line = text.lines().find_map(|line| line.strip_prefix("full "))?;
    line.split(' ').find_map(|word| word.strip_prefix("avg10="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_greatest_of_the_machine_and_the_groups_counts() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(memory_pressure(dir.path()), None);
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let psi = |full: &str| {
            format!(
                "some avg10=90.00 avg60=1.00 avg300=1.00 total=5\n\
                 full avg10={full} avg60=7.00 avg300=1.00 total=3\n"
            )
        };
        write("proc/pressure/memory", &psi("2.50"));
        assert_eq!(memory_pressure(dir.path()), Some(2.5));
        write("proc/self/cgroup", "0::/app\n");
        write(
            "proc/self/mountinfo",
            "31 23 0:28 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n",
        );
        write("sys/fs/cgroup/app/memory.pressure", &psi("33.10"));
        assert_eq!(memory_pressure(dir.path()), Some(33.1));
        write("sys/fs/cgroup/app/memory.pressure", "what is this\n");
        assert_eq!(memory_pressure(dir.path()), Some(2.5));
    }
}
