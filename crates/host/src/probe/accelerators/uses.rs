//! What the clients of a device used of it between two samples, for the device and for each process.

use std::collections::BTreeMap;

use super::fdinfo::{Engine, Sees};
use super::sampler::{FIRST, ProcessUse};
use crate::probe::{Reading, Reason, Tree, Unit};

const CLIENTS: &str = "proc/*/fdinfo";

/// What a client used since the last sample.
pub(super) struct Use {
    pub(super) pid: u32,
    pub(super) node: String,
    /// Engine → per cent; `None` if the client is new.
    pub(super) busy: Option<BTreeMap<String, f64>>,
    pub(super) memory_bytes: Option<u64>,
}

/// The share of an engine that was used between two samples, per cent of all there are of it. The
/// counters may stay behind what they said before and catch up (`drm-usage-stats.rst`), so `new` keeps
/// the larger.
pub(super) fn share(old: &Engine, new: &mut Engine, seconds: f64) -> Option<f64> {
    let capacity = f64::from(new.capacity.max(1));
    let share = if let (Some(before), Some(busy)) = (old.busy_ns, new.busy_ns) {
        let busy = busy.max(before);
        new.busy_ns = Some(busy);
        (seconds > 0.0).then(|| (busy - before) as f64 / 1e9 / seconds)?
    } else {
        let (before, cycles) = (old.cycles?, new.cycles?);
        let cycles = cycles.max(before);
        new.cycles = Some(cycles);
        let total = new.total_cycles?.checked_sub(old.total_cycles?)?;
        match (cycles - before, total) {
            // The clock stands still while the device sleeps.
            (0, _) => 0.0,
            (_, 0) => return None,
            (cycles, total) => cycles as f64 / total as f64,
        }
    };
    Some((share / capacity * 100.0).clamp(0.0, 100.0))
}

/// Per cent of the busiest of the engines of some clients; `None` if none of them counts.
fn busiest<'a>(engines: impl Iterator<Item = &'a BTreeMap<String, f64>>) -> Option<f64> {
    let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
    for (name, share) in engines.flatten() {
        *sums.entry(name).or_default() += share;
    }
    sums.into_values().reduce(f64::max).map(|share| share.min(100.0))
}

/// How busy a device is by what its clients used: of its busiest engine, all clients together. What
/// some of them used is not how busy it is.
pub(super) fn of_clients(uses: &[&Use], sees: Sees, is_silent: bool) -> Reading<f64> {
    let absent =
        |reason, detail: &str| Reading::absent(reason, detail, Unit::Percent, CLIENTS.to_owned());
    match sees {
        Sees::Nothing => return absent(Reason::NotFound, "no process shows what it uses"),
        Sees::OwnOnly => {
            let detail = "it is the sum of what processes use, and only root sees those of others";
            return absent(Reason::Permission, detail);
        }
        Sees::ContainerOnly => {
            let detail = "it is the sum of what processes use, and those outside this container are \
                          not seen";
            return absent(Reason::Permission, detail);
        }
        Sees::All => {}
    }
    if let Some(busy) = busiest(uses.iter().filter_map(|held| held.busy.as_ref())) {
        return Reading::new(busy, Unit::Percent, CLIENTS);
    }
    if uses.iter().any(|held| held.busy.is_none()) {
        return absent(Reason::NotFound, FIRST);
    }
    if is_silent || !uses.is_empty() {
        return absent(Reason::Unsupported, "the driver does not count the work of its clients");
    }
    // Nobody has it open.
    Reading::new(0.0, Unit::Percent, CLIENTS)
}

/// One entry a process, of all its clients.
pub(super) fn processes(tree: &Tree, uses: &[&Use]) -> Vec<ProcessUse> {
    let mut found: BTreeMap<u32, Vec<&Use>> = BTreeMap::new();
    for held in uses {
        found.entry(held.pid).or_default().push(held);
    }
    let process = |(pid, uses): (u32, Vec<&Use>)| {
        let source = format!("proc/{pid}/fdinfo");
        let untold = "the driver does not tell, or this is the first sample";
        let utilisation = match busiest(uses.iter().filter_map(|held| held.busy.as_ref())) {
            Some(busy) => Reading::new(busy, Unit::Percent, &source),
            None => Reading::absent(Reason::NotFound, untold, Unit::Percent, &source),
        };
        let bytes = uses.iter().filter_map(|held| held.memory_bytes);
        let memory = match bytes.reduce(u64::saturating_add) {
            Some(bytes) => Reading::new(bytes, Unit::Bytes, &source),
            None => Reading::absent(Reason::NotFound, untold, Unit::Bytes, &source),
        };
        ProcessUse { pid, name: name_of(tree, pid), utilisation, memory }
    };
    found.into_iter().map(process).collect()
}

/// The name of a process, as the kernel has it.
pub(super) fn name_of(tree: &Tree, pid: u32) -> String {
    let name = tree.text(format!("proc/{pid}/comm"));
    name.get().map(|name| super::name::clean(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_used_by_time_or_by_cycles_of_all_there_are_of_it() {
        let time = |ns, capacity| Engine { busy_ns: Some(ns), capacity, ..Engine::default() };
        let cycles = |cycles, total, capacity| Engine {
            cycles: Some(cycles),
            total_cycles: Some(total),
            capacity,
            ..Engine::default()
        };
        for (old, mut new, wanted) in [
            (time(5, 1), time(500_000_005, 1), Some(25.0)),
            (time(5, 2), time(2_000_000_005, 2), Some(50.0)),
            (time(7, 0), time(5, 0), Some(0.0)),
            (cycles(10, 1000, 1), cycles(35, 1100, 1), Some(25.0)),
            (cycles(10, 1000, 4), cycles(210, 1100, 4), Some(50.0)),
            (cycles(10, 1000, 1), cycles(10, 1000, 1), Some(0.0)),
            (cycles(10, 1000, 1), cycles(11, 1000, 1), None),
            (cycles(10, 1000, 1), cycles(11, 900, 1), None),
            (time(5, 1), cycles(11, 900, 1), None),
        ] {
            assert_eq!(share(&old, &mut new, 2.0), wanted, "{old:?} {new:?}");
        }
    }

    #[test]
    fn clients_are_added_up_by_engine_and_the_busiest_counts() {
        let held = |pid, engines: &[(&str, f64)]| Use {
            pid,
            node: "/dev/dri/renderD128".to_owned(),
            busy: Some(engines.iter().map(|(name, share)| ((*name).to_owned(), *share)).collect()),
            memory_bytes: Some(10),
        };
        let all = [
            held(7, &[("gfx", 60.0), ("compute", 0.0)]),
            held(7, &[("gfx", 0.0), ("compute", 30.0)]),
            held(8, &[("gfx", 5.0), ("compute", 45.0)]),
            held(9, &[("gfx", 20.0)]),
            held(9, &[("gfx", 90.0)]),
        ];
        let uses: Vec<&Use> = all.iter().collect();
        let dir = tempfile::tempdir().unwrap();
        let processes = processes(&Tree::new(dir.path()), &uses);
        let told: Vec<_> =
            processes.iter().map(|p| (p.pid, *p.utilisation.get().unwrap())).collect();
        assert_eq!(told, [(7, 60.0), (8, 45.0), (9, 100.0)]);
        assert_eq!(processes[0].memory.get(), Some(&20));
        assert_eq!(of_clients(&uses[..3], Sees::All, false).get(), Some(&75.0));
        assert_eq!(of_clients(&uses, Sees::All, false).get(), Some(&100.0));
    }

    #[test]
    fn a_load_is_told_only_where_all_processes_are_seen() {
        let held = |busy| Use { pid: 7, node: String::new(), busy, memory_bytes: None };
        let (new, silent) = (held(None), held(Some(BTreeMap::new())));
        let busy = held(Some([("gfx".to_owned(), 60.0)].into()));
        type Case<'a> = (&'a [&'a Use], Sees, bool, Result<f64, Reason>);
        let cases: &[Case<'_>] = &[
            (&[], Sees::All, false, Ok(0.0)),
            (&[], Sees::All, true, Err(Reason::Unsupported)),
            (&[], Sees::OwnOnly, false, Err(Reason::Permission)),
            (&[&busy], Sees::All, false, Ok(60.0)),
            (&[&busy], Sees::OwnOnly, false, Err(Reason::Permission)),
            (&[&busy], Sees::ContainerOnly, false, Err(Reason::Permission)),
            (&[&busy, &new], Sees::All, false, Ok(60.0)),
            (&[&new], Sees::All, false, Err(Reason::NotFound)),
            (&[&silent], Sees::All, false, Err(Reason::Unsupported)),
            (&[], Sees::Nothing, false, Err(Reason::NotFound)),
        ];
        for (at, (uses, sees, is_silent, wanted)) in cases.iter().enumerate() {
            let load = of_clients(uses, *sees, *is_silent);
            assert_eq!(load.value.map_err(|why| why.reason), *wanted, "case {at}");
        }
    }
}
