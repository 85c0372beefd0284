//! The devices of a machine, from all places that show them, each once.

use super::driver::{self, Driver};
use super::library::Libraries;
use super::name::{PciNames, clean};
use super::{Accelerator, AcceleratorKind, Node, Place, class, firmware, node, pci, soc, verdict};
use crate::probe::memory::shared;
use crate::probe::{Tree, board};

/// Devices, at most: more than any machine has.
const MOST_DEVICES: usize = 256;

/// A device as far as the places that show it tell.
#[derive(Default)]
pub(super) struct Found {
    pub(super) address: Option<String>,
    pub(super) driver: Option<String>,
    /// What would be bound to it, where no driver is.
    pub(super) expected: Option<&'static str>,
    pub(super) name: Option<String>,
    /// PCI ids of vendor and device.
    pub(super) ids: Option<(u16, u16)>,
    /// Paths of nodes, and whether programs that compute need them.
    pub(super) nodes: Vec<(String, bool)>,
    pub(super) place: Place,
}

/// All devices that were found.
#[derive(Default)]
pub(super) struct All(pub(super) Vec<Found>);

impl All {
    /// The device at `address`, made if it is new.
    pub(super) fn at(&mut self, address: &str) -> &mut Found {
        let known = self.0.iter().position(|found| found.address.as_deref() == Some(address));
        let index = known.unwrap_or_else(|| {
            self.0.push(Found { address: Some(address.to_owned()), ..Found::default() });
            self.0.len() - 1
        });
        &mut self.0[index]
    }

    /// Whether there is a device at `address`.
    pub(super) fn has(&self, address: &str) -> bool {
        self.0.iter().any(|found| found.address.as_deref() == Some(address))
    }
}

impl Found {
    /// What is known of its driver, or of that which it lacks.
    pub(super) fn row(&self) -> Option<&'static Driver> {
        let of_driver = self.driver.as_deref().and_then(driver::driver);
        of_driver.or_else(|| self.expected.and_then(driver::driver))
    }

    /// Adds a node, once.
    pub(super) fn add_node(&mut self, path: String, is_needed: bool) {
        if self.nodes.iter().all(|(known, _)| *known != path) {
            self.nodes.push((path, is_needed));
        }
    }

    /// Whether it computes, as far as that is known.
    fn computes(&self) -> bool {
        if self.driver.as_deref().is_some_and(driver::is_display) {
            return false;
        }
        let has_render_node = self.nodes.iter().any(|(path, _)| path.contains("/renderD"));
        self.row().is_some() || self.expected.is_some() || has_render_node
    }
}

/// All devices that compute.
pub(super) fn find(tree: &Tree) -> Vec<Accelerator> {
    let mut all = All::default();
    class::find(tree, &mut all);
    pci::find(tree, &mut all);
    soc::find(tree, &mut all);
    all.0.retain(Found::computes);
    all.0.truncate(MOST_DEVICES);
    if all.0.is_empty() {
        return Vec::new();
    }
    let (libraries, names) = (Libraries::read(tree), PciNames::read(tree));
    let user = user(tree);
    let devices = all.0.into_iter().map(|found| finish(tree, found, &libraries, &names, &user));
    let mut devices: Vec<Accelerator> = devices.collect();
    devices.sort_by(|a, b| {
        (a.kind, a.state == super::AcceleratorState::NoDriver)
            .cmp(&(b.kind, b.state == super::AcceleratorState::NoDriver))
    });
    devices
}

/// The user of this process, in words; of a captured tree nobody knows.
fn user(tree: &Tree) -> String {
    if tree.is_this_machine() {
        format!("user `{}`", node::user_name(tree))
    } else {
        "the user".to_owned()
    }
}

fn finish(
    tree: &Tree,
    mut found: Found,
    libraries: &Libraries,
    names: &PciNames,
    user: &str,
) -> Accelerator {
    let row = found.row();
    let of_ids = found.ids.and_then(|(vendor, device)| names.find(vendor, device));
    let name = found.name.take().map(|name| clean(&name)).filter(|name| !name.is_empty());
    let name = name.or(of_ids).unwrap_or_else(|| {
        let what = row.map_or("GPU", |row| row.what);
        match found.ids {
            Some((vendor, device)) => format!("{what} {vendor:04x}:{device:04x}"),
            None => what.to_owned(),
        }
    });
    found.nodes.sort_by_key(|(_, is_needed)| !is_needed);
    let nodes: Vec<Node> =
        found.nodes.iter().map(|(path, is_needed)| Node::read(tree, path, *is_needed)).collect();
    let needs = row.map_or(&[][..], |row| row.needs);
    let libraries: Vec<_> = needs.iter().map(|need| libraries.find(need)).collect();
    let driver = found.driver.as_deref();
    let (state, missing) = verdict::judge(row, driver, &nodes, &libraries, user);
    let shares_memory = match (row, &found.place.device) {
        (Some(row), _) if row.vendor == driver::NVIDIA && board::is_jetson(tree) => Some(true),
        // Their drivers run both kinds.
        (Some(row), Some(device)) if row.shares_memory.is_none() => {
            let driver = driver.or(found.expected).unwrap_or_default();
            let shares = shared::why(tree, device, driver).is_some();
            // AMD's newer processors do not show the sensor that the older ones are known by.
            (shares || row.vendor == "Intel").then_some(shares)
        }
        (row, _) => row.and_then(|row| row.shares_memory),
    };
    let firmware = firmware::read(tree, driver, found.place.device.as_deref());
    Accelerator {
        kind: row.map_or(AcceleratorKind::Gpu, |row| row.kind),
        vendor: row.map_or("unknown", |row| row.vendor).to_owned(),
        name,
        address: found.address,
        driver: found.driver,
        firmware,
        nodes,
        libraries,
        state,
        missing,
        backend: None,
        backend_note: driver::note(row),
        shares_memory,
        place: found.place,
    }
}
