//! The group of GPUs, NPUs and TPUs.

use std::time::Instant;

use rushlight_host::probe::accelerators::{
    Accelerator, AcceleratorSample, AcceleratorSampler, AcceleratorState, Accelerators, Node,
    NodeState,
};
use rushlight_host::probe::nvml::{NvmlReport, NvmlSource};
use rushlight_host::probe::{Absent, Reading, Reason, Tree, Unit};
use serde::Serialize;

use super::group::Group;
use crate::commands::probe::ask_nvml;
use crate::report::size;

#[derive(Serialize)]
struct Found {
    devices: Vec<Device>,
    opencl: Vec<String>,
    vulkan: Vec<String>,
    /// The version of NVIDIA's driver, as NVML tells it.
    nvml: Reading<String>,
}

#[derive(Serialize)]
struct Device {
    #[serde(flatten)]
    device: Accelerator,
    now: AcceleratorSample,
}

/// Looks at accelerators.
pub(crate) fn look(tree: &Tree) -> Group {
    let mut accelerators = Accelerators::read(tree);
    let report = nvml(tree, &accelerators);
    if let NvmlSource::Told(report) = &report {
        accelerators.add_nvml(report);
    }
    let nvml = version(&report);
    let Accelerators { devices, opencl, vulkan, .. } = accelerators;
    let mut sampler = AcceleratorSampler::new(tree, devices.clone(), report);
    let now = sampler.sample(Instant::now());
    let devices = devices.into_iter().zip(now).map(|(device, now)| Device { device, now });
    let found = Found { devices: devices.collect(), opencl, vulkan, nvml };
    let mut group = Group::new("accelerators", "Accelerators", sentence(&found), &found);
    for device in &found.devices {
        lines(&mut group, device);
    }
    if !found.devices.is_empty() {
        for (label, drivers) in
            [("OpenCL drivers", &found.opencl), ("Vulkan drivers", &found.vulkan)]
        {
            if !drivers.is_empty() {
                group.line(label, drivers.join(", "));
            }
        }
    }
    group
}

/// Asks NVML, where something of NVIDIA's is to be seen. The last is the GPU of Windows' Linux.
fn nvml(tree: &Tree, accelerators: &Accelerators) -> NvmlSource {
    let has_device = accelerators.devices.iter().any(|device| device.vendor == "NVIDIA");
    let nodes = ["dev/nvidiactl", "dev/dxg"];
    if !has_device && !nodes.iter().any(|node| tree.exists(node)) {
        return NvmlSource::Absent(Absent {
            reason: Reason::NotFound,
            detail: "there is no GPU of NVIDIA's".to_owned(),
        });
    }
    ask_nvml(tree).map_or_else(NvmlSource::Absent, NvmlSource::Told)
}

fn version(report: &NvmlSource) -> Reading<String> {
    match report {
        NvmlSource::Told(NvmlReport { driver, .. }) => driver.clone(),
        NvmlSource::Absent(absent) => {
            Reading { value: Err(absent.clone()), unit: Unit::None, source: "NVML".to_owned() }
        }
        NvmlSource::Asked(_) => {
            Reading::absent(Reason::NotFound, "it has not been asked", Unit::None, "NVML")
        }
    }
}

/// No backend uses one of them yet, so that none that is missing makes the machine worse.
fn sentence(found: &Found) -> String {
    let count = found.devices.len();
    let here = match &found.devices[..] {
        [] => return "There is none; rushlight computes on the processor.".to_owned(),
        [device] => format!("There is one {}", device.device.kind.name()),
        _ => format!("There are {count}"),
    };
    let is_ready = |device: &&Device| device.device.state == AcceleratorState::Ready;
    let ready = found.devices.iter().filter(is_ready).count();
    let ready = match (ready, count) {
        (0, _) => ", not ready for use".to_owned(),
        (_, 1) => ", ready for use by other programs".to_owned(),
        (ready, count) if ready == count => ", all ready for use by other programs".to_owned(),
        (ready, _) => format!(", {ready} of them ready for use by other programs"),
    };
    let backend = found.devices.iter().find_map(|device| device.device.backend);
    match backend {
        Some(backend) => format!("{here}{ready}; rushlight has a backend ({backend})."),
        None => {
            format!(
                "{here}{ready}; rushlight computes on the processor: no backend uses accelerators yet."
            )
        }
    }
}

fn lines(group: &mut Group, Device { device, now }: &Device) {
    let kind = device.kind.name();
    let mut what = format!("{} ({})", device.name, device.vendor);
    if let Some(driver) = &device.driver {
        what += &format!(", driver `{driver}`");
    }
    if let Some(firmware) = device.firmware.get() {
        what += &format!(", firmware {firmware}");
    }
    if let Some(address) = &device.address {
        what += &format!(", at {address}");
    }
    let state = match device.state {
        AcceleratorState::Ready => "ready, not tried",
        AcceleratorState::NoLibrary => "no library for it",
        AcceleratorState::NoPermission => "may not be opened",
        AcceleratorState::NoNode => "no device node",
        _ => "no driver",
    };
    group.line(kind, format!("{what}: {state}"));
    if let Some(memory) = memory(device, now) {
        group.line(format!("{kind} memory"), memory);
    }
    let does = does(now);
    if !does.is_empty() {
        group.line(format!("{kind} now"), does.join(", "));
    }
    if !device.nodes.is_empty() {
        let nodes: Vec<String> = device.nodes.iter().map(node).collect();
        group.line(format!("{kind} nodes"), nodes.join(", "));
    }
    let libraries = device.libraries.iter().map(|library| match &library.path {
        Some(path) => format!("{} ({path})", library.what),
        None => format!("no {} (`{}`)", library.what, library.name),
    });
    let libraries: Vec<String> = libraries.collect();
    if !libraries.is_empty() {
        group.line(format!("{kind} libraries"), libraries.join(", "));
    }
    group.line(format!("{kind} backend"), device.backend.unwrap_or(&device.backend_note));
    if let Some(missing) = &device.missing {
        group.hint(format!("{} ({kind}): {missing}", device.name));
    }
}

fn memory(device: &Accelerator, now: &AcceleratorSample) -> Option<String> {
    let part = |used: &Reading<u64>, total: &Reading<u64>, of: &str| match (used.get(), total.get())
    {
        (Some(&used), Some(&total)) => {
            Some(format!("{} of {} {of} taken", size(used), size(total)))
        }
        (Some(&used), None) => Some(format!("{} {of} taken", size(used))),
        (None, Some(&total)) => Some(format!("{} {of}", size(total))),
        (None, None) => None,
    };
    let own = part(&now.memory_used, &now.memory_total, "of its own");
    let shared = part(&now.shared_used, &now.shared_total, "of the machine's");
    match (own, shared) {
        (Some(own), Some(shared)) => Some(format!("{own}, {shared}")),
        (Some(one), None) | (None, Some(one)) => Some(one),
        (None, None) if device.shares_memory == Some(true) => Some("the machine's".to_owned()),
        (None, None) => None,
    }
}

/// What it does, as far as one look tells.
fn does(now: &AcceleratorSample) -> Vec<String> {
    let mhz = |hertz: &u64| format!("{} MHz", hertz / 1_000_000);
    let mut parts = Vec::new();
    if let Some(busy) = now.utilisation.get() {
        parts.push(format!("{busy:.0} % busy"));
    }
    match (now.frequency.get(), now.frequency_max.get()) {
        (Some(now), Some(most)) => parts.push(format!("{} of {}", mhz(now), mhz(most))),
        (Some(one), None) => parts.push(mhz(one)),
        (None, Some(most)) => parts.push(format!("up to {}", mhz(most))),
        (None, None) => {}
    }
    if let Some(celsius) = now.temperature.get() {
        parts.push(format!("{celsius:.0} °C"));
    }
    if let Some(watts) = now.power.get() {
        parts.push(format!("{watts:.1} W"));
    }
    parts
}

fn node(node: &Node) -> String {
    let group = match &node.group {
        Some(group) => format!(" (group `{group}`)"),
        None => String::new(),
    };
    match node.state {
        NodeState::Opens => format!("{}{group}", node.path),
        NodeState::Missing => format!("{} is missing", node.path),
        _ => format!("{}{group} may not be opened", node.path),
    }
}
