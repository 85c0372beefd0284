//! The device tree of a board: what boards without ACPI say they are.

use super::{Reading, Tree};

/// A property of the root of the device tree. `/proc/device-tree` is a link with an absolute path, which
/// leads out of a captured tree.
pub(super) fn property(tree: &Tree, name: &str) -> Reading<String> {
    let first = tree.text(format!("sys/firmware/devicetree/base/{name}"));
    first.or_else(|| tree.text(format!("proc/device-tree/{name}")))
}

/// Whether a word of `compatible` has `part`, such as `nvidia,tegra`.
pub(super) fn is_compatible(tree: &Tree, part: &str) -> bool {
    property(tree, "compatible").get().is_some_and(|text| text.contains(part))
}

/// Whether the machine is one of NVIDIA's boards with processor and GPU on one chip, and one memory.
pub(super) fn is_jetson(tree: &Tree) -> bool {
    tree.exists("etc/nv_tegra_release") || is_compatible(tree, "nvidia,tegra")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_places_of_the_device_tree_are_read() {
        for folder in ["sys/firmware/devicetree/base", "proc/device-tree"] {
            let dir = tempfile::tempdir().unwrap();
            let entry = format!("{folder}/compatible = nvidia,p3768\\0nvidia,tegra234");
            rushlight_testkit::made_up::write_entries(&entry, dir.path());
            let tree = Tree::new(dir.path());
            assert!(is_jetson(&tree) && !is_compatible(&tree, "raspberrypi,"), "{folder}");
        }
    }
}
