use std::time::{Duration, Instant};

use rushlight_testkit::made_up::{write_entries, write_tree};
use rushlight_testkit::{FakeNvml, fake_nvml};
use tempfile::TempDir;

use super::*;
use crate::probe::nvml::{Nvml, NvmlSource};
use crate::probe::{Absent, Reading, Reason, Unit};

fn made_up(entries: &str) -> (TempDir, Tree) {
    let dir = tempfile::tempdir().unwrap();
    write_entries(entries, dir.path());
    let tree = Tree::new(dir.path());
    (dir, tree)
}

fn named(name: &str) -> (TempDir, Tree) {
    let dir = tempfile::tempdir().unwrap();
    write_tree(name, dir.path());
    let tree = Tree::new(dir.path());
    (dir, tree)
}

fn no_nvml() -> NvmlSource {
    NvmlSource::Absent(Absent { reason: Reason::Driver, detail: "there is no NVML".to_owned() })
}

fn sampler(tree: &Tree) -> AcceleratorSampler {
    AcceleratorSampler::new(tree, Accelerators::read(tree).devices, no_nvml())
}

/// Kind, vendor, name, driver, state and what is missing, of all devices of a tree.
fn lines(entries: &str) -> Vec<String> {
    let (_dir, tree) = made_up(entries);
    Accelerators::read(&tree).devices.iter().map(line).collect()
}

fn line(device: &Accelerator) -> String {
    let driver = device.driver.as_deref().unwrap_or("no driver");
    let missing = device.missing.as_deref().unwrap_or("nothing");
    let (kind, vendor, name, state) =
        (device.kind.name(), &device.vendor, &device.name, device.state);
    format!("{kind} {vendor} | {name} | {driver} | {state:?} | {missing}")
}

#[test]
fn devices_of_all_places_are_found_with_what_they_lack() {
    let nvidia = "sys/bus/pci/devices/0000:01:00.0/vendor = 0x10de\n\
        sys/bus/pci/devices/0000:01:00.0/device = 0x2684\n\
        sys/bus/pci/devices/0000:01:00.0/class = 0x030000\n";
    let cases: &[(&str, &[&str])] = &[
        ("proc/version = Linux\n", &[]),
        (
            nvidia,
            &[
                "GPU NVIDIA | NVIDIA GPU 10de:2684 | no driver | NoDriver | no kernel driver is bound to \
               it: `nvidia` would be",
            ],
        ),
        (
            &format!(
                "{nvidia}sys/bus/pci/devices/0000:01:00.0/driver -> ../../drivers/nvidia\n\
                 proc/driver/nvidia/gpus/0000:01:00.0/information <<\nModel: \t\t NVIDIA GeForce RTX \
                 4090\nDevice Minor: \t 3\n.\ndev/nvidiactl =\ndev/nvidia3 =\nusr/lib64/libcuda.so.1 =\n"
            ),
            &["GPU NVIDIA | NVIDIA GeForce RTX 4090 | nvidia | Ready | nothing"],
        ),
        (
            &format!("{nvidia}sys/bus/pci/devices/0000:01:00.0/driver -> ../../drivers/vfio-pci\n"),
            &[
                "GPU NVIDIA | NVIDIA GPU 10de:2684 | vfio-pci | NoDriver | the driver `vfio-pci` holds it \
               for a virtual machine",
            ],
        ),
        (
            &format!(
                "{nvidia}sys/bus/pci/devices/0000:01:00.0/driver -> ../../drivers/nouveau\n\
                 sys/class/drm/card0/device -> ../../../bus/pci/devices/0000:01:00.0\n\
                 sys/class/drm/renderD128/device -> ../../../bus/pci/devices/0000:01:00.0\n\
                 dev/dri/renderD128 =\n"
            ),
            &[
                "GPU NVIDIA | NVIDIA GPU 10de:2684 | nouveau | NoLibrary | the driver `nouveau` is bound, \
               and CUDA needs NVIDIA's own; no library that speaks to it was found: `libOpenCL.so.1` \
               (OpenCL)",
            ],
        ),
        (
            "sys/class/hailo_chardev/hailo0/board_location = 0001:01:00.0\ndev/hailo0 =\n\
             sys/bus/pci/devices/0001:01:00.0/vendor = 0x1e60\n\
             sys/bus/pci/devices/0001:01:00.0/device = 0x2864\n\
             sys/bus/pci/devices/0001:01:00.0/driver -> ../../drivers/hailo\n\
             usr/lib/libhailort.so.4.23.0 =\n",
            &["NPU Hailo | Hailo NPU 1e60:2864 | hailo | Ready | nothing"],
        ),
        (
            "sys/class/apex/apex_0/temp = 41800\nsys/class/apex/apex_0/device -> ../../../0000:03:00.0\n\
             dev/apex_0 !EACCES\n",
            &[
                "TPU Google | Coral Edge TPU | apex | NoPermission | the kernel driver `apex` is bound, but \
               `/dev/apex_0` may not be opened: the user is not in group `apex`",
            ],
        ),
        (
            "sys/bus/usb/devices/2-1/idVendor = 18d1\nsys/bus/usb/devices/2-1/idProduct = 9302\n\
             sys/bus/usb/devices/2-1/busnum = 2\nsys/bus/usb/devices/2-1/devnum = 7\n\
             dev/bus/usb/002/007 =\nsys/bus/usb/devices/usb1/idVendor = 1d6b\n",
            &[
                "TPU Google | Coral USB Accelerator | usbfs | NoLibrary | no library that speaks to it was \
               found: `libedgetpu.so.1` (libedgetpu)",
            ],
        ),
        (
            "sys/class/accel/accel0/device/driver -> ../../../bus/pci/drivers/qaic\n\
             sys/class/accel/accel1/device/driver -> ../../../bus/pci/drivers/habanalabs\n\
             sys/class/accel/accel2/device/driver -> ../../../bus/platform/drivers/ethosu\n\
             dev/accel/accel{0..2} =\nusr/lib/libSynapse.so =\n",
            &[
                "NPU Qualcomm | Cloud AI 100 | qaic | NoLibrary | no library that speaks to it was found: \
                 `libQAic.so` (Cloud AI)",
                "NPU Intel | Gaudi | habanalabs | Ready | nothing",
                "NPU Arm | Ethos-U NPU | ethosu | NoLibrary | no library that speaks to it was found: \
                 `libteflon.so` (Teflon)",
            ],
        ),
        (
            "dev/fastrpc-cdsp =\ndev/fastrpc-cdsp-secure =\ndev/fastrpc-adsp =\n",
            &[
                "NPU Qualcomm | Hexagon NPU | fastrpc | NoLibrary | no library that speaks to it was found: \
               `libcdsprpc.so` (FastRPC)",
            ],
        ),
        (
            "sys/class/drm/card0/device -> ../../../1002000000.v3d\n\
             sys/class/drm/renderD128/device -> ../../../1002000000.v3d\n\
             sys/devices/1002000000.v3d/driver -> ../../bus/platform/drivers/v3d\n\
             sys/class/1002000000.v3d/driver -> ../../bus/platform/drivers/v3d\n\
             sys/1002000000.v3d/driver -> ../bus/platform/drivers/v3d\n",
            &[
                "GPU Broadcom | VideoCore GPU | v3d | NoNode | the kernel driver `v3d` is bound, but \
               `/dev/dri/renderD128` is missing: a container must be given it, elsewhere udev makes it",
            ],
        ),
        (
            "sys/class/drm/card0/device/driver -> ../../../bus/platform/drivers/msm_dpu\n\
             sys/class/drm/card0/device/uevent <<\nDRIVER=msm_dpu\nOF_COMPATIBLE_0=qcom,sm8550-dpu\n.\n\
             sys/class/devfreq/3d00000.gpu/cur_freq = 220000000\ndev/dri/card0 =\n",
            &[
                "GPU Qualcomm | Adreno GPU (qcom,sm8550-dpu) | msm_dpu | NoNode | the kernel driver \
               `msm_dpu` is bound, but a node below `/dev` is missing: a container must be given it, \
               elsewhere udev makes it",
            ],
        ),
        (
            "sys/class/devfreq/fdab0000.npu/cur_freq = 1000000000\n\
             sys/class/devfreq/fdab0000.npu/load = 7@1000000000Hz\ndev/rknpu =\nusr/lib/librknnrt.so =\n",
            &["NPU Rockchip | Rockchip NPU | RKNPU | Ready | nothing"],
        ),
        (
            "sys/class/misc/mali0/device -> ../../../fb000000.gpu\ndev/mali0 =\n\
             sys/class/devfreq/fb000000.gpu-mali/load = 12@300000000Hz\n",
            &["GPU Arm | Mali GPU | mali | NoLibrary | no library that speaks to it was found: \
               `libOpenCL.so.1` (OpenCL)"],
        ),
        // A display without a render node, and the management chip of a server.
        (
            "sys/class/drm/card0/device/driver -> ../../../bus/platform/drivers/rockchip-drm\n\
             sys/bus/pci/devices/0000:02:00.0/vendor = 0x1a03\n\
             sys/bus/pci/devices/0000:02:00.0/device = 0x2000\n\
             sys/bus/pci/devices/0000:02:00.0/class = 0x030000\n",
            &[],
        ),
    ];
    for (entries, expected) in cases {
        assert_eq!(lines(entries), *expected, "{entries}");
    }
}

#[test]
fn the_laptop_with_an_npu() {
    let (_dir, tree) = named("intel-laptop-npu");
    let found = Accelerators::read(&tree);
    let lines: Vec<String> = found.devices.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "GPU Intel | Lunar Lake [Intel Arc Graphics 130V / 140V] | xe | Ready | nothing",
            "NPU Intel | Lunar Lake NPU | intel_vpu | NoPermission | the kernel driver `intel_vpu` is \
             bound, but `/dev/accel/accel0` may not be opened: the user is not in group `render`",
        ]
    );
    let gpu = &found.devices[0];
    assert_eq!(gpu.address.as_deref(), Some("0000:00:02.0"));
    assert_eq!((gpu.shares_memory, gpu.backend), (Some(true), None));
    assert_eq!(gpu.backend_note, "none yet: OpenCL is planned");
    let nodes: Vec<&str> = gpu.nodes.iter().map(|node| node.path.as_str()).collect();
    assert_eq!(nodes, ["/dev/dri/renderD128", "/dev/dri/card0"]);
    assert_eq!(
        (found.opencl, found.vulkan),
        (vec!["intel".to_owned()], vec!["intel_icd.x86_64".to_owned()])
    );
}

/// Changes a file of a tree, as the kernel would from one sample to the next.
fn put(tree: &Tree, path: &str, content: &str) {
    std::fs::write(tree.path(path), content).unwrap();
}

fn reason<T: std::fmt::Debug>(reading: &Reading<T>) -> Reason {
    reading.value.as_ref().unwrap_err().reason
}

#[test]
fn an_npu_is_as_busy_as_its_counter_grew() {
    let (_dir, tree) = named("intel-laptop-npu");
    let mut sampler = sampler(&tree);
    let start = Instant::now();
    let first = sampler.sample(start);
    let npu = &first[1];
    assert_eq!(reason(&npu.utilisation), Reason::NotFound);
    assert_eq!(npu.frequency.get(), Some(&1_400_000_000));
    assert_eq!(npu.frequency_max.get(), Some(&1_950_000_000));
    assert_eq!(npu.shared_used.get(), Some(&268_435_456));
    let gpu = &first[0];
    assert_eq!(gpu.frequency.get(), Some(&800_000_000));
    assert_eq!(gpu.frequency_max.get(), Some(&1_950_000_000));
    assert!((gpu.energy.get().unwrap() - 29_523.753).abs() < 0.001);
    assert_eq!(reason(&gpu.power), Reason::NotFound);
    let device = "sys/class/accel/accel0/device";
    put(&tree, &format!("{device}/npu_busy_time_us"), "81723450\n");
    put(&tree, "sys/class/drm/card0/device/hwmon/hwmon4/energy2_input", "29530753173\n");
    let second = sampler.sample(start + Duration::from_secs(2));
    // Half a second of work and seven joules in two seconds.
    assert_eq!(second[1].utilisation.get(), Some(&25.0));
    assert!((second[0].power.get().unwrap() - 3.5).abs() < 1e-6, "{:?}", second[0].power);
    put(&tree, &format!("{device}/npu_busy_time_us"), "5\n");
    let third = sampler.sample(start + Duration::from_secs(3));
    assert_eq!(reason(&third[1].utilisation), Reason::Damaged);
    put(&tree, &format!("{device}/npu_busy_time_us"), "99999999999999\n");
    let fourth = sampler.sample(start + Duration::from_secs(4));
    assert_eq!(fourth[1].utilisation.get(), Some(&100.0));
    std::fs::remove_file(tree.path(format!("{device}/npu_busy_time_us"))).unwrap();
    let gone = sampler.sample(start + Duration::from_secs(5));
    assert_eq!(reason(&gone[1].utilisation), Reason::NotFound);
}

#[test]
fn an_amd_gpu_and_those_who_use_it() {
    let (_dir, tree) = named("amd-apu-xdna");
    let found = Accelerators::read(&tree);
    let lines: Vec<String> = found.devices.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "GPU AMD | Strix [Radeon 880M / 890M] | amdgpu | Ready | nothing",
            "NPU AMD | RyzenAI-npu4 | amdxdna | NoLibrary | no library that speaks to it was found: \
             `libxrt_driver_xdna.so` (XRT)",
        ]
    );
    let mut sampler = sampler(&tree);
    let start = Instant::now();
    let first = sampler.sample(start);
    let gpu = &first[0];
    let source = "sys/class/drm/card1/device/gpu_busy_percent";
    assert_eq!(gpu.utilisation, Reading::new(3.0, Unit::Percent, source));
    assert_eq!(gpu.memory_used.get(), Some(&514_580_480));
    assert_eq!(gpu.memory_total.get(), Some(&536_870_912));
    assert_eq!(gpu.shared_used.get(), Some(&3_946_811_392));
    assert_eq!(gpu.shared_total.get(), Some(&16_441_004_032));
    assert_eq!(gpu.frequency.get(), Some(&848_000_000));
    assert_eq!(gpu.frequency_max.get(), Some(&2_900_000_000));
    assert_eq!(gpu.temperature.get(), Some(&38.0));
    assert!((gpu.power.get().unwrap() - 9.087).abs() < 1e-9);
    let npu = &found.devices[1];
    assert_eq!(npu.firmware.get().map(String::as_str), Some("255.0.11.71"));
    assert_eq!(npu.firmware.source, "sys/class/accel/accel0/device/fw_version");
    for told in [&first[1].utilisation, &first[1].power] {
        let absent = told.value.as_ref().unwrap_err();
        assert_eq!(absent.reason, Reason::Unsupported);
        assert!(absent.detail.contains("calls of its own"), "{absent}");
    }
    // Two descriptors of one client count once.
    let uses: Vec<_> =
        gpu.processes.iter().map(|p| (p.pid, p.name.as_str(), p.memory.get())).collect();
    let (shell, firefox) = ((80_000 + 120_000) << 10, (4_096 + 64_000) << 10);
    assert_eq!(uses, [(2140, "gnome-shell", Some(&shell)), (3307, "firefox", Some(&firefox))]);
    assert_eq!(reason(&gpu.processes[0].utilisation), Reason::NotFound);
    let busy = |pid: u32, fd: u32, id: u32, ns: u64| {
        let text = format!(
            "drm-driver:\tamdgpu\ndrm-client-id:\t{id}\ndrm-pdev:\t0000:c1:00.0\n\
             drm-engine-gfx:\t{ns} ns\n"
        );
        put(&tree, &format!("proc/{pid}/fdinfo/{fd}"), &text);
    };
    busy(2140, 13, 21, 20_300_000_000);
    busy(2140, 14, 21, 20_300_000_000);
    // It stays behind what it said, which it may.
    busy(3307, 9, 34, 6_900_000_000);
    let second = sampler.sample(start + Duration::from_secs(1));
    let shares: Vec<_> =
        second[0].processes.iter().map(|p| *p.utilisation.get().unwrap()).collect();
    assert!((shares[0] - 30.0).abs() < 1e-9 && shares[1] == 0.0, "{shares:?}");
    // It has caught up: only what is beyond the larger value counts.
    busy(3307, 9, 34, 7_100_000_000);
    let third = sampler.sample(start + Duration::from_secs(2));
    let share = *third[0].processes[1].utilisation.get().unwrap();
    assert!((share - 10.0).abs() < 1e-9, "{share}");
}

#[test]
fn what_an_amd_gpu_cannot_do_is_damaged() {
    let device = "sys/class/drm/card1/device";
    let (_dir, tree) = named("amd-apu-xdna");
    let chip = tree.names(format!("{device}/hwmon")).remove(0);
    let hwmon = format!("{device}/hwmon/{chip}");
    let busy = format!("{device}/gpu_busy_percent");
    let file = |name: &str| format!("{device}/{name}");
    let sensor = |name: &str| format!("{hwmon}/{name}");
    let states = file("pp_dpm_sclk");
    let devices = Accelerators::read(&tree).devices;
    // A file, what it says, and which reading is damaged by it. All ones, in the width and the unit that
    // a driver has, stand for a sensor that is not there.
    let cases = [
        (busy.clone(), "101", "busy"),
        (busy.clone(), "65535", "busy"),
        (busy, "-1", "busy"),
        (file("mem_info_vram_used"), "536870913", "used"),
        (file("mem_info_vram_used"), "18446744073709551615", "used"),
        (file("mem_info_vram_total"), "0", "total"),
        (file("mem_info_vram_total"), "18446744073709551615", "total"),
        (file("mem_info_gtt_used"), "16441004033", "shared used"),
        (file("mem_info_gtt_total"), "18446744073709551615", "shared total"),
        (sensor("freq1_input"), "65535000000", "clock"),
        (sensor("freq1_input"), "4294967295", "clock"),
        (states, "0: 65535Mhz *", "clock at most"),
        (sensor("temp1_input"), "-273150", "temperature"),
        (sensor("temp1_input"), "65535000", "temperature"),
        (sensor("power1_input"), "4294967295", "power"),
        (sensor("power1_input"), "65535000000", "power"),
        (sensor("power1_input"), "-1", "power"),
    ];
    for (path, value, wanted) in cases {
        // Else the average of a while, which is right, would take the place of the power.
        let paths = match wanted {
            "power" => vec![path.clone(), sensor("power1_average")],
            _ => vec![path.clone()],
        };
        let before: Vec<_> =
            paths.iter().map(|path| std::fs::read_to_string(tree.path(path)).unwrap()).collect();
        paths.iter().for_each(|path| put(&tree, path, &format!("{value}\n")));
        let gpu = AcceleratorSampler::new(&tree, devices.clone(), no_nvml())
            .sample(Instant::now())
            .remove(0);
        paths.iter().zip(&before).for_each(|(path, text)| put(&tree, path, text));
        let damaged = [
            ("busy", gpu.utilisation.value.err()),
            ("used", gpu.memory_used.value.err()),
            ("total", gpu.memory_total.value.err()),
            ("shared used", gpu.shared_used.value.err()),
            ("shared total", gpu.shared_total.value.err()),
            ("clock", gpu.frequency.value.err()),
            ("clock at most", gpu.frequency_max.value.err()),
            ("temperature", gpu.temperature.value.err()),
            ("power", gpu.power.value.err()),
        ];
        let found: Vec<_> = damaged.iter().filter(|(_, why)| why.is_some()).collect();
        assert!(
            matches!(found[..], [(name, Some(why))]
            if *name == wanted && why.reason == Reason::Damaged),
            "{path} = {value}: {found:?}"
        );
    }
}

#[test]
fn an_amd_gpu_that_sleeps_does_nothing_and_is_not_refused() {
    let (_dir, tree) = named("amd-apu-xdna");
    let status = "sys/class/drm/card1/device/power/runtime_status";
    write_entries(&format!("{status} = suspended\n"), tree.root());
    let gpu = sampler(&tree).sample(Instant::now()).remove(0);
    assert_eq!((gpu.utilisation.get(), gpu.frequency.get()), (Some(&0.0), Some(&0)));
    assert_eq!(gpu.utilisation.source, status);
    assert_eq!(gpu.power.value.unwrap_err().detail, "it sleeps, and is not woken to be asked");
    put(&tree, status, "active\n");
    let gpu = sampler(&tree).sample(Instant::now()).remove(0);
    assert!(gpu.utilisation.get().is_some_and(|busy| *busy > 0.0) && gpu.power.get().is_some());
}

#[test]
fn a_hailo_has_a_name_and_reasons() {
    let (_dir, tree) = named("raspberry-pi-5");
    let found = Accelerators::read(&tree);
    let at = found.devices.iter().position(|device| device.vendor == "Hailo").unwrap();
    let npu = &found.devices[at];
    assert_eq!(line(npu), "NPU Hailo | Hailo-8 AI Processor | hailo | Ready | nothing");
    assert_eq!(npu.address.as_deref(), Some("0001:01:00.0"));
    assert!(npu.firmware.value.as_ref().unwrap_err().detail.contains("Hailo's own library"));
    let now = sampler(&tree).sample(Instant::now()).remove(at);
    for told in [&now.utilisation, &now.power, &now.temperature] {
        let absent = told.value.as_ref().unwrap_err();
        assert_eq!(absent.reason, Reason::Unsupported);
        assert!(absent.detail.contains("Hailo's own library"), "{absent}");
    }
}

#[test]
fn a_mali_is_as_busy_as_its_clients() {
    let (_dir, tree) = named("rk3588");
    let found = Accelerators::read(&tree);
    let lines: Vec<String> = found.devices.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "GPU Arm | Mali GPU (rockchip,rk3588-mali) | panthor | Ready | nothing",
            "NPU Rockchip | Rockchip NPU | rocket | NoLibrary | no library that speaks to it was found: \
             `libteflon.so` (Teflon)",
        ]
    );
    let mut sampler = sampler(&tree);
    let start = Instant::now();
    let first = sampler.sample(start);
    assert_eq!(first[0].frequency.get(), Some(&300_000_000));
    assert_eq!(first[0].frequency_max.get(), Some(&1_000_000_000));
    assert!((first[0].temperature.get().unwrap() - 50.614).abs() < 1e-9);
    assert!((first[1].temperature.get().unwrap() - 50.383).abs() < 1e-9);
    assert_eq!(reason(&first[0].utilisation), Reason::NotFound);
    put(
        &tree,
        "proc/1822/fdinfo/21",
        "drm-driver:\tpanthor\ndrm-client-id:\t10\ndrm-engine-panthor:\t111710952750 ns\n",
    );
    let second = sampler.sample(start + Duration::from_secs(1));
    assert!((second[0].utilisation.get().unwrap() - 60.0).abs() < 1e-6);
    assert!(second[0].utilisation.source.starts_with("proc/*/fdinfo"));
    // What is left when others' processes show nothing is not how busy it is.
    for other in ["EACCES proc/1/fd", "EACCES proc/4000/fd"] {
        let pid = other.split('/').nth(1).unwrap();
        std::fs::create_dir_all(tree.path(format!("proc/{pid}/fd"))).unwrap();
        put(&tree, "errors", &format!("{other}\n"));
        let mut sampler = self::sampler(&Tree::new(tree.root()));
        sampler.sample(start);
        let blind = sampler.sample(start + Duration::from_secs(1));
        let absent = blind[0].utilisation.value.as_ref().unwrap_err();
        assert_eq!(absent.reason, Reason::Permission);
        assert!(absent.detail.contains("only root sees"), "{absent}");
        assert_eq!(blind[0].processes[0].utilisation.get(), Some(&0.0));
    }
    std::fs::create_dir_all(tree.path("proc/self/ns")).unwrap();
    std::os::unix::fs::symlink("pid:[4026532712]", tree.path("proc/self/ns/pid")).unwrap();
    std::fs::remove_file(tree.path("errors")).unwrap();
    let inside = self::sampler(&Tree::new(tree.root())).sample(start).remove(0);
    let absent = inside.utilisation.value.unwrap_err();
    assert!(absent.detail.contains("outside this container"), "{absent}");
    // Without counting there is nothing to add up.
    put(&tree, "sys/devices/platform/fb000000.gpu/profiling", "0\n");
    let off = sampler.sample(start + Duration::from_secs(2));
    let absent = off[0].utilisation.value.as_ref().unwrap_err();
    assert_eq!(absent.reason, Reason::Unsupported);
    assert!(absent.detail.contains("root writes 1"), "{absent}");
}

#[test]
fn loads_of_all_forms_are_read() {
    let jetson = "etc/nv_tegra_release = # R36\nproc/device-tree/model = NVIDIA Jetson Orin Nano\n\
        sys/class/devfreq/17000000.gpu/cur_freq = 306000000\n\
        sys/class/devfreq/17000000.gpu/max_freq = 624750000\n\
        sys/class/devfreq/17000000.gpu/device/load = 640\ndev/nvmap =\n";
    let rockchip = "sys/class/devfreq/fdab0000.npu/load = 7@1000000000Hz\n";
    let cores = format!(
        "{rockchip}sys/kernel/debug/rknpu/load = NPU load:  Core0:  3%, Core1: 51%, Core2:  0%,\n"
    );
    let absurd = "sys/class/devfreq/fdab0000.npu/load = 4096@1000000000Hz\n";
    let kgsl = "sys/class/kgsl/kgsl-3d0/gpu_busy_percentage = 12 %\n";
    let cases: &[(&str, Result<f64, Reason>)] = &[
        (jetson, Ok(64.0)),
        (&jetson.replace("640", "6400"), Err(Reason::Damaged)),
        (rockchip, Ok(7.0)),
        (&cores, Ok(51.0)),
        (absurd, Err(Reason::Damaged)),
        (kgsl, Ok(12.0)),
    ];
    for (entries, expected) in cases {
        let (_dir, tree) = made_up(entries);
        let sample = sampler(&tree).sample(Instant::now()).remove(0);
        let load = sample.utilisation.value.map_err(|absent| absent.reason);
        assert_eq!(load, *expected, "{entries}");
    }
}

#[test]
fn the_queues_of_a_videocore_go_by_its_own_clock() {
    let (_dir, tree) = made_up(
        "sys/class/drm/card0/device/driver -> ../../../bus/platform/drivers/v3d\n\
         sys/class/drm/card0/device/gpu_stats <<\nqueue\ttimestamp\tjobs\truntime\n\
         bin\t239043069420\t22620\t17438164056\nrender\t239043069420\t22619\t27284814161\n.\n",
    );
    let mut sampler = sampler(&tree);
    let now = Instant::now();
    assert_eq!(reason(&sampler.sample(now)[0].utilisation), Reason::NotFound);
    let later = "queue\ttimestamp\tjobs\truntime\nbin\t240043069420\t22620\t17538164056\n\
        render\t240043069420\t22619\t27684814161\n";
    put(&tree, "sys/class/drm/card0/device/gpu_stats", later);
    let load = *sampler.sample(now + Duration::from_secs(9))[0].utilisation.get().unwrap();
    assert!((load - 40.0).abs() < 1e-3, "{load}");
}

#[test]
fn nvml_fills_what_files_do_not_say() {
    let (dir, tree) = made_up(
        "sys/bus/pci/devices/0000:41:00.0/vendor = 0x10de\n\
         sys/bus/pci/devices/0000:41:00.0/device = 0x28b0\n\
         sys/bus/pci/devices/0000:41:00.0/class = 0x030000\n\
         sys/bus/pci/devices/0000:41:00.0/driver -> ../../drivers/nvidia\nproc/100/comm = python3\n\
         sys/bus/pci/devices/0000:01:00.0/vendor = 0x10de\n\
         sys/bus/pci/devices/0000:01:00.0/device = 0x27b8\n\
         sys/bus/pci/devices/0000:01:00.0/class = 0x030200\n\
         sys/bus/pci/devices/0000:01:00.0/driver -> ../../drivers/nvidia\n",
    );
    let library = fake_nvml(FakeNvml::Healthy, dir.path());
    let mut nvml = Nvml::load(&library, Duration::from_secs(20)).unwrap();
    let mut found = Accelerators::read(&tree);
    assert_eq!(found.devices[0].name, "NVIDIA GPU 10de:27b8");
    found.add_nvml(&nvml.report().unwrap());
    let names: Vec<&str> = found.devices.iter().map(|device| device.name.as_str()).collect();
    assert_eq!(names, ["NVIDIA L4", "NVIDIA RTX 2000 Ada"]);
    let mut sampler =
        AcceleratorSampler::new(&tree, found.devices.clone(), NvmlSource::Asked(nvml));
    let samples = sampler.sample(Instant::now());
    assert_eq!(samples[0].utilisation.get(), Some(&37.0));
    assert_eq!(samples[0].utilisation.source, "nvmlDeviceGetUtilizationRates");
    assert_eq!(samples[1].memory_used.get(), Some(&(2 << 30)));
    assert_eq!(reason(&samples[1].utilisation), Reason::Driver);
    let process = &samples[0].processes[0];
    assert_eq!((process.pid, process.name.as_str()), (100, "python3"));
    assert_eq!(process.memory.get(), Some(&(512 << 20)));
    // Without NVML each reading says why.
    let mut without = AcceleratorSampler::new(&tree, found.devices, no_nvml());
    let samples = without.sample(Instant::now());
    assert_eq!(samples[0].power.value.as_ref().unwrap_err().detail, "there is no NVML");
}

#[test]
fn a_jetson_is_read_by_files_where_nvml_does_not_tell() {
    let (dir, tree) = made_up(
        "etc/nv_tegra_release = # R38\nproc/device-tree/model = NVIDIA Jetson Orin Nano\n\
         sys/class/devfreq/17000000.gpu/cur_freq = 306000000\n\
         sys/class/devfreq/17000000.gpu/device/load = 640\ndev/nvmap =\n\
         usr/lib/aarch64-linux-gnu/tegra/libcuda.so.1 =\n\
         sys/class/thermal/cooling_device1/type = devfreq-17000000.gpu\n\
         sys/class/thermal/thermal_zone1/type = gpu-thermal\n\
         sys/class/thermal/thermal_zone1/temp = 48343\n",
    );
    let library = fake_nvml(FakeNvml::Jetson, dir.path());
    let nvml = Nvml::load(&library, Duration::from_secs(20));
    let found = Accelerators::read(&tree);
    assert_eq!(
        line(&found.devices[0]),
        "GPU NVIDIA | GPU of NVIDIA Jetson Orin Nano | nvgpu | Ready | nothing"
    );
    assert_eq!(found.devices[0].shares_memory, Some(true));
    let sample =
        AcceleratorSampler::new(&tree, found.devices, nvml.into()).sample(Instant::now()).remove(0);
    assert_eq!(sample.utilisation.get(), Some(&64.0));
    assert_eq!(sample.frequency.get(), Some(&306_000_000));
    assert_eq!(sample.temperature.get(), Some(&48.343));
    assert_eq!(reason(&sample.memory_used), Reason::Unsupported);
    assert_eq!(sample.memory_used.source, "nvmlDeviceGetMemoryInfo");
}

#[test]
fn a_gpu_that_only_nvml_sees_is_added() {
    let (dir, tree) = made_up("dev/dxg =\n");
    let mut nvml =
        Nvml::load(&fake_nvml(FakeNvml::Healthy, dir.path()), Duration::from_secs(20)).unwrap();
    let mut found = Accelerators::read(&tree);
    assert_eq!(found.devices, []);
    let report = nvml.report().unwrap();
    found.add_nvml(&report);
    found.add_nvml(&report);
    let lines: Vec<String> = found.devices.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "GPU NVIDIA | NVIDIA L4 | nvidia | Ready | nothing",
            "GPU NVIDIA | NVIDIA RTX 2000 Ada | nvidia | Ready | nothing",
        ]
    );
    let mut sampler = AcceleratorSampler::new(&tree, found.devices, NvmlSource::Told(report));
    assert_eq!(sampler.sample(Instant::now())[0].temperature.get(), Some(&51.0));
}

#[test]
fn clients_of_an_xe_are_added_up_by_engine() {
    let (_dir, tree) = made_up(
        "sys/class/drm/card0/device -> ../../../bus/pci/devices/0000:03:00.0\n\
         sys/class/drm/renderD128/device -> ../../../bus/pci/devices/0000:03:00.0\n\
         sys/bus/pci/devices/0000:03:00.0/driver -> ../../drivers/xe\n\
         sys/bus/pci/devices/0000:03:00.0/uevent = PCI_SLOT_NAME=0000:03:00.0\n\
         proc/{7..9}/fd/\nproc/{7..9}/fdinfo/\ndev/dri/renderD128 =\n",
    );
    // Compute engines are four; the second process has two clients, of one of which it has two
    // descriptors.
    let busy = |pid: u32, fd: u32, id: u32, render: u64, compute: u64, total: u64| {
        let link = tree.path(format!("proc/{pid}/fd/{fd}"));
        let _ = std::os::unix::fs::symlink("/dev/dri/renderD128", link);
        let text = format!(
            "drm-driver:\txe\ndrm-client-id:\t{id}\ndrm-pdev:\t0000:03:00.0\n\
             drm-cycles-rcs:\t{render}\ndrm-total-cycles-rcs:\t{total}\n\
             drm-cycles-ccs:\t{compute}\ndrm-total-cycles-ccs:\t{total}\n\
             drm-engine-capacity-ccs:\t4\n"
        );
        put(&tree, &format!("proc/{pid}/fdinfo/{fd}"), &text);
    };
    let all = |n: u64, total: u64| {
        busy(7, 5, 1, 20 * n, 40 * n, total);
        busy(8, 5, 2, 30 * n, 0, total);
        busy(8, 6, 2, 30 * n, 0, total);
        busy(8, 7, 3, 5 * n, 80 * n, total);
    };
    all(0, 1000);
    let mut sampler = sampler(&tree);
    let start = Instant::now();
    assert_eq!(reason(&sampler.sample(start)[0].utilisation), Reason::NotFound);
    all(1, 1100);
    let gpu = sampler.sample(start + Duration::from_secs(1)).remove(0);
    // Render 20 + 30 + 5, compute (40 + 80) / 4.
    assert_eq!(gpu.utilisation.get(), Some(&55.0));
    let told: Vec<_> =
        gpu.processes.iter().map(|p| (p.pid, p.utilisation.get().copied())).collect();
    assert_eq!(told, [(7, Some(20.0)), (8, Some(35.0))]);
}

/// A small generator of numbers, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }
}

/// All regular files of a folder that are of accelerators or of processes.
fn files(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        let is_of_processors = path.ends_with("sys/devices/system") || path.ends_with("usr");
        if kind.is_dir() && !is_of_processors {
            files(&path, found);
        } else if kind.is_file() {
            found.push(path);
        }
    }
}

#[test]
fn no_damage_to_files_makes_it_panic() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for name in ["intel-laptop-npu", "amd-apu-xdna", "rk3588", "jetson-orin-nano", "raspberry-pi-5"]
    {
        let (_dir, tree) = named(name);
        let mut paths = Vec::new();
        files(tree.root(), &mut paths);
        paths.sort();
        let mut sampler = sampler(&tree);
        let mut now = Instant::now();
        for _ in 0..25 {
            for _ in 0..4 {
                let path = &paths[dice.below(paths.len())];
                let mut bytes = std::fs::read(path).unwrap_or_default();
                match dice.below(7) {
                    0 => bytes.clear(),
                    1 => bytes.truncate(dice.below(bytes.len() + 1)),
                    2 => bytes = b"18446744073709551615\n".to_vec(),
                    3 => bytes = b"-1\n".to_vec(),
                    4 => bytes = (0..200).map(|_| dice.below(256) as u8).collect(),
                    5 => bytes.extend_from_within(..),
                    _ => {
                        let _ = std::fs::remove_file(path);
                        continue;
                    }
                }
                std::fs::write(path, bytes).unwrap();
            }
            now += Duration::from_millis(dice.below(1500) as u64);
            let samples = sampler.sample(now);
            assert_eq!(samples.len(), sampler.devices().len());
            for share in samples.iter().filter_map(|sample| sample.utilisation.get()) {
                assert!((0.0..=100.0).contains(share), "{share}");
            }
            Accelerators::read(&tree);
        }
    }
}

#[test]
fn this_machine_is_read_without_harm() {
    let tree = Tree::this_machine();
    let found = Accelerators::read(&tree);
    let mut sampler = AcceleratorSampler::new(&tree, found.devices.clone(), Nvml::of(&tree).into());
    assert_eq!(sampler.sample(Instant::now()).len(), found.devices.len());
    assert_eq!(sampler.devices(), found.devices);
}
