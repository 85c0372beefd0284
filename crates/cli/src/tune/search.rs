//! What is measured, in which order, and what is chosen.
//!
//! One choice after the other, the most important first: what multiplies what, the threads of prompts,
//! those of answers, the size of chunks, answers at once, the cache. If the first choice was made with
//! other threads than are chosen then, it is looked at again. Each step has the time up to some share of
//! the budget; one that ends early leaves its time to the next.

use std::time::Duration;

use anyhow::bail;
use rushlight_host::Cores;

use super::race::{Candidate, Fate, Outcome, race};
use super::space::Team;
use super::{Device, Goal, Setting, Space, Table, Task};
use crate::args::KvType;

/// Rounds about machine and threads, at most.
const LAPS: usize = 3;

/// A group of candidates and how they did.
#[derive(Clone, Debug)]
pub(crate) struct Ranking {
    pub(crate) what: &'static str,
    pub(crate) outcome: Outcome,
    /// Which is chosen.
    pub(crate) best: Option<usize>,
}

/// What a search found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) setting: Setting,
    /// Answers at once from which on more bring nothing.
    pub(crate) parallel: Option<usize>,
    pub(crate) rankings: Vec<Ranking>,
    /// Whether the cache is not of the first kind because only that fits.
    pub(crate) kv_for_memory: bool,
}

struct Search<'a, D> {
    device: &'a mut D,
    table: &'a mut Table,
    space: &'a Space,
    goal: &'a Goal,
    budget: Duration,
    setting: Setting,
    rankings: Vec<Ranking>,
}

/// Finds the best setting of `space` in the time of `budget`, but for one measurement that may take
/// longer.
pub(crate) fn search(
    device: &mut impl Device,
    table: &mut Table,
    space: &Space,
    goal: &Goal,
    budget: Duration,
) -> anyhow::Result<Found> {
    let setting = first(device, space, goal)?;
    let kv_for_memory = !space.kv.contains(&setting.kv);
    let mut search = Search { device, table, space, goal, budget, setting, rankings: vec![] };
    search.machine_and_threads()?;
    search.chunks()?;
    let parallel = search.users()?;
    search.kv(kv_for_memory)?;
    let Search { setting, rankings, .. } = search;
    Ok(Found { setting, parallel, rankings, kv_for_memory })
}

/// Where the search begins: what runs if nothing is said, or what is nearest to it in the memory that
/// is allowed.
fn first(device: &impl Device, space: &Space, goal: &Goal) -> anyhow::Result<Setting> {
    let usual = space.usual;
    let Some(most) = goal.memory_bytes else { return Ok(usual) };
    let mut least: Option<u64> = None;
    for kv in space.kv.iter().chain(&space.spare_kv) {
        let mut chunks: Vec<usize> =
            space.chunks.iter().copied().filter(|chunk| *chunk <= usual.chunk).collect();
        chunks.sort_unstable_by_key(|chunk| std::cmp::Reverse(*chunk));
        for chunk in std::iter::once(usual.chunk).chain(chunks) {
            for machine in std::iter::once(&usual.machine).chain(&space.machines) {
                let setting = Setting { machine: *machine, chunk, kv: *kv, ..usual };
                let bytes = device.memory_bytes(&setting);
                if bytes <= most {
                    return Ok(setting);
                }
                least = Some(least.map_or(bytes, |least| least.min(bytes)));
            }
        }
    }
    bail!(
        "no setting fits in {} of memory: the least that one takes is {}; a smaller context (`--ctx`) or a \
         smaller quantisation of the model takes less",
        crate::report::size(most),
        crate::report::size(least.unwrap_or_default()),
    )
}

impl<D: Device> Search<'_, D> {
    fn fits(&self, setting: &Setting) -> bool {
        let most = self.goal.memory_bytes;
        most.is_none_or(|most| self.device.memory_bytes(setting) <= most)
    }

    /// Lets candidates race up to a share of the budget. What does not fit into the memory stays out.
    fn race(
        &mut self,
        candidates: impl IntoIterator<Item = Candidate>,
        share: f64,
    ) -> anyhow::Result<Outcome> {
        let candidates: Vec<Candidate> =
            candidates.into_iter().filter(|c| self.fits(&c.setting)).collect();
        let in_use = |c: &Candidate| c.points() == c.of(self.setting).points();
        let in_use = candidates.iter().position(in_use).unwrap_or(0);
        let end = self.budget.mul_f64(share);
        race(self.device, self.table, self.goal, candidates, in_use, end)
    }

    /// As [`Search::race`], and the best one's setting is taken.
    fn choose(
        &mut self,
        what: &'static str,
        candidates: impl IntoIterator<Item = Candidate>,
        share: f64,
    ) -> anyhow::Result<()> {
        let outcome = self.race(candidates, share)?;
        let best = outcome.best(self.table, self.goal, |_| true);
        if let Some(best) = best {
            self.setting = outcome.candidates[best].setting;
        }
        self.rankings.push(Ranking { what, outcome, best });
        Ok(())
    }

    fn machine_and_threads(&mut self) -> anyhow::Result<()> {
        // The shares that a lap begins and ends with.
        for (lap, (begin, end)) in [(0.0, 0.6), (0.6, 0.7), (0.7, 0.75)].into_iter().enumerate() {
            debug_assert!(lap < LAPS);
            let at = |part: f64| begin + (end - begin) * part;
            let before = self.setting;
            if self.space.machines.len() > 1 {
                let machines = self.space.machines.iter().map(|machine| Candidate {
                    setting: Setting { machine: *machine, ..self.setting },
                    tasks: vec![Task::Prompt, Task::Answer],
                });
                let what = if lap == 0 { "kernels and weights" } else { "the same, once more" };
                self.choose(what, machines.collect::<Vec<_>>(), at(0.35))?;
            }
            if lap > 0 && self.setting.machine == before.machine {
                break;
            }
            let begun = self.setting;
            self.threads(at(0.7), at(1.0))?;
            if self.setting == begun || self.space.machines.len() == 1 {
                break;
            }
        }
        Ok(())
    }

    /// Threads for prompts and answers, each by itself but for the cores, which they share.
    fn threads(&mut self, prompts_until: f64, answers_until: f64) -> anyhow::Result<()> {
        let (space, setting) = (self.space, self.setting);
        let team = |task| {
            move |&(cores, n): &Team| Candidate {
                setting: Setting { cores, threads: n, decode_threads: n, ..setting },
                tasks: vec![task],
            }
        };
        let prompts = self.race(space.teams.iter().map(team(Task::Prompt)), prompts_until)?;
        let answers =
            self.race(space.decode_teams.iter().map(team(Task::Answer)), answers_until)?;
        self.check_watts(&[&prompts, &answers])?;
        let on = |outcome: &Outcome, cores| {
            let is_on = |c: &Candidate| space.is_on((c.setting.cores, c.setting.threads), cores);
            outcome.best(self.table, self.goal, is_on)
        };
        let mut best: Option<(f64, usize, usize)> = None;
        for cores in Cores::EACH {
            let (Some(prompt), Some(answer)) = (on(&prompts, cores), on(&answers, cores)) else {
                continue;
            };
            let parts = [(&prompts, prompt), (&answers, answer)];
            let parts = parts.map(|(race, i)| race.estimate(self.table, self.goal, i));
            let parts: Option<Vec<_>> = parts.into_iter().collect();
            let Some(cost) = parts.and_then(|parts| self.goal.cost(&parts.concat())) else {
                continue;
            };
            // All cores come first, and others only where that is worth it.
            if best.is_none_or(|(least, ..)| cost < 0.98 * least) {
                best = Some((cost, prompt, answer));
                self.setting.cores = cores;
                self.setting.threads = prompts.candidates[prompt].setting.threads;
                self.setting.decode_threads = answers.candidates[answer].setting.decode_threads;
            }
        }
        if self.setting.threads.max(self.setting.decode_threads) <= space.fast_cores
            && self.setting.cores == Cores::Fast
        {
            self.setting.cores = Cores::All;
        }
        let both = [("threads for prompts", prompts), ("threads for answers", answers)];
        for (i, (what, outcome)) in both.into_iter().enumerate() {
            let best = best.map(|(_, prompt, answer)| [prompt, answer][i]);
            self.rankings.push(Ranking { what, outcome, best });
        }
        Ok(())
    }

    /// Fails when a limit of watts leaves nothing.
    fn check_watts(&self, outcomes: &[&Outcome]) -> anyhow::Result<()> {
        let Some(most) = self.goal.most_watts else { return Ok(()) };
        for outcome in outcomes {
            if outcome.fates.iter().any(|fate| *fate != Fate::TooHot) {
                continue;
            }
            let points = outcome.candidates.iter().flat_map(Candidate::points);
            let watts = points.filter_map(|point| self.table.median(&point)?.watts());
            let Some(least) = watts.min_by(f64::total_cmp) else { continue };
            bail!(
                "every setting takes more than `{most}` watts: the least is {least:.1} W on average \
                 (`rushlight serve --watts` works in shorter bursts)"
            );
        }
        Ok(())
    }

    /// Tokens of a prompt that run together; if there is no difference as many as usually.
    fn chunks(&mut self) -> anyhow::Result<()> {
        let mut chunks = self.space.chunks.clone();
        if chunks.len() < 2 {
            return Ok(());
        }
        chunks.sort_by_key(|chunk| (*chunk != self.setting.chunk, *chunk));
        let setting = self.setting;
        let one = |chunk| Candidate {
            setting: Setting { chunk, ..setting },
            tasks: vec![Task::LongPrompt],
        };
        self.choose("tokens of a prompt at once", chunks.into_iter().map(one), 0.85)
    }

    /// From how many answers at once on more bring nothing.
    fn users(&mut self) -> anyhow::Result<Option<usize>> {
        let setting = self.setting;
        let one = |count: &usize| Candidate { setting, tasks: vec![Task::Users(*count)] };
        let outcome = self.race(self.space.users.iter().map(one), 0.93)?;
        let best = outcome.best(self.table, self.goal, |_| true);
        // Without the larger numbers nobody knows.
        let known = !outcome.fates.contains(&Fate::Untried) && outcome.candidates.len() > 1;
        let parallel = best.filter(|_| known).and_then(|i| match outcome.candidates[i].tasks[..] {
            [Task::Users(count)] => Some(count),
            _ => None,
        });
        self.rankings.push(Ranking { what: "answers at once", outcome, best });
        Ok(parallel)
    }

    /// The cache. One that rounds is measured, so that it is known what it would bring, but only
    /// taken where it is allowed or nothing else fits.
    fn kv(&mut self, for_memory: bool) -> anyhow::Result<()> {
        let setting = self.setting;
        let one = |kv: &KvType| Candidate {
            setting: Setting { kv: *kv, ..setting },
            tasks: vec![Task::DeepAnswer],
        };
        if for_memory {
            return Ok(());
        }
        let (what, kinds) = match self.space.kv.len() {
            1 => {
                ("keys and values, not to choose from", [&self.space.kv[..], &self.space.spare_kv])
            }
            _ => ("keys and values", [&self.space.kv[..], &[]]),
        };
        let kinds: Vec<KvType> = kinds.concat();
        if kinds.len() < 2 {
            return Ok(());
        }
        self.choose(what, kinds.iter().map(one), 1.0)?;
        if self.space.kv.len() == 1 {
            self.setting = setting;
            if let Some(ranking) = self.rankings.last_mut() {
                ranking.best = Some(0);
            }
        }
        Ok(())
    }
}
