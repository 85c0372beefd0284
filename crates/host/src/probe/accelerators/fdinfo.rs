//! What the kernel tells of each program's use of a DRM device, in `/proc/PID/fdinfo`.
//!
//! Keys: `Documentation/gpu/drm-usage-stats.rst` of Linux 6.18.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::time::{Duration, Instant};

use crate::probe::{Tree, is_first_pid_namespace};

/// Engines and regions of memory of a device, at most.
const MOST_PARTS: usize = 64;
/// Clients, at most.
const MOST_CLIENTS: usize = 4096;
/// How often all processes are looked through for new clients; between, only known ones are read.
const SEARCH_EVERY: Duration = Duration::from_secs(5);

/// What one line of a client's engines says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Engine {
    /// Nanoseconds in which it worked for the client.
    pub(super) busy_ns: Option<u64>,
    /// Cycles in which it worked for the client.
    pub(super) cycles: Option<u64>,
    /// Cycles that it has had.
    pub(super) total_cycles: Option<u64>,
    /// How many there are of it.
    pub(super) capacity: u32,
}

/// A client of a DRM device: an open file, which several descriptors and processes may share.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Client {
    pub(super) id: u64,
    /// The slot of its device, where it has one.
    pub(super) slot: Option<String>,
    pub(super) engines: BTreeMap<String, Engine>,
    /// Bytes of the device's memory and of the machine's, held for it.
    pub(super) memory_bytes: Option<u64>,
}

/// A client and the process that was found to hold it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) pid: u32,
    /// Its device's node, such as `/dev/dri/renderD128`.
    pub(super) node: String,
    pub(super) client: Client,
}

/// Whose use of devices is seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sees {
    /// No process could be looked into.
    #[default]
    Nothing,
    /// Processes of other users are there, or may be, and show nothing.
    OwnOnly,
    /// All processes of this container; those outside are not listed.
    ContainerOnly,
    /// All processes of the machine.
    All,
}

/// The clients of all devices, looked for now and then.
#[derive(Debug, Default)]
pub(super) struct Clients {
    /// Process, descriptor → node.
    known: Vec<(u32, String, String)>,
    searched: Option<Instant>,
    /// Whose use was seen at the last search.
    pub(super) sees: Sees,
    /// Nodes that are open somewhere and whose driver tells nothing of it.
    pub(super) silent: BTreeSet<String>,
}

impl Clients {
    /// The clients that may be seen, each once, with the lowest process that holds it.
    pub(super) fn read(&mut self, tree: &Tree, now: Instant) -> Vec<Held> {
        let is_due = self.searched.is_none_or(|then| now.duration_since(then) >= SEARCH_EVERY);
        if is_due {
            (self.known, self.sees) = search(tree);
            self.searched = Some(now);
        }
        self.silent.clear();
        let mut seen = HashSet::new();
        let mut held = Vec::new();
        for (pid, fd, node) in &self.known {
            let text = tree.text(format!("proc/{pid}/fdinfo/{fd}"));
            let Some(text) = text.get() else { continue };
            let Some(client) = Client::parse(text) else {
                self.silent.insert(node.clone());
                continue;
            };
            if seen.insert(client.key(node)) {
                held.push(Held { pid: *pid, node: node.clone(), client });
            }
        }
        held
    }
}

/// Descriptors of nodes of DRM devices, in all processes that may be looked into, and whose these are.
fn search(tree: &Tree) -> (Vec<(u32, String, String)>, Sees) {
    let (mut known, mut sees_some, mut is_refused) = (Vec::new(), false, false);
    for pid in tree.names("proc").iter().filter_map(|name| name.parse::<u32>().ok()) {
        let entries = match tree.entries(format!("proc/{pid}/fd")) {
            Ok(entries) => entries,
            Err(error) => {
                is_refused |= error.kind() == io::ErrorKind::PermissionDenied;
                continue;
            }
        };
        sees_some = true;
        for entry in entries.filter_map(Result::ok) {
            let Ok(target) = std::fs::read_link(entry.path()) else { continue };
            let (Some(target), Ok(fd)) = (target.to_str(), entry.file_name().into_string()) else {
                continue;
            };
            let is_node = target.starts_with("/dev/dri/") || target.starts_with("/dev/accel/");
            if is_node && known.len() < MOST_CLIENTS {
                known.push((pid, fd, target.to_owned()));
            }
        }
    }
    known.sort();
    // Mounted with `hidepid=invisible`, `/proc` does not even list those of others.
    let is_hidden = tree.is_this_machine() && !tree.exists("proc/1");
    let sees = match sees_some {
        false => Sees::Nothing,
        true if is_refused || is_hidden => Sees::OwnOnly,
        true if is_first_pid_namespace(tree) == Some(false) => Sees::ContainerOnly,
        true => Sees::All,
    };
    (known, sees)
}

impl Client {
    /// What tells it from all others: its device and its number there.
    pub(super) fn key(&self, node: &str) -> (String, u64) {
        (self.slot.clone().unwrap_or_else(|| node.to_owned()), self.id)
    }

    /// What the text says, if it is of a DRM device.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut client = Self::default();
        let (mut is_drm, mut has_id) = (false, false);
        // Region → resident, held, total, of which the first that is told counts.
        let mut regions: BTreeMap<&str, [Option<u64>; 3]> = BTreeMap::new();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let Some(key) = key.strip_prefix("drm-") else { continue };
            let value = value.trim();
            if key == "driver" {
                is_drm = true;
            } else if key == "client-id" {
                client.id = value.parse().ok()?;
                has_id = true;
            } else if key == "pdev" {
                client.slot = Some(value.to_owned());
            } else if let Some(name) = key.strip_prefix("engine-capacity-") {
                if let (Some(engine), Ok(capacity)) = (client.engine(name), value.parse()) {
                    engine.capacity = capacity;
                }
            } else if let Some(name) = key.strip_prefix("engine-") {
                let ns = value.strip_suffix("ns").and_then(|ns| ns.trim_end().parse().ok());
                if let Some(engine) = client.engine(name) {
                    engine.busy_ns = ns;
                }
            } else if let Some(name) = key.strip_prefix("total-cycles-") {
                if let Some(engine) = client.engine(name) {
                    engine.total_cycles = value.parse().ok();
                }
            } else if let Some(name) = key.strip_prefix("cycles-") {
                if let Some(engine) = client.engine(name) {
                    engine.cycles = value.parse().ok();
                }
            } else {
                let kinds = ["resident-", "memory-", "total-"];
                let region = kinds.iter().enumerate();
                let region = region.filter_map(|(i, kind)| Some((i, key.strip_prefix(kind)?)));
                for (i, name) in region {
                    let is_room = regions.len() < MOST_PARTS || regions.contains_key(name);
                    if is_room && let Some(slot) = regions.entry(name).or_default().get_mut(i) {
                        *slot = bytes(value);
                    }
                }
            }
        }
        let told = regions.values().filter_map(|told| told.iter().flatten().next());
        client.memory_bytes = told.copied().reduce(u64::saturating_add);
        (is_drm && has_id).then_some(client)
    }

    fn engine(&mut self, name: &str) -> Option<&mut Engine> {
        if self.engines.len() >= MOST_PARTS && !self.engines.contains_key(name) {
            return None;
        }
        let new = || Engine { capacity: 1, ..Engine::default() };
        Some(self.engines.entry(name.to_owned()).or_insert_with(new))
    }
}

/// `16480 KiB` in bytes.
fn bytes(value: &str) -> Option<u64> {
    let (number, unit) = value.split_once(' ').unwrap_or((value, ""));
    let scale = match unit.trim() {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_and_memory_are_read() {
        // After the examples of `Documentation/gpu/panthor.rst` and `xe-drm-usage-stats`.
        let panthor = "pos:\t0\ndrm-driver:\tpanthor\ndrm-client-id:\t10\n\
            drm-engine-panthor:\t111110952750 ns\ndrm-cycles-panthor:\t94439687187\n\
            drm-maxfreq-panthor:\t1000000000 Hz\ndrm-total-memory:\t16480 KiB\n\
            drm-shared-memory:\t0\ndrm-active-memory:\t16200 KiB\ndrm-resident-memory:\t16400 KiB\n";
        let client = Client::parse(panthor).unwrap();
        assert_eq!((client.id, client.memory_bytes), (10, Some(16400 << 10)));
        let engine = client.engines["panthor"];
        assert_eq!((engine.busy_ns, engine.capacity), (Some(111_110_952_750), 1));
        let xe = "drm-driver:\txe\ndrm-client-id:\t3\ndrm-pdev:\t0000:03:00.0\n\
            drm-total-gtt:\t192 KiB\ndrm-resident-gtt:\t192 KiB\ndrm-total-vram0:\t23992 KiB\n\
            drm-resident-vram0:\t23992 KiB\ndrm-cycles-vcs:\t500\ndrm-total-cycles-vcs:\t7655183225\n\
            drm-engine-capacity-vcs:\t2\n";
        let client = Client::parse(xe).unwrap();
        assert_eq!(client.memory_bytes, Some((192 + 23992) << 10));
        let vcs = client.engines["vcs"];
        assert_eq!((vcs.cycles, vcs.total_cycles, vcs.capacity), (Some(500), Some(7655183225), 2));
    }

    #[test]
    fn what_makes_no_sense_is_no_client() {
        assert_eq!(Client::parse("pos:\t0\nflags:\t02\n"), None);
        assert_eq!(Client::parse("drm-driver:\txe\n"), None);
        assert_eq!(Client::parse("drm-driver: xe\ndrm-client-id: many\n"), None);
        let odd = "drm-driver: x\ndrm-client-id: 1\ndrm-engine-a: 18446744073709551616 ns\n\
            drm-memory-b: 99999999999999999 MiB\ndrm-engine-capacity-a: -1\ndrm-engine-c: 5 s\n";
        let client = Client::parse(odd).unwrap();
        assert_eq!((client.engines["a"].busy_ns, client.engines["c"].busy_ns), (None, None));
        assert_eq!(client.memory_bytes, None);
        let many: String = (0..1000).map(|i| format!("drm-engine-{i}: 5 ns\n")).collect();
        let client = Client::parse(&format!("drm-driver: x\ndrm-client-id: 1\n{many}")).unwrap();
        assert_eq!(client.engines.len(), MOST_PARTS);
    }
}
