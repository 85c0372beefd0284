//! The libraries that programs reach accelerators with, found by name and never loaded.

use std::collections::BTreeMap;

use serde::Serialize;

use super::driver::{Need, library_names};
use crate::probe::Tree;

/// A library that speaks to an accelerator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Library {
    /// What it offers, such as `CUDA`.
    pub what: String,
    /// The name that it was searched by.
    pub name: String,
    /// Where it is; `None` if it was not found.
    pub path: Option<String>,
    /// Whether programs can compute with it alone.
    pub suffices: bool,
}

/// Folders that are searched after what `ldconfig` lists. The last four: ROCm, XRT, NixOS, WSL.
const FOLDERS: &[&str] = &[
    "usr/local/lib",
    "usr/lib64",
    "usr/lib",
    "lib64",
    "lib",
    "usr/local/lib64",
    "opt/rocm/lib",
    "opt/xilinx/xrt/lib",
    "run/opengl-driver/lib",
    "usr/lib/wsl/lib",
];
/// Folders below that of a machine's architecture in which drivers keep their libraries.
const BELOW: &[&str] = &["", "/nvidia", "/nvidia/current", "/tegra"];

/// All libraries of accelerators that a machine has: name → path.
pub(super) struct Libraries(BTreeMap<String, String>);

impl Libraries {
    pub(super) fn read(tree: &Tree) -> Self {
        let mut found = BTreeMap::new();
        for path in listed(tree) {
            if let Some((_, name)) = path.rsplit_once('/')
                && is_wanted(name)
                && tree.exists(&path)
            {
                found.entry(name.to_owned()).or_insert(path);
            }
        }
        let of_architecture = tree
            .names("usr/lib")
            .into_iter()
            .filter(|name| name.contains("-linux-gnu"))
            .flat_map(|name| BELOW.iter().map(move |below| format!("usr/lib/{name}{below}")));
        let folders = FOLDERS.iter().map(|&folder| folder.to_owned()).chain(of_architecture);
        for folder in folders {
            for name in tree.names(&folder).into_iter().filter(|name| is_wanted(name)) {
                let path = format!("/{folder}/{name}");
                found.entry(name).or_insert(path);
            }
        }
        Self(found)
    }

    /// What is needed, found or not.
    pub(super) fn find(&self, need: &Need) -> Library {
        let found = need.names.iter().find_map(|begin| {
            self.0.iter().find(|(name, _)| name.starts_with(begin)).map(|(_, path)| path.clone())
        });
        let name = need.names.first().copied().unwrap_or_default();
        Library {
            what: need.what.to_owned(),
            name: name.trim_end_matches('.').to_owned(),
            path: found,
            suffices: need.suffices,
        }
    }
}

fn is_wanted(name: &str) -> bool {
    library_names().any(|begin| name.starts_with(begin))
}

/// The paths in `ldconfig`'s cache, which is texts that end with zeros after a table (`man ld.so`).
fn listed(tree: &Tree) -> Vec<String> {
    let bytes = tree.bytes("etc/ld.so.cache").unwrap_or_default();
    let texts = bytes.split(|byte| *byte == 0).filter(|text| text.first() == Some(&b'/'));
    texts.filter_map(|text| String::from_utf8(text.to_vec()).ok()).collect()
}

/// The OpenCL drivers that are registered with the loader.
pub(super) fn opencl_drivers(tree: &Tree) -> Vec<String> {
    names_with(tree, &["etc/OpenCL/vendors"], ".icd")
}

/// The Vulkan drivers that are registered with the loader.
pub(super) fn vulkan_drivers(tree: &Tree) -> Vec<String> {
    names_with(tree, &["usr/share/vulkan/icd.d", "etc/vulkan/icd.d"], ".json")
}

fn names_with(tree: &Tree, folders: &[&str], end: &str) -> Vec<String> {
    let names = folders.iter().flat_map(|folder| tree.names(folder));
    let mut names: Vec<String> =
        names.filter_map(|name| Some(name.strip_suffix(end)?.to_owned())).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::accelerators::driver::driver;

    #[test]
    fn libraries_are_found_in_the_cache_and_in_folders() {
        let dir = tempfile::tempdir().unwrap();
        rushlight_testkit::made_up::write_entries(
            "opt/cuda/libcuda.so.1 =\nusr/lib/aarch64-linux-gnu/libOpenCL.so.1.0.0 =\n\
             usr/lib/aarch64-linux-gnu/tegra/libnvidia-ml.so.1 =\nusr/lib/librknnrt.so =\n\
             etc/OpenCL/vendors/nvidia.icd =\nusr/share/vulkan/icd.d/radeon_icd.json =\n",
            dir.path(),
        );
        let cache = b"glibc-ld.so.cache1.1\x02\0\0\0libcuda.so.1\0/opt/cuda/libcuda.so.1\0\
            /gone/libhailort.so.4.20.0\0";
        std::fs::write(dir.path().join("etc/ld.so.cache"), cache).unwrap();
        let tree = Tree::new(dir.path());
        let libraries = Libraries::read(&tree);
        let path =
            |name: &str, index: usize| libraries.find(&driver(name).unwrap().needs[index]).path;
        assert_eq!(path("nvidia", 0).as_deref(), Some("/opt/cuda/libcuda.so.1"));
        let tegra = "/usr/lib/aarch64-linux-gnu/tegra/libnvidia-ml.so.1";
        assert_eq!(path("nvidia", 1).as_deref(), Some(tegra));
        assert!(path("panthor", 0).unwrap().ends_with("libOpenCL.so.1.0.0"));
        assert_eq!(path("RKNPU", 0).as_deref(), Some("/usr/lib/librknnrt.so"));
        // It is listed, but gone.
        assert_eq!(path("hailo", 0), None);
        assert_eq!(opencl_drivers(&tree), ["nvidia"]);
        assert_eq!(vulkan_drivers(&tree), ["radeon_icd"]);
    }
}
