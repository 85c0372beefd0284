//! How far a device is from being used, and what is missing in one sentence.

use super::driver::Driver;
use super::{AcceleratorState, Library, Node, NodeState};

/// The state, and the sentence without a full stop.
pub(super) fn judge(
    row: Option<&Driver>,
    driver: Option<&str>,
    nodes: &[Node],
    libraries: &[Library],
    user: &str,
) -> (AcceleratorState, Option<String>) {
    let (state, sentence) = match driver {
        None => (AcceleratorState::NoDriver, no_driver(row)),
        Some("vfio-pci") => (
            AcceleratorState::NoDriver,
            "the driver `vfio-pci` holds it for a virtual machine".to_owned(),
        ),
        Some(driver) => {
            let needed = || nodes.iter().filter(|node| node.is_needed);
            let missing = needed().find(|node| node.state == NodeState::Missing);
            let refused = needed().find(|node| node.state == NodeState::Refused);
            if let Some(node) = missing {
                (AcceleratorState::NoNode, no_node(driver, Some(&node.path)))
            } else if needed().next().is_none() {
                (AcceleratorState::NoNode, no_node(driver, None))
            } else if let Some(node) = refused {
                (AcceleratorState::NoPermission, no_permission(driver, node, row, user))
            } else if !libraries.iter().any(|library| library.suffices && library.path.is_some()) {
                (AcceleratorState::NoLibrary, no_library(libraries))
            } else {
                let remark = row.and_then(|row| row.remark).map(str::to_owned);
                return (AcceleratorState::Ready, remark);
            }
        }
    };
    let remark = row.and_then(|row| row.remark).filter(|_| state != AcceleratorState::NoDriver);
    let sentence = remark.map_or(sentence.clone(), |remark| format!("{remark}; {sentence}"));
    (state, Some(sentence))
}

fn no_driver(row: Option<&Driver>) -> String {
    match row.and_then(|row| row.names.first()) {
        Some(name) => format!("no kernel driver is bound to it: `{name}` would be"),
        None => "no kernel driver is bound to it".to_owned(),
    }
}

fn no_node(driver: &str, path: Option<&str>) -> String {
    let node = path.map_or("a node below `/dev`".to_owned(), |path| format!("`{path}`"));
    format!(
        "the kernel driver `{driver}` is bound, but {node} is missing: a container must be given it, \
         elsewhere udev makes it"
    )
}

fn no_permission(driver: &str, node: &Node, row: Option<&Driver>, user: &str) -> String {
    let usual = row.map_or("render", |row| row.group);
    let group = node.group.as_deref().unwrap_or(usual);
    format!(
        "the kernel driver `{driver}` is bound, but `{}` may not be opened: {user} is not in group \
         `{group}`",
        node.path
    )
}

fn no_library(libraries: &[Library]) -> String {
    let names: Vec<String> = libraries
        .iter()
        .filter(|library| library.suffices)
        .map(|library| format!("`{}` ({})", library.name, library.what))
        .collect();
    match &names[..] {
        [] => "no library that speaks to it is known".to_owned(),
        names => format!("no library that speaks to it was found: {}", names.join(" or ")),
    }
}
