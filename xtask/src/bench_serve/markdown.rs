//! The table.

use super::Run;
use crate::bench::figure::Spread;
use crate::bench::markdown::short;
use std::fmt::Write as _;

/// Everything that a reader needs to judge the figures, and the figures.
pub(super) fn write(run: &Run) -> String {
    let machine = &run.machine;
    let mut text = format!(
        "# Servers, {}\n\n{}, {} threads each. Processor: {}. {}. Load average when it began: \
         {}. Commit of the measuring: {}.\n\n",
        machine.date,
        run.model,
        run.threads,
        machine.processor,
        machine.system,
        machine.load,
        machine.commit,
    );
    for engine in &run.engines {
        let _ =
            writeln!(text, "- {}: {}, `{}`", engine.name, engine.version, engine.flags.join(" "));
    }
    let _ = writeln!(
        text,
        "\nMedians of {} rounds in turn (least..most). A ratio above 1 is ours being better, its \
         spread the least and the most that both spreads allow. Clients run on the same \
         processors.\n",
        run.rounds
    );
    let mut head = vec!["what", "prompt", ""];
    head.extend(run.engines.iter().map(|engine| engine.name.as_str()));
    let ratios: Vec<_> = run.engines.iter().skip(1).map(|e| format!("over {}", e.name)).collect();
    head.extend(ratios.iter().map(String::as_str));
    let _ = writeln!(text, "| {} |\n|{}", head.join(" | "), "---|".repeat(head.len()));
    for figure in &run.figures {
        let (scene, metric) = (figure.scene.to_string(), figure.metric.to_string());
        let mut cells = vec![scene, figure.prompt.to_string(), metric];
        cells.extend((0..run.engines.len()).map(|engine| cell(figure.of(engine))));
        cells.extend((1..run.engines.len()).map(|peer| cell(figure.ratio(peer))));
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

fn cell(spread: Option<Spread>) -> String {
    spread.map_or("-".to_owned(), |spread| {
        format!("{} ({}..{})", short(spread.median), short(spread.low), short(spread.high))
    })
}

#[cfg(test)]
mod tests {
    use super::super::figure::tests::figure;
    use super::super::figure::{Metric, Scene};
    use super::super::to_json;
    use super::*;
    use crate::bench::machine::Machine;
    use crate::bench_serve::engine::Engine;

    #[test]
    fn figures_have_a_line_and_a_value() {
        let users = Scene::Users { count: 16, tokens: 64 };
        let run = Run {
            machine: Machine::made_up(),
            model: "some.gguf".to_owned(),
            threads: 2,
            rounds: 3,
            engines: vec![Engine::made_up("rushlight"), Engine::made_up("a-peer")],
            figures: vec![
                figure(users, Metric::Rate, &[&[300.0, 400.0, 350.0], &[100.0]]),
                figure(users, Metric::Gap(0.99), &[&[20.0], &[50.0]]),
                figure(Scene::Warm, Metric::First(1.0), &[&[20.0], &[]]),
            ],
        };
        let text = write(&run);
        let wanted = [
            "- a-peer: 1 (abc), `-fa on`",
            "| 16 users, 64 tokens each | 80 | tokens/s | 350 (300..400) | 100 (100..100) | \
             3.50 (3.00..4.00) |",
            "| between tokens, p99, ms | 20.0 (20.0..20.0) | 50.0 (50.0..50.0) | 2.50 (2.50..2.50) |",
            "first token, most, ms | 20.0 (20.0..20.0) | - | - |",
        ];
        let missing: Vec<_> = wanted.iter().filter(|line| !text.contains(**line)).collect();
        assert!(missing.is_empty(), "{missing:#?} in\n{text}");
        let value = to_json::write(&run);
        assert_eq!(value["figures"][0]["servers"]["a-peer"]["samples"][0], 100.0);
        assert_eq!(value["figures"][0]["ratios"]["a-peer"]["median"], 3.5);
        assert!(value["figures"][2]["ratios"]["a-peer"].is_null());
    }
}
