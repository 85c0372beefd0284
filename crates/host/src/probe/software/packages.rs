//! Versions of packages, from the databases that are plain text: dpkg's, apk's and pacman's. That of rpm
//! is none; what it has written beside tells some versions.

use std::collections::BTreeMap;

use crate::probe::{Reading, Reason, Tree, Unit};

const DPKG: &str = "var/lib/dpkg/status";
const PACMAN: &str = "var/lib/pacman/local";
/// Since Alpine 3.22 the database is below `usr`.
const APK: [&str; 2] = ["lib/apk/db/installed", "usr/lib/apk/db/installed"];
/// Where rpm keeps its database: since version 4.16 SQLite, before Berkeley DB, SUSE's own format; below
/// `usr` where the system's files are exchanged as a whole.
const RPM: [&str; 8] = [
    "usr/lib/sysimage/rpm/rpmdb.sqlite",
    "var/lib/rpm/rpmdb.sqlite",
    "usr/share/rpm/rpmdb.sqlite",
    "usr/lib/sysimage/rpm/Packages.db",
    "var/lib/rpm/Packages.db",
    "usr/lib/sysimage/rpm/Packages",
    "var/lib/rpm/Packages",
    "usr/share/rpm/Packages",
];
/// Folders where packages of rpm may leave a folder `NAME-VERSION`: those of Red Hat up to version 7, and
/// of those who build as they did.
const BESIDE: [&str; 3] = ["usr/share/doc", "usr/share/doc/packages", "usr/share/licenses"];

/// The packages that are installed, with their versions and where that is said.
pub(super) struct Packages {
    tree: Tree,
    /// Of dpkg and apk: name → version and file.
    listed: BTreeMap<String, (String, String)>,
    /// Of pacman: name → folders, of which there is one unless something went wrong.
    folders: BTreeMap<String, Vec<String>>,
    /// The database that cannot be read, where there is one.
    rpm: Option<&'static str>,
}

impl Packages {
    pub(super) fn read(tree: &Tree) -> Self {
        let mut listed = BTreeMap::new();
        if let Ok(text) = tree.text(DPKG).value {
            // deb822(5); a package that was removed has its record still.
            let records = text.split("\n\n").filter(|record| {
                record
                    .lines()
                    .any(|line| line.starts_with("Status: ") && line.ends_with(" installed"))
            });
            for record in records {
                add(&mut listed, record, "Package: ", "Version: ", DPKG);
            }
        }
        for path in APK {
            if let Ok(text) = tree.text(path).value {
                text.split("\n\n").for_each(|record| add(&mut listed, record, "P:", "V:", path));
            }
        }
        let mut folders: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for folder in tree.names(PACMAN) {
            // NAME-VERSION-RELEASE
            if let Some(name) = folder.rsplitn(3, '-').nth(2) {
                folders.entry(name.to_owned()).or_default().push(folder);
            }
        }
        let rpm = RPM.into_iter().find(|path| tree.exists(path));
        Self { tree: tree.clone(), listed, folders, rpm }
    }

    /// The version of the first of `names` that is installed, without what the distribution adds.
    pub(super) fn version(&self, names: &[&str]) -> Option<Reading<String>> {
        let found = names.iter().find_map(|name| self.found(name))?;
        Some(found.map(|version| upstream(&version).to_owned()))
    }

    fn found(&self, name: &str) -> Option<Reading<String>> {
        if let Some((version, source)) = self.listed.get(name) {
            return Some(Reading::new(version.clone(), Unit::None, source));
        }
        self.folders.get(name).and_then(|all| self.of_pacman(name, all)).or_else(|| {
            self.rpm?;
            self.beside(name)
        })
    }

    /// What the file `desc` of a package says: `%NAME%` and the name, `%VERSION%` and the version, each on
    /// a line of its own. A folder without one is what a failed removal left.
    fn of_pacman(&self, name: &str, folders: &[String]) -> Option<Reading<String>> {
        folders.iter().find_map(|folder| {
            let text = self.tree.text(format!("{PACMAN}/{folder}/desc"));
            let field = |key: &str| {
                let mut lines = text.get()?.lines().skip_while(|line| *line != key).skip(1);
                lines.next().filter(|value| !value.is_empty()).map(str::to_owned)
            };
            let version =
                field("%VERSION%").filter(|_| field("%NAME%").as_deref() == Some(name))?;
            Some(Reading::new(version, Unit::None, text.source.clone()))
        })
    }

    /// The version in the name of a folder that a package of rpm left. Two of them may be of a version
    /// that is gone, and tell nothing.
    fn beside(&self, name: &str) -> Option<Reading<String>> {
        BESIDE.iter().find_map(|folder| {
            let names = self.tree.names(folder);
            let mut versions = names.iter().filter_map(|entry| {
                let version = entry.strip_prefix(name)?.strip_prefix('-')?;
                version.starts_with(|c: char| c.is_ascii_digit()).then_some((entry, version))
            });
            let (entry, version) = versions.next()?;
            versions
                .next()
                .is_none()
                .then(|| Reading::new(version.to_owned(), Unit::None, format!("{folder}/{entry}")))
        })
    }

    /// Why nothing tells the version of what is there, at `place`: what is not known of it otherwise is
    /// said in `words`.
    pub(super) fn untold(&self, place: &str, words: &str) -> Reading<String> {
        let (reason, detail) = match self.rpm {
            Some(database) => {
                let detail =
                    format!("rpm's database may tell it, which is not read (`/{database}`)");
                (Reason::Unsupported, detail)
            }
            None => (Reason::NotFound, words.to_owned()),
        };
        Reading::absent(reason, detail, Unit::None, place)
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
             var/lib/pacman/local/containerd-2.0.0-1/desc <<\n%NAME%\ncontainerd\n\n%VERSION%\n\
             2.0.0-1\n\n%BASE%\ncontainerd\n.\n\
             var/lib/pacman/local/docker-buildx-0.19.0-1/desc <<\n%NAME%\ndocker-buildx\n\n\
             %VERSION%\n1:0.19.0-1\n.\n\
             var/lib/pacman/local/docker-26.0.0-1/files =\n\
             var/lib/pacman/local/crun-1.1-1/desc <<\n%NAME%\nother\n\n%VERSION%\n1.1-1\n.\n",
            dir.path(),
        );
        let packages = Packages::read(&Tree::new(dir.path()));
        let version = |name: &str| packages.version(&[name]).and_then(|found| found.value.ok());
        assert_eq!(version("docker-ce").as_deref(), Some("27.3.1"));
        assert_eq!(version("podman"), None);
        assert_eq!(version("musl").as_deref(), Some("1.2.5"));
        let found = packages.version(&["x", "containerd"]).unwrap();
        assert_eq!(found.get().unwrap(), "2.0.0");
        assert_eq!(found.source, "var/lib/pacman/local/containerd-2.0.0-1/desc");
        assert_eq!(version("docker-buildx").as_deref(), Some("0.19.0"));
        // What was left of a package, and a record of another.
        assert_eq!((version("docker"), version("crun")), (None, None));
        assert!(packages.untold("usr/bin/docker", "no").value.unwrap_err().detail == "no");
    }

    #[test]
    fn of_rpm_only_what_lies_beside_its_database_is_read() {
        let open = |entries: &str| {
            let dir = tempfile::tempdir().unwrap();
            rushlight_testkit::made_up::write_entries(entries, dir.path());
            let packages = Packages::read(&Tree::new(dir.path()));
            let found = packages.version(&["podman"]).and_then(|found| found.value.ok());
            (found, packages.untold("usr/bin/podman", "no").value.unwrap_err())
        };
        let beside = "usr/share/doc/podman-1.6.4/\nusr/share/licenses/podman-remote-2.0/\n";
        let (found, why) = open(&format!("usr/lib/sysimage/rpm/rpmdb.sqlite =\n{beside}"));
        assert_eq!(found.as_deref(), Some("1.6.4"));
        assert_eq!(why.reason, Reason::Unsupported);
        assert!(why.detail.contains("`/usr/lib/sysimage/rpm/rpmdb.sqlite`"), "{why}");
        let (found, why) = open("var/lib/rpm/Packages =\nusr/share/doc/podman/\n");
        assert_eq!(found, None);
        assert!(why.detail.contains("`/var/lib/rpm/Packages`"), "{why}");
        let twice = format!("var/lib/rpm/rpmdb.sqlite =\n{beside}usr/share/doc/podman-1.6.5/\n");
        assert_eq!(open(&twice).0, None);
        // Such a folder of a machine without rpm is somebody's own.
        let (found, why) = open(beside);
        assert_eq!((found, why.reason), (None, Reason::NotFound));
    }
}
