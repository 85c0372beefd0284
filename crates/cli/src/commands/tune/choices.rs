//! What there is to choose from for a model on this machine, as far as no flag says.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context, bail};
use rushlight_host::{Cores, Topology};
use rushlight_kernels::{Row, rows};
use rushlight_model::{Model, WeightsFrom};
use rushlight_store::{Resolved, Store};

use crate::args::{Args, CoreSet, KvType, Load, Prepare, Tune};
use crate::load;
use crate::prepare::{self, Unprepared};
use crate::profile::Key;
use crate::tune::{
    Backend, CHUNKS, Machine, Open, Setting, Shelf, Sizes, Space, Team, USERS, Weights, teams,
};

/// Rows of kernels that are measured: the next best may be faster where a processor lowers its clock
/// for the widest instructions.
const KERNELS: usize = 2;

/// A model in all layouts, and what there is to choose from.
pub(super) struct Choices {
    /// What it is measured for.
    pub(super) key: Key,
    pub(super) shelf: Shelf,
    pub(super) space: Space,
}

/// Looks which layouts of a model come into question. Prepared weights of a model in the store are
/// made, if they are not there.
pub(super) fn choices(args: &Args, tune: &Tune) -> anyhow::Result<Choices> {
    let load = &tune.load;
    let (file, resolved) = load::unprepared(args, load)?;
    if !file.writes() || file.arch().bidirectional {
        bail!("`{}` writes no text: there are no answers to measure", load.model);
    }
    let topology = Topology::read(Path::new("/"));
    let key = Key::of(Path::new("/"), &file);
    let opening = Opening { store: load::store(args)?, resolved, name: load.model.clone() };
    let opening = Rc::new(opening);
    let mut shelf = Shelf::default();
    for row in kernels(load)? {
        let takes = file.panel_sources().iter().any(|s| row.takes_panels(s.format(), s.cols()));
        for weights in layouts(load, takes, opening.resolved.digest.is_some()) {
            let machine = Machine { backend: Backend::Cpu, kernels: row.name(), weights };
            let opening = opening.clone();
            let open: Open = match weights {
                Weights::Prepared => Box::new(move || opening.prepared(row)),
                Weights::File | Weights::Memory => Box::new(move || opening.file()),
            };
            shelf.add(load, &file, machine, open)?;
        }
    }
    // One at a time: each may be a copy.
    drop(file);
    let prepared = |machine: &Machine| machine.weights == Weights::Prepared;
    if let Some(machine) = shelf.machines().into_iter().find(prepared) {
        let row = load::row(&Load { kernels: Some(machine.kernels.to_owned()), ..load.clone() })?;
        if opening.prepared(row)?.weights_from() != WeightsFrom::Prepared {
            shelf.remove(Weights::Prepared);
        }
    }
    let machines = shelf.machines();
    // Without flags a model in the store has prepared weights, others have not.
    let prepared = machines.iter().find(|machine| machine.weights == Weights::Prepared);
    let Some(&machine) = prepared.or(machines.first()) else {
        bail!("the weights cannot be prepared: `--prepare never` measures without");
    };
    let fast_cores = topology.fast_cores().len();
    let [teams, decode_teams] =
        [load.threads, load.decode_threads].map(|n| some_teams(&topology, load, n));
    let usual = {
        let cores = cores(load).unwrap_or(Cores::All);
        let threads = load.threads.unwrap_or_else(|| topology.only(cores).default_threads());
        let decode_threads = load.decode_threads.unwrap_or(threads);
        Setting { machine, cores, threads, decode_threads, kv: load.kv(), chunk: load.chunk() }
    };
    let (kv, spare_kv) = match load.kv {
        Some(kv) => (vec![kv], vec![]),
        None if tune.choose_kv => (vec![KvType::F16, KvType::Q8_0], vec![]),
        None => (vec![KvType::F16], vec![KvType::Q8_0]),
    };
    let space = Space {
        machines,
        teams,
        decode_teams,
        kv,
        spare_kv,
        chunks: vec![load.chunk()],
        users: USERS.to_vec(),
        usual,
        fast_cores,
    };
    Ok(Choices { key, shelf, space })
}

/// Opens a model in its layouts.
struct Opening {
    store: Store,
    resolved: Resolved,
    /// As the user calls it.
    name: String,
}

impl Opening {
    fn file(&self) -> anyhow::Result<Arc<Model>> {
        let model = Model::open(&self.resolved.path);
        Ok(Arc::new(model.with_context(|| format!("cannot load `{}`", self.name))?))
    }

    /// With prepared weights, which are made if they are not there; without where that cannot be.
    fn prepared(&self, row: &Row) -> anyhow::Result<Arc<Model>> {
        let model = self.file()?;
        let unprepared = Unprepared::of(&self.store, &self.resolved, &model, row);
        if let Some(unprepared) = unprepared.filter(|unprepared| !unprepared.attach()) {
            prepare::before(&unprepared);
        }
        Ok(model)
    }
}

/// The rows of kernels, the fastest first. The plain one only where there is no other.
fn kernels(load: &Load) -> anyhow::Result<Vec<&'static Row>> {
    if load.kernels.is_some() {
        return Ok(vec![load::row(load)?]);
    }
    let fast: Vec<&'static Row> = rows().iter().skip(1).rev().take(KERNELS).copied().collect();
    Ok(if fast.is_empty() { rows().to_vec() } else { fast })
}

/// The layouts of weights, the plainest first.
fn layouts(load: &Load, takes_panels: bool, is_stored: bool) -> Vec<Weights> {
    let prepared = if is_stored { Weights::Prepared } else { Weights::Memory };
    match (load.prepare, load.prepare()) {
        (_, Prepare::Never) => vec![Weights::File],
        _ if !takes_panels => vec![Weights::File],
        (Some(Prepare::Memory), _) => vec![Weights::Memory],
        (Some(_), _) if is_stored => vec![Weights::Prepared],
        (Some(_), _) => vec![Weights::File],
        (None, _) => vec![Weights::File, prepared],
    }
}

fn cores(load: &Load) -> Option<Cores> {
    load.cores.map(|cores| match cores {
        CoreSet::All => Cores::All,
        CoreSet::Fast => Cores::Fast,
        CoreSet::Slow => Cores::Slow,
    })
}

/// The teams on the cores that are asked for, of so many threads if a flag says how many.
fn some_teams(topology: &Topology, load: &Load, threads: Option<usize>) -> Vec<Team> {
    let asked = cores(load);
    let threads = threads.map(|n| (asked.unwrap_or(Cores::All), n));
    if let Some(team) = threads {
        return vec![team];
    }
    let Some(cores) = asked else { return teams(topology) };
    if cores == Cores::All {
        let all = teams(topology).into_iter();
        return all.filter(|team| team.0 == Cores::All).collect();
    }
    // Of these cores all teams are of their own kind.
    let some = teams(&topology.only(cores)).into_iter();
    some.filter(|team| team.0 == Cores::All).map(|team| (cores, team.1)).collect()
}

/// Sets the sizes of chunks that prompts of the measurements' length can tell apart; says why there are
/// none.
pub(super) fn chunks(space: &mut Space, load: &Load, sizes: Sizes) -> Vec<String> {
    if load.chunk.is_some() {
        return Vec::new();
    }
    space.chunks = CHUNKS.into_iter().filter(|chunk| *chunk <= sizes.long).collect();
    if space.chunks.len() > 1 && space.chunks.contains(&space.usual.chunk) {
        return Vec::new();
    }
    space.chunks = vec![space.usual.chunk];
    vec![format!(
        "tokens of a prompt at once: there is time for prompts of {} tokens only, which do not tell",
        sizes.long
    )]
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Command;

    fn load(flags: &[&str]) -> Load {
        let args = ["rushlight", "tune", "model"].iter().chain(flags);
        match Args::try_parse_from(args).unwrap().command {
            Command::Tune(tune) => tune.load,
            _ => unreachable!("it is tune"),
        }
    }

    #[test]
    fn flags_leave_less_to_choose() {
        use Weights::{File, Memory, Prepared};
        let cases: [(&[&str], bool, &[Weights]); 8] = [
            (&[], false, &[File, Memory]),
            (&[], true, &[File, Prepared]),
            (&["--no-prepare"], true, &[File]),
            (&["--prepare", "never"], false, &[File]),
            (&["--prepare", "memory"], true, &[Memory]),
            (&["--prepare", "auto"], true, &[Prepared]),
            (&["--prepare", "auto"], false, &[File]),
            (&["--prepare", "memory"], false, &[Memory]),
        ];
        for (flags, is_stored, want) in cases {
            assert_eq!(layouts(&load(flags), true, is_stored), want, "{flags:?} {is_stored}");
            let plain = layouts(&load(flags), false, is_stored);
            assert_eq!(plain, [File], "{flags:?}: kernels that take no panels");
        }
        let topology = Topology::read(Path::new("/"));
        let teams = |flags: &[&str], n| some_teams(&topology, &load(flags), n);
        assert_eq!(teams(&[], Some(3)), [(Cores::All, 3)]);
        assert_eq!(teams(&["--cores", "slow"], Some(3)), [(Cores::Slow, 3)]);
        assert!(teams(&["--cores", "fast"], None).iter().all(|team| team.0 == Cores::Fast));
        assert!(teams(&["--cores", "all"], None).contains(&(Cores::All, 1)));
    }
}
