//! Devices of made-up trees, and of a stand-in for NVML.

use std::sync::mpsc::channel;
use std::time::{Duration, SystemTime};

use rushlight_host::probe::accelerators::{AcceleratorSampler, Accelerators};
use rushlight_host::probe::nvml::{Nvml, NvmlSource};
use rushlight_testkit::{FakeNvml, fake_nvml, made_up};

use super::super::Accelerator;
use super::*;
use crate::sample::Sampler;

/// The third sample of a tree: rates have had an interval, and what takes turns has had one.
fn sample(tree: &str) -> Sample {
    let dir = tempfile::tempdir().unwrap();
    made_up::write_tree(tree, dir.path());
    let mut sampler = Sampler::new(Tree::new(dir.path()));
    let begin = Instant::now();
    for at in 0..3 {
        // Watts are measured by the clock of the machine.
        std::thread::sleep(Duration::from_millis(60));
        sampler.sample(begin + Duration::from_secs(at), SystemTime::UNIX_EPOCH, None);
    }
    sampler.last().clone()
}

#[test]
fn a_jetson_has_power_of_its_rails_and_load_of_its_gpu() {
    let sample = sample("jetson-orin-nano");
    // 5 V and 2.84 A of VDD_IN.
    let watts = sample.power.watts.unwrap();
    assert!((watts - 14.2).abs() < 0.3, "{watts}");
    assert!(sample.power.source.as_ref().unwrap().contains("VDD_IN"), "{:?}", sample.power);
    assert!(sample.power.rails.iter().any(|rail| rail.name == "VDD_IN"));
    let hottest = sample.heat.hottest.as_ref().unwrap();
    assert!(hottest.celsius > 50.0 && sample.heat.left_celsius.is_some(), "{:?}", sample.heat);
    let gpu = &sample.accelerators[0];
    assert_eq!(gpu.kind, "gpu");
    assert!(gpu.busy_percent.is_some() && gpu.frequency_hz.is_some(), "{gpu:?}");
    assert!(sample.cpu.cores.is_empty() || sample.frequency_hz().is_some());
}

#[test]
fn a_hot_raspberry_pi_is_throttled_and_an_apu_has_a_gpu_and_an_npu() {
    let pi = sample("raspberry-pi-5");
    assert_eq!(pi.heat.hottest.as_ref().unwrap().celsius, 81.05);
    assert_eq!(pi.heat.is_throttled, Some(true), "{:?}", pi.heat);
    assert_eq!(pi.heat.fans_rpm, [7890]);
    let apu = sample("amd-apu-xdna");
    let kinds: Vec<&str> = apu.accelerators.iter().map(|one| one.kind.as_str()).collect();
    assert_eq!(kinds, ["gpu", "npu"]);
    assert_eq!(apu.accelerators[0].busy_percent, Some(3.0));
    assert_eq!(apu.accelerators[0].watts, Some(9.087));
    // Of the NPU the driver tells little, and why is said.
    assert!(apu.accelerators[1].absent.iter().any(|lack| lack.what == "busy"));
    let battery = apu.power.battery.unwrap();
    assert_eq!((battery.charge_percent, battery.status.as_str()), (Some(64.0), "discharging"));
}

#[test]
fn no_tree_has_values_without_sense() {
    for name in made_up::tree_names() {
        let sample = sample(&name);
        let within = |what: &str, value: Option<f32>, range: std::ops::RangeInclusive<f32>| {
            assert!(value.is_none_or(|value| range.contains(&value)), "{name}: {what} {value:?}");
        };
        within("watts", sample.power.watts, 0.0..=2000.0);
        for one in &sample.accelerators {
            within("busy", one.busy_percent, 0.0..=100.0);
            within("watts", one.watts, 0.0..=2000.0);
            within("celsius", one.celsius, -60.0..=200.0);
            let told = ["busy", "memory", "power", "heat", "frequency"];
            assert!(one.absent.iter().all(|lack| told.contains(&lack.what.as_str())), "{one:?}");
        }
        for one in &sample.heat.temperatures {
            within(&one.name, Some(one.celsius), -60.0..=200.0);
        }
        // What is not there has a reason.
        let has_power = sample.power.watts.is_some();
        assert!(has_power || sample.lack("power").is_some(), "{name}: {:?}", sample.power);
        let json = serde_json::to_string(&sample).unwrap();
        let again: Sample = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), json, "{name}");
    }
}

#[test]
fn what_nvml_says_is_what_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let library = fake_nvml(FakeNvml::Healthy, dir.path());
    let mut nvml = Nvml::load(&library, Duration::from_secs(20)).unwrap();
    let tree = Tree::new(dir.path());
    let mut found = Accelerators::read(&tree);
    found.add_nvml(&nvml.report().unwrap());
    let mut reader = AcceleratorReader::new(&tree);
    // It finds none in this tree.
    reader.read(Instant::now());
    reader.sampler = Some(AcceleratorSampler::new(&tree, found.devices, NvmlSource::Asked(nvml)));
    let mut sample = Sample::default();
    let process = |pid| super::super::Process { pid, ..Default::default() };
    sample.processes = vec![process(100), process(102)];
    accelerators(&mut sample, Some(&reader.read(Instant::now())), false);
    let [l4, ada] = &sample.accelerators[..] else { panic!("{:?}", sample.accelerators) };
    // As `nvidia-smi --query-gpu=name,utilization.gpu,temperature.gpu,power.draw,clocks.sm` would.
    assert_eq!(l4.name, "NVIDIA L4");
    assert_eq!((l4.busy_percent, l4.celsius, l4.watts), (Some(37.0), Some(51.0), Some(28.5)));
    assert_eq!((l4.frequency_hz, l4.memory_total_bytes), (Some(1_530_000_000), Some(24 << 30)));
    assert_eq!(ada.memory_used_bytes, Some(2 << 30));
    // One that is lost says so.
    assert_eq!(ada.busy_percent, None);
    assert!(ada.absent.iter().any(|lack| lack.what == "busy" && lack.reason == "driver"));
    assert_eq!(sample.processes[0].gpu_memory_bytes, Some(512 << 20));
    assert_eq!(sample.processes[1].gpu_memory_bytes, None);
}

#[test]
fn a_driver_that_hangs_stalls_nothing_and_its_last_values_are_marked() {
    let (go_on, wait) = channel::<()>();
    let mut count = 0;
    let read = move |_| {
        count += 1;
        // The second question hangs, as in a driver that waits for a GPU that is gone.
        if count == 2 {
            let _ = wait.recv();
        }
        let one = Accelerator { busy_percent: Some(count as f32), ..Accelerator::default() };
        Accelerated { all: vec![one], uses: [(7, (Some(50.0), Some(1)))].into() }
    };
    let sensors = |_| {
        std::thread::park();
        Sensed::default()
    };
    let mut state = DeviceState {
        accelerators: Watched::start("accelerators", read),
        sensors: Watched::start("sensors", sensors),
    };
    let processes = vec![super::super::Process { pid: 7, ..Default::default() }];
    let mut sample = Sample { processes, ..Sample::default() };
    let begin = Instant::now();
    let at = |second| begin + Duration::from_secs(second);
    let mut next = |second| {
        sample.absent.clear();
        state.read(&mut sample, at(second), 1.0);
        sample.clone()
    };
    let first = next(0);
    assert_eq!((first.stale("accelerators"), first.processes[0].gpu_percent), (None, Some(50.0)));
    assert_eq!(first.stale("power").unwrap().detail, "no answer yet");
    next(1);
    assert_eq!(next(2).stale("accelerators"), None);
    let later = next(13);
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    assert_eq!(later.accelerators[0].busy_percent, Some(1.0));
    assert_eq!(later.stale("accelerators").unwrap().detail, "no answer for 12 s");
    assert_eq!(later.processes[0].gpu_percent, None);
    assert_eq!(later.stale("heat").unwrap().detail, "no answer for 13 s");
    go_on.send(()).unwrap();
    state.settle(Duration::from_secs(1));
    state.read(&mut sample, at(14), 1.0);
    // The next answer may be there already.
    assert!(sample.accelerators[0].busy_percent >= Some(2.0));
}
