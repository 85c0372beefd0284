//! Bounds that a run is held against, so that speed does not go back unseen.

use super::figure::{Figure, Kind, Spread};
use super::markdown::short;
use super::{OURS, Run, count};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::fs;
use std::path::Path;

/// All bounds of a file. `xtask/bench.toml` explains each field.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bounds {
    bound: Vec<Bound>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bound {
    what: What,
    #[serde(default)]
    file: String,
    threads: Option<Vec<usize>>,
    depth: Option<Depth>,
    sequences: Option<Vec<usize>>,
    megabytes: Option<f64>,
    peer_below: Option<f64>,
    peer: Option<String>,
    ratio: Option<f64>,
    ceiling: Option<f64>,
    kept: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum What {
    #[default]
    Prefill,
    Decode,
    Sequences,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Depth {
    None,
    Some,
}

/// Reads a file of bounds.
pub(super) fn read(path: &Path) -> Result<Bounds> {
    let text = fs::read_to_string(path).with_context(|| format!("`{}`", path.display()))?;
    parse(&text).with_context(|| format!("`{}`", path.display()))
}

fn parse(text: &str) -> Result<Bounds> {
    let bounds: Bounds = toml::from_str(text)?;
    let asks = |b: &Bound| b.ratio.is_some() || b.ceiling.is_some() || b.kept.is_some();
    if let Some(index) = bounds.bound.iter().position(|bound| !asks(bound)) {
        bail!("bound {} asks for no `ratio`, `ceiling` or `kept`", index + 1);
    }
    Ok(bounds)
}

/// Fails, with a list, where a figure is surely below its bound.
pub(super) fn hold(bounds: &Bounds, run: &Run) -> Result<()> {
    let found = check(bounds, run);
    found.unmet.iter().for_each(|line| eprintln!("  not measured: {line}"));
    found.failed.iter().for_each(|line| eprintln!("  below its bound: {line}"));
    match found.failed.len() {
        0 if found.held == 0 => bail!("no bound could be compared with any figure"),
        0 => {
            eprintln!("  {} bounds hold", found.held);
            Ok(())
        }
        failed => bail!("{failed} of {} figures are below their bounds", failed + found.held),
    }
}

#[derive(Debug, Default, PartialEq)]
struct Found {
    held: usize,
    failed: Vec<String>,
    /// Bounds that no figure was compared with.
    unmet: Vec<String>,
}

fn check(bounds: &Bounds, run: &Run) -> Found {
    let mut found = Found::default();
    for (index, bound) in bounds.bound.iter().enumerate() {
        let before = found.held + found.failed.len();
        for figure in run.figures.iter().filter(|figure| bound.fits(figure)) {
            for (what, at_least, is) in bound.asked(figure, run) {
                let Some(is) = is else { continue };
                if is.high >= at_least {
                    found.held += 1;
                    continue;
                }
                found.failed.push(format!(
                    "{}, {}, {}: {what} {} ({}..{}), expected at least {at_least}",
                    figure.model,
                    figure.kind,
                    count(figure.threads),
                    short(is.median),
                    short(is.low),
                    short(is.high),
                ));
            }
        }
        if before == found.held + found.failed.len() {
            found.unmet.push(format!("bound {} ({:?})", index + 1, bound.what).to_lowercase());
        }
    }
    found
}

impl Bound {
    fn fits(&self, figure: &Figure) -> bool {
        let (what, depth, sequences) = match figure.kind {
            Kind::Prefill { .. } => (What::Prefill, Depth::None, 1),
            Kind::Decode { depth: 0, .. } => (What::Decode, Depth::None, 1),
            Kind::Decode { .. } => (What::Decode, Depth::Some, 1),
            Kind::Sequences { count, .. } => (What::Sequences, Depth::Some, count),
        };
        let megabytes = figure.work.map_or(0.0, |work| work.bytes / 1e6);
        let best = figure.best_peer().map(|(index, _)| index);
        let best = best.and_then(|index| figure.fraction(index)).map(|spread| spread.median);
        what == self.what
            && figure.model.to_lowercase().contains(&self.file.to_lowercase())
            && self.threads.as_ref().is_none_or(|all| all.contains(&figure.threads))
            && self.depth.is_none_or(|wanted| wanted == depth)
            && self.sequences.as_ref().is_none_or(|all| all.contains(&sequences))
            && self.megabytes.is_none_or(|least| megabytes >= least)
            && self.peer_below.is_none_or(|limit| best.is_some_and(|best| best < limit))
    }

    /// What is asked, how much at least, and what it is.
    fn asked(&self, figure: &Figure, run: &Run) -> Vec<(String, f64, Option<Spread>)> {
        let best = figure.best_peer().map(|(index, _)| index);
        let peer = match &self.peer {
            Some(name) => run.engines.iter().position(|about| about.name == *name),
            None => best,
        };
        let other = peer.and_then(|index| run.engines.get(index)).map_or("?", |about| &about.name);
        let ratio = || Some(figure.ours()?.over(figure.of(peer?)?));
        let kept = || {
            let of = |engine| figure.kept(&run.figures, engine);
            Some(of(OURS)?.over(of(peer?)?))
        };
        let mut asked = Vec::new();
        if let Some(least) = self.ratio {
            asked.push((format!("ratio to {other}"), least, ratio()));
        }
        if let Some(least) = self.ceiling {
            asked.push(("fraction of the ceiling".to_owned(), least, figure.fraction(OURS)));
        }
        if let Some(least) = self.kept {
            asked.push((format!("kept at depth, beside {other}"), least, kept()));
        }
        asked
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::{check, hold, parse};

    #[test]
    fn a_bound_fails_when_the_whole_spread_is_below() {
        // The run: prefill 2.40 (1.78..3.33) times the peer, 10 % (9..11) of the ceiling; decode
        // 2.00 (1.50..3.00), 75 %, of a peer at 38 %; at depth 50 % kept, the peer 40 % (30..60).
        let cases = [
            ("what = 'prefill'\nratio = 3.3", 1, 0),
            ("what = 'prefill'\nratio = 3.4", 0, 1),
            ("what = 'prefill'\nratio = 3.4\nceiling = 0.1", 1, 1),
            ("what = 'prefill'\nceiling = 0.12", 0, 1),
            ("what = 'prefill'\npeer = 'a-peer'\nratio = 2", 1, 0),
            ("what = 'prefill'\npeer = 'another'\nratio = 9", 0, 0),
            ("what = 'prefill'\nfile = 'Q4_1'\nratio = 9", 0, 0),
            ("what = 'prefill'\nfile = 'Q4_0'\nthreads = [1]\nratio = 9", 0, 0),
            ("what = 'decode'\nratio = 2.6", 1, 1),
            ("what = 'decode'\ndepth = 'none'\nratio = 2.6", 1, 0),
            ("what = 'decode'\ndepth = 'some'\nratio = 2.6", 0, 1),
            ("what = 'decode'\ndepth = 'none'\nmegabytes = 100\nceiling = 0.85", 0, 1),
            ("what = 'decode'\ndepth = 'none'\nmegabytes = 101\nceiling = 0.85", 0, 0),
            ("what = 'decode'\ndepth = 'none'\npeer_below = 0.3\nratio = 9", 0, 0),
            ("what = 'decode'\ndepth = 'none'\npeer_below = 0.4\nratio = 9", 0, 1),
            ("what = 'decode'\nkept = 1.6", 1, 0),
            ("what = 'decode'\nkept = 1.7", 0, 1),
            ("what = 'sequences'\nsequences = [4]\nratio = 9", 0, 0),
            ("what = 'sequences'\nsequences = [4]\nceiling = 0.5", 0, 1),
            ("what = 'sequences'\nsequences = [16]\nceiling = 0.5", 0, 0),
        ];
        let mut wrong = Vec::new();
        for (text, held, failed) in cases {
            let bounds = parse(&format!("[[bound]]\n{text}")).unwrap();
            let found = check(&bounds, &run());
            let counts = (found.held, found.failed.len(), found.unmet.len());
            if counts != (held, failed, usize::from(held + failed == 0)) {
                wrong.push((text, found));
            }
            assert_eq!(hold(&bounds, &run()).is_ok(), held > 0 && failed == 0, "{text}");
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn the_failure_says_all() {
        let bounds = parse("[[bound]]\nwhat = 'prefill'\nratio = 4").unwrap();
        let expected = "tiny-Q4_0.gguf, prefill of 512, 2 threads: ratio to a-peer 2.40 \
                        (1.78..3.33), expected at least 4";
        assert_eq!(check(&bounds, &run()).failed, [expected]);
    }

    #[test]
    fn files_of_bounds_are_checked() {
        assert!(parse(include_str!("../../bench.toml")).is_ok());
        for broken in [
            "",
            "[[bound]]\nratio = 1",
            "[[bound]]\nwhat = 'prefill'",
            "[[bound]]\nwhat = 'start'\nratio = 1",
            "[[bound]]\nwhat = 'prefill'\nratios = 1",
        ] {
            assert!(parse(broken).is_err(), "{broken}");
        }
    }
}
