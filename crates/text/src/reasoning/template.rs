//! The marks that a model puts around what it thinks, by its chat template.
//!
//! No list of models: a template that writes earlier thoughts again, or takes them out of earlier
//! answers, has the marks in its own text.

/// What stands around the reasoning of an answer.
///
/// ```
/// use rushlight_text::ReasoningMarks;
///
/// let marks = ReasoningMarks::of_template("{{ '[THINK]' + m.thinking + '[/THINK]' }}").unwrap();
/// assert_eq!((marks.open(), marks.close()), ("[THINK]", "[/THINK]"));
/// assert_eq!(ReasoningMarks::of_template("{{ m.content }}"), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReasoningMarks {
    open: String,
    close: String,
    end: String,
}

/// What most models write, and the line ends that they put around it.
const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";
const END: &str = "\n</think>\n\n";

/// How marks are made of a name: what stands before it in the first and in the second, and after it.
/// The last is Cohere's, as in `<|START_THINKING|>`.
const FORMS: [[&str; 3]; 4] =
    [["<", "</", ">"], ["[", "[/", "]"], ["◁", "◁/", "▷"], ["<|START_", "<|END_", "|>"]];

/// Names of reasoning, as their last part: `seed:think` is one, `thinking_mode` is none.
const NAMES: [&str; 6] = ["think", "thinking", "thought", "thoughts", "reason", "reasoning"];

/// Letters of a name, at most.
const MOST_NAME: usize = 32;

impl Default for ReasoningMarks {
    /// `<think>` and `</think>`.
    fn default() -> Self {
        Self { open: OPEN.to_owned(), close: CLOSE.to_owned(), end: END.to_owned() }
    }
}

impl ReasoningMarks {
    /// Those in the text of a chat template; `None` if it has none, as that of a model that does not
    /// think. One mark of `<think>` and `</think>` is enough, of others both must be there.
    pub fn of_template(source: &str) -> Option<Self> {
        if source.contains(OPEN) || source.contains(CLOSE) {
            return Some(Self::default());
        }
        let all = FORMS.iter().flat_map(|form| {
            source.match_indices(form[1]).filter_map(|(at, before)| {
                let rest = source.get(at + before.len()..)?;
                Some((at, pair(rest, form).filter(|(open, _)| source.contains(open))?))
            })
        });
        let (_, (open, close)) = all.min_by_key(|(at, _)| *at)?;
        let end = end(source, &close);
        Some(Self { open, close, end })
    }

    /// What begins the reasoning.
    pub fn open(&self) -> &str {
        &self.open
    }

    /// What ends it.
    pub fn close(&self) -> &str {
        &self.close
    }

    /// [`ReasoningMarks::close`] with the line ends that the template puts around it: what is written
    /// for a model whose reasoning is long enough.
    pub fn end(&self) -> &str {
        &self.end
    }
}

/// The marks of the name that `rest` begins with, which follows the beginning of a second mark.
fn pair(rest: &str, [first, second, after]: &[&str; 3]) -> Option<(String, String)> {
    let name = rest.split(after).next().filter(|name| name.len() <= MOST_NAME)?;
    let last = name.rsplit([':', '_', '-', '|']).next()?.to_ascii_lowercase();
    let whole = rest.get(name.len()..)?.starts_with(after) && NAMES.contains(&last.as_str());
    whole.then(|| (format!("{first}{name}{after}"), format!("{second}{name}{after}")))
}

/// The second mark with the most line ends that stand around it anywhere, written out or as in a
/// string: one before it and two after it at most.
fn end(source: &str, close: &str) -> String {
    let plain = source.replace("\\n", "\n");
    let places = || plain.match_indices(close).map(|(at, _)| at);
    let before = places().any(|at| plain[..at].ends_with('\n'));
    let lines = |at: usize| plain[at + close.len()..].chars().take_while(|c| *c == '\n').count();
    let after = places().map(lines).max().unwrap_or(0).min(2);
    format!("{}{close}{}", if before { "\n" } else { "" }, "\n".repeat(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_in_the_text_of_templates() {
        type Case<'a> = (&'a str, Option<[&'a str; 3]>);
        let cases: [Case<'_>; 16] = [
            ("", None),
            ("{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}", None),
            // One mark of the two that most have.
            ("{{ m.content.split('</think>')[-1] }}", Some([OPEN, CLOSE, END])),
            ("{{ '<think>\\n' }}", Some([OPEN, CLOSE, END])),
            // As in Magistral: in the system prompt and around earlier thoughts.
            (
                "{%- set p = 'First draft [THINK]here[/THINK]Then answer.' %}{{ '[THINK]' + t + '[/THINK]' }}",
                Some(["[THINK]", "[/THINK]", "[/THINK]"]),
            ),
            // As in Seed-OSS: names of variables.
            (
                "{%- set b = \"<seed:think>\" -%}{%- set e = \"</seed:think>\" -%}{{ b + r + e }}",
                Some(["<seed:think>", "</seed:think>", "</seed:think>"]),
            ),
            (
                "<|START_THINKING|>{{ r }}<|END_THINKING|><|START_RESPONSE|>{{ c }}<|END_RESPONSE|>",
                Some(["<|START_THINKING|>", "<|END_THINKING|>", "<|END_THINKING|>"]),
            ),
            (
                "{{ '◁think▷\\n' + r + '\\n◁/think▷\\n\\n\\n' }}{{ '◁/think▷' }}",
                Some(["◁think▷", "◁/think▷", "\n◁/think▷\n\n"]),
            ),
            (
                "{{ '<thought>' }}{{ r }}\n</thought>\n{{ c }}",
                Some(["<thought>", "</thought>", "\n</thought>\n"]),
            ),
            // The first of several that end, and no tools.
            (
                "<tool_call></tool_call></a_think>[REASONING]x[/REASONING]<thought></thought>",
                Some(["[REASONING]", "[/REASONING]", "[/REASONING]"]),
            ),
            // Both must be there, and be whole.
            ("{{ '[/THINK]' }}", None),
            ("[THINK]", None),
            ("<thought> </thought", None),
            ("<thinking_mode>on</thinking_mode>", None),
            ("<max_thinking_length>9</max_thinking_length>", None),
            ("</ <//> [/] ◁/é▷ <|END_", None),
        ];
        for (source, want) in cases {
            let found = ReasoningMarks::of_template(source);
            let found = found.as_ref().map(|marks| [marks.open(), marks.close(), marks.end()]);
            assert_eq!(found, want, "{source}");
        }
    }
}
