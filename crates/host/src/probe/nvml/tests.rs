use std::time::Instant;

use rushlight_testkit::{FakeNvml, fake_nvml};

use super::*;

fn load(mode: FakeNvml) -> Result<Nvml, Absent> {
    let dir = tempfile::tempdir().unwrap();
    // The library stays loaded when its file is gone.
    Nvml::load(&fake_nvml(mode, dir.path()), Duration::from_secs(20))
}

fn report(mode: FakeNvml) -> NvmlReport {
    load(mode).unwrap().report().unwrap()
}

fn reason<T: std::fmt::Debug>(reading: &Reading<T>) -> Reason {
    reading.value.as_ref().unwrap_err().reason
}

#[test]
fn two_gpus_say_what_they_are_and_do() {
    let mut nvml = load(FakeNvml::Healthy).unwrap();
    let first = nvml.report().unwrap();
    assert_eq!(first.driver.get().unwrap(), "570.86.15");
    let [l4, ada] = &first.gpus[..] else { panic!("{first:?}") };
    assert_eq!(l4.name, Reading::new("NVIDIA L4".to_owned(), Unit::None, "nvmlDeviceGetName"));
    assert_eq!(l4.uuid.get().unwrap(), "GPU-1a");
    assert_eq!(l4.address.get().unwrap(), "0000:01:00.0");
    assert_eq!(ada.address.get().unwrap(), "0000:41:00.0");
    assert_eq!(l4.memory_total.get(), Some(&(24 << 30)));
    assert_eq!(ada.memory_used.get(), Some(&(2 << 30)));
    assert_eq!(l4.utilisation.get(), Some(&37.0));
    // One lost GPU does not take the other's readings with it.
    assert_eq!(reason(&ada.utilisation), Reason::Driver);
    assert_eq!(l4.temperature.get(), Some(&51.0));
    assert_eq!(l4.power.get(), Some(&28.5));
    assert_eq!(l4.frequency.get(), Some(&1_530_000_000));
    assert_eq!(l4.frequency_max.get(), Some(&2_040_000_000));
    let processes = l4.processes.get().unwrap();
    assert_eq!((processes.len(), processes[0].pid, processes[1].pid), (2, 100, 101));
    assert_eq!(processes[0].memory.get(), Some(&(512 << 20)));
    assert_eq!(reason(&processes[1].memory), Reason::Unsupported);
    assert_eq!(ada.processes.get().unwrap().len(), 0);
    // The energy is a counter of joules.
    let second = nvml.report().unwrap();
    let energy = |report: &NvmlReport| *report.gpus[0].energy.get().unwrap();
    assert_eq!((energy(&first), energy(&second)), (5000.0, 5001.0));
}

#[test]
fn without_library_or_driver_the_reason_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let fails = |path: &Path| Nvml::load(path, Duration::from_secs(20)).unwrap_err();
    let missing = fails(&dir.path().join("libnvidia-ml.so.1"));
    assert_eq!(missing.reason, Reason::Driver);
    assert!(missing.detail.contains("it comes with NVIDIA's driver"), "{missing}");
    let no_elf = dir.path().join("no-elf.so");
    std::fs::write(&no_elf, "a text").unwrap();
    let no_elf = fails(&no_elf);
    assert_eq!(no_elf.reason, Reason::Driver);
    assert!(no_elf.detail.contains("cannot be loaded"), "{no_elf}");
    let other = load(FakeNvml::NotNvml).unwrap_err();
    assert!(other.detail.contains("it is no NVML"), "{other}");
    let driver = load(FakeNvml::NoDriver).unwrap_err();
    assert_eq!(driver.detail, "NVIDIA's kernel driver is not loaded");
    assert_eq!(driver.reason, Reason::Driver);
    let elsewhere = Nvml::of(&Tree::new(dir.path())).unwrap_err();
    assert_eq!(elsewhere.reason, Reason::NotFound);
}

#[test]
fn a_jetson_and_an_old_library_do_not_tell() {
    let jetson = report(FakeNvml::Jetson);
    let gpu = &jetson.gpus[0];
    assert_eq!(gpu.name.get().unwrap(), "NVIDIA L4");
    for reason in [
        reason(&gpu.utilisation),
        reason(&gpu.memory_total),
        reason(&gpu.power),
        reason(&gpu.energy),
        reason(&gpu.frequency),
        reason(&gpu.temperature),
        reason(&gpu.processes),
    ] {
        assert_eq!(reason, Reason::Unsupported);
    }
    let old = report(FakeNvml::FewSymbols);
    assert_eq!(old.gpus[0].name.get().unwrap(), "NVIDIA L4");
    let power = old.gpus[0].power.value.as_ref().unwrap_err();
    assert_eq!(power.detail, "this version of NVML has no such function");
}

#[test]
fn answers_without_sense_are_damaged() {
    let count = load(FakeNvml::FourBillion).unwrap().report().unwrap_err();
    assert_eq!(count.reason, Reason::Damaged);
    assert!(count.detail.contains("4000000000 GPUs"), "{count}");
    let endless = report(FakeNvml::NoTerminator);
    assert_eq!(endless.gpus[0].name.get().unwrap(), &"N".repeat(96));
    assert_eq!(endless.driver.get().unwrap().len(), 96);
    let absurd = report(FakeNvml::Absurd);
    let gpu = &absurd.gpus[0];
    assert_eq!(reason(&gpu.memory_used), Reason::Damaged);
    assert_eq!(reason(&gpu.utilisation), Reason::Damaged);
    assert_eq!(reason(&gpu.temperature), Reason::Damaged);
    // It says that it wrote four billion processes to a place for 64, and wrote none.
    assert_eq!(gpu.processes.get().unwrap().len(), 0);
    let many = report(FakeNvml::ManyProcesses);
    assert_eq!(many.gpus[0].processes.get().unwrap().len(), 3000);
}

#[test]
fn a_library_that_hangs_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let limit = Duration::from_millis(200);
    let path = fake_nvml(FakeNvml::HangsAtStart, dir.path());
    let start = Instant::now();
    let hung = Nvml::load(&path, limit).unwrap_err();
    assert_eq!(hung.detail, "NVML did not answer within 0.2 s");
    let other = tempfile::tempdir().unwrap();
    let mut nvml = Nvml::load(&fake_nvml(FakeNvml::HangsLater, other.path()), limit).unwrap();
    assert!(nvml.report().is_ok());
    assert_eq!(nvml.report().unwrap_err().reason, Reason::Driver);
    // It is not waited for a second time.
    let again = Instant::now();
    assert_eq!(nvml.report().unwrap_err().reason, Reason::Driver);
    assert!(again.elapsed() < limit, "{:?}", again.elapsed());
    assert!(start.elapsed() < Duration::from_secs(20));
}
