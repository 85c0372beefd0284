//! Device nodes: whether they are there, and whether this process may open them.

use std::os::unix::fs::MetadataExt as _;

use rustix::fs::Access;
use serde::Serialize;

use crate::probe::Tree;

/// A device node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its path, such as `/dev/dri/renderD128`.
    pub path: String,
    /// Whether it opens.
    pub state: NodeState,
    /// The group that owns it; `None` if it is not there, or in a tree that was captured elsewhere,
    /// which does not keep owners.
    pub group: Option<String>,
    /// Whether programs that compute need it.
    pub is_needed: bool,
}

/// Whether a device node opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeState {
    /// This user may read and write it. A device policy of a control group may still refuse.
    Opens,
    /// This user may not.
    Refused,
    /// It is not there.
    Missing,
}

impl Node {
    /// The node at `path`, which begins with `dev/`.
    pub(super) fn read(tree: &Tree, path: &str, is_needed: bool) -> Self {
        let full = tree.path(path);
        let state = match rustix::fs::access(&full, Access::READ_OK | Access::WRITE_OK) {
            Ok(()) if is_refused(tree, path) => NodeState::Refused,
            Ok(()) => NodeState::Opens,
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => NodeState::Missing,
            Err(_) => NodeState::Refused,
        };
        let group = match std::fs::metadata(&full) {
            Ok(metadata) if tree.is_this_machine() => Some(group_name(tree, metadata.gid())),
            _ => None,
        };
        Self { path: format!("/{path}"), state, group, is_needed }
    }
}

/// Whether a captured tree says that the node could not be opened. A node of this machine is not
/// opened to find that out: some devices wake up from it.
fn is_refused(tree: &Tree, path: &str) -> bool {
    let refused = |error: std::io::Error| error.kind() == std::io::ErrorKind::PermissionDenied;
    !tree.is_this_machine() && tree.bytes(path).is_err_and(refused)
}

/// The name of a group, or its number.
fn group_name(tree: &Tree, gid: u32) -> String {
    let number = gid.to_string();
    entry(tree, "etc/group", &number).unwrap_or(number)
}

/// The name of the user of this process, or its number.
pub(super) fn user_name(tree: &Tree) -> String {
    let number = rustix::process::geteuid().as_raw().to_string();
    entry(tree, "etc/passwd", &number).unwrap_or(number)
}

/// The first field of the line whose third is `number`.
fn entry(tree: &Tree, path: &str, number: &str) -> Option<String> {
    let text = tree.text(path);
    let line = text.get()?.lines().find(|line| line.split(':').nth(2) == Some(number))?;
    line.split(':').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_opens_or_is_refused_or_missing() {
        let tree = Tree::this_machine();
        let null = Node::read(&tree, "dev/null", true);
        assert_eq!(null.state, NodeState::Opens);
        assert_eq!(null.group.as_deref(), Some("root"));
        assert_eq!(Node::read(&tree, "dev/none", true).state, NodeState::Missing);
        let dir = tempfile::tempdir().unwrap();
        rushlight_testkit::made_up::write_entries("dev/dri/renderD128 !EACCES\n", dir.path());
        let node = Node::read(&Tree::new(dir.path()), "dev/dri/renderD128", true);
        assert_eq!((node.state, node.group), (NodeState::Refused, None));
    }
}
