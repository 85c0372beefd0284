//! The group of kernel, distribution and what runs services.

use rushlight_host::probe::Tree;
use rushlight_host::probe::software::Software;

use super::group::{Group, Verdict};

/// Looks at the software.
pub(crate) fn look(tree: &Tree) -> Group {
    let found = Software::read(tree);
    let name = found.distribution.get().map_or("Linux", String::as_str);
    let place = match found.container.kind.get() {
        Some(kind) => format!("{name} in a container ({kind})."),
        None => format!("{name}."),
    };
    let mut group = Group::new("software", "Software", place, &found);
    group.reading("kernel", &found.kernel, String::clone);
    group.reading("distribution", &found.distribution, String::clone);
    group.reading("C library", &found.libc, String::clone);
    group.reading("systemd", &found.systemd, String::clone);
    group.reading("container", &found.container.kind, |kind| {
        let rootless = match found.container.rootless.get() {
            Some(true) => ", without root on the machine",
            _ => "",
        };
        format!("{kind}{rootless}")
    });
    if found.kernel.get().is_none() {
        group.judge(Verdict::Unknown, "The kernel does not tell its release.");
    }
    group
}
