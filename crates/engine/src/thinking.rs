//! Reasoning before an answer: where it is, and how long it may be.

/// How a model marks what it thinks before it answers.
///
/// A grammar holds for the answer alone: while the model thinks it is not asked, and strings that stop
/// an answer do not stop it. Where the reasoning has as many tokens as it may have, its end is written
/// for the model, which then answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Thinking {
    /// Whether the prompt has begun the reasoning.
    pub begun: bool,
    /// What begins it, at the very beginning of an answer but for white space.
    pub open: String,
    /// What ends it; nothing is a model that does not think.
    pub close: String,
    /// Tokens that are written to end it when it is too long: [`Thinking::close`] and what stands
    /// between it and the answer.
    pub end: Vec<u32>,
    /// Its tokens, at most; without those of [`Thinking::end`].
    pub most_tokens: Option<usize>,
}

/// How far the reasoning of an answer is. Marks are found in the text, as tokens may have parts of
/// them together with what is beside them.
#[derive(Clone, Debug)]
pub(crate) struct Thinker {
    marks: Thinking,
    place: Place,
    /// Text at the end that may be part of a mark.
    tail: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Nothing but white space and a part of the mark so far.
    Start,
    /// So many tokens of it were there.
    Inside(usize),
    /// So many tokens of its end were written for the model.
    Ended(usize),
    Over,
}

impl Thinker {
    /// At the beginning of an answer; `None` is a model that does not think.
    pub(crate) fn new(marks: Option<Thinking>) -> Self {
        let marks = marks.unwrap_or_default();
        let place = match (marks.close.is_empty(), marks.begun, marks.open.is_empty()) {
            (true, ..) | (_, false, true) => Place::Over,
            (_, true, _) => Place::Inside(0),
            (_, false, false) => Place::Start,
        };
        let mut thinker = Self { marks, place, tail: Vec::new() };
        thinker.limit();
        thinker
    }

    /// Whether the next token is of the reasoning, so that no grammar holds.
    pub(crate) fn thinks(&self) -> bool {
        matches!(self.place, Place::Inside(_) | Place::Ended(_))
    }

    /// The token that is written for the model.
    pub(crate) fn forced(&self) -> Option<u32> {
        match self.place {
            Place::Ended(at) => self.marks.end.get(at).copied(),
            _ => None,
        }
    }

    /// Takes the text of a token of the answer.
    pub(crate) fn took(&mut self, text: &[u8]) {
        match self.place {
            Place::Over => return,
            Place::Ended(at) if at + 1 < self.marks.end.len() => {
                self.place = Place::Ended(at + 1);
                return;
            }
            Place::Ended(_) => self.place = Place::Over,
            Place::Start => {
                self.tail.extend_from_slice(text);
                let (begun, open) = (self.tail.trim_ascii_start(), self.marks.open.as_bytes());
                if let Some(rest) = begun.strip_prefix(open) {
                    self.tail = rest.to_vec();
                    self.place = Place::Inside(0);
                    self.find();
                } else if !open.starts_with(begun) {
                    self.place = Place::Over;
                }
            }
            Place::Inside(count) => {
                self.tail.extend_from_slice(text);
                self.place = Place::Inside(count + 1);
                self.find();
            }
        }
        self.limit();
    }

    /// Looks for the end in the text at the end, and keeps what may be a part of it.
    fn find(&mut self) {
        let close = self.marks.close.as_bytes();
        if self.tail.windows(close.len()).any(|text| text == close) {
            self.place = Place::Over;
            return;
        }
        let most = self.tail.len().min(close.len() - 1);
        let kept = (1..=most).rev().find(|n| self.tail.ends_with(&close[..*n])).unwrap_or(0);
        self.tail.drain(..self.tail.len() - kept);
    }

    /// Ends it where it is as long as it may be, but not within its end.
    fn limit(&mut self) {
        if let Place::Inside(count) = self.place
            && self.tail.is_empty()
            && self.marks.most_tokens.is_some_and(|most| count >= most)
        {
            self.end();
        }
    }

    /// Ends it now.
    pub(crate) fn end(&mut self) {
        self.place = if self.marks.end.is_empty() { Place::Over } else { Place::Ended(0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(begun: bool, most_tokens: Option<usize>) -> Option<Thinking> {
        let (open, close) = ("<t>".to_owned(), "</t>".to_owned());
        // Tokens are letters here.
        let end = "\n</t>\n".bytes().map(u32::from).collect();
        Some(Thinking { begun, open, close, end, most_tokens })
    }

    /// For each token `t` while it thinks and `-` otherwise, before it is taken; forced ones replace
    /// those of the model.
    fn run(marks: Option<Thinking>, tokens: &[&str]) -> (String, String) {
        let mut thinker = Thinker::new(marks);
        let (mut places, mut taken) = (String::new(), String::new());
        for token in tokens {
            places.push(if thinker.thinks() { 't' } else { '-' });
            let forced = thinker.forced().map(|t| char::from(t as u8).to_string());
            let token = forced.as_deref().unwrap_or(token);
            taken += token;
            thinker.took(token.as_bytes());
        }
        (places, taken)
    }

    #[test]
    fn reasoning_is_found_and_ended() {
        type Case<'a> = (Option<Thinking>, &'a [&'a str], &'a str, &'a str);
        let cases: [Case<'_>; 11] = [
            (None, &["<t>", "a"], "--", "<t>a"),
            (marks(false, None), &["a", "<t>", "b"], "---", "a<t>b"),
            (marks(false, None), &["<", "a", "<t>"], "---", "<a<t>"),
            (
                marks(false, None),
                &["\n", "<t", ">\n", "b", "</", "t>\n", "c"],
                "---ttt-",
                "\n<t>\nb</t>\nc",
            ),
            (marks(false, None), &["<t></t>", "a"], "--", "<t></t>a"),
            (marks(true, None), &["<</", "</t", "></t>", "a"], "ttt-", "<</</t></t>a"),
            (
                marks(true, Some(2)),
                &["a", "b", "c", "c", "c", "c", "c", "c", "d"],
                "tttttttt-",
                "ab\n</t>\nd",
            ),
            (marks(true, Some(0)), &["a", "b", "c", "c", "c", "c", "d"], "tttttt-", "\n</t>\nd"),
            (marks(true, Some(2)), &["a", "</", "t", ">", "d"], "tttt-", "a</t>d"),
            (marks(true, Some(1)), &["a</", "b", "c"], "ttt", "a</b\n"),
            (marks(true, None), &["é</t>", "b"], "t-", "é</t>b"),
        ];
        for (marks, tokens, places, taken) in cases {
            let found = run(marks.clone(), tokens);
            assert_eq!(found, (places.to_owned(), taken.to_owned()), "{marks:?} {tokens:?}");
        }
    }
}
