//! Security modules of the kernel (Documentation/admin-guide/LSM).

use serde::Serialize;

use crate::probe::{Reading, Reason, Tree, Unit};

const FOLDER: &str = "sys/kernel/security";

/// SELinux.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Selinux {
    /// `enforcing`, `permissive`.
    pub mode: Reading<String>,
    /// The context of this process.
    pub context: Reading<String>,
}

/// AppArmor.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct AppArmor {
    /// Whether it is on.
    pub enabled: Reading<bool>,
    /// The profile of this process, or `unconfined`.
    pub profile: Reading<String>,
    /// How many profiles are loaded.
    pub profiles: Reading<usize>,
}

/// The modules that are on, in the order in which they are asked.
pub(super) fn list(tree: &Tree) -> Reading<Vec<String>> {
    let source = format!("{FOLDER}/lsm");
    let list = tree
        .text(&source)
        .map(|text| text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect());
    explain(list, tree)
}

pub(super) fn lockdown(tree: &Tree) -> Reading<String> {
    // `none [integrity] confidentiality`
    let chosen = tree.text(format!("{FOLDER}/lockdown")).check(Unit::None, |text| {
        let inner = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
        inner.map(|(word, _)| word.to_owned()).ok_or_else(|| "no word is in brackets".to_owned())
    });
    explain(chosen, tree)
}

/// Says that `securityfs` is not mounted, where that is why nothing was found.
fn explain<T>(reading: Reading<T>, tree: &Tree) -> Reading<T> {
    match &reading.value {
        Err(absent) if absent.reason == Reason::NotFound && tree.names(FOLDER).is_empty() => {
            let detail = "`securityfs` is not mounted, or the kernel has no security modules";
            Reading::absent(Reason::NotFound, detail, reading.unit, reading.source)
        }
        _ => reading,
    }
}

impl Selinux {
    pub(super) fn read(tree: &Tree) -> Self {
        let mode = tree.text("sys/fs/selinux/enforce").check(Unit::None, |text| match &*text {
            "1" => Ok("enforcing".to_owned()),
            "0" => Ok("permissive".to_owned()),
            _ => Err("it is neither 0 nor 1".to_owned()),
        });
        let off = "the kernel does not have it, or it is off";
        let mode = because(mode, off);
        let context = match mode.get() {
            Some(_) => tree.text("proc/self/attr/current"),
            None => Reading::absent(Reason::NotFound, off, Unit::None, "proc/self/attr/current"),
        };
        Self { mode, context }
    }
}

impl AppArmor {
    pub(super) fn read(tree: &Tree) -> Self {
        let parameter = "sys/module/apparmor/parameters/enabled";
        let enabled = tree.text(parameter).check(Unit::None, |text| match &*text {
            "Y" | "1" => Ok(true),
            "N" | "0" => Ok(false),
            _ => Err("it is neither `Y` nor `N`".to_owned()),
        });
        let enabled = because(enabled, "the kernel does not have it");
        let on = enabled.get() == Some(&true);
        let off = || Reading::absent(Reason::NotFound, "it is off", Unit::None, parameter);
        let profile = match on {
            // The second is shared with other modules (since Linux 5.1 there is the first).
            true => tree
                .text("proc/self/attr/apparmor/current")
                .or_else(|| tree.text("proc/self/attr/current")),
            false => off(),
        };
        let profiles = match on {
            true => tree.text(format!("{FOLDER}/apparmor/profiles")).map(|t| t.lines().count()),
            false => off().map(|_| 0),
        };
        Self { enabled, profile, profiles }
    }
}

/// `detail` in place of "there is no such file".
fn because<T>(reading: Reading<T>, detail: &str) -> Reading<T> {
    match &reading.value {
        Err(absent) if absent.reason == Reason::NotFound => {
            Reading::absent(Reason::NotFound, detail, reading.unit, reading.source)
        }
        _ => reading,
    }
}
