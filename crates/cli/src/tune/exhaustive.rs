//! Every combination, measured: what a search is held against.

use super::{Device, Goal, Setting, Space, Spread, Table, Task};

/// Measurements of each point, in turn.
const ROUNDS: usize = 5;

/// One combination.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) setting: Setting,
    /// Of a request: the less, the better.
    pub(crate) cost: f64,
    pub(crate) prompt: Spread,
    pub(crate) answer: Spread,
}

/// All of them, the best first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Whole {
    pub(crate) rows: Vec<Row>,
}

impl Whole {
    /// The place of a setting, from 1, and how much more it costs than the best: 0.03 is 3 %.
    pub(crate) fn place(&self, setting: &Setting) -> Option<(usize, f64)> {
        let at = self.rows.iter().position(|row| row.setting == *setting)?;
        Some((at + 1, self.rows[at].cost / self.rows.first()?.cost - 1.0))
    }
}

/// Each setting of a space that the goal allows.
pub(crate) fn settings(device: &impl Device, space: &Space, goal: &Goal) -> Vec<Setting> {
    let mut all = Vec::new();
    for &machine in &space.machines {
        for &(cores, threads) in &space.teams {
            for &team in &space.decode_teams {
                for &kv in &space.kv {
                    for &chunk in &space.chunks {
                        // Cores that both are on; a fast team that needs no more is one of all.
                        let cores = if space.is_on(team, cores) {
                            cores
                        } else if space.is_on((cores, threads), team.0) {
                            team.0
                        } else {
                            continue;
                        };
                        let decode_threads = team.1;
                        all.push(Setting { machine, cores, threads, decode_threads, kv, chunk });
                    }
                }
            }
        }
    }
    let most = goal.memory_bytes;
    all.retain(|s| most.is_none_or(|most| device.memory_bytes(s) <= most));
    all
}

/// Measures all of a space, however long it takes. A combination's cost is that of its points, which are
/// measured in turn: forwards, then backwards.
pub(crate) fn exhaustive(
    device: &mut impl Device,
    space: &Space,
    goal: &Goal,
) -> anyhow::Result<Whole> {
    let settings = settings(device, space, goal);
    let parts = |s: &Setting| [s.point(Task::LongPrompt), s.point(Task::Answer)];
    let mut points = Vec::new();
    for point in settings.iter().flat_map(parts) {
        if !points.contains(&point) {
            points.push(point);
        }
    }
    let mut table = Table::default();
    for _ in 0..ROUNDS {
        let round = table.next_round();
        for point in &points {
            if let Some(sample) = device.sample(point)? {
                table.add(*point, round, sample);
            }
        }
        points.reverse();
    }
    let row = |setting: &Setting| {
        let [prompt, answer] = parts(setting);
        let medians = [table.median(&prompt)?, table.median(&answer)?];
        let cost = table.cost(goal, &[prompt, answer]);
        cost.filter(|_| medians.iter().all(|sample| goal.allows(sample))).and_then(|cost| {
            let (prompt, answer) = (table.rates(&prompt)?, table.rates(&answer)?);
            Some(Row { setting: *setting, cost, prompt, answer })
        })
    };
    let mut rows: Vec<Row> = settings.iter().filter_map(row).collect();
    rows.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    Ok(Whole { rows })
}
