//! What devices are called: by the machine's list of PCI ids, or by what the kernel says of them.

use crate::probe::{Tree, board};

/// Letters of a name, at most.
const MOST_LETTERS: usize = 80;

/// The list of PCI ids, if the machine has one (packages `pci.ids`, `hwdata`).
pub(super) struct PciNames(String);

impl PciNames {
    pub(super) fn read(tree: &Tree) -> Self {
        let paths = ["usr/share/misc/pci.ids", "usr/share/hwdata/pci.ids"];
        let bytes = paths.iter().find_map(|path| tree.bytes(path).ok()).unwrap_or_default();
        Self(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The name of a device. A vendor's line begins with its id, its devices' lines below with a tab.
    pub(super) fn find(&self, vendor: u16, device: u16) -> Option<String> {
        let (vendor, device) = (format!("{vendor:04x}  "), format!("\t{device:04x}  "));
        let mut lines = self.0.lines().skip_while(|line| !line.starts_with(&vendor)).skip(1);
        let below = lines.by_ref().take_while(|line| line.starts_with(['\t', '#']));
        let line = below.into_iter().find(|line| line.starts_with(&device))?;
        Some(clean(line.get(device.len()..)?))
    }
}

/// A name fit to be shown.
pub(super) fn clean(name: &str) -> String {
    name.trim().chars().filter(|c| !c.is_control()).take(MOST_LETTERS).collect()
}

/// What the device tree calls the machine.
pub(super) fn board(tree: &Tree) -> Option<String> {
    let model = board::property(tree, "model");
    model.get().map(|model| clean(model)).filter(|model| !model.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_looked_up_below_their_vendor() {
        let list = "# a list\n1002  Advanced Micro Devices\n\t150e  Strix\n\t\t17aa 3801  Laptop\n\
                    8086  Intel Corporation\n\t150e  82580\n\t7d55  Arc Graphics\nC 00  Unclassified\n";
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("usr/share/hwdata")).unwrap();
        std::fs::write(dir.path().join("usr/share/hwdata/pci.ids"), list).unwrap();
        let names = PciNames::read(&Tree::new(dir.path()));
        assert_eq!(names.find(0x1002, 0x150e).as_deref(), Some("Strix"));
        assert_eq!(names.find(0x8086, 0x150e).as_deref(), Some("82580"));
        assert_eq!(names.find(0x8086, 0x7d55).as_deref(), Some("Arc Graphics"));
        assert_eq!(names.find(0x1002, 0x7d55), None);
        assert_eq!(names.find(0x10de, 0x7d55), None);
        assert_eq!(clean(" a\u{1b}[31m\tb "), "a[31mb");
    }
}
