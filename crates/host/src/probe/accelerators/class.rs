//! Devices that a class of the kernel shows: DRM's cards and render nodes, accelerators, and the
//! classes of single drivers.

use super::find::All;
use crate::probe::Tree;

/// Classes that drivers keep for themselves: folder of the class, beginning of the names, driver,
/// and the file that tells the address, if one does.
const OWN: &[(&str, &str, &str, Option<&str>)] = &[
    ("sys/class/hailo_chardev", "hailo", "hailo", Some("board_location")),
    ("sys/class/apex", "apex_", "apex", None),
    ("sys/class/misc", "mali", "mali", None),
    ("sys/class/kgsl", "kgsl-3d", "kgsl", None),
];

/// Adds what the classes show.
pub(super) fn find(tree: &Tree, all: &mut All) {
    for name in tree.names("sys/class/drm") {
        if is_numbered(&name, "card") {
            let found = add(tree, all, "sys/class/drm", &name);
            found.add_node(format!("dev/dri/{name}"), false);
            found.place.card = Some(format!("sys/class/drm/{name}"));
        } else if is_numbered(&name, "renderD") {
            let found = add(tree, all, "sys/class/drm", &name);
            found.add_node(format!("dev/dri/{name}"), true);
        }
    }
    for name in tree.names("sys/class/accel") {
        if is_numbered(&name, "accel") {
            let found = add(tree, all, "sys/class/accel", &name);
            found.add_node(format!("dev/accel/{name}"), true);
            let device = format!("sys/class/accel/{name}/device");
            // AMD's driver tells its product (`drivers/accel/amdxdna/amdxdna_sysfs.c`).
            found.name = tree.text(format!("{device}/vbnv")).get().cloned();
        }
    }
    for (folder, begin, driver, address_file) in OWN {
        for name in tree.names(folder).into_iter().filter(|name| is_numbered(name, begin)) {
            let path = format!("{folder}/{name}");
            let told =
                address_file.and_then(|file| tree.text(format!("{path}/{file}")).get().cloned());
            let address = told.or_else(|| address(tree, &path)).unwrap_or(name.clone());
            let found = all.at(&address);
            found.add_node(format!("dev/{name}"), true);
            // A class that only one driver makes is there because that driver is.
            found.driver.get_or_insert_with(|| (*driver).to_owned());
            found.place.class = Some(path.clone());
            found.place.device.get_or_insert_with(|| format!("{path}/device"));
        }
    }
}

/// The device that `name` in `folder` belongs to.
fn add<'a>(tree: &Tree, all: &'a mut All, folder: &str, name: &str) -> &'a mut super::find::Found {
    let path = format!("{folder}/{name}");
    let device = format!("{path}/device");
    let address = address(tree, &path).unwrap_or_else(|| name.to_owned());
    let found = all.at(&address);
    found.driver = found.driver.take().or_else(|| driver_of(tree, &device)).or_else(|| {
        // The driver `rocket` gathers the cores of a chip under a device that has no driver
        // (`drivers/accel/rocket/rocket_drv.c`).
        (address == "rknn").then(|| "rocket".to_owned())
    });
    found.ids = found.ids.or_else(|| super::pci::ids(tree, &device));
    if let Some(compatible) = uevent(tree, &device, "OF_COMPATIBLE_0")
        && let Some(row) = found.row()
    {
        found.name.get_or_insert_with(|| format!("{} ({compatible})", row.what));
    }
    found.place.device.get_or_insert(device);
    found
}

/// The driver that is bound to the device in a folder.
pub(super) fn driver_of(tree: &Tree, device: &str) -> Option<String> {
    tree.link_name(format!("{device}/driver")).or_else(|| uevent(tree, device, "DRIVER"))
}

/// Where the device of an entry of a class is: its slot, or the name of its folder.
fn address(tree: &Tree, path: &str) -> Option<String> {
    let device = format!("{path}/device");
    uevent(tree, &device, "PCI_SLOT_NAME").or_else(|| tree.link_name(&device))
}

/// A value that the kernel tells when the device appears.
fn uevent(tree: &Tree, device: &str, key: &str) -> Option<String> {
    let text = tree.text(format!("{device}/uevent"));
    let value = text.get()?.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.to_owned())
}

/// Whether a name is `begin` and a number.
pub(super) fn is_numbered(name: &str, begin: &str) -> bool {
    let rest = name.strip_prefix(begin);
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}
