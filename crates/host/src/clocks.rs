//! The highest clocks of the processors: lowered for a while, and put back.
//!
//! The kernel lets root set them, below what the hardware allows, in
//! `sys/devices/system/cpu/cpufreq/policy*/scaling_max_freq` (Documentation/admin-guide/pm/cpufreq.rst).
//! Where it shows no clocks, as to guests and to some drivers, it may still bound the power of whole
//! processors, which lower their clocks by themselves then (Documentation/power/powercap/powercap.rst).
//! What they were is written to a file first: where a process ends without putting them back, the next
//! one does.

mod journal;
mod knob;
mod power;

use std::fs;
use std::path::{Path, PathBuf};

use crate::probe::{Absent, Reason, Tree};
use knob::{Kind, Knob, cannot};
use power::Draw;

/// The highest clocks of the processors; dropping it puts them back.
#[derive(Debug)]
pub struct Clocks {
    tree: Tree,
    /// What the clocks are set by: all of a kind.
    clocks: Vec<Knob>,
    /// Limits of power, where they are not what the clocks are set by.
    powers: Vec<Knob>,
    /// What processors draw, where limits of power are what the clocks are set by.
    draws: Vec<Draw>,
    /// Processors whose power may be bounded.
    zones: usize,
    journal: PathBuf,
    /// The share that is set.
    share: f64,
    /// Watts that all processors together may draw, beside that.
    watts: Option<f64>,
    /// Whether anything is lower than it was.
    lowered: bool,
}

impl Clocks {
    /// The clocks of the machine that `tree` describes, put back first if the `journal` of a process
    /// that has ended says so.
    ///
    /// # Errors
    /// If the kernel shows neither clocks nor limits of power, or does not let this user set them, or
    /// another process that runs has lowered them, or the journal cannot be written.
    pub fn open(tree: &Tree, journal: &Path) -> Result<Self, Absent> {
        journal::recover(tree, journal)?;
        // Beside clocks they are welcome, not needed.
        let powers = Knob::powers(tree);
        let (clocks, powers) = match Knob::clocks(tree) {
            Ok(clocks) => (clocks, powers.unwrap_or_default()),
            Err(absent) if absent.reason == Reason::NotFound => {
                let powers = powers?;
                if !powers.iter().any(|knob| power::is_counted(tree, knob.zone())) {
                    let detail = format!("{}, nor limits of power", absent.detail);
                    return Err(Absent { detail, ..absent });
                }
                (powers, Vec::new())
            }
            Err(absent) => return Err(absent),
        };
        let all = clocks.iter().chain(&powers).filter(|knob| knob.kind == Kind::Power);
        let mut zones: Vec<&str> = all.map(Knob::zone).collect();
        zones.dedup();
        let is_power = clocks.iter().all(|knob| knob.kind == Kind::Power);
        let draws = zones.iter().filter(|_| is_power).map(|zone| Draw::new(zone)).collect();
        let (zones, tree, journal) = (zones.len(), tree.clone(), journal.to_owned());
        let (share, watts, lowered) = (1.0, None, false);
        Ok(Self { tree, clocks, powers, draws, zones, journal, share, watts, lowered })
    }

    /// Whether they are set by bounding the power of processors, which is coarser.
    pub fn are_of_power(&self) -> bool {
        !self.draws.is_empty()
    }

    /// Whether the kernel can hold processors to watts.
    pub fn bound_power(&self) -> bool {
        self.are_of_power() || !self.powers.is_empty()
    }

    /// The lowest clock that may be set, as a share of what it was; of the policy that goes least low.
    pub fn lowest(&self) -> f64 {
        let clocks = self.clocks.iter().filter(|knob| knob.kind == Kind::Clock);
        let shares = clocks.map(|knob| knob.lowest as f64 / knob.before.max(1) as f64);
        shares.fold(0.0, f64::max).min(1.0)
    }

    /// Sets the highest clocks to a share of what they were.
    ///
    /// # Errors
    /// If the kernel does not take one, or the journal cannot be written.
    pub fn set(&mut self, share: f64) -> Result<(), Absent> {
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 1.0 };
        let is_full = self.share >= 1.0;
        self.draws.iter_mut().for_each(|draw| draw.look(&self.tree, is_full));
        if share != self.share {
            self.draws.iter_mut().for_each(Draw::forget);
        }
        self.share = share;
        self.apply()
    }

    /// Has the kernel hold all processors together to so many watts too, each to the same part of them;
    /// `None` to what they were. It does so within moments, where who looks once a second comes late.
    /// Without limits of power it does nothing.
    ///
    /// # Errors
    /// If the kernel does not take one, or the journal cannot be written.
    pub fn hold(&mut self, watts: Option<f64>) -> Result<(), Absent> {
        self.watts = watts.filter(|watts| watts.is_finite() && self.bound_power());
        self.apply()
    }

    fn apply(&mut self) -> Result<(), Absent> {
        if self.share >= 1.0 && self.watts.is_none() {
            return self.restore();
        }
        if !self.lowered {
            let all = self.clocks.iter().chain(&self.powers);
            journal::note(&self.journal, all).map_err(|e| cannot(&self.journal, &e))?;
            self.lowered = true;
        }
        for knob in self.clocks.iter().chain(&self.powers) {
            knob.set(&self.tree, self.value(knob))?;
        }
        Ok(())
    }

    /// What a knob is to be at.
    fn value(&self, knob: &Knob) -> u64 {
        if knob.kind == Kind::Clock {
            return (knob.before as f64 * self.share) as u64;
        }
        let part = |watts: f64| (watts.max(0.0) / self.zones.max(1) as f64 * 1e6) as u64;
        let held = self.watts.map_or(knob.before, part);
        // Before anything was seen the share is of what the processor may draw.
        let of_limit = (knob.before as f64 * self.share) as u64;
        let draw = self.draws.iter().find(|draw| draw.zone() == knob.zone());
        let lowered = draw.filter(|_| self.share < 1.0);
        lowered.map_or(knob.before, |draw| draw.at(self.share).unwrap_or(of_limit)).min(held)
    }

    /// Puts all back to what it was.
    ///
    /// # Errors
    /// If the kernel does not take one; the journal stays then.
    pub fn restore(&mut self) -> Result<(), Absent> {
        if !self.lowered {
            return Ok(());
        }
        let knobs = self.clocks.iter().chain(&self.powers);
        let outcomes: Vec<_> = knobs.map(|knob| knob.restore(&self.tree)).collect();
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

#[cfg(test)]
mod tests {
    use rushlight_testkit::made_up::write_entries;

    use super::*;
    use crate::probe::Unit;

    const CPUFREQ: &str = "sys/devices/system/cpu/cpufreq";
    const POWERCAP: &str = "sys/class/powercap";

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

    /// A processor of two limits and a counter, a part of it, one that is switched off, and one whose zone
    /// has no limits, as AMD's.
    const ZONES: &str = "\
        sys/class/powercap/intel-rapl:0/name = package-0\n\
        sys/class/powercap/intel-rapl:0/enabled = 1\n\
        sys/class/powercap/intel-rapl:0/energy_uj = 1000000\n\
        sys/class/powercap/intel-rapl:0/constraint_0_name = long_term\n\
        sys/class/powercap/intel-rapl:0/constraint_0_power_limit_uw = 28000000\n\
        sys/class/powercap/intel-rapl:0/constraint_1_name = short_term\n\
        sys/class/powercap/intel-rapl:0/constraint_1_power_limit_uw = 64000000\n\
        sys/class/powercap/intel-rapl:0/constraint_2_name = peak_power\n\
        sys/class/powercap/intel-rapl:0/constraint_2_power_limit_uw = 121000000\n\
        sys/class/powercap/intel-rapl:0:0/name = core\n\
        sys/class/powercap/intel-rapl:0:0/constraint_0_name = long_term\n\
        sys/class/powercap/intel-rapl:0:0/constraint_0_power_limit_uw = 1000000\n\
        sys/class/powercap/intel-rapl:1/name = package-1\n\
        sys/class/powercap/intel-rapl:1/enabled = 0\n\
        sys/class/powercap/intel-rapl:1/constraint_0_name = long_term\n\
        sys/class/powercap/intel-rapl:1/constraint_0_power_limit_uw = 28000000\n\
        sys/class/powercap/intel-rapl:2/name = package-2\n\
        sys/class/powercap/intel-rapl:2/energy_uj = 1\n";

    /// The limits of the processor's, and that of its part and of the one that is off, which stay.
    fn limits(tree: &Tree) -> [u64; 3] {
        let uw = |zone: &str, at| {
            let path = format!("{POWERCAP}/{zone}/constraint_{at}_power_limit_uw");
            tree.number::<u64>(path, Unit::Watts).value.unwrap()
        };
        assert_eq!((uw("intel-rapl:0:0", 0), uw("intel-rapl:1", 0)), (1_000_000, 28_000_000));
        [0, 1, 2].map(|at| uw("intel-rapl:0", at))
    }

    const FULL: [u64; 3] = [28_000_000, 64_000_000, 121_000_000];

    #[test]
    fn watts_are_held_beside_clocks() {
        let (dir, tree, journal) = tree();
        write_entries(ZONES, dir.path());
        let mut set = Clocks::open(&tree, &journal).unwrap();
        assert!(set.bound_power() && !set.are_of_power());
        set.set(0.5).unwrap();
        assert_eq!((clocks(&tree), limits(&tree)), ([1_200_000, 900_000], FULL));
        set.hold(Some(15.0)).unwrap();
        assert_eq!(limits(&tree), [15_000_000, 15_000_000, 121_000_000]);
        // What the processor made of it is near enough.
        let path = tree.path(format!("{POWERCAP}/intel-rapl:0/constraint_0_power_limit_uw"));
        fs::write(&path, "14875000").unwrap();
        set.hold(Some(15.0)).unwrap();
        assert_eq!(limits(&tree)[0], 14_875_000);
        // No higher than it was, and no lower than a tenth.
        set.hold(Some(40.0)).unwrap();
        assert_eq!(limits(&tree), [28_000_000, 40_000_000, 121_000_000]);
        set.hold(Some(0.5)).unwrap();
        assert_eq!(limits(&tree), [2_800_000, 2_800_000, 121_000_000]);
        set.hold(None).unwrap();
        assert_eq!((clocks(&tree), limits(&tree)), ([1_200_000, 900_000], FULL));
        set.set(1.0).unwrap();
        assert!(!journal.exists());
        set.hold(Some(15.0)).unwrap();
        assert_eq!(clocks(&tree), [2_400_000, 1_800_000]);
        std::mem::forget(set);
        let text = fs::read_to_string(&journal).unwrap();
        let own = format!("process {}", std::process::id());
        fs::write(&journal, text.replace(&own, "process 4194305")).unwrap();
        drop(Clocks::open(&tree, &journal).unwrap());
        assert_eq!((limits(&tree), journal.exists()), (FULL, false));
    }

    #[test]
    fn without_clocks_the_power_is_lowered() {
        let dir = tempfile::tempdir().unwrap();
        write_entries(ZONES, dir.path());
        let (tree, journal) = (Tree::new(dir.path()), dir.path().join("clocks"));
        let mut set = Clocks::open(&tree, &journal).unwrap();
        assert!(set.are_of_power());
        assert_eq!(set.lowest(), 0.0);
        // Nothing is known of what it draws.
        set.set(0.5).unwrap();
        assert_eq!(limits(&tree), [14_000_000, 32_000_000, 121_000_000]);
        set.set(1.0).unwrap();
        assert_eq!((limits(&tree), journal.exists()), (FULL, false));
        // At rest, and then at work: 10 J in half a second and a bit.
        let mut counter = 1_000_000;
        for joules in [0, 0, 10] {
            counter += joules * 1_000_000;
            let path = tree.path(format!("{POWERCAP}/intel-rapl:0/energy_uj"));
            fs::write(path, counter.to_string()).unwrap();
            set.set(1.0).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(520));
        }
        set.set(0.5).unwrap();
        let [long, short, _] = limits(&tree);
        // Less than a third of some 19 W: the voltage falls too.
        assert!(long == short && (3_000_000..6_000_000).contains(&long), "{long} {short}");
        set.hold(Some(3.0)).unwrap();
        assert_eq!(limits(&tree)[0], 3_000_000);
        drop(set);
        assert_eq!(limits(&tree), FULL);
        // A journal of nonsense writes nowhere.
        let nonsense =
            "process 4194305\nintel-rapl:0:0/0 5\nintel-rapl:0/../x 5\nintel-rapl:/0 5\n";
        fs::write(&journal, nonsense).unwrap();
        drop(Clocks::open(&tree, &journal).unwrap());
        assert_eq!(limits(&tree), FULL);
    }
}
