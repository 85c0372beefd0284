//! What a search found, for a person and for a script.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::profile::Profile;
use crate::tune::{
    Candidate, Fate, Found, Goal, Point, Ranking, Setting, Table, Task, Weights, Whole,
};

/// Combinations that are printed for a person.
const MOST_ROWS: usize = 40;

pub(super) struct Report<'a> {
    pub(super) model: &'a str,
    pub(super) budget: Duration,
    pub(super) took: Duration,
    pub(super) goal: &'a Goal,
    /// What measured joules.
    pub(super) source: Option<String>,
    pub(super) found: &'a Found,
    pub(super) table: &'a Table,
    pub(super) profile: &'a Profile,
    /// Where the profile is.
    pub(super) kept: Option<PathBuf>,
    pub(super) untried: Vec<String>,
    pub(super) whole: Option<&'a Whole>,
}

/// What there was no time for, in words.
pub(super) fn untried(found: &Found) -> Vec<String> {
    let mut all = Vec::new();
    for ranking in &found.rankings {
        let candidates = ranking.outcome.candidates.iter().zip(&ranking.outcome.fates);
        let untried = candidates.filter(|(_, fate)| **fate == Fate::Untried);
        let names: Vec<String> = untried.map(|(c, _)| label(ranking, c)).collect();
        if !names.is_empty() {
            all.push(format!("{}: {}", ranking.what, names.join(", ")));
        }
    }
    all
}

/// What distinguishes a candidate from its rivals.
fn label(ranking: &Ranking, candidate: &Candidate) -> String {
    let setting = &candidate.setting;
    let machine = setting.machine;
    match ranking.what {
        "threads for prompts" | "threads for answers" => {
            team(setting.cores.name(), setting.threads)
        }
        "tokens of a prompt at once" => setting.chunk.to_string(),
        "answers at once" => match candidate.tasks[..] {
            [Task::Users(count)] => count.to_string(),
            _ => String::new(),
        },
        "keys and values" | "keys and values, not to choose from" => setting.kv.name().to_owned(),
        _ => format!(
            "{}, {}, weights from {}",
            machine.backend.name(),
            machine.kernels,
            machine.weights.name()
        ),
    }
}

fn team(cores: &str, threads: usize) -> String {
    match cores {
        "all" => threads.to_string(),
        cores => format!("{threads} on {cores} cores"),
    }
}

fn remark(fate: Fate, is_best: bool) -> &'static str {
    match (is_best, fate) {
        (true, _) => "chosen",
        (_, Fate::Stayed) => "",
        (_, Fate::Left) => "clearly worse, left early",
        (_, Fate::TooHot) => "over the watts",
        (_, Fate::Impossible) => "cannot run",
        (_, Fate::Untried) => "not tried",
    }
}

/// The flags that run a model like this.
fn flags(setting: &Setting, parallel: Option<usize>) -> String {
    let mut text = format!(
        "--cores {} --threads {} --decode-threads {} --chunk {} --kv {} --kernels {}",
        setting.cores.name(),
        setting.threads,
        setting.decode_threads,
        setting.chunk,
        setting.kv.name(),
        setting.machine.kernels,
    );
    text += match setting.machine.weights {
        Weights::File => " --prepare never",
        Weights::Prepared => " --prepare auto",
        Weights::Memory => " --prepare memory",
    };
    if let Some(parallel) = parallel {
        text += &format!(" (serve: --parallel {parallel})");
    }
    text
}

impl Report<'_> {
    /// Tables and sentences.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let (took, budget) = (self.took.as_secs_f64(), self.budget.as_secs());
        writeln!(out, "{}: {}", self.model, self.profile.key.machine)?;
        let objective = self.goal.objective.name();
        write!(out, "for {objective}, {took:.1} of {budget} s")?;
        if let Some(source) = &self.source {
            write!(out, ", energy from {source}")?;
        }
        writeln!(out, "; tokens per second, median (least to most) of so many measurements")?;
        for ranking in &self.found.rankings {
            self.write_ranking(out, ranking)?;
        }
        let setting = &self.found.setting;
        if self.found.kv_for_memory {
            let kv = setting.kv.name();
            writeln!(out, "\nthe cache is {kv}, which rounds: the memory is too small for f16")?;
        }
        writeln!(out, "\nchosen: {}", flags(setting, self.found.parallel))?;
        if !self.untried.is_empty() {
            writeln!(out, "not tried, as the time was over:")?;
            self.untried.iter().try_for_each(|what| writeln!(out, "  {what}"))?;
        }
        if let Some(path) = &self.kept {
            writeln!(out, "kept for run, bench and serve in {}", path.display())?;
        }
        self.whole.map_or(Ok(()), |whole| self.write_whole(out, whole))
    }

    fn write_ranking(&self, out: &mut String, ranking: &Ranking) -> std::fmt::Result {
        let outcome = &ranking.outcome;
        let Some(first) = outcome.candidates.first() else { return Ok(()) };
        write!(out, "\n| {} |", ranking.what)?;
        first.tasks.iter().try_for_each(|task| write!(out, " {} |", task.name()))?;
        writeln!(out, " measured | |\n|---|{}---|---|", "---|".repeat(first.tasks.len()))?;
        for i in self.by_cost(ranking) {
            let (candidate, fate) = (&outcome.candidates[i], outcome.fates[i]);
            write!(out, "| {} |", label(ranking, candidate))?;
            let mut count = 0;
            for point in candidate.points() {
                let rates = self.table.rates(&point);
                count = count.max(rates.as_ref().map_or(0, |rates| rates.count));
                match rates {
                    Some(r) => {
                        write!(out, " {:.1} ({:.1} to {:.1})", r.median, r.least, r.most)?;
                        self.write_watts(out, &point)?;
                        write!(out, " |")?;
                    }
                    None => write!(out, " - |")?,
                }
            }
            writeln!(out, " {count} | {} |", remark(fate, ranking.best == Some(i)))?;
        }
        Ok(())
    }

    fn write_watts(&self, out: &mut String, point: &Point) -> std::fmt::Result {
        let sample = self.table.median(point);
        match sample.and_then(|sample| Some((sample.joules_per_token?, sample.watts()?))) {
            Some((joules, watts)) => write!(out, ", {joules:.3} J each, {watts:.1} W"),
            None => Ok(()),
        }
    }

    /// The candidates, the best first, those that were not measured last.
    fn by_cost(&self, ranking: &Ranking) -> Vec<usize> {
        let outcome = &ranking.outcome;
        let cost = |i: &usize| {
            let cost = self.table.cost(self.goal, &outcome.candidates[*i].points());
            cost.unwrap_or(f64::INFINITY)
        };
        let mut order: Vec<usize> = (0..outcome.candidates.len()).collect();
        order.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
        order
    }

    fn write_whole(&self, out: &mut String, whole: &Whole) -> std::fmt::Result {
        writeln!(
            out,
            "\nevery combination, the best first\n\n\
             | | kernels | weights | cores | threads | for answers | cache | chunk | long prompt | answer | \
             behind |\n|---|---|---|---|---|---|---|---|---|---|---|"
        )?;
        let least = whole.rows.first().map_or(1.0, |row| row.cost);
        for (i, row) in whole.rows.iter().enumerate() {
            let s = &row.setting;
            let is_chosen = *s == self.found.setting;
            if i >= MOST_ROWS && !is_chosen {
                continue;
            }
            writeln!(
                out,
                "| {}{} | {} | {} | {} | {} | {} | {} | {} | {:.1} ({:.1} to {:.1}) | \
                 {:.1} ({:.1} to {:.1}) | {:.1} % |",
                i + 1,
                if is_chosen { ", chosen" } else { "" },
                s.machine.kernels,
                s.machine.weights.name(),
                s.cores.name(),
                s.threads,
                s.decode_threads,
                s.kv.name(),
                s.chunk,
                row.prompt.median,
                row.prompt.least,
                row.prompt.most,
                row.answer.median,
                row.answer.least,
                row.answer.most,
                100.0 * (row.cost / least - 1.0),
            )?;
        }
        match whole.place(&self.found.setting) {
            Some((place, behind)) => writeln!(
                out,
                "\nthe choice is number {place} of {}, {:.1} % behind the best",
                whole.rows.len(),
                100.0 * behind
            ),
            None => writeln!(out, "\nthe choice is not among them"),
        }
    }

    /// All of it.
    pub(super) fn to_json(&self) -> Value {
        let rankings: Vec<Value> =
            self.found.rankings.iter().map(|ranking| self.ranking_json(ranking)).collect();
        json!({
            "model": self.model,
            "objective": self.goal.objective.name(),
            "most_watts": self.goal.most_watts,
            "memory_bytes": self.goal.memory_bytes,
            "power_source": self.source,
            "budget_seconds": self.budget.as_secs_f64(),
            "seconds": self.took.as_secs_f64(),
            "profile": self.profile,
            "kept": self.kept,
            "flags": flags(&self.found.setting, self.found.parallel),
            "cache_for_memory": self.found.kv_for_memory,
            "rankings": rankings,
            "not_tried": self.untried,
            "exhaustive": self.whole.map(|whole| self.whole_json(whole)),
        })
    }

    fn ranking_json(&self, ranking: &Ranking) -> Value {
        let outcome = &ranking.outcome;
        let one = |i: usize| {
            let candidate = &outcome.candidates[i];
            let measured: Vec<Value> = candidate
                .points()
                .iter()
                .filter_map(|point| {
                    let rates = self.table.rates(point)?;
                    let sample = self.table.median(point)?;
                    Some(json!({
                        "task": point.task.name(),
                        "median_tokens_per_second": rates.median,
                        "least_tokens_per_second": rates.least,
                        "most_tokens_per_second": rates.most,
                        "measurements": rates.count,
                        "joules_per_token": sample.joules_per_token,
                        "watts": sample.watts(),
                    }))
                })
                .collect();
            json!({
                "name": label(ranking, candidate),
                "chosen": ranking.best == Some(i),
                "remark": remark(outcome.fates[i], false),
                "measured": measured,
            })
        };
        let rows: Vec<Value> = self.by_cost(ranking).into_iter().map(one).collect();
        json!({ "what": ranking.what, "candidates": rows })
    }

    fn whole_json(&self, whole: &Whole) -> Value {
        let place = whole.place(&self.found.setting);
        let rows = whole.rows.iter().map(|row| {
            let s = &row.setting;
            json!({
                "flags": flags(s, None),
                "cost": row.cost,
                "prompt_tokens_per_second": row.prompt.median,
                "answer_tokens_per_second": row.answer.median,
                "chosen": *s == self.found.setting,
            })
        });
        json!({
            "place": place.map(|(place, _)| place),
            "behind": place.map(|(_, behind)| behind),
            "combinations": rows.collect::<Vec<_>>(),
        })
    }
}
