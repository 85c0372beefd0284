//! The control groups of this process, versions 1 and 2, from the innermost up to the root.

use std::path::{Path, PathBuf};

use crate::probe::read_text;

/// Lists that are read at most; a kernel has a dozen controllers.
const MOST_LISTS: usize = 64;
/// Bytes of a line at most, as of a path.
const MOST_LINE: usize = 4096;

/// The directories of this process's groups for one controller, innermost first.
///
/// A container sees its own group mounted at the root of the tree while `/proc/self/cgroup` may
/// still name the path outside; the `root` field of the mount says how much of it to take off.
pub(crate) struct Groups {
    /// Whether the files are those of version 2.
    pub(crate) unified: bool,
    pub(crate) directories: Vec<PathBuf>,
}

/// Reads the groups for `controller` (`memory`, `cpu`): version 1 where it is mounted, and
/// version 2; a machine with both lists has both.
pub(crate) fn groups(root: &Path, controller: &str) -> Vec<Groups> {
    let membership = read_text(&root.join("proc/self/cgroup")).unwrap_or_default();
    let mounts = read_text(&root.join("proc/self/mountinfo")).unwrap_or_default();
    let mut all = Vec::new();
    for line in membership.lines().filter(|line| line.len() <= MOST_LINE).take(MOST_LISTS) {
        // hierarchy-ID:controller-list:path, cgroups(7)
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(list), Some(path)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let unified = list.is_empty();
        if !unified && !list.split(',').any(|name| name == controller) {
            continue;
        }
        let mount = mounts.lines().find_map(|line| mount(line, (!unified).then_some(controller)));
        if let Some((mount_root, mount_point)) = mount {
            let directories = climb(root, mount_root, mount_point, path);
            all.push(Groups { unified, directories });
        }
    }
    all
}

/// `(root, mount point)` of a line of mountinfo if it mounts the wanted controller (version 1) or,
/// without one, version 2. Fields: proc_pid_mountinfo(5).
fn mount<'a>(line: &'a str, controller: Option<&str>) -> Option<(&'a str, &'a str)> {
    let (before, after) = line.split_once(" - ")?;
    let mut after = after.split(' ');
    let (kind, _source, options) = (after.next()?, after.next()?, after.next()?);
    let wanted = match controller {
        None => kind == "cgroup2",
        Some(name) => kind == "cgroup" && options.split(',').any(|option| option == name),
    };
    let mut before = before.split(' ').skip(3);
    wanted.then_some((before.next()?, before.next()?))
}

fn climb(root: &Path, mount_root: &str, mount_point: &str, path: &str) -> Vec<PathBuf> {
    let top = root.join(mount_point.trim_start_matches('/'));
    let inside = Path::new(path).strip_prefix(mount_root).unwrap_or(Path::new(""));
    // A process outside of its group namespace's root sees `/../..`: only the mount itself is ours.
    let climbs_out = inside.components().any(|c| matches!(c, std::path::Component::ParentDir));
    let inside = inside.strip_prefix("/").unwrap_or(inside);
    let innermost = if climbs_out { top.clone() } else { top.join(inside) };
    let mut directories: Vec<_> = innermost.ancestors().map(Path::to_owned).collect();
    directories.truncate(directories.len() - top.components().count() + 1);
    directories
}

/// The number in a file: `None` if absent, unreadable or `max`.
pub(crate) fn number(directory: &Path, file: &str) -> Option<u64> {
    read_text(&directory.join(file))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn climbs_to_the_mount_and_no_further() {
        let root = Path::new("/r");
        for (mount_root, path, expected) in [
            ("/", "/", vec!["/r/sys/fs/cgroup"]),
            ("/", "/a/b", vec!["/r/sys/fs/cgroup/a/b", "/r/sys/fs/cgroup/a", "/r/sys/fs/cgroup"]),
            ("/docker/1", "/docker/1", vec!["/r/sys/fs/cgroup"]),
            ("/docker/1", "/docker/1/x", vec!["/r/sys/fs/cgroup/x", "/r/sys/fs/cgroup"]),
            ("/docker/1", "/elsewhere", vec!["/r/sys/fs/cgroup"]),
            ("/", "/../../x", vec!["/r/sys/fs/cgroup"]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(PathBuf::from).collect();
            assert_eq!(climb(root, mount_root, "/sys/fs/cgroup", path), expected, "{path}");
        }
    }
}
