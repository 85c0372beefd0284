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

use std::path::Path;
use std::time::Instant;

use crate::probe::{Absent, Reason, Tree};
use journal::Journal;
use knob::{Kind, Knob};
use power::Draw;

/// The highest clocks of the processors; dropping it puts them back.
#[derive(Debug)]
pub struct Clocks {
    tree: Tree,
    /// What the clocks are set by, all of a kind; and limits of power, where these are not what they are
    /// set by.
    knobs: Vec<Knob>,
    /// What processors draw, where limits of power are what the clocks are set by.
    draws: Vec<Draw>,
    journal: Journal,
    /// The share that is set.
    share: f64,
    /// Watts that a processor may draw beside that.
    watts: Option<f64>,
}

impl Clocks {
    /// The clocks of the machine that `tree` describes, put back first if the `journal` of a process
    /// that has ended says so.
    ///
    /// # Errors
    /// If the kernel shows neither clocks nor limits of power, or does not let this user set them, or
    /// another process that runs has them, or the journal cannot be written.
    pub fn open(tree: &Tree, journal: &Path) -> Result<Self, Absent> {
        let journal = Journal::open(tree, journal)?;
        let powers = Knob::powers(tree);
        let (knobs, draws) = match Knob::clocks(tree) {
            // Beside clocks limits of power are welcome, not needed.
            Ok(clocks) => (clocks.into_iter().chain(powers.unwrap_or_default()).collect(), vec![]),
            Err(absent) if absent.reason == Reason::NotFound => {
                let powers = powers?;
                let draws = draws(tree, &powers);
                if draws.is_empty() {
                    let detail = format!("{}, nor limits of power", absent.detail);
                    return Err(Absent { detail, ..absent });
                }
                (powers, draws)
            }
            Err(absent) => return Err(absent),
        };
        Ok(Self { tree: tree.clone(), knobs, draws, journal, share: 1.0, watts: None })
    }

    /// Puts back what a process lowered that has ended without doing so, as the `journal` says.
    ///
    /// # Errors
    /// If the kernel does not take one; the others are put back all the same. That a process which runs
    /// has lowered them is none.
    pub fn recover(tree: &Tree, journal: &Path) -> Result<(), Absent> {
        if !journal.exists() || Journal::is_held(journal) {
            return Ok(());
        }
        Journal::open(tree, journal)?.trouble.map_or(Ok(()), Err)
    }

    /// Whether they are set by bounding the power of processors, which is coarser.
    pub fn are_of_power(&self) -> bool {
        !self.draws.is_empty()
    }

    /// Whether the kernel can hold processors to watts.
    pub fn bound_power(&self) -> bool {
        self.knobs.iter().any(|knob| knob.kind == Kind::Power)
    }

    /// The lowest clock that may be set, as a share of what it was; of the policy that goes least low.
    pub fn lowest(&self) -> f64 {
        let clocks = self.knobs.iter().filter(|knob| knob.kind == Kind::Clock);
        let shares = clocks.map(|knob| knob.lowest as f64 / knob.before.max(1) as f64);
        shares.fold(0.0, f64::max).min(1.0)
    }

    /// Looks at what processors draw, where that is needed to know which power is which clock. `is_busy` if
    /// they have worked all the time since the last look.
    pub fn look(&mut self, now: Instant, is_busy: bool) {
        let is_full = is_busy && self.share >= 1.0 && self.watts.is_none();
        self.draws.iter_mut().for_each(|draw| draw.look(&self.tree, now, is_full));
    }

    /// Sets the highest clocks to a share of what they were, and has the kernel hold each processor to so
    /// many `watts` beside: it does so sooner than who looks once a second. Without limits of power these
    /// do nothing. What others have set lower stays.
    ///
    /// # Errors
    /// If the kernel does not take one; the others are set all the same. If the journal cannot be written;
    /// then none is set.
    pub fn set(&mut self, share: f64, watts: Option<f64>) -> Result<(), Absent> {
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 1.0 };
        let watts = watts.filter(|watts| watts.is_finite() && self.bound_power());
        if (share, watts) != (self.share, self.watts) {
            self.draws.iter_mut().for_each(Draw::forget);
        }
        (self.share, self.watts) = (share, watts);
        if share < 1.0 || watts.is_some() {
            self.knobs.iter_mut().for_each(|knob| knob.refresh(&self.tree));
        }
        let values: Vec<u64> = self.knobs.iter().map(|knob| self.value(knob)).collect();
        self.note(&values)?;
        let set = |(knob, value): (&mut Knob, u64)| knob.set(&self.tree, value);
        let outcomes: Vec<_> = self.knobs.iter_mut().zip(values).map(set).collect();
        self.settle(outcomes)
    }

    /// Notes what is to be lowered to these values, if it is not noted yet.
    fn note(&mut self, values: &[u64]) -> Result<(), Absent> {
        let lowers = |(knob, value): (&Knob, &u64)| knob.is_noted || knob.lowers(*value);
        let noted: Vec<bool> = self.knobs.iter().zip(values).map(lowers).collect();
        if self.knobs.iter().map(|knob| knob.is_noted).eq(noted.iter().copied()) {
            return Ok(());
        }
        let all = self.knobs.iter().zip(&noted).filter(|(_, is_noted)| **is_noted);
        self.journal.note(&all.map(|(knob, _)| knob).collect::<Vec<_>>())?;
        self.knobs.iter_mut().zip(noted).for_each(|(knob, is_noted)| knob.is_noted = is_noted);
        Ok(())
    }

    /// Puts all back to what it was.
    ///
    /// # Errors
    /// If the kernel does not take one; the journal stays then.
    pub fn restore(&mut self) -> Result<(), Absent> {
        (self.share, self.watts) = (1.0, None);
        let outcomes = self.knobs.iter_mut().map(|knob| knob.restore(&self.tree)).collect();
        self.settle(outcomes)
    }

    /// Takes the journal away once nothing is lowered; the first of the failures.
    fn settle(&mut self, outcomes: Vec<Result<(), Absent>>) -> Result<(), Absent> {
        outcomes.into_iter().collect::<Result<(), Absent>>()?;
        let is_lowered = self.share < 1.0 || self.watts.is_some();
        if !is_lowered && self.knobs.iter().any(|knob| knob.is_noted) {
            self.knobs.iter_mut().for_each(|knob| knob.is_noted = false);
            self.journal.clear();
        }
        Ok(())
    }

    /// What a knob is to be at.
    fn value(&self, knob: &Knob) -> u64 {
        if knob.kind == Kind::Clock {
            return (knob.before as f64 * self.share) as u64;
        }
        let held = self.watts.map_or(knob.before, |watts| (watts.max(0.0) * 1e6) as u64);
        let draw = self.draws.iter().find(|draw| draw.zone() == knob.zone());
        let lowered = draw.filter(|_| self.share < 1.0).map(|draw| draw.at(self.share));
        lowered.unwrap_or(knob.before).min(held)
    }
}

impl Drop for Clocks {
    fn drop(&mut self) {
        // The journal stays if it fails.
        let _ = self.restore();
    }
}

/// What processors draw whose power may be bounded and is counted.
fn draws(tree: &Tree, powers: &[Knob]) -> Vec<Draw> {
    let mut draws: Vec<Draw> = Vec::new();
    for knob in powers.iter().filter(|knob| power::is_counted(tree, knob.zone())) {
        // The limit for long comes first, and is the lower one.
        if draws.iter().all(|draw| draw.zone() != knob.zone()) {
            draws.push(Draw::new(knob.zone(), knob.before as f64 / 1e6));
        }
    }
    draws
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::PathBuf;
    use std::time::Duration;

    use rushlight_testkit::made_up::write_entries;

    use super::*;
    use crate::probe::Unit;
    use crate::probe::power::POWERCAP;

    const CPUFREQ: &str = "sys/devices/system/cpu/cpufreq";

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

    /// The process ends without putting anything back.
    fn crash(mut clocks: Clocks) {
        clocks.journal._lock = File::open("/dev/null").unwrap();
        std::mem::forget(clocks);
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
        set.set(0.5, None).unwrap();
        assert_eq!(clocks(&tree), [1_200_000, 900_000]);
        assert!(journal.exists());
        set.set(0.0, None).unwrap();
        assert_eq!(clocks(&tree), [600_000, 600_000]);
        set.set(1.0, None).unwrap();
        assert_eq!(clocks(&tree), [2_400_000, 1_800_000]);
        assert!(!journal.exists());
        set.set(0.75, None).unwrap();
        // Somebody else sets one: it is lowered again, and the other is not written.
        let path = |n| tree.path(format!("{CPUFREQ}/policy{n}/scaling_max_freq"));
        let written = |n| fs::metadata(path(n)).unwrap().modified().unwrap();
        let before = written(1);
        std::thread::sleep(Duration::from_millis(20));
        fs::write(path(0), "2400000").unwrap();
        set.set(0.75, None).unwrap();
        assert_eq!(clocks(&tree), [1_800_000, 1_350_000]);
        assert_eq!(written(1), before);
        drop(set);
        assert_eq!(clocks(&tree), [2_400_000, 1_800_000]);
        assert!(!journal.exists());
    }

    #[test]
    fn without_a_journal_nothing_is_lowered() {
        let (dir, tree, _) = tree();
        let folder = dir.path().join("run");
        fs::create_dir(&folder).unwrap();
        let mut set = Clocks::open(&tree, &folder.join("clocks")).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        // Neither the first time nor again.
        for _ in 0..2 {
            assert!(set.set(0.5, None).is_err());
            assert_eq!(clocks(&tree), [2_400_000, 1_800_000]);
        }
        fs::create_dir(&folder).unwrap();
        set.set(0.5, None).unwrap();
        assert_eq!(clocks(&tree), [1_200_000, 900_000]);
        // What was raised meanwhile is noted as it is before it is lowered.
        set.set(1.0, None).unwrap();
        let path = tree.path(format!("{CPUFREQ}/policy0/scaling_max_freq"));
        fs::write(path, "3000000").unwrap();
        set.set(0.5, None).unwrap();
        assert_eq!(clocks(&tree)[0], 1_500_000);
        let noted = fs::read_to_string(folder.join("clocks")).unwrap();
        assert!(noted.contains("policy0 3000000\n"), "{noted}");
    }

    #[test]
    fn after_a_crash_the_next_process_puts_them_back() {
        let (_dir, tree, journal) = tree();
        let mut set = Clocks::open(&tree, &journal).unwrap();
        set.set(0.5, None).unwrap();
        // While it runs nobody else has them.
        let why = Clocks::open(&tree, &journal).unwrap_err();
        assert!(why.detail.contains(&format!("process {}", std::process::id())), "{why:?}");
        Clocks::recover(&tree, &journal).unwrap();
        assert_eq!(clocks(&tree), [1_200_000, 900_000]);
        crash(set);
        Clocks::recover(&tree, &journal).unwrap();
        assert_eq!((clocks(&tree), journal.exists()), ([2_400_000, 1_800_000], false));
        let mut set = Clocks::open(&tree, &journal).unwrap();
        set.set(0.5, None).unwrap();
        crash(set);
        let set = Clocks::open(&tree, &journal).unwrap();
        assert_eq!(clocks(&tree), [2_400_000, 1_800_000]);
        assert!(!journal.exists());
        drop(set);
        // A journal of nonsense writes nowhere.
        fs::write(&journal, "process x\npolicy/../../x 5\npolicy0\n\npolicy0 none\n").unwrap();
        Clocks::open(&tree, &journal).unwrap();
        assert_eq!(clocks(&tree), [2_400_000, 1_800_000]);
    }

    /// What a kernel shows of a clock after somebody wrote it: the highest that there is below, and that of
    /// the cooling.
    fn made_by_the_kernel(tree: &Tree, cooling: u64) {
        let path = tree.path(format!("{CPUFREQ}/policy0/scaling_max_freq"));
        let written: u64 = fs::read_to_string(&path).unwrap().trim().parse().unwrap();
        let made = (written / 250_000 * 250_000).min(cooling);
        fs::write(&path, made.to_string()).unwrap();
    }

    #[test]
    fn a_clock_that_the_kernel_made_lower_is_put_back() {
        let (_dir, tree, journal) = tree();
        let mut set = Clocks::open(&tree, &journal).unwrap();
        for cooling in [u64::MAX, 500_000] {
            set.set(0.9, None).unwrap();
            made_by_the_kernel(&tree, cooling);
            // It is not written again and again, and a higher one is.
            set.set(0.8, None).unwrap();
            made_by_the_kernel(&tree, cooling);
            let made = clocks(&tree)[0];
            assert_eq!(made, 1_750_000.min(cooling));
            set.set(0.9, None).unwrap();
            assert_eq!(clocks(&tree)[0], 2_160_000);
            made_by_the_kernel(&tree, cooling);
            set.set(1.0, None).unwrap();
            assert_eq!((clocks(&tree), journal.exists()), ([2_400_000, 1_800_000], false));
        }
        drop(set);
        // While the kernel cools, what it shows is not what was set.
        let thermal = "sys/class/thermal/cooling_device0/type = cpufreq-cpu0\n\
                       sys/class/thermal/cooling_device0/cur_state = 3\n\
                       sys/devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq = 2400000\n";
        write_entries(thermal, tree.root());
        made_by_the_kernel(&tree, 1_500_000);
        let mut set = Clocks::open(&tree, &journal).unwrap();
        assert_eq!(clocks(&tree)[0], 1_500_000, "nothing is written to look");
        set.set(0.5, None).unwrap();
        assert_eq!(clocks(&tree)[0], 1_200_000);
        drop(set);
        assert_eq!(clocks(&tree)[0], 2_400_000);
    }

    #[test]
    fn what_cannot_be_put_back_stays_noted_and_holds_nothing_up() {
        let (_dir, tree, journal) = tree();
        fs::write(&journal, "process 4194305\npolicy0 2400000\npolicy1 1700000\n").unwrap();
        let (policy, aside) =
            (tree.path(format!("{CPUFREQ}/policy0/scaling_max_freq")), tree.path("aside"));
        fs::rename(&policy, &aside).unwrap();
        fs::create_dir(&policy).unwrap();
        assert!(Clocks::recover(&tree, &journal).is_err());
        assert_eq!(fs::read_to_string(&journal).unwrap(), "policy0 2400000\n");
        let mut set = Clocks::open(&tree, &journal).unwrap();
        set.set(0.5, None).unwrap();
        let noted = fs::read_to_string(&journal).unwrap();
        assert!(noted.ends_with("policy0 2400000\npolicy1 1700000\n"), "{noted}");
        drop(set);
        fs::remove_dir(&policy).unwrap();
        fs::rename(&aside, &policy).unwrap();
        Clocks::recover(&tree, &journal).unwrap();
        assert_eq!((clocks(&tree), journal.exists()), ([2_400_000, 1_700_000], false));
    }

    #[test]
    fn what_is_not_there_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let why = Clocks::open(&Tree::new(dir.path()), &dir.path().join("clocks")).unwrap_err();
        assert_eq!(why.reason, Reason::NotFound);
        let (_dir, tree, journal) = tree();
        fs::remove_file(tree.path(format!("{CPUFREQ}/policy1/scaling_max_freq"))).unwrap();
        // A processor that is off is left out.
        let mut set = Clocks::open(&tree, &journal).unwrap();
        set.set(0.5, None).unwrap();
        assert_eq!(fs::read_to_string(&journal).unwrap().lines().count(), 2);
        drop(set);
        fs::remove_file(tree.path(format!("{CPUFREQ}/policy0/scaling_max_freq"))).unwrap();
        let why = Clocks::open(&tree, &journal).unwrap_err();
        assert_eq!(why.reason, Reason::Unsupported, "{why:?}");
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
        set.set(0.5, None).unwrap();
        assert_eq!((clocks(&tree), limits(&tree)), ([1_200_000, 900_000], FULL));
        // Of what is not lowered nothing is noted.
        assert!(!fs::read_to_string(&journal).unwrap().contains("rapl"));
        set.set(0.5, Some(15.0)).unwrap();
        assert_eq!(limits(&tree), [15_000_000, 15_000_000, 121_000_000]);
        // What the processor made of it is near enough.
        let limit = |uw: u64| {
            let path = format!("{POWERCAP}/intel-rapl:0/constraint_0_power_limit_uw");
            fs::write(tree.path(path), uw.to_string()).unwrap();
        };
        limit(14_875_000);
        set.set(0.5, Some(15.0)).unwrap();
        assert_eq!(limits(&tree)[0], 14_875_000);
        // No higher than it was, and no lower than a tenth.
        set.set(0.5, Some(40.0)).unwrap();
        assert_eq!(limits(&tree), [28_000_000, 40_000_000, 121_000_000]);
        set.set(0.5, Some(0.5)).unwrap();
        assert_eq!(limits(&tree), [2_800_000, 2_800_000, 121_000_000]);
        set.set(0.5, None).unwrap();
        assert_eq!((clocks(&tree), limits(&tree)), ([1_200_000, 900_000], FULL));
        // What others have set lower is not raised: neither while nothing is held, nor while less is.
        limit(9_000_000);
        set.set(0.5, None).unwrap();
        set.set(0.5, Some(15.0)).unwrap();
        set.set(1.0, None).unwrap();
        assert_eq!(limits(&tree), [9_000_000, 64_000_000, 121_000_000]);
        assert!(!journal.exists());
        limit(28_000_000);
        set.set(1.0, Some(15.0)).unwrap();
        limit(9_000_000);
        set.set(1.0, None).unwrap();
        assert_eq!(limits(&tree), [9_000_000, 64_000_000, 121_000_000]);
        limit(28_000_000);
        // A clock that cannot be set keeps nobody from holding the watts.
        let policy = tree.path(format!("{CPUFREQ}/policy0/scaling_max_freq"));
        fs::rename(&policy, dir.path().join("aside")).unwrap();
        fs::create_dir(&policy).unwrap();
        assert!(set.set(0.5, Some(15.0)).is_err());
        assert_eq!(limits(&tree)[0], 15_000_000);
        fs::remove_dir(&policy).unwrap();
        fs::rename(dir.path().join("aside"), &policy).unwrap();
        crash(set);
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
        // Nothing is known of what it draws: 28 * 0.5 * 0.75².
        set.set(0.5, None).unwrap();
        assert_eq!(limits(&tree), [7_875_000, 7_875_000, 121_000_000]);
        set.set(1.0, None).unwrap();
        assert_eq!((limits(&tree), journal.exists()), (FULL, false));
        // A second at rest, one at work, and one that is not full.
        let (mut now, mut counter) = (Instant::now(), 1_000_000);
        for (joules, is_busy) in [(0, false), (4, false), (20, true), (40, false)] {
            counter += joules * 1_000_000;
            let path = tree.path(format!("{POWERCAP}/intel-rapl:0/energy_uj"));
            fs::write(path, counter.to_string()).unwrap();
            set.look(now, is_busy);
            now += Duration::from_secs(1);
        }
        set.set(0.5, None).unwrap();
        // 4 + 16 * 0.5 * 0.75².
        assert_eq!(limits(&tree), [8_500_000, 8_500_000, 121_000_000]);
        set.set(0.5, Some(3.0)).unwrap();
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
