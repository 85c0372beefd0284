//! The meter over made-up trees.

use std::fs;
use std::path::Path;

use rushlight_testkit::made_up::{write_entries, write_tree};

use super::*;

fn meter(name: &str) -> PowerMeter {
    let dir = tempfile::tempdir().unwrap();
    write_tree(name, dir.path());
    PowerMeter::open(&Tree::new(dir.path()))
}

fn tree(entries: &str) -> (tempfile::TempDir, Tree) {
    let dir = tempfile::tempdir().unwrap();
    write_entries(entries, dir.path());
    let tree = Tree::new(dir.path());
    (dir, tree)
}

fn set(root: &Path, path: &str, value: impl std::fmt::Display) {
    // At once, as the kernel does it: a reader never finds it empty.
    let beside = root.join("new");
    fs::write(&beside, format!("{value}\n")).unwrap();
    fs::rename(beside, root.join(path)).unwrap();
}

const SERVER: &str = "sys/class/powercap/intel-rapl:0/name = package-0
sys/class/powercap/intel-rapl:0/energy_uj = 262143000000
sys/class/powercap/intel-rapl:0/max_energy_range_uj = 262143328850
sys/class/powercap/intel-rapl:0:0/name = dram
sys/class/powercap/intel-rapl:0:0/energy_uj = 1000000
sys/class/powercap/intel-rapl:0:0/max_energy_range_uj = 65712999613
sys/class/powercap/intel-rapl:1/name = package-1
sys/class/powercap/intel-rapl:1/energy_uj = 5000000
sys/class/powercap/intel-rapl:1/max_energy_range_uj = 262143328850
sys/class/powercap/intel-rapl:1:0/name = dram
sys/class/powercap/intel-rapl:1:0/energy_uj = 2000000
sys/class/powercap/intel-rapl:1:0/max_energy_range_uj = 65712999613
";

#[test]
fn the_sensor_that_covers_the_most_is_taken() {
    let source = |meter: &PowerMeter| match meter.source() {
        Ok(source) => format!("{} ({})", source.name, source.covers.name()),
        Err(why) => format!("{:?}: {why}", why.reason),
    };
    assert_eq!(source(&meter("jetson-orin-nano")), "INA3221 VDD_IN (the whole device)");
    assert_eq!(source(&meter("jetson-agx-thor")), "INA238 VIN (the whole device)");
    assert_eq!(source(&meter("battery-device")), "battery BAT0 (the whole device)");
    let none = meter("raspberry-pi-5");
    let firmware = "Unsupported: rails of the power chip (PMIC): the firmware tells it by a call";
    assert!(source(&none).starts_with(firmware), "{}", source(&none));
    assert!(none.start().is_none() && none.hint().is_none());

    let open = |entries: &str| {
        let (_dir, tree) = tree(entries);
        PowerMeter::open(&tree)
    };
    let server = open(SERVER);
    let both = "RAPL package-0 + package-1 + dram + dram (processors and memory)";
    assert_eq!(source(&server), both);
    let names: Vec<&str> = server.candidates().iter().map(|c| c.source.name.as_str()).collect();
    assert_eq!(names, ["RAPL package-0 + package-1 + dram + dram", "RAPL package-0 + package-1"]);
    // A platform counter that counts is taken, one that stays at zero is not.
    let psys = "sys/class/powercap/intel-rapl:2/name = psys\n\
                sys/class/powercap/intel-rapl:2/max_energy_range_uj = 262143328850\n";
    let energy = "sys/class/powercap/intel-rapl:2/energy_uj = ";
    assert_eq!(source(&open(&format!("{SERVER}{psys}{energy}7\n"))), "RAPL psys (the platform)");
    assert_eq!(source(&open(&format!("{SERVER}{psys}{energy}0\n"))), both);
    // On mains a battery tells nothing of what the machine takes: the next one is not readable.
    let laptop = "sys/class/power_supply/BAT0/type = Battery\n\
                  sys/class/power_supply/BAT0/status = Charging\n\
                  sys/class/power_supply/BAT0/power_now = 20000000\n\
                  sys/class/powercap/intel-rapl:0/name = package-0\n\
                  sys/class/powercap/intel-rapl:0/energy_uj !EACCES\n";
    let laptop = open(laptop);
    assert_eq!(
        source(&laptop),
        "Permission: RAPL package-0: since Linux 5.10 only root may read it"
    );
    assert!(laptop.hint().unwrap().contains("docs/energy.md"));
    assert!(laptop.candidates()[0].absent.as_ref().unwrap().detail.contains("`Charging`"));
    // Rails that one does not know are not added up.
    let rails = |third: &str| {
        format!(
            "sys/class/hwmon/hwmon1/name = ina3221\n\
             sys/class/hwmon/hwmon1/in1_label = VDD_GPU_SOC\n\
             sys/class/hwmon/hwmon1/in2_label = VDD_CPU_CV\n\
             sys/class/hwmon/hwmon1/in3_label = {third}\n\
             sys/class/hwmon/hwmon1/in{{1..3}}_input = 5000\n\
             sys/class/hwmon/hwmon1/curr{{1..3}}_input = 1000\n"
        )
    };
    let sum = open(&rails("VIN_SYS_5V0"));
    let name = "INA3221 VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0 (the rails of the module)";
    assert_eq!(source(&sum), name);
    assert!(source(&open(&rails("VDD_OTHER"))).starts_with("NotFound"));
}

#[test]
fn counters_are_added_up_and_wrap() {
    let (dir, tree) = tree(SERVER);
    let meter = PowerMeter::open(&tree);
    let measurement = meter.start().unwrap();
    // Less than what makes a jump, in so short a time.
    set(dir.path(), "sys/class/powercap/intel-rapl:0/energy_uj", 11_671_150);
    set(dir.path(), "sys/class/powercap/intel-rapl:0:0/energy_uj", 4_000_000);
    set(dir.path(), "sys/class/powercap/intel-rapl:1/energy_uj", 15_000_000);
    thread::sleep(Duration::from_millis(20));
    let energy = measurement.energy().unwrap();
    assert!((energy.joules - 25.0).abs() < 1e-6, "{energy:?}");
    assert_eq!(energy.caveat, None);
    assert!((energy.watts() - 25.0 / energy.seconds).abs() < 1e-9);
    assert_eq!(energy.above(0.0), energy.joules);
    assert_eq!(energy.above(1e9), 0.0);
    // What vanishes meanwhile is said.
    fs::remove_file(dir.path().join("sys/class/powercap/intel-rapl:1/energy_uj")).unwrap();
    assert!(measurement.energy().is_err());
}

#[test]
fn a_counter_of_a_small_range_is_read_in_time() {
    // At the most that is believed, 1000 W, the range lasts 0.2 s: it is read four times as often.
    let (dir, tree) = tree(
        "sys/class/powercap/intel-rapl:0/name = package-0\n\
         sys/class/powercap/intel-rapl:0/energy_uj = 0\n\
         sys/class/powercap/intel-rapl:0/max_energy_range_uj = 200000000\n",
    );
    let meter = PowerMeter::open(&tree);
    let measurement = meter.start().unwrap();
    let (mut counter, begin) = (0, Instant::now());
    // Two and a half rounds at some 500 W.
    for _ in 0..100 {
        counter = (counter + 5_000_000) % 200_000_000;
        set(dir.path(), "sys/class/powercap/intel-rapl:0/energy_uj", counter);
        thread::sleep(Duration::from_millis(10));
    }
    let energy = measurement.energy().unwrap();
    match &energy.caveat {
        None => {
            assert!((energy.joules - 500.0).abs() < 1e-6, "{energy:?} in {:?}", begin.elapsed())
        }
        // A machine that has much else to do may hold the reader up: then it says so.
        Some(caveat) => assert!(caveat.contains("more than once"), "{caveat}"),
    }
}

#[test]
fn watts_are_read_by_a_thread_that_ends() {
    let (dir, tree) = tree(
        "sys/class/hwmon/hwmon0/name = ina3221\n\
         sys/class/hwmon/hwmon0/in1_label = VDD_IN\n\
         sys/class/hwmon/hwmon0/in1_input = 5000\n\
         sys/class/hwmon/hwmon0/curr1_input = 1000\n",
    );
    let meter = PowerMeter::open(&tree);
    let first = meter.start().unwrap();
    thread::sleep(Duration::from_millis(250));
    let energy = first.energy().unwrap();
    // The same power all the time: however late this thread and the reader are, this is their mean.
    assert!((energy.watts() - 5.0).abs() < 1e-6, "{energy:?}");
    assert!(energy.seconds > 0.1, "{energy:?}");
    set(dir.path(), "sys/class/hwmon/hwmon0/curr1_input", 3000);
    let second = meter.start().unwrap();
    thread::sleep(Duration::from_millis(250));
    let about = second.energy_about().unwrap();
    assert!((about.watts() - 15.0).abs() < 1e-6, "{about:?}");
    let exact = second.energy().unwrap();
    assert!((exact.watts() - 15.0).abs() < 1e-6, "{exact:?}");
    let both = first.energy().unwrap();
    // How long each half lasted is not known to the millisecond.
    assert!(both.watts() > 5.5 && both.watts() < 14.5, "{both:?}");
    drop((first, second));
    let inner = meter.inner.as_ref().unwrap();
    let begin = Instant::now();
    while inner.lock().sampling {
        assert!(begin.elapsed() < Duration::from_secs(10), "the thread is there still");
        thread::sleep(Duration::from_millis(5));
    }
    // What nobody measured counts for nobody.
    let before = inner.lock().integral.joules();
    thread::sleep(Duration::from_millis(300));
    let third = meter.start().unwrap();
    // But for the moment, 0.1 s at most, in which the first reading was waited for.
    assert!((third.joules - before).abs() < 2.0, "{} after {before}", third.joules);
    assert!((meter.watts_for(Duration::from_millis(200)).unwrap() - 15.0).abs() < 1e-6);
}

#[test]
fn an_estimate_is_one_and_only_where_there_is_no_sensor() {
    let none = meter("raspberry-pi-5");
    let estimate = none.clone().or_estimate(2.0).unwrap();
    let source = estimate.source().unwrap();
    assert!(source.estimated && source.covers == Covers::Process);
    assert_eq!(source.name, "estimated at 2 W for each busy core");
    let measurement = estimate.start().unwrap();
    let begin = Instant::now();
    let mut x = 0_u64;
    while begin.elapsed() < Duration::from_millis(200) {
        x = std::hint::black_box(x.wrapping_add(1));
    }
    // Of a core that was this thread's for a tenth of the time at least; others run meanwhile.
    let energy = measurement.energy().unwrap();
    assert!(energy.joules > 0.04 && energy.joules < 200.0, "{energy:?}");
    let measured = meter("jetson-orin-nano").or_estimate(2.0).unwrap();
    assert!(!measured.source().unwrap().estimated);
    for wrong in [0.0, -1.0, 1e3, f64::NAN, f64::INFINITY] {
        assert!(none.clone().or_estimate(wrong).is_err(), "{wrong}");
    }
}

#[derive(Debug)]
struct Other(Covers);

impl PowerSensor for Other {
    fn name(&self) -> String {
        "other".to_owned()
    }

    fn covers(&self) -> Covers {
        self.0
    }

    fn read(&self) -> Result<Sample, Absent> {
        Ok(Sample::Watts(1.0))
    }

    fn period(&self) -> Duration {
        Duration::from_millis(100)
    }
}

/// Watts of a chip that answers late.
#[derive(Debug)]
struct Slow(Duration);

impl PowerSensor for Slow {
    fn name(&self) -> String {
        "slow".to_owned()
    }

    fn covers(&self) -> Covers {
        Covers::Device
    }

    fn read(&self) -> Result<Sample, Absent> {
        thread::sleep(self.0);
        Ok(Sample::Watts(4.0))
    }

    fn period(&self) -> Duration {
        Duration::from_millis(10)
    }
}

#[test]
fn nobody_waits_for_a_slow_sensor_to_hear_what_it_said_last() {
    let late = Duration::from_millis(400);
    let (_dir, tree) = tree("sys/class/thermal/");
    let meter = PowerMeter::open_with(&tree, vec![Box::new(Slow(late))]);
    let measurement = meter.start().unwrap();
    // The thread reads it all the time, and so does somebody else.
    thread::scope(|scope| {
        let reader = scope.spawn(|| measurement.energy().unwrap());
        let (begin, mut longest, mut told) = (Instant::now(), Duration::ZERO, 0.0);
        while begin.elapsed() < 3 * late {
            let asked = Instant::now();
            let energy = measurement.energy_about();
            longest = longest.max(asked.elapsed());
            thread::sleep(Duration::from_millis(5));
            // Before the first answer there is nothing to tell.
            let Ok(energy) = energy else { continue };
            assert!(energy.joules >= told, "{energy:?}, after {told} J");
            told = energy.joules;
        }
        assert!(told > 0.0);
        assert!(longest < late / 2, "{longest:?}");
        assert!(reader.join().unwrap().joules > 0.0);
    });
    let watts = measurement.energy().unwrap().watts();
    assert!((watts - 4.0).abs() < 0.2, "{watts}");
}

/// A chip that does not answer until a test lets it.
#[derive(Debug)]
struct Hung(Arc<Mutex<()>>);

impl PowerSensor for Hung {
    fn name(&self) -> String {
        "hung".to_owned()
    }

    fn covers(&self) -> Covers {
        Covers::Device
    }

    fn read(&self) -> Result<Sample, Absent> {
        drop(self.0.lock().unwrap());
        Ok(Sample::Joules(vec![1.0]))
    }

    fn period(&self) -> Duration {
        Duration::from_millis(10)
    }
}

#[test]
fn a_sensor_that_hangs_holds_no_work_up() {
    let holds = Arc::new(Mutex::new(()));
    let (_dir, tree) = tree("sys/class/thermal/");
    let meter = PowerMeter::open_with(&tree, vec![Box::new(Hung(holds.clone()))]);
    let hangs = holds.lock().unwrap();
    let begin = Instant::now();
    let measurement = meter.start().unwrap();
    for _ in 0..100 {
        assert!(measurement.energy_about().is_err());
    }
    // One wait for the beginning, one for the first question, and none for the rest.
    assert!(begin.elapsed() < 5 * BEGINS_WITHIN, "{:?}", begin.elapsed());
    let why = measurement.energy().unwrap_err();
    assert!(why.detail.contains("has not answered"), "{why:?}");
    drop(hangs);
    let energy = (0..100).find_map(|_| {
        thread::sleep(Duration::from_millis(20));
        measurement.energy().ok()
    });
    assert!(energy.unwrap().caveat.unwrap().contains("did not answer"));
}

#[test]
fn a_sensor_of_another_kind_takes_its_place() {
    let (_dir, tree) = tree(SERVER);
    let with = |covers| PowerMeter::open_with(&tree, vec![Box::new(Other(covers))]);
    assert_eq!(with(Covers::Device).source().unwrap().name, "other");
    assert_ne!(with(Covers::Gpu).source().unwrap().name, "other");
    assert_eq!(with(Covers::Gpu).candidates().last().unwrap().source.name, "other");
}

#[test]
fn a_gpu_alone_is_never_what_counts() {
    let (_dir, tree) = tree("sys/class/thermal/");
    let meter = PowerMeter::open_with(&tree, vec![Box::new(Other(Covers::Gpu))]);
    assert!(meter.source().is_err());
    assert_eq!(meter.candidates().last().unwrap().source.name, "other");
}

#[test]
fn batteries_are_added_up_and_some_may_rest() {
    let battery = |n: u8, status: &str| {
        let path = format!("sys/class/power_supply/BAT{n}");
        format!("{path}/type = Battery\n{path}/status = {status}\n{path}/power_now = 9000000\n")
    };
    for (second, watts) in [("Discharging", 18.0), ("Not charging", 9.0)] {
        let (_dir, tree) = tree(&(battery(0, "Discharging") + &battery(1, second)));
        let meter = PowerMeter::open(&tree);
        assert_eq!(meter.source().unwrap().name, "battery BAT0 + BAT1");
        let measured = meter.watts_for(Duration::from_millis(30)).unwrap();
        assert!((measured / watts - 1.0).abs() < 0.2, "{second}: {measured}");
    }
}

#[test]
fn a_sensor_that_fails_at_first_leaves_a_doubt() {
    let (dir, tree) = tree(
        "sys/class/power_supply/BAT0/type = Battery\n\
                            sys/class/power_supply/BAT0/status = Discharging\n\
                            sys/class/power_supply/BAT0/power_now = 9000000\n",
    );
    let meter = PowerMeter::open(&tree);
    set(dir.path(), "sys/class/power_supply/BAT0/status", "Charging");
    let measurement = meter.start().unwrap();
    assert!(measurement.energy().is_err());
    set(dir.path(), "sys/class/power_supply/BAT0/status", "Discharging");
    let caveat = measurement.energy().unwrap().caveat.unwrap();
    assert!(caveat.contains("at first"), "{caveat}");
    // Nothing of it is left for the next one.
    drop(measurement);
    assert_eq!(meter.start().unwrap().energy().unwrap().caveat, None);
}
