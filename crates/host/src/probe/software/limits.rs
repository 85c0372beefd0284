//! What a process may open, lock and share (getrlimit(2), shm_overview(7)).

use serde::Serialize;

use crate::probe::{Reading, Reason, Tree, Unit};

const FILE: &str = "proc/self/limits";
const MOUNTS: &str = "proc/self/mountinfo";

/// What this process may open, lock and share.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Limits {
    /// Files and sockets that are open at once.
    pub open_files: Reading<LimitPair>,
    /// Bytes that may be locked into memory.
    pub locked_memory: Reading<LimitPair>,
    /// Processes and threads of the user.
    pub processes: Reading<LimitPair>,
    /// The size of `/dev/shm`; absent where it is half of memory, the kernel's own choice.
    pub shared_memory: Reading<u64>,
}

/// A soft and a hard limit; `None` is without limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LimitPair {
    /// What holds.
    pub soft: Option<u64>,
    /// Up to where a process may raise it.
    pub hard: Option<u64>,
}

impl Limits {
    pub(super) fn read(tree: &Tree) -> Self {
        let text = tree.text(FILE);
        let pair = |name: &str, unit| text.clone().check(unit, |text| pair(&text, name));
        Self {
            open_files: pair("Max open files", Unit::None),
            locked_memory: pair("Max locked memory", Unit::Bytes),
            processes: pair("Max processes", Unit::None),
            shared_memory: shared_memory(tree),
        }
    }
}

/// `Max open files            1024                 524288               files`
fn pair(text: &str, name: &str) -> Result<LimitPair, String> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name));
    let rest = rest.ok_or_else(|| format!("there is no line `{name}`"))?;
    let mut words = rest.split_whitespace();
    let mut limit = || match words.next() {
        Some("unlimited") => Ok(None),
        Some(word) => word.parse().map(Some).map_err(|_| format!("`{name}` has no number")),
        None => Err(format!("`{name}` has no number")),
    };
    Ok(LimitPair { soft: limit()?, hard: limit()? })
}

/// The option `size` of the last mount at `/dev/shm`, which is the one that is seen.
fn shared_memory(tree: &Tree) -> Reading<u64> {
    let mounts = tree.text(MOUNTS);
    let absent = |reason, detail: &str| Reading::absent(reason, detail, Unit::Bytes, MOUNTS);
    let text = match mounts.value {
        Ok(text) => text,
        Err(why) => return absent(why.reason, &why.detail),
    };
    let at_shm = |line: &&str| line.split(' ').nth(4) == Some("/dev/shm");
    let Some(line) = text.lines().rfind(at_shm) else {
        return absent(Reason::NotFound, "there is no `/dev/shm`");
    };
    let options = line.rsplit(' ').next().unwrap_or_default();
    let size = options.split(',').find_map(|option| option.strip_prefix("size="));
    match size.map(bytes) {
        Some(Some(bytes)) => Reading::new(bytes, Unit::Bytes, MOUNTS),
        Some(None) => absent(Reason::Damaged, "the option `size` has no number"),
        None => {
            absent(Reason::NotFound, "it has no size of its own: it may hold half of the memory")
        }
    }
}

/// `65536k`
fn bytes(text: &str) -> Option<u64> {
    let (digits, shift) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 10),
        None => match text.strip_suffix(['m', 'M']) {
            Some(digits) => (digits, 20),
            None => (text, 0),
        },
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}
