//! Whether memory is short for this process, looked at from time to time.
//!
//! Four signs, any of which is enough:
//!
//! - the kernel says that everything waits for memory (PSI, `full avg10`);
//! - a group of this process went over its `memory.high`, where the kernel slows it down (`high` in
//!   `memory.events`, Documentation/admin-guide/cgroup-v2.rst);
//! - the room that the tightest group, or the machine, leaves this process is nearly gone. Pages of
//!   files do not count against it, but those that this process has mapped and uses do: it would
//!   read them again and again. The only sign on kernels without PSI, and of version 1 groups;
//! - this process has nearly all that it promised to take at most.
//!
//! Each sign has a bound at which memory becomes short and a farther one at which it is no more, so
//! that what is done about it does not flap.

use std::path::{Path, PathBuf};

use crate::{MemoryBudget, cgroup, memory, memory_pressure, resident};

/// Per cent of ten seconds in which everything waits for memory, from which on it is short.
const PRESSURE: f32 = 10.0;
/// The same, at which it still is where it was.
const PRESSURE_LEFT: f32 = 2.0;

/// Memory is short from this share on (one in so many) of a limit, and of what this process could still
/// have when it began: 9 MiB of 300. It is short no more at twice that, which is no more than the sixteenth
/// that [`MemoryBudget::promise_bytes`] leaves, so that what a plan takes does not count as short.
const SPARE: u64 = 32;
/// More than this need not be free of any limit, nor twice this to be out of it.
const SPARE_BYTES: u64 = 64 << 20;

/// Why memory is short.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Strain {
    /// Everything waits for memory in this share of the time, in per cent.
    Pressure(f32),
    /// A group went over its `memory.high` since the last look.
    High,
    /// So much is left.
    Low {
        /// Bytes.
        spare_bytes: u64,
        /// Of so many.
        limit_bytes: u64,
        /// The group whose limit it is; `None` for the machine.
        group: Option<PathBuf>,
    },
    /// This process has nearly all that it promised to take at most.
    Promise {
        /// Bytes that are left of it.
        spare_bytes: u64,
        /// The promise.
        limit_bytes: u64,
    },
}

impl std::fmt::Display for Strain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mib = |bytes: &u64| bytes >> 20;
        match self {
            Strain::Pressure(share) => {
                write!(f, "everything waits for memory {share:.0} % of the time")
            }
            Strain::High => f.write_str("a control group went over its `memory.high`"),
            Strain::Low { spare_bytes, limit_bytes, group } => {
                let (left, limit) = (mib(spare_bytes), mib(limit_bytes));
                match group {
                    None => write!(f, "{left} MiB are left of the machine's {limit}"),
                    Some(group) => {
                        write!(f, "{left} MiB are left of the {limit} of `{}`", group.display())
                    }
                }
            }
            Strain::Promise { spare_bytes, limit_bytes } => {
                let (left, limit) = (mib(spare_bytes), mib(limit_bytes));
                write!(f, "{left} MiB are left of the {limit} that were promised")
            }
        }
    }
}

/// Looks whether memory is short.
#[derive(Clone, Debug)]
pub struct MemoryWatch {
    root: PathBuf,
    promise_bytes: Option<u64>,
    /// What this process could still have when it began.
    room_bytes: u64,
    /// How often groups have gone over `memory.high`, as the last look found.
    high: u64,
    short: bool,
}

impl MemoryWatch {
    /// Of the machine and groups below `root` (`/`, or a made-up tree), and of what this process
    /// promised to take at most, if it did.
    pub fn new(root: &Path, promise_bytes: Option<u64>) -> Self {
        let high = highs(root);
        let room_bytes = memory(root).usable_bytes();
        Self { root: root.to_owned(), promise_bytes, room_bytes, high, short: false }
    }

    /// Why memory is short, if it is.
    pub fn look(&mut self) -> Option<Strain> {
        let high = highs(&self.root);
        let grew = high > std::mem::replace(&mut self.high, high);
        let pressure = if self.short { PRESSURE_LEFT } else { PRESSURE };
        let strain = memory_pressure(&self.root).filter(|share| *share >= pressure);
        let strain = strain.map(Strain::Pressure).or(grew.then_some(Strain::High));
        let strain = strain.or_else(|| self.room());
        self.short = strain.is_some();
        strain
    }

    /// The limit of which less is left than should be.
    fn room(&self) -> Option<Strain> {
        let own = resident(&self.root);
        let files = own.map_or(0, |own| own.file_bytes);
        let MemoryBudget { total_bytes, available_bytes, limits, .. } = memory(&self.root);
        if let (Some(own), Some(limit_bytes)) = (own, self.promise_bytes) {
            let spare_bytes = limit_bytes.saturating_sub(own.total_bytes);
            if self.is_little(spare_bytes, limit_bytes) {
                return Some(Strain::Promise { spare_bytes, limit_bytes });
            }
        }
        let groups = limits.iter().map(|limit| {
            (limit.left_bytes().saturating_sub(files), limit.limit_bytes, Some(&limit.group))
        });
        // Of a machine whose memory cannot be read nothing is known.
        let machine =
            (total_bytes > 0).then(|| (available_bytes.saturating_sub(files), total_bytes, None));
        let mut little =
            groups.chain(machine).filter(|(spare, limit, _)| self.is_little(*spare, *limit));
        little.next().map(|(spare_bytes, limit_bytes, group)| Strain::Low {
            spare_bytes,
            limit_bytes,
            group: group.cloned(),
        })
    }

    fn is_little(&self, spare_bytes: u64, limit_bytes: u64) -> bool {
        let bound = (limit_bytes.min(self.room_bytes) / SPARE).min(SPARE_BYTES);
        spare_bytes < if self.short { 2 * bound } else { bound }
    }
}

/// How often the groups of this process have gone over `memory.high`: those of their own limits, where
/// the kernel tells them apart (since Linux 5.2), else those of the innermost. What `memory.events` of an
/// outer one counts may be of neighbours.
fn highs(root: &Path) -> u64 {
    let groups = cgroup::groups(root, "memory").into_iter().filter(|groups| groups.unified);
    let count = |path: PathBuf| {
        let events = std::fs::read_to_string(path).ok()?;
        events.lines().find_map(|line| line.strip_prefix("high "))?.trim().parse::<u64>().ok()
    };
    let of = |(depth, group): (usize, PathBuf)| {
        let own = count(group.join("memory.events.local"));
        own.or_else(|| (depth == 0).then(|| count(group.join("memory.events"))).flatten())
    };
    let all = groups.flat_map(|groups| groups.directories.into_iter().enumerate());
    all.filter_map(of).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const MIB: u64 = 1 << 20;

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new() -> Self {
            let tree = Self(tempfile::tempdir().unwrap());
            tree.write("proc/meminfo", "MemTotal: 4096000 kB\nMemAvailable: 2048000 kB\n");
            tree.write("proc/self/cgroup", "0::/app\n");
            let mounts = "31 23 0:28 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n";
            tree.write("proc/self/mountinfo", mounts);
            tree.app("memory.max", &(300 * MIB).to_string());
            tree.usage(100);
            tree.own(150, 50);
            tree
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn app(&self, file: &str, text: &str) {
            self.write(&format!("sys/fs/cgroup/app/{file}"), text);
        }

        fn usage(&self, mib: u64) {
            self.app("memory.current", &(mib * MIB).to_string());
        }

        fn own(&self, total: u64, anonymous: u64) {
            let kib = [total, total, anonymous].map(|mib| mib << 10);
            let [rss, peak, anon] = kib;
            let text = format!("VmHWM: {peak} kB\nVmRSS: {rss} kB\nRssAnon: {anon} kB\n");
            self.write("proc/self/status", &text);
        }

        fn watch(&self, promise: Option<u64>) -> MemoryWatch {
            MemoryWatch::new(self.0.path(), promise.map(|mib| mib * MIB))
        }
    }

    #[test]
    fn the_tightest_group_is_short_when_little_is_left_beside_the_mapped_files() {
        let tree = Tree::new();
        let mut watch = tree.watch(None);
        // 300 - 100 - 100 of files.
        assert_eq!(watch.look(), None);
        tree.usage(194);
        let Some(Strain::Low { spare_bytes, limit_bytes, group }) = watch.look() else {
            panic!("6 MiB are little");
        };
        assert_eq!((spare_bytes, limit_bytes), (6 * MIB, 300 * MIB));
        assert!(group.unwrap().ends_with("sys/fs/cgroup/app"));
        // 12 were enough before, but not now.
        tree.usage(188);
        assert!(watch.look().is_some());
        tree.usage(181);
        assert_eq!(watch.look(), None);
        tree.usage(188);
        assert_eq!(watch.look(), None);
    }

    #[test]
    fn a_plan_that_takes_all_that_was_promised_is_not_short() {
        // Total and free memory of a machine, in MiB.
        for (total, free) in [(16384, 1024), (16384, 12000), (512, 400), (4096, 100)] {
            let tree = Tree::new();
            let machine = |free: u64| {
                let (total, free) = (total << 10, free << 10);
                let text = format!("MemTotal: {total} kB\nMemAvailable: {free} kB\n");
                tree.write("proc/meminfo", &text);
            };
            tree.app("memory.max", "max");
            tree.own(20, 10);
            machine(free);
            let promise = memory(tree.0.path()).promise_bytes(resident(tree.0.path()).as_ref());
            let mut watch = tree.watch(None);
            let taken = promise / MIB - 10;
            tree.own(taken + 10, taken + 10);
            machine(free - taken);
            assert_eq!(watch.look(), None, "{free} of {total}");
            // What others take makes it short, and when they give it back it is no more.
            machine(free.min(2048) / 64);
            assert!(watch.look().is_some(), "{free} of {total}");
            machine(free - taken);
            assert_eq!(watch.look(), None, "{free} of {total}");
        }
    }

    #[test]
    fn what_a_neighbour_does_to_an_outer_group_is_not_ours() {
        let tree = Tree::new();
        tree.write("sys/fs/cgroup/memory.events", "high 1\n");
        let mut watch = tree.watch(None);
        tree.write("sys/fs/cgroup/memory.events", "high 9\n");
        assert_eq!(watch.look(), None);
        tree.write("sys/fs/cgroup/memory.events.local", "high 3\n");
        assert_eq!(watch.look(), Some(Strain::High));
    }

    #[test]
    fn pressure_and_the_promise_have_two_bounds_too() {
        let tree = Tree::new();
        let psi = |full: &str| {
            tree.app("memory.pressure", &format!("full avg10={full} avg60=0 avg300=0 total=3\n"));
        };
        let mut watch = tree.watch(Some(160));
        let mut looks = [("9.9", false), ("10.0", true), ("3.0", true), ("1.0", false)].into_iter();
        assert!(looks.all(|(full, short)| {
            psi(full);
            watch.look().is_some() == short
        }));
        for (total, short) in [(154, false), (156, true), (151, true), (149, false)] {
            tree.own(total, 50);
            let found = watch.look();
            assert_eq!(matches!(found, Some(Strain::Promise { .. })), short, "{total}: {found:?}");
        }
    }

    #[test]
    fn a_group_that_goes_over_its_high_mark_is_short_until_it_does_no_more() {
        let tree = Tree::new();
        let high = |count: u64| tree.app("memory.events", &format!("low 0\nhigh {count}\nmax 0\n"));
        high(7);
        let mut watch = tree.watch(None);
        assert_eq!(watch.look(), None);
        high(8);
        assert_eq!(watch.look(), Some(Strain::High));
        assert_eq!(watch.look(), None);
    }

    #[test]
    fn nothing_is_known_of_an_empty_tree() {
        let mut watch = MemoryWatch::new(Path::new("/nonexistent"), Some(0));
        assert_eq!(watch.look(), None);
    }
}
