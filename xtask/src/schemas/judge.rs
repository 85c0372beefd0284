//! What Python's `jsonschema` says of the answers.

use super::ask::{Asked, Outcome};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// What is known of one schema.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) asked: Asked,
    pub(super) verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// Refused, with the place of what cannot be followed.
    Refused,
    /// Refused, and the message does not say where.
    RefusedSomewhere,
    /// Ended at the limit of tokens, so that nothing can be said.
    Cut,
    Valid,
    /// Valid, with a name twice in an object.
    Twice,
    Invalid(String),
    /// The other program cannot judge the schema.
    Unknown(String),
}

/// Has every answer that ended by itself judged; `packages` are where Python finds them.
pub(super) fn all(packages: &Path, asked: &[Asked]) -> Result<Vec<Judged>> {
    let script = "testkit/schemas/validate.py";
    let mut child = Command::new("python3")
        .arg(script)
        .env("PYTHONPATH", packages)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("`python3` cannot be started")?;
    let mut input = child.stdin.take().context("standard input is piped")?;
    let mut lines =
        BufReader::new(child.stdout.take().context("standard output is piped")?).lines();
    let mut judged = Vec::new();
    for one in asked {
        let verdict = match &one.outcome {
            Outcome::Refused { message, .. } => refused(message),
            Outcome::Answered(answer) => match answer.finish.as_deref() {
                Some("stop") => {
                    writeln!(input, "{}", json!({ "schema": one.schema, "answer": answer.text }))
                        .with_context(|| format!("`{script}` ended"))?;
                    let line = lines.next().with_context(|| format!("`{script}` ended"))??;
                    verdict(&serde_json::from_str(&line)?)?
                }
                Some("length") => Verdict::Cut,
                other => bail!("`{}` ends with {other:?}", one.name),
            },
        };
        judged.push(Judged { asked: one.clone(), verdict });
    }
    drop(input);
    child.wait()?;
    Ok(judged)
}

/// A message says where: by a JSON pointer, the root's own keyword, or the pattern itself.
fn refused(message: &str) -> Verdict {
    let signs = ["`/", "#/", "has the keyword `", "regex parse error:\n"];
    match signs.iter().any(|sign| message.contains(sign)) {
        true => Verdict::Refused,
        false => Verdict::RefusedSomewhere,
    }
}

fn verdict(line: &Value) -> Result<Verdict> {
    let why = || line["why"].as_str().unwrap_or_default().to_owned();
    Ok(match line["verdict"].as_str() {
        Some("valid") => Verdict::Valid,
        Some("twice") => Verdict::Twice,
        Some("invalid") => Verdict::Invalid(why()),
        Some("unknown") => Verdict::Unknown(why()),
        _ => bail!("no verdict: {line}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_read() {
        let of = |text: &str| verdict(&serde_json::from_str(text).unwrap()).ok();
        assert_eq!(of(r#"{"verdict":"valid"}"#), Some(Verdict::Valid));
        let invalid = Verdict::Invalid("x".to_owned());
        assert_eq!(of(r#"{"verdict":"invalid","why":"x"}"#), Some(invalid));
        assert_eq!(of(r#"{"why":"x"}"#), None);
    }

    #[test]
    fn a_refusal_says_where() {
        let cases = [
            ("JSON schema `/properties/a` has the keyword `not`, which …", Verdict::Refused),
            ("JSON schema has the keyword `self`, which is not supported here", Verdict::Refused),
            ("grammar: too large", Verdict::RefusedSomewhere),
        ];
        for (message, expected) in cases {
            assert_eq!(refused(message), expected, "{message}");
        }
    }
}
