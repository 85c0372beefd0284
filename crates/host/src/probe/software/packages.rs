//! Versions of packages, from the databases that are plain text: dpkg's, apk's, pacman's and snap's.

use std::collections::BTreeMap;

use crate::probe::{Reading, Tree, Unit};

const DPKG: &str = "var/lib/dpkg/status";
const PACMAN: &str = "var/lib/pacman/local";
/// Since Alpine 3.22 the database is below `usr`.
const APK: [&str; 2] = ["lib/apk/db/installed", "usr/lib/apk/db/installed"];

/// The packages that are installed, with their versions and where that is said.
pub(super) struct Packages(BTreeMap<String, (String, String)>);

impl Packages {
    pub(super) fn read(tree: &Tree) -> Self {
        let mut all = BTreeMap::new();
        if let Ok(text) = tree.text(DPKG).value {
            // deb822(5); a package that was removed has its record still.
            let records = text.split("\n\n").filter(|record| {
                record
                    .lines()
                    .any(|line| line.starts_with("Status: ") && line.ends_with(" installed"))
            });
            for record in records {
                add(&mut all, record, "Package: ", "Version: ", DPKG);
            }
        }
        for path in APK {
            if let Ok(text) = tree.text(path).value {
                text.split("\n\n").for_each(|record| add(&mut all, record, "P:", "V:", path));
            }
        }
        for folder in tree.names(PACMAN) {
            // NAME-VERSION-RELEASE
            let mut parts = folder.rsplitn(3, '-');
            if let (Some(release), Some(version), Some(name)) =
                (parts.next(), parts.next(), parts.next())
            {
                let at = format!("{PACMAN}/{folder}");
                all.insert(name.to_owned(), (format!("{version}-{release}"), at));
            }
        }
        Self(all)
    }

    /// The version of the first of `names` that is installed, without what the distribution adds.
    pub(super) fn version(&self, names: &[&str]) -> Option<Reading<String>> {
        let (version, source) = names.iter().find_map(|name| self.0.get(*name))?;
        Some(Reading::new(upstream(version).to_owned(), Unit::None, source.clone()))
    }
}

fn add(
    all: &mut BTreeMap<String, (String, String)>,
    record: &str,
    name: &str,
    version: &str,
    source: &str,
) {
    let field = |key: &str| record.lines().find_map(|line| line.strip_prefix(key));
    if let (Some(name), Some(version)) = (field(name), field(version)) {
        all.insert(name.to_owned(), (version.to_owned(), source.to_owned()));
    }
}

/// `5:27.3.1-1~debian.12` is 27.3.1.
fn upstream(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, version)| version);
    version.split(['-', '~', '+']).next().unwrap_or(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_each_kind_of_database() {
        let dir = tempfile::tempdir().unwrap();
        rushlight_testkit::made_up::write_entries(
            "var/lib/dpkg/status <<\nPackage: docker-ce\nStatus: install ok installed\n\
             Version: 5:27.3.1-1~debian.12~bookworm\n\nPackage: podman\n\
             Status: deinstall ok config-files\nVersion: 4.3.1+ds1-8\n.\n\
             lib/apk/db/installed <<\nP:musl\nV:1.2.5-r0\n.\n\
             var/lib/pacman/local/containerd-2.0.0-1/desc = x\n",
            dir.path(),
        );
        let packages = Packages::read(&Tree::new(dir.path()));
        let version = |name: &str| packages.version(&[name]).and_then(|found| found.value.ok());
        assert_eq!(version("docker-ce").as_deref(), Some("27.3.1"));
        assert_eq!(version("podman"), None);
        assert_eq!(version("musl").as_deref(), Some("1.2.5"));
        let found = packages.version(&["x", "containerd"]).unwrap();
        assert_eq!(found.get().unwrap(), "2.0.0");
        assert_eq!(found.source, "var/lib/pacman/local/containerd-2.0.0-1");
    }
}
