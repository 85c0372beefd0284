//! Which stop sequence ended an answer: the engine says that one did, not which.

use std::sync::Arc;

use rushlight_model::Model;
use rushlight_text::StreamDecoder;

use crate::answers::Token;

/// Puts the text of an answer together again as the engine saw it, stop sequence included.
pub(super) struct Stopped {
    model: Arc<Model>,
    stops: Vec<String>,
    decoder: StreamDecoder,
    /// All text of the answer.
    text: String,
    /// Bytes of it that were told.
    told: usize,
}

impl Stopped {
    /// Of an answer in which these control tokens are shown.
    pub(super) fn new(model: &Arc<Model>, stops: &[String], shown: &[u32]) -> Self {
        Self {
            model: model.clone(),
            stops: stops.to_vec(),
            decoder: StreamDecoder::showing(shown.iter().copied()),
            text: String::new(),
            told: 0,
        }
    }

    /// A token of the answer, and the text that the engine tells with it.
    pub(super) fn token(&mut self, token: &Token, text: &str) {
        if self.stops.is_empty() {
            return;
        }
        self.told += text.len();
        if let Ok(tokenizer) = self.model.tokenizer() {
            self.text += self.decoder.push(tokenizer, token.choice.token);
        }
    }

    /// The stop that ended the answer: of those that come right after what was told, the shortest,
    /// which was there first.
    pub(super) fn by(&self) -> Option<&str> {
        which(&self.stops, self.text.get(self.told..)?)
    }
}

/// The shortest of the stops that a text begins with.
fn which<'a>(stops: &'a [String], text: &str) -> Option<&'a str> {
    let begin = stops.iter().map(String::as_str).filter(|stop| text.starts_with(*stop));
    begin.min_by_key(|stop| stop.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_that_is_there_was_first() {
        let stops = ["b", "ab", "abc"].map(str::to_owned);
        let cases = [("abcd", Some("ab")), ("bc", Some("b")), ("", None), ("x", None)];
        for (text, want) in cases {
            assert_eq!(which(&stops, text), want, "{text}");
        }
    }
}
