//! `doctor`: what this machine has, what is missing, and whether it can serve.

mod accelerators;
mod ask;
mod containers;
mod cpu;
mod group;
mod memory;
mod power;
mod render;
mod rows;
mod security;
mod software;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use rushlight_host::probe::Tree;
use serde_json::{Map, Value, json};

use crate::args::Doctor;
use group::{Group, Verdict};
use render::Style;

/// The name of what `--json` prints; the number changes when a field goes or changes its meaning.
const SCHEMA: &str = "rushlight.doctor/1";

/// A part of the machine: who looks at it, and the flag with which it is shown without others.
struct Part {
    look: fn(&Tree) -> Group,
    alone: Option<fn(&Doctor) -> bool>,
}

/// All parts, in the order in which they are shown.
const PARTS: &[Part] = &[
    Part { look: cpu::look, alone: None },
    Part { look: memory::look, alone: None },
    Part { look: accelerators::look, alone: None },
    Part { look: power::look, alone: None },
    Part { look: software::look, alone: None },
    Part { look: containers::look, alone: Some(|doctor| doctor.containers) },
    Part { look: security::look, alone: Some(|doctor| doctor.security) },
];

/// Prints the groups; fails where the machine cannot serve.
pub(crate) fn doctor(doctor: &Doctor) -> anyhow::Result<ExitCode> {
    let root = &doctor.root;
    // Control groups are looked for from the root up, which must not be relative.
    let root = root.canonicalize().with_context(|| format!("cannot find `{}`", root.display()))?;
    let tree = Tree::new(root);
    if !tree.exists("proc") && !tree.exists("sys") {
        let root = tree.root().display();
        bail!("`{root}` has neither `proc` nor `sys`, where a machine describes itself");
    }
    let groups = look(&tree, doctor);
    let text = if doctor.json {
        format!("{:#}\n", to_json(&groups))
    } else {
        render::page(&groups, &conclusion(&groups, &tree), Style::of_stdout())
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(if bad(&groups).is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The groups that are asked for: all, or those whose flag is given.
fn look(tree: &Tree, doctor: &Doctor) -> Vec<Group> {
    let chosen = |part: &&Part| part.alone.is_some_and(|asked| asked(doctor));
    let some = PARTS.iter().any(|part| chosen(&part));
    PARTS.iter().filter(|part| !some || chosen(part)).map(|part| (part.look)(tree)).collect()
}

/// The first bad group.
fn bad(groups: &[Group]) -> Option<&Group> {
    groups.iter().find(|group| group.verdict() == Verdict::Bad)
}

/// The last line of the page.
fn conclusion(groups: &[Group], tree: &Tree) -> String {
    let machine = if tree.is_this_machine() { "This machine" } else { "The machine" };
    // A machine without sensors serves as well.
    let bears = |group: &&Group| !["accelerators", "power"].contains(&group.name());
    let unknown = groups.iter().filter(|group| group.verdict() == Verdict::Unknown);
    let unknown = unknown.filter(bears);
    let unknown: Vec<_> = unknown.map(Group::title).collect();
    match bad(groups) {
        None if unknown.is_empty() => format!("{machine} can serve."),
        None => format!(
            "Nothing says that it cannot serve, but not all is known: {}.",
            unknown.join(", ")
        ),
        Some(group) => format!("{machine} cannot serve. {}: {}", group.title(), group.sentence()),
    }
}

fn to_json(groups: &[Group]) -> Value {
    let all = groups.iter().map(|group| (group.name().to_owned(), group.to_json()));
    json!({
        "schema": SCHEMA,
        "version": env!("CARGO_PKG_VERSION"),
        "can_serve": bad(groups).is_none(),
        "groups": all.collect::<Map<String, Value>>(),
    })
}
