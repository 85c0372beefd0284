//! `doctor`: what this machine has, what is missing, and whether it can serve.

mod cpu;
mod group;
mod render;
mod rows;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::bail;
use rushlight_host::probe::Tree;
use serde_json::{Map, Value, json};

use crate::args::Doctor;
use group::{Group, Verdict};
use render::Style;

/// The name of what `--json` prints; the number changes when a field goes or changes its meaning.
const SCHEMA: &str = "rushlight.doctor/1";

/// A part of the machine: what a user may ask for alone, and who looks at it.
struct Part {
    only: Only,
    look: fn(&Tree) -> Group,
}

/// The flag with which a part is shown alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Only {
    None,
}

/// All parts, in the order in which they are shown.
const PARTS: &[Part] = &[Part { only: Only::None, look: cpu::look }];

/// Prints the groups; fails where the machine cannot serve.
pub(crate) fn doctor(doctor: &Doctor) -> anyhow::Result<ExitCode> {
    if !doctor.root.is_dir() {
        bail!("`{}` is no directory with `proc` and `sys` in it", doctor.root.display());
    }
    let groups = look(&Tree::new(&doctor.root), doctor);
    let text = if doctor.json {
        format!("{:#}\n", to_json(&groups))
    } else {
        render::page(&groups, Style::of_stdout())
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(if can_serve(&groups) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The groups that are asked for.
fn look(tree: &Tree, _doctor: &Doctor) -> Vec<Group> {
    PARTS.iter().filter(|part| part.only == Only::None).map(|part| (part.look)(tree)).collect()
}

/// Whether no group is bad.
fn can_serve(groups: &[Group]) -> bool {
    groups.iter().all(|group| group.verdict() != Verdict::Bad)
}

fn to_json(groups: &[Group]) -> Value {
    let all = groups.iter().map(|group| (group.name().to_owned(), group.to_json()));
    json!({
        "schema": SCHEMA,
        "version": env!("CARGO_PKG_VERSION"),
        "can_serve": can_serve(groups),
        "groups": all.collect::<Map<String, Value>>(),
    })
}
