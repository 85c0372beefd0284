//! Devices that are parts of a chip, and those that are plugged in: Jetson's GPU, what scales its
//! frequency (`devfreq`), Qualcomm's signal processors, USB.

use super::class::driver_of;
use super::driver::driver;
use super::find::All;
use super::name;
use crate::probe::{Tree, board};

/// Ids of the Coral USB Accelerator: before its firmware is loaded, which the library does, and after.
const CORAL_USB: &[(&str, &str)] = &[("1a6e", "089a"), ("18d1", "9302")];

/// Nodes of a Jetson's GPU: JetPack 6 and 7, and before.
const JETSON_NODES: &[(&str, bool)] = &[
    ("dev/nvmap", true),
    ("dev/nvgpu/igpu0/ctrl", false),
    ("dev/nvhost-ctrl-gpu", false),
    ("dev/nvhost-gpu", false),
];

/// Adds what the chip and its ports have.
pub(super) fn find(tree: &Tree, all: &mut All) {
    let is_jetson = board::is_jetson(tree);
    for name in tree.names("sys/class/devfreq") {
        let folder = format!("sys/class/devfreq/{name}");
        if is_jetson && is_jetson_gpu(&name) {
            jetson(tree, all, &name, folder);
        } else if name.contains("npu") || name.contains("gpu") || name.contains("mali") {
            scaled(tree, all, &name, folder);
        }
    }
    signal_processors(tree, all);
    usb(tree, all);
}

/// Xavier and before end with the chip's name, Orin with `gpu`; Thor has parts (`gpu-gpc-0`).
fn is_jetson_gpu(name: &str) -> bool {
    let ends = [".gpu", ".ga10b", ".gv11b", ".gp10b", ".gm20b"];
    ends.iter().any(|end| name.ends_with(end)) || name.starts_with("gpu-gpc")
}

fn jetson(tree: &Tree, all: &mut All, name: &str, folder: String) {
    // Thor's GPU is on a PCI bus as well.
    let on_bus = all.0.iter_mut().find(|found| found.driver.as_deref() == Some("nvidia"));
    if let Some(found) = on_bus {
        found.place.devfreq.get_or_insert(folder);
        if let Some(board) = name::board(tree) {
            found.name.get_or_insert(format!("GPU of {board}"));
        }
        return;
    }
    let device = format!("{folder}/device");
    let address = tree.link_name(&device).unwrap_or_else(|| name.to_owned());
    let found = all.at(&address);
    let bound = driver_of(tree, &device).filter(|bound| driver(bound).is_some());
    found.driver = found.driver.take().or(bound).or_else(|| Some("nvgpu".to_owned()));
    if let Some(board) = name::board(tree) {
        found.name = Some(format!("GPU of {board}"));
    }
    for (path, is_needed) in JETSON_NODES {
        if *is_needed || tree.exists(path) {
            found.add_node((*path).to_owned(), *is_needed);
        }
    }
    found.place.device = Some(device);
    found.place.devfreq.get_or_insert(folder);
}

/// A GPU or NPU whose frequency the kernel scales: one that is known already, or Rockchip's NPU.
fn scaled(tree: &Tree, all: &mut All, name: &str, folder: String) {
    let device = format!("{folder}/device");
    let address = tree.link_name(&device).unwrap_or_else(|| name.to_owned());
    // Arm's own driver calls it `fb000000.gpu-mali`.
    let is_same = |known: &Option<String>| {
        known.as_ref().is_some_and(|known| *known == address || name.starts_with(known.as_str()))
    };
    if let Some(found) = all.0.iter_mut().find(|found| is_same(&found.address)) {
        found.place.devfreq = Some(folder);
    } else if name.ends_with(".npu") {
        let found = all.at(&address);
        let bound = driver_of(tree, &device).filter(|bound| driver(bound).is_some());
        found.driver = bound.or_else(|| Some("RKNPU".to_owned()));
        // Drivers before 0.9 and those that are built so have a node of their own.
        if tree.exists("dev/rknpu") {
            found.add_node("dev/rknpu".to_owned(), true);
        }
        found.place.device = Some(device);
        found.place.devfreq = Some(folder);
    } else if !name.contains("npu") {
        // The card of some chips is that of the display, of which the GPU is a part (Adreno).
        let mut alone = all.0.iter_mut().filter(|found| {
            let shares = found.row().is_some_and(|row| row.shares_memory == Some(true));
            shares && found.place.card.is_some() && found.place.devfreq.is_none()
        });
        if let (Some(found), None) = (alone.next(), alone.next()) {
            found.place.devfreq = Some(folder);
        }
    }
}

/// Hexagon processors that compute, numbered from the second on; `-secure` is for signed code.
fn signal_processors(tree: &Tree, all: &mut All) {
    const BEGIN: &str = "fastrpc-cdsp";
    let mut names = tree.names("sys/class/misc");
    names.extend(tree.names("dev"));
    for name in names {
        let Some(rest) = name.strip_prefix(BEGIN) else { continue };
        let number = rest.trim_end_matches("-secure");
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let found = all.at(&format!("cdsp{number}"));
        found.driver = Some("fastrpc".to_owned());
        found.add_node(format!("dev/{name}"), !rest.ends_with("-secure"));
    }
}

fn usb(tree: &Tree, all: &mut All) {
    for name in tree.names("sys/bus/usb/devices") {
        let folder = format!("sys/bus/usb/devices/{name}");
        let field = |file: &str| tree.text(format!("{folder}/{file}")).get().cloned();
        let (Some(vendor), Some(product)) = (field("idVendor"), field("idProduct")) else {
            continue;
        };
        if !CORAL_USB.contains(&(vendor.as_str(), product.as_str())) || all.has(&name) {
            continue;
        }
        let found = all.at(&name);
        // A library drives it through the bus itself.
        found.driver = Some("usbfs".to_owned());
        let number = |file: &str| field(file).and_then(|text| text.parse::<u16>().ok());
        if let (Some(bus), Some(device)) = (number("busnum"), number("devnum")) {
            found.add_node(format!("dev/bus/usb/{bus:03}/{device:03}"), true);
        }
    }
}
