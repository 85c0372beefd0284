//! Graphics processors without memory of their own.

use serde::Serialize;

use crate::probe::{Tree, board};

const DRM: &str = "sys/class/drm";

/// A graphics processor that takes its memory from the machine's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Sharing {
    /// `card0`.
    pub card: String,
    /// Its driver.
    pub driver: String,
    /// How it is known to share.
    pub why: String,
}

/// All that share, by their number.
pub(super) fn read(tree: &Tree) -> Vec<Sharing> {
    let cards = tree.names(DRM).into_iter().filter(|name| {
        name.strip_prefix("card").is_some_and(|number| number.parse::<u32>().is_ok())
    });
    let mut found: Vec<Sharing> = cards.filter_map(|card| sharing(tree, card)).collect();
    // NVIDIA's Jetson has no card of its own where the driver is not loaded.
    if found.is_empty() && board::is_jetson(tree) {
        let why = "the board is a Jetson, whose processor and GPU have one memory".to_owned();
        found.push(Sharing { card: "gpu".to_owned(), driver: "nvidia".to_owned(), why });
    }
    found
}

fn sharing(tree: &Tree, card: String) -> Option<Sharing> {
    let device = format!("{DRM}/{card}/device");
    let driver = tree.link_name(format!("{device}/driver"))?;
    let why = why(tree, &device, &driver)?;
    Some(Sharing { card, driver, why: why.to_owned() })
}

/// How the graphics processor of the folder `device` is known to share memory, with the driver that it has
/// or would have.
pub(in crate::probe) fn why(tree: &Tree, device: &str, driver: &str) -> Option<&'static str> {
    let bus = tree.link_name(format!("{device}/subsystem"));
    match (driver, bus.as_deref()) {
        // Screens without a graphics processor behind them.
        ("simple-framebuffer" | "virtio_gpu" | "bochs-drm" | "vkms" | "vc4", _) => None,
        // Intel's integrated graphics are always this device of the first bus.
        ("i915" | "xe", _) => {
            (address(tree, device)? == "0000:00:02.0").then_some("it is in the processor")
        }
        // Only integrated ones have a sensor of the voltage of the north bridge
        // (Documentation/gpu/amdgpu/thermal.rst).
        ("amdgpu", _) if has_north_bridge(tree, device) => Some("it is in the processor"),
        (_, Some("platform" | "host1x")) => Some("it is part of the chip"),
        _ => None,
    }
}

/// `0000:00:02.0`, from where the link points or from what the kernel says of the device.
fn address(tree: &Tree, device: &str) -> Option<String> {
    let uevent = tree.text(format!("{device}/uevent")).value.ok();
    let said = uevent.as_deref().and_then(|text| {
        text.lines().find_map(|line| line.strip_prefix("PCI_SLOT_NAME=")).map(str::to_owned)
    });
    said.or_else(|| tree.link_name(device))
}

fn has_north_bridge(tree: &Tree, device: &str) -> bool {
    let folder = format!("{device}/hwmon");
    tree.names(&folder).iter().any(|hwmon| {
        let label = tree.text(format!("{folder}/{hwmon}/in1_label"));
        label.get().is_some_and(|label| label == "vddnb")
    })
}
