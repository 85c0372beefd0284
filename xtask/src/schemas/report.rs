//! Counts, and what they must be.

use super::ask::Outcome;
use super::judge::{Judged, Verdict};
use crate::bench::markdown::short;
use crate::bench_serve::figure::quantile;
use anyhow::{Result, bail};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The counts, and whatever is not as it should be.
pub(super) fn write(judged: &[Judged]) -> String {
    let mut text =
        format!("# Answers to JSON schemas\n\n{} schemas were asked for.\n\n", judged.len());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    judged.iter().for_each(|one| *counts.entry(name(&one.verdict)).or_default() += 1);
    counts.iter().for_each(|(name, count)| {
        let _ = writeln!(text, "- {count} {name}");
    });
    let answers = || {
        judged.iter().filter_map(|one| match &one.asked.outcome {
            Outcome::Answered(answer) => Some(answer),
            Outcome::Refused { .. } => None,
        })
    };
    let refusals = judged.iter().filter_map(|one| match &one.asked.outcome {
        Outcome::Refused { milliseconds, .. } => Some(*milliseconds),
        Outcome::Answered(_) => None,
    });
    let tokens: usize = answers().map(|answer| answer.answer_tokens).sum();
    let _ = writeln!(text, "- {tokens} tokens of answers\n\nMilliseconds, p50, p99, most:\n");
    let times: [(&str, Vec<f64>); 3] = [
        ("to the first piece of an answer", answers().filter_map(|a| a.first_ms()).collect()),
        ("between its pieces", answers().flat_map(|a| a.gaps_ms()).collect()),
        ("to a refusal", refusals.collect()),
    ];
    for (what, mut values) in times {
        let [p50, p99, most] =
            [0.5, 0.99, 1.0].map(|q| quantile(&mut values, q).map_or("-".to_owned(), short));
        let _ = writeln!(text, "- {what}: {p50}, {p99}, {most}");
    }
    text += "\nWhy schemas were refused:\n\n";
    for (reason, count) in reasons(judged) {
        let _ = writeln!(text, "- {count}: {reason}");
    }
    let wrong = judged.iter().filter_map(|one| match &one.verdict {
        Verdict::Invalid(why) => Some(format!("- invalid, `{}`: {why}\n", one.asked.name)),
        Verdict::Unknown(why) => Some(format!("- cannot be judged, `{}`: {why}\n", one.asked.name)),
        _ => None,
    });
    let wrong: String = wrong.collect();
    if !wrong.is_empty() {
        text += &format!("\nNot as they should be:\n\n{wrong}");
    }
    text
}

fn name(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Refused => "refused with a place",
        Verdict::RefusedSomewhere => "refused without a place",
        Verdict::Cut => "cut by the limit of tokens",
        Verdict::Valid => "answered, valid",
        Verdict::Twice => "answered, valid, with a name twice",
        Verdict::Invalid(_) => "answered, NOT VALID",
        Verdict::Unknown(_) => "answered, cannot be judged",
    }
}

/// Messages without their places and values, the most frequent first.
fn reasons(judged: &[Judged]) -> Vec<(String, usize)> {
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for one in judged {
        let Outcome::Refused { message, .. } = &one.asked.outcome else { continue };
        let first = message.lines().next().unwrap_or_default();
        let first: String = first.chars().take(160).collect();
        let reason = match first.split_once("JSON schema `/") {
            Some((_, rest)) => {
                rest.split_once('`').map_or(rest, |(_, after)| after).trim().to_owned()
            }
            None => first,
        };
        *reasons.entry(reason).or_default() += 1;
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    reasons
}

/// A line of JSON for each schema.
pub(super) fn lines(judged: &[Judged]) -> String {
    let line = |one: &Judged| {
        let (answer, message) = match &one.asked.outcome {
            Outcome::Answered(answer) => (Some(&answer.text), None),
            Outcome::Refused { message, .. } => (None, Some(message)),
        };
        let name = &one.asked.name;
        let verdict = format!("{:?}", one.verdict);
        json!({ "name": name, "verdict": verdict, "answer": answer, "message": message })
            .to_string()
            + "\n"
    };
    judged.iter().map(line).collect()
}

/// Fails where an answer is not valid, a refusal does not say where, or nothing was answered.
pub(super) fn hold(judged: &[Judged]) -> Result<()> {
    let number = |is: fn(&Verdict) -> bool| judged.iter().filter(|one| is(&one.verdict)).count();
    let refused = number(|v| matches!(v, Verdict::Refused | Verdict::RefusedSomewhere));
    let invalid = number(|v| matches!(v, Verdict::Invalid(_)));
    let somewhere = number(|v| *v == Verdict::RefusedSomewhere);
    let answered = judged.len() - refused;
    let valid = number(|v| matches!(v, Verdict::Valid | Verdict::Twice));
    let unknown = number(|v| matches!(v, Verdict::Unknown(_)));
    if invalid > 0 {
        bail!("{invalid} answers are not what their schemas say, see `target/schemas/report.md`");
    }
    if somewhere > 0 {
        bail!("{somewhere} refusals do not say where, see `target/schemas/answers.jsonl`");
    }
    if answered == 0 {
        bail!("no schema was answered");
    }
    if valid == 0 || unknown > valid {
        bail!("{valid} answers were found valid, and {unknown} could not be judged");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::ask::Asked;
    use super::*;

    fn refused(message: &str) -> Judged {
        let outcome = Outcome::Refused { message: message.to_owned(), milliseconds: 1.0 };
        let asked = Asked { name: "a.json".to_owned(), schema: json!({}), outcome };
        Judged { asked, verdict: Verdict::Refused }
    }

    #[test]
    fn reasons_are_counted_without_their_places() {
        let of = |place: &str| refused(&format!("JSON schema `/{place}` is `x`, expected y\nhint"));
        let judged = [of("a"), refused("JSON schema has z"), of("b/c")];
        let expected = [("is `x`, expected y".to_owned(), 2), ("JSON schema has z".to_owned(), 1)];
        assert_eq!(reasons(&judged), expected);
        assert!(write(&judged).contains("- 3 refused with a place"));
    }

    #[test]
    fn wrong_answers_and_none_fail() {
        let with = |verdict| Judged { verdict, ..refused("x") };
        let cases = [
            (Verdict::Valid, None),
            (Verdict::Cut, Some("0 answers were found valid")),
            (Verdict::Unknown("x".to_owned()), Some("1 could not be judged")),
            (Verdict::Invalid("x".to_owned()), Some("1 answers are not")),
            (Verdict::RefusedSomewhere, Some("1 refusals do not say")),
            (Verdict::Refused, Some("no schema was answered")),
        ];
        for (verdict, expected) in cases {
            let found = hold(&[with(verdict.clone())]).map_err(|error| error.to_string());
            match expected {
                None => assert!(found.is_ok(), "{verdict:?}: {found:?}"),
                Some(words) => assert!(found.unwrap_err().contains(words), "{verdict:?}"),
            }
        }
    }
}
