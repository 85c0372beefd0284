//! Devices on the PCI bus, with and without a driver.

use super::class::driver_of;
use super::find::All;
use crate::probe::Tree;

/// Display controllers (PCI Code and ID Assignment Specification, base class 3).
const DISPLAY: u32 = 0x03;

/// Devices that compute: vendor, device (`None`: all), base class (`None`: all), and the driver that
/// would be bound.
///
/// Ids: `drivers/accel/ivpu/ivpu_drv.h`, `drivers/accel/amdxdna/amdxdna_pci_drv.c`,
/// `drivers/accel/qaic/qaic_drv.c`, `drivers/accel/habanalabs/common/habanalabs_drv.c`, Hailo's and
/// Google's own drivers.
const DEVICES: &[(u16, Option<u16>, Option<u32>, &str)] = &[
    (0x10de, None, Some(DISPLAY), "nvidia"),
    (0x1002, None, Some(DISPLAY), "amdgpu"),
    (0x8086, None, Some(DISPLAY), "i915"),
    (0x8086, Some(0x7d1d), None, "intel_vpu"),
    (0x8086, Some(0xad1d), None, "intel_vpu"),
    (0x8086, Some(0x643e), None, "intel_vpu"),
    (0x8086, Some(0xb03e), None, "intel_vpu"),
    (0x8086, Some(0xfd3e), None, "intel_vpu"),
    (0x1022, Some(0x1502), None, "amdxdna"),
    (0x1022, Some(0x17f0), None, "amdxdna"),
    (0x17cb, Some(0xa080), None, "qaic"),
    (0x17cb, Some(0xa100), None, "qaic"),
    (0x17cb, Some(0xa110), None, "qaic"),
    (0x1da3, None, None, "habanalabs"),
    (0x1e60, None, None, "hailo"),
    (0x1ac1, Some(0x089a), None, "apex"),
];

/// Adds what the bus shows.
pub(super) fn find(tree: &Tree, all: &mut All) {
    let mut nvidia = 0;
    for address in tree.names("sys/bus/pci/devices") {
        let device = format!("sys/bus/pci/devices/{address}");
        let Some(ids) = ids(tree, &device) else { continue };
        let Some(expected) = expected(ids, class(tree, &device)) else { continue };
        let found = all.at(&address);
        found.expected = Some(expected);
        found.ids = Some(ids);
        found.driver = found.driver.take().or_else(|| driver_of(tree, &device));
        found.place.device.get_or_insert(device);
        if found.driver.as_deref() == Some("nvidia") {
            let (name, minor) = told_by_nvidia(tree, &address);
            found.name = name;
            found.add_node("dev/nvidiactl".to_owned(), true);
            found.add_node(format!("dev/nvidia{}", minor.unwrap_or(nvidia)), true);
            found.add_node("dev/nvidia-uvm".to_owned(), false);
            // CUDA goes by nodes of its own.
            for (path, is_needed) in &mut found.nodes {
                *is_needed &= !path.contains("/dri/");
            }
            nvidia += 1;
        }
    }
}

/// The driver that a device of these ids would have.
fn expected((vendor, device): (u16, u16), class: Option<u32>) -> Option<&'static str> {
    let fits = |row: &&(u16, Option<u16>, Option<u32>, &str)| {
        row.0 == vendor
            && row.1.is_none_or(|wanted| wanted == device)
            && row.2.is_none_or(|wanted| class.map(|class| class >> 16) == Some(wanted))
    };
    DEVICES.iter().find(fits).map(|row| row.3)
}

/// Ids of vendor and device.
pub(super) fn ids(tree: &Tree, device: &str) -> Option<(u16, u16)> {
    let id = |name: &str| u16::try_from(hexadecimal(tree, &format!("{device}/{name}"))?).ok();
    Some((id("vendor")?, id("device")?))
}

fn class(tree: &Tree, device: &str) -> Option<u32> {
    hexadecimal(tree, &format!("{device}/class"))
}

fn hexadecimal(tree: &Tree, path: &str) -> Option<u32> {
    let text = tree.text(path);
    u32::from_str_radix(text.get()?.strip_prefix("0x")?, 16).ok()
}

/// The product's name and the number of its node, as the driver tells in `/proc`.
fn told_by_nvidia(tree: &Tree, address: &str) -> (Option<String>, Option<u32>) {
    let text = tree.text(format!("proc/driver/nvidia/gpus/{address}/information"));
    let field = |name: &str| {
        let line = text.get()?.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().to_owned())
    };
    (field("Model:"), field("Device Minor:").and_then(|minor| minor.parse().ok()))
}
