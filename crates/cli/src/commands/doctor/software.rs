//! The group of kernel, distribution and what runs services.

use rushlight_host::probe::software::{Container, Software};
use rushlight_host::probe::{Reading, Tree};
use serde::Serialize;

use super::group::{Group, Verdict};

/// What is shown of the software here; the rest is in the group of containers.
#[derive(Serialize)]
struct Found {
    kernel: Reading<String>,
    distribution: Reading<String>,
    distribution_id: Reading<String>,
    libc: Reading<String>,
    systemd: Reading<String>,
    container: Container,
}

/// Looks at the software.
pub(crate) fn look(tree: &Tree) -> Group {
    let Software { kernel, distribution, distribution_id, libc, systemd, container, .. } =
        Software::read(tree);
    let found = Found { kernel, distribution, distribution_id, libc, systemd, container };
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
