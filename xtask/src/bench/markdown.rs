//! The tables.

use super::engine::About;
use super::figure::{Figure, Kind, Spread};
use super::{OURS, Run};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Everything that a reader needs to judge the figures, and the figures.
pub(super) fn write(run: &Run) -> String {
    let mut text = heading(run);
    peaks(run, &mut text);
    let kinds: BTreeSet<Kind> = run.figures.iter().map(|figure| figure.kind).collect();
    for kind in kinds {
        figures(run, kind, &mut text);
    }
    if !run.missing.is_empty() {
        text += "\n## Not measured\n\n";
        run.missing.iter().for_each(|line| text += &format!("- {line}\n"));
    }
    text
}

fn heading(run: &Run) -> String {
    let machine = &run.machine;
    let mut text = format!(
        "# Speed beside peers, {}\n\n\
         Processor: {}. {}. Load average when it began: {}.\n\n\
         rushlight: commit {}, {}, kernels `{}`.\n",
        machine.date,
        machine.processor,
        machine.system,
        machine.load,
        machine.commit,
        machine.compiler,
        run.row,
    );
    run.engines.iter().skip(OURS + 1).for_each(|about| text += &peer(about));
    text += &format!(
        "\nTokens/s: the median of {} rounds in turn on the same processors (least..most). A ratio \
         is to the peer with the highest median, its spread the least and the most that both \
         spreads allow. The ceiling is what the machine allows by reading the weights and the \
         cache of keys and values once per pass, or by int8 multiply-adds with the weights, \
         whichever is slower; what a processor's cache holds may go past it.\n",
        run.rounds,
    );
    text
}

fn peer(about: &About) -> String {
    let mut text = format!("{}: commit {}", about.name, about.commit.as_deref().unwrap_or("?"));
    if let Some(compiler) = &about.compiler {
        text += &format!(", {compiler}");
    }
    for (what, flags) in [("flags", &about.flags), ("batched flags", &about.batched_flags)] {
        if !flags.is_empty() {
            text += &format!(", {what} `{}`", flags.join(" "));
        }
    }
    format!("\n{text}.\n")
}

fn peaks(run: &Run, text: &mut String) {
    *text += "\n## The machine\n\n| threads | what | median | least..most |\n|---|---|---|---|\n";
    for (threads, peaks) in &run.peaks {
        for (key, spread) in peaks.all() {
            let what = match key.split_once('_') {
                Some(("read", _)) => "read, GB/s".to_owned(),
                Some((ty, row)) => format!("{ty} of `{row}`, G multiply-adds/s"),
                None => key.to_owned(),
            };
            let [median, low, high] =
                [spread.median, spread.low, spread.high].map(|value| short(value / 1e9));
            let _ = writeln!(text, "| {threads} | {what} | {median} | {low}..{high} |");
        }
    }
}

fn figures(run: &Run, kind: Kind, text: &mut String) {
    let names: Vec<_> = run.engines.iter().map(|about| about.name.as_str()).collect();
    let is_deep = matches!(kind, Kind::Decode { depth: 1.., .. });
    let mut head = vec!["file", "threads"];
    head.extend(names);
    head.extend(["ratio to best peer", "of the ceiling", "best peer's"]);
    if is_deep {
        head.extend(["kept of no depth", "best peer's"]);
    }
    let mut title = kind.to_string();
    title[..1].make_ascii_uppercase();
    let _ = write!(text, "\n## {title}\n\n| {} |\n", head.join(" | "));
    *text += &format!("|{}\n", "---|".repeat(head.len()));
    for figure in run.figures.iter().filter(|figure| figure.kind == kind) {
        let mut cells = vec![figure.model.clone(), figure.threads.to_string()];
        cells.extend((0..run.engines.len()).map(|i| cell(figure.of(i), with_spread)));
        cells.push(cell(figure.ratio(), with_spread));
        let best = figure.best_peer().map(|(index, _)| index);
        cells.push(cell(figure.fraction(OURS), percent));
        cells.push(cell(best.and_then(|best| figure.fraction(best)), percent));
        if is_deep {
            cells.extend(kept(run, figure, best));
        }
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
}

fn kept(run: &Run, figure: &Figure, best: Option<usize>) -> [String; 2] {
    [Some(OURS), best]
        .map(|engine| cell(engine.and_then(|engine| figure.kept(&run.figures, engine)), percent))
}

fn cell(spread: Option<Spread>, write: fn(Spread) -> String) -> String {
    spread.map_or("-".to_owned(), write)
}

fn with_spread(spread: Spread) -> String {
    format!("{} ({}..{})", short(spread.median), short(spread.low), short(spread.high))
}

fn percent(spread: Spread) -> String {
    format!("{:.0} %", spread.median * 100.0)
}

/// Three digits that say something.
pub(crate) fn short(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::{short, write};

    #[test]
    fn every_figure_has_its_line() {
        let text = write(&run());
        let wanted = [
            "rushlight: commit 0123456789, rustc 1, kernels `avx512`.",
            "a-peer: commit 0c1e570, clang 22, flags `-fa 1`.",
            "| 2 | read, GB/s | 40.0 | 40.0..40.0 |",
            "| 2 | int8 of `avx512`, G multiply-adds/s | 900 | 900..900 |",
            "## Prefill of 512",
            "| tiny-Q4_0.gguf | 2 | 900 (800..1000) | 375 (300..450) | 2.40 (1.78..3.33) | 10 % | 4 % |",
            "| tiny-Q4_0.gguf | 2 | 300 (300..300) | 150 (100..200) | 2.00 (1.50..3.00) | 75 % | 38 % |",
            "| 2.50 (2.50..2.50) | 45 % | 18 % | 50 % | 40 % |",
            "| tiny-Q4_0.gguf | 2 | 600 (600..600) | - | - | 45 % | - |",
            "- a-peer, tiny-Q4_0.gguf: it broke",
        ];
        let missing: Vec<_> = wanted.iter().filter(|line| !text.contains(**line)).collect();
        assert!(missing.is_empty(), "{missing:#?} in\n{text}");
        for table in text.split("\n\n").filter(|part| part.starts_with('|')) {
            let columns: Vec<_> = table.lines().map(|line| line.matches('|').count()).collect();
            assert!(columns.iter().all(|n| *n == columns[0]), "{table}");
        }
    }

    #[test]
    fn three_digits() {
        let found = [1234.5, 99.94, 9.994, 0.5].map(short);
        assert_eq!(found, ["1234", "99.9", "9.99", "0.50"]);
    }
}
