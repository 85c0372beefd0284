//! The distribution and its service manager.

use super::packages::Packages;
use crate::probe::{Reading, Reason, Tree, Unit};

/// Name and version, for a person.
pub(super) fn distribution(tree: &Tree) -> Reading<String> {
    let parts = || {
        let version = os_release(tree, "VERSION_ID").value.unwrap_or_default();
        os_release(tree, "NAME").map(|name| format!("{name} {version}").trim().to_owned())
    };
    os_release(tree, "PRETTY_NAME").or_else(parts)
}

/// A field of os-release(5).
pub(super) fn os_release(tree: &Tree, field: &str) -> Reading<String> {
    let text = tree.text("etc/os-release").or_else(|| tree.text("usr/lib/os-release"));
    text.check(Unit::None, |text| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        let value = lines.find(|(key, _)| *key == field).map(|(_, value)| value.trim());
        let value = value.map(|value| value.trim_matches(['"', '\'']).to_owned());
        value.filter(|value| !value.is_empty()).ok_or_else(|| format!("there is no `{field}`"))
    })
}

/// The version, if it runs the machine: sd_booted(3) asks for the same folder.
pub(super) fn systemd(tree: &Tree, packages: &Packages) -> Reading<String> {
    let folder = "run/systemd/system";
    if !tree.exists(folder) {
        let detail = "systemd does not run this machine";
        return Reading::absent(Reason::NotFound, detail, Unit::None, folder);
    }
    if let Some(version) = packages.version(&["systemd"]) {
        return version;
    }
    // `libsystemd-shared-255.so`, `libsystemd-shared-255.4-1.fc40.so`
    let folders = ["usr/lib/systemd", "lib/systemd", "usr/lib64/systemd"].map(str::to_owned);
    let arches = ["x86_64", "aarch64"].map(|arch| format!("usr/lib/{arch}-linux-gnu/systemd"));
    for folder in folders.into_iter().chain(arches) {
        for name in tree.names(&folder) {
            let version =
                name.strip_prefix("libsystemd-shared-").and_then(|n| n.strip_suffix(".so"));
            if let Some(version) = version {
                return Reading::new(version.to_owned(), Unit::None, format!("{folder}/{name}"));
            }
        }
    }
    packages.untold(folder, "it runs this machine, but no file tells its version")
}
