//! Reasoning before an answer: where it is, and how long it may be.

/// How a model marks what it thinks before it answers.
///
/// A grammar holds for the answer alone: while the model thinks it is not asked. Where the reasoning
/// has as many tokens as it may have, its end is written for the model, which then answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Thinking {
    /// Whether the prompt has begun the reasoning.
    pub begun: bool,
    /// Tokens that begin it, at the very beginning of an answer.
    pub open: Vec<u32>,
    /// Tokens that end it.
    pub close: Vec<u32>,
    /// Tokens that are written to end it when it is too long: [`Thinking::close`] and what stands
    /// between it and the answer.
    pub end: Vec<u32>,
    /// Its tokens, at most; without marks.
    pub most_tokens: Option<usize>,
}

/// How far the reasoning of an answer is.
#[derive(Clone, Debug)]
pub(crate) struct Thinker {
    marks: Thinking,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// So many tokens of the beginning were there.
    Start(usize),
    /// So many tokens of it were there, of which so many at the end are those of its end.
    Inside(usize, usize),
    /// So many tokens of its end were written for the model.
    Ended(usize),
    Over,
}

impl Thinker {
    /// At the beginning of an answer; `None` is a model that does not think.
    pub(crate) fn new(marks: Option<Thinking>) -> Self {
        let marks = marks.unwrap_or_default();
        let place = match (marks.close.is_empty(), marks.begun, marks.open.is_empty()) {
            (true, ..) => Place::Over,
            (_, true, _) => Place::Inside(0, 0),
            (_, false, true) => Place::Over,
            (_, false, false) => Place::Start(0),
        };
        let mut thinker = Self { marks, place };
        thinker.limit();
        thinker
    }

    /// Whether the next token is of the reasoning, so that no grammar holds.
    pub(crate) fn thinks(&self) -> bool {
        matches!(self.place, Place::Inside(..) | Place::Ended(_))
    }

    /// The token that is written for the model.
    pub(crate) fn forced(&self) -> Option<u32> {
        match self.place {
            Place::Ended(at) => self.marks.end.get(at).copied(),
            _ => None,
        }
    }

    /// Takes a token of the answer.
    pub(crate) fn took(&mut self, token: u32) {
        let Thinking { open, close, end, .. } = &self.marks;
        self.place = match self.place {
            Place::Start(at) if open[at] != token => Place::Over,
            Place::Start(at) if at + 1 == open.len() => Place::Inside(0, 0),
            Place::Start(at) => Place::Start(at + 1),
            Place::Inside(count, at) => match matched(close, at, token) {
                at if at == close.len() => Place::Over,
                at => Place::Inside(count + 1, at),
            },
            Place::Ended(at) if at + 1 >= end.len() => Place::Over,
            Place::Ended(at) => Place::Ended(at + 1),
            Place::Over => Place::Over,
        };
        self.limit();
    }

    /// Ends it where it is as long as it may be, but not within its end.
    fn limit(&mut self) {
        if let Place::Inside(count, 0) = self.place
            && self.marks.most_tokens.is_some_and(|most| count >= most)
        {
            let whole = self.marks.end.is_empty();
            self.place = if whole { Place::Over } else { Place::Ended(0) };
        }
    }
}

/// How many tokens of `mark` are the last ones after `token`, where `at` of them were before.
fn matched(mark: &[u32], at: usize, token: u32) -> usize {
    if mark[at] == token {
        return at + 1;
    }
    // What came before it is the beginning of the mark, so that is where it may begin again.
    let seen: Vec<u32> = mark[..at].iter().copied().chain([token]).collect();
    (1..=at).rev().find(|n| seen.ends_with(&mark[..*n])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(begun: bool, most_tokens: Option<usize>) -> Option<Thinking> {
        Some(Thinking {
            begun,
            open: vec![1, 2],
            close: vec![3, 3, 4],
            end: vec![3, 3, 4, 9],
            most_tokens,
        })
    }

    /// For each token `t` while it thinks and `-` otherwise, before it is taken; forced ones replace
    /// those of the model.
    fn run(marks: Option<Thinking>, tokens: &[u32]) -> (String, Vec<u32>) {
        let mut thinker = Thinker::new(marks);
        let (mut places, mut taken) = (String::new(), Vec::new());
        for token in tokens {
            places.push(if thinker.thinks() { 't' } else { '-' });
            let token = thinker.forced().unwrap_or(*token);
            taken.push(token);
            thinker.took(token);
        }
        (places, taken)
    }

    #[test]
    fn reasoning_is_found_and_ended() {
        let cases: [(Option<Thinking>, &[u32], &str, &[u32]); 8] = [
            (None, &[1, 2, 5], "---", &[1, 2, 5]),
            (marks(false, None), &[5, 1, 2, 5], "----", &[5, 1, 2, 5]),
            (marks(false, None), &[1, 5, 1, 2], "----", &[1, 5, 1, 2]),
            (marks(false, None), &[1, 2, 5, 3, 3, 4, 5], "--tttt-", &[1, 2, 5, 3, 3, 4, 5]),
            (marks(true, None), &[3, 3, 3, 4, 5], "tttt-", &[3, 3, 3, 4, 5]),
            (marks(true, Some(2)), &[5, 6, 7, 7, 7, 7, 8], "tttttt-", &[5, 6, 3, 3, 4, 9, 8]),
            (marks(true, Some(0)), &[5, 6, 7, 7, 7], "tttt-", &[3, 3, 4, 9, 7]),
            (marks(true, Some(2)), &[5, 3, 3, 4, 8], "tttt-", &[5, 3, 3, 4, 8]),
        ];
        for (marks, tokens, places, taken) in cases {
            let found = run(marks.clone(), tokens);
            assert_eq!(found, (places.to_owned(), taken.to_vec()), "{marks:?} {tokens:?}");
        }
    }
}
