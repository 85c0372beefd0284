//! What there is to choose from.

use rushlight_host::{Cores, Topology};

use super::{Machine, Setting};
use crate::args::KvType;

/// Numbers of threads are tried one by one up to this, then in steps of a half.
const EACH_THREAD: usize = 6;

/// Sizes of chunks to try: the kernels' tiles are full from 64 rows on, and beyond 2048 only memory
/// grows.
pub(crate) const CHUNKS: [usize; 5] = [128, 256, 512, 1024, 2048];

/// Answers at once.
pub(crate) const USERS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];

/// Some cores and how many threads on them.
pub(crate) type Team = (Cores, usize);

/// The candidates for each setting; where two are as good the earlier one is chosen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Space {
    pub(crate) machines: Vec<Machine>,
    /// For prompts.
    pub(crate) teams: Vec<Team>,
    /// For answers.
    pub(crate) decode_teams: Vec<Team>,
    pub(crate) kv: Vec<KvType>,
    /// Kinds of cache that are taken only where none of `kv` fits.
    pub(crate) spare_kv: Vec<KvType>,
    pub(crate) chunks: Vec<usize>,
    /// Answers at once.
    pub(crate) users: Vec<usize>,
    /// What runs if nothing is said.
    pub(crate) usual: Setting,
    /// The cores of the two teams of a setting are the same; a team on fast cores alone is one on all
    /// where it needs no more.
    pub(crate) fast_cores: usize,
}

impl Space {
    /// Whether a team can work in an engine with these cores.
    pub(crate) fn is_on(&self, team: Team, cores: Cores) -> bool {
        team.0 == cores
            || (team.0 == Cores::All && cores == Cores::Fast && team.1 <= self.fast_cores)
    }
}

/// The teams of a machine, smaller ones first: of all cores in their order, which is the fast ones, the
/// others, then further threads of each; of fast cores with further threads alone; of slow cores.
pub(crate) fn teams(topology: &Topology) -> Vec<Team> {
    let fast = topology.fast_cores().len();
    let mut all = Vec::new();
    let paid = topology.quota.map_or(usize::MAX, |quota| quota.ceil().max(1.0) as usize);
    for cores in Cores::EACH {
        let some = topology.only(cores);
        let is_all = some.cores.len() == topology.cores.len();
        let from = match cores {
            Cores::All => 1,
            _ if is_all => continue,
            // Fewer are teams of all cores.
            Cores::Fast => fast + 1,
            _ => 1,
        };
        let last = some.processors().min(paid);
        let ends = [fast, some.cores.len(), some.processors(), paid];
        let counts = counts(last, &ends).filter(|n| *n >= from);
        all.extend(counts.map(|n| (cores, n)));
    }
    all.sort_by_key(|(cores, n)| (*n, *cores != Cores::Slow));
    all
}

/// Each number up to [`EACH_THREAD`], then ever larger steps, and those where something ends.
fn counts(last: usize, ends: &[usize]) -> impl Iterator<Item = usize> {
    let mut all: Vec<usize> = (1..=EACH_THREAD).collect();
    let mut n = EACH_THREAD + 2;
    while n < last {
        all.push(n);
        n += n / 2;
    }
    all.extend_from_slice(ends);
    all.push(last);
    all.retain(|n| (1..=last).contains(n));
    all.sort_unstable();
    all.dedup();
    all.into_iter()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Cores with so many processors each, of these speeds.
    fn topology(cores: &[(usize, u32)]) -> Topology {
        let dir = tempfile::tempdir().unwrap();
        let cpus = dir.path().join("sys/devices/system/cpu");
        let total: usize = cores.iter().map(|(threads, _)| threads).sum();
        let mut first = 0;
        for (threads, speed) in cores {
            for cpu in first..first + threads {
                let topology = cpus.join(format!("cpu{cpu}/topology"));
                fs::create_dir_all(&topology).unwrap();
                let list = format!("{first}-{}", first + threads - 1);
                fs::write(topology.join("core_cpus_list"), list).unwrap();
                fs::write(cpus.join(format!("cpu{cpu}/cpu_capacity")), speed.to_string()).unwrap();
            }
            first += threads;
        }
        fs::write(cpus.join("online"), format!("0-{}", total - 1)).unwrap();
        Topology::read(dir.path())
    }

    #[test]
    fn teams_of_machines() {
        use Cores::{All, Fast, Slow};
        assert_eq!(teams(&topology(&[(1, 1024), (1, 1024)])), [(All, 1), (All, 2)]);
        // RK3588.
        let big_little = topology(&[[(1, 1024); 4], [(1, 414); 4]].concat());
        let slow: Vec<_> = (1..=4).map(|n| (Slow, n)).collect();
        let found = teams(&big_little);
        assert_eq!(found.iter().filter(|t| t.0 == Slow).copied().collect::<Vec<_>>(), slow);
        let all = [1, 2, 3, 4, 5, 6, 8].map(|n| (All, n));
        assert_eq!(found.iter().filter(|t| t.0 == All).copied().collect::<Vec<_>>(), all);
        assert_eq!(found.iter().filter(|t| t.0 == Fast).count(), 0, "they have one thread each");
        assert_eq!(found[0], (Slow, 1), "the least power is preferred");
        // Two fast cores of two threads, four slow ones.
        let hybrid = teams(&topology(&[[(2, 1024); 2], [(1, 400); 2], [(1, 400); 2]].concat()));
        let fast: Vec<_> = hybrid.iter().filter(|t| t.0 == Fast).copied().collect();
        assert_eq!(fast, [(Fast, 3), (Fast, 4)]);
        // Two sockets of 32 cores with two threads each.
        let server = teams(&topology(&[(2, 1024); 64]));
        assert!(server.len() <= 20 && server.contains(&(All, 64)) && server.contains(&(All, 128)));
        let mut limited = topology(&[(1, 1024); 8]);
        limited.quota = Some(2.5);
        assert_eq!(teams(&limited), [(All, 1), (All, 2), (All, 3)]);
    }
}
