//! The highest clocks of the processors: lowered for a while, and put back.
//!
//! The kernel lets root set them, below what the hardware allows, in
//! `sys/devices/system/cpu/cpufreq/policy*/scaling_max_freq` (Documentation/admin-guide/pm/cpufreq.rst).
//! What they were is written to a file first: where a process ends without putting them back, the next
//! one does.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::probe::{Absent, Reason, Tree, Unit};

const CPUFREQ: &str = "sys/devices/system/cpu/cpufreq";
/// Policies, at most.
const MOST: usize = 4096;

/// The highest clocks of the processors; dropping it puts them back.
#[derive(Debug)]
pub struct Clocks {
    tree: Tree,
    policies: Vec<Policy>,
    journal: PathBuf,
    /// Whether they are lower than they were.
    lowered: bool,
}

/// Processors that have one clock.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Policy {
    name: String,
    /// The lowest clock that may be set, in kHz.
    lowest: u64,
    /// The highest clock that was set when we came, in kHz.
    before: u64,
}

impl Clocks {
    /// The clocks of the machine that `tree` describes, put back first if the `journal` of a process
    /// that has ended says so.
    ///
    /// # Errors
    /// If the kernel shows no clocks, or does not let this user set them, or another process that runs
    /// has lowered them, or the journal cannot be written.
    pub fn open(tree: &Tree, journal: &Path) -> Result<Self, Absent> {
        recover(tree, journal)?;
        let mut policies = Vec::new();
        for name in tree.names(CPUFREQ).into_iter().filter(|n| n.starts_with("policy")).take(MOST) {
            let khz = |file| {
                let reading = tree.number::<u64>(format!("{CPUFREQ}/{name}/{file}"), Unit::Hertz);
                reading.value
            };
            let (lowest, before) = (khz("cpuinfo_min_freq")?, khz("scaling_max_freq")?);
            let policy = Policy { name, lowest, before };
            // That it may be written is known only by writing: what is there.
            write(tree, &policy.name, before)?;
            policies.push(policy);
        }
        if policies.is_empty() {
            let detail = format!("the kernel shows no clocks in `{CPUFREQ}`");
            return Err(Absent { reason: Reason::NotFound, detail });
        }
        Ok(Self { tree: tree.clone(), policies, journal: journal.to_owned(), lowered: false })
    }

    /// The lowest clock that may be set, as a share of what it was; of the policy that goes least low.
    pub fn lowest(&self) -> f64 {
        let shares = self.policies.iter().map(|p| p.lowest as f64 / p.before.max(1) as f64);
        shares.fold(0.0, f64::max).min(1.0)
    }

    /// Sets the highest clocks to a share of what they were.
    ///
    /// # Errors
    /// If the kernel does not take one, or the journal cannot be written.
    pub fn set(&mut self, share: f64) -> Result<(), Absent> {
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 1.0 };
        if share >= 1.0 {
            return self.restore();
        }
        if !self.lowered {
            note(&self.journal, &self.policies).map_err(|e| cannot(&self.journal, &e))?;
            self.lowered = true;
        }
        for policy in &self.policies {
            let khz = ((policy.before as f64 * share) as u64).max(policy.lowest).min(policy.before);
            // Who else sets clocks is not followed; what is as it should be is not written again.
            let path = format!("{CPUFREQ}/{}/scaling_max_freq", policy.name);
            if self.tree.number::<u64>(path, Unit::Hertz).value != Ok(khz) {
                write(&self.tree, &policy.name, khz)?;
            }
        }
        Ok(())
    }

    /// Puts the clocks back to what they were.
    ///
    /// # Errors
    /// If the kernel does not take one; the journal stays then.
    pub fn restore(&mut self) -> Result<(), Absent> {
        if !self.lowered {
            return Ok(());
        }
        let outcomes: Vec<_> =
            self.policies.iter().map(|p| write(&self.tree, &p.name, p.before)).collect();
        outcomes.into_iter().collect::<Result<(), Absent>>()?;
        self.lowered = false;
        // One that stays is put back to the same values.
        let _ = fs::remove_file(&self.journal);
        Ok(())
    }
}

impl Drop for Clocks {
    fn drop(&mut self) {
        // The journal stays if it fails.
        let _ = self.restore();
    }
}

/// Puts back what a process lowered that has ended without doing so.
fn recover(tree: &Tree, journal: &Path) -> Result<(), Absent> {
    let Ok(text) = fs::read_to_string(journal) else { return Ok(()) };
    let mut lines = text.lines();
    let process = lines.next().and_then(|line| line.strip_prefix("process "));
    let process = process.and_then(|id| id.parse::<u32>().ok());
    let lives = process.is_some_and(|id| id != std::process::id() && is_ours(id));
    if lives {
        let detail = format!("another process holds the clocks, as `{}` says", journal.display());
        return Err(Absent { reason: Reason::Permission, detail });
    }
    let mut outcome = Ok(());
    for line in lines {
        let parsed = line.split_once(' ').and_then(|(name, khz)| Some((name, khz.parse().ok()?)));
        // A name is no path.
        let Some((name, khz)) = parsed.filter(|(name, _)| {
            name.strip_prefix("policy").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
        }) else {
            continue;
        };
        // A processor may be off since; the others are put back all the same.
        match write(tree, name, khz) {
            Err(absent) if absent.reason != Reason::NotFound => outcome = outcome.and(Err(absent)),
            _ => {}
        }
    }
    outcome?;
    fs::remove_file(journal).map_err(|e| cannot(journal, &e))
}

/// Whether a process of our name runs with this number.
fn is_ours(id: u32) -> bool {
    let name = |id: &str| fs::read_to_string(format!("/proc/{id}/comm")).ok();
    name(&id.to_string()).is_some_and(|comm| Some(comm) == name("self"))
}

/// Writes what the clocks are, before they are others.
fn note(journal: &Path, policies: &[Policy]) -> std::io::Result<()> {
    let mut text = format!("process {}\n", std::process::id());
    for policy in policies {
        text += &format!("{} {}\n", policy.name, policy.before);
    }
    let mut file = fs::File::create(journal)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn write(tree: &Tree, policy: &str, khz: u64) -> Result<(), Absent> {
    let path = format!("{CPUFREQ}/{policy}/scaling_max_freq");
    // Nothing is made that is not there.
    let file = fs::OpenOptions::new().write(true).truncate(true).open(tree.path(&path));
    let written = file.and_then(|mut file| file.write_all(khz.to_string().as_bytes()));
    written.map_err(|e| cannot(Path::new(&path), &e))
}

fn cannot(path: &Path, error: &std::io::Error) -> Absent {
    let mut absent = Absent::from_io(error);
    absent.detail = format!("`{}` cannot be written: {}", path.display(), absent.detail);
    absent
}

#[cfg(test)]
mod tests {
    use rushlight_testkit::made_up::write_entries;

    use super::*;

    fn tree() -> (tempfile::TempDir, Tree, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        write_entries(
            "sys/devices/system/cpu/cpufreq/policy{0..1}/cpuinfo_min_freq = 600000\n\
             sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq = 2400000\n\
             sys/devices/system/cpu/cpufreq/policy1/scaling_max_freq = 1800000\n",
            dir.path(),
        );
        let tree = Tree::new(dir.path());
        let journal = dir.path().join("clocks");
        (dir, tree, journal)
    }

    fn clocks(tree: &Tree) -> [u64; 2] {
        [0, 1].map(|n| {
            let path = format!("{CPUFREQ}/policy{n}/scaling_max_freq");
            tree.number::<u64>(path, Unit::Hertz).value.unwrap()
        })
    }

    #[test]
    fn clocks_are_lowered_and_put_back() {
        let (_dir, tree, journal) = tree();
        let mut set = Clocks::open(&tree, &journal).unwrap();
        assert!((set.lowest() - 1.0 / 3.0).abs() < 1e-9);
        assert!(!journal.exists());
        set.set(0.5).unwrap();
        assert_eq!(clocks(&tree), [1_200_000, 900_000]);
        assert!(journal.exists());
        set.set(0.0).unwrap();
        assert_eq!(clocks(&tree), [600_000, 600_000]);
        set.set(1.0).unwrap();
        assert_eq!(clocks(&tree), [2_400_000, 1_800_000]);
        assert!(!journal.exists());
        set.set(0.75).unwrap();
        // Somebody else sets one: it is lowered again, and the other is not written.
        let path = |n| tree.path(format!("{CPUFREQ}/policy{n}/scaling_max_freq"));
        let written = |n| fs::metadata(path(n)).unwrap().modified().unwrap();
        let before = written(1);
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(path(0), "2400000").unwrap();
        set.set(0.75).unwrap();
        assert_eq!(clocks(&tree), [1_800_000, 1_350_000]);
        assert_eq!(written(1), before);
        drop(set);
        assert_eq!(clocks(&tree), [2_400_000, 1_800_000]);
        assert!(!journal.exists());
    }

    #[test]
    fn after_a_crash_the_next_process_puts_them_back() {
        let (_dir, tree, journal) = tree();
        let mut set = Clocks::open(&tree, &journal).unwrap();
        set.set(0.5).unwrap();
        std::mem::forget(set);
        // The process of the journal is gone.
        let text = fs::read_to_string(&journal).unwrap();
        let own = format!("process {}", std::process::id());
        fs::write(&journal, text.replace(&own, "process 4194305")).unwrap();
        let set = Clocks::open(&tree, &journal).unwrap();
        assert_eq!(clocks(&tree), [2_400_000, 1_800_000]);
        assert!(!journal.exists());
        drop(set);
        // A journal of nonsense writes nowhere.
        fs::write(&journal, "process x\npolicy/../../x 5\npolicy0\n\npolicy0 none\n").unwrap();
        Clocks::open(&tree, &journal).unwrap();
        assert_eq!(clocks(&tree), [2_400_000, 1_800_000]);
    }

    #[test]
    fn what_is_not_there_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let why = Clocks::open(&Tree::new(dir.path()), &dir.path().join("clocks")).unwrap_err();
        assert_eq!(why.reason, Reason::NotFound);
        let (_dir, tree, journal) = tree();
        fs::remove_file(tree.path(format!("{CPUFREQ}/policy1/scaling_max_freq"))).unwrap();
        assert_eq!(Clocks::open(&tree, &journal).unwrap_err().reason, Reason::NotFound);
    }
}
