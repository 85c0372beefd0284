//! What this process may do (proc_pid_status(5), capabilities(7)).

use serde::Serialize;

use crate::probe::{Reading, Reason, Tree, Unit};

const STATUS: &str = "proc/self/status";

/// This process.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Process {
    /// The user that it acts as.
    pub user: Reading<u32>,
    /// Rights beyond those of a user, as bits.
    pub capabilities: Reading<u64>,
    /// Whether programs that it starts can gain rights.
    pub no_new_privileges: Reading<bool>,
    /// 0: no calls of the kernel are filtered; 1: almost all are refused; 2: they are filtered.
    pub seccomp: Reading<u32>,
}

impl Process {
    pub(super) fn read(tree: &Tree) -> Self {
        let status = tree.text(STATUS);
        let field = |name: &str| {
            let line = status.clone().check(Unit::None, |text| {
                let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                line.map(|value| value.trim().to_owned()).ok_or_else(|| missing(name))
            });
            // An older kernel does not have every line.
            match line.value {
                Err(absent) if absent.reason == Reason::Damaged => {
                    Reading::absent(Reason::NotFound, absent.detail, Unit::None, STATUS)
                }
                _ => line,
            }
        };
        let no_number = |text: &str| {
            let shown: String = text.chars().take(32).collect();
            format!("`{}` is no such number", shown.escape_debug())
        };
        Self {
            // Real, effective, saved, of files.
            user: field("Uid").check(Unit::None, |text| {
                let effective = text.split_whitespace().nth(1).and_then(|word| word.parse().ok());
                effective.ok_or_else(|| no_number(&text))
            }),
            capabilities: field("CapEff").check(Unit::None, |text| {
                u64::from_str_radix(&text, 16).map_err(|_| no_number(&text))
            }),
            no_new_privileges: field("NoNewPrivs").map(|text| text == "1"),
            seccomp: field("Seccomp")
                .check(Unit::None, |text| text.parse().map_err(|_| no_number(&text))),
        }
    }
}

fn missing(name: &str) -> String {
    format!("there is no line `{name}`")
}
