//! Users.

use crate::serving::random::Random;
use crate::serving::stream::{Streamed, chat, milliseconds};
use anyhow::{Result, anyhow, bail};
use serde_json::{Value, json};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Words that most vocabularies have as one token.
const WORDS: [&str; 64] = [
    "time",
    "year",
    "people",
    "way",
    "day",
    "man",
    "thing",
    "woman",
    "life",
    "child",
    "world",
    "school",
    "state",
    "family",
    "student",
    "group",
    "country",
    "problem",
    "hand",
    "part",
    "place",
    "case",
    "week",
    "company",
    "system",
    "program",
    "question",
    "work",
    "government",
    "number",
    "night",
    "point",
    "home",
    "water",
    "room",
    "mother",
    "area",
    "money",
    "story",
    "fact",
    "month",
    "lot",
    "right",
    "study",
    "book",
    "eye",
    "job",
    "word",
    "business",
    "issue",
    "side",
    "kind",
    "head",
    "house",
    "service",
    "friend",
    "father",
    "power",
    "hour",
    "game",
    "line",
    "end",
    "member",
    "law",
];

/// Prompts that have no beginning in common with any other but the template's.
#[derive(Debug)]
pub(super) struct Prompts(Random);

impl Prompts {
    pub(super) fn new(seed: u64) -> Self {
        Self(Random::new(seed))
    }

    /// That many words.
    pub(super) fn words(&mut self, count: usize) -> String {
        let words: Vec<_> = (0..count).map(|_| WORDS[self.0.below(WORDS.len())]).collect();
        words.join(" ")
    }
}

/// A chat of one message, answered with the likeliest tokens, exactly so many.
pub(super) fn asked(prompt: &str, tokens: usize) -> Value {
    json!({
        "messages": [{ "role": "user", "content": prompt }],
        "max_tokens": tokens,
        "temperature": 0,
        "ignore_eos": true,
        "stream": true,
        "stream_options": { "include_usage": true },
    })
}

/// Every body from a user of its own, all at once; an answer must have `tokens` tokens.
pub(super) fn at_once(address: &str, bodies: &[Value], tokens: usize) -> Result<Vec<Streamed>> {
    let start = Barrier::new(bodies.len());
    thread::scope(|scope| {
        let one = |body| {
            start.wait();
            whole(chat(address, body, |_| ())?, tokens)
        };
        let users: Vec<_> = bodies.iter().map(|body| scope.spawn(move || one(body))).collect();
        users.into_iter().map(|user| user.join().map_err(|_| anyhow!("a user panicked"))?).collect()
    })
}

/// Answers that were being written when a long prompt came, and that prompt's.
pub(super) struct Disturbed {
    pub(super) writing: Vec<Streamed>,
    pub(super) late: Streamed,
}

/// The users of `bodies` are answered, and when each has some words `late` comes.
pub(super) fn disturbed(
    address: &str,
    bodies: &[Value],
    tokens: usize,
    late: &Value,
) -> Result<Disturbed> {
    /// Pieces that each user has when the long prompt comes.
    const BEGUN: usize = 16;
    let begun = AtomicUsize::new(0);
    let ended = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (begun, ended) = (&begun, &ended);
        let one = move |body| {
            let found = chat(address, body, |pieces| {
                if pieces == BEGUN {
                    begun.fetch_add(1, Ordering::Relaxed);
                }
            });
            ended.fetch_add(1, Ordering::Relaxed);
            whole(found?, tokens)
        };
        let users: Vec<_> = bodies.iter().map(|body| scope.spawn(move || one(body))).collect();
        let late = loop {
            if begun.load(Ordering::Relaxed) == bodies.len() {
                break chat(address, late, |_| ());
            }
            if ended.load(Ordering::Relaxed) > 0 {
                break Err(anyhow!("an answer ended before all had begun"));
            }
            thread::sleep(Duration::from_millis(2));
        };
        let users = users.into_iter();
        let writing: Result<Vec<_>> =
            users.map(|user| user.join().map_err(|_| anyhow!("a user panicked"))?).collect();
        Ok(Disturbed { writing: writing?, late: late? })
    })
}

impl Disturbed {
    /// Milliseconds that somebody waited at most between two pieces of text, of those waits that
    /// the time between the long prompt's coming and its first token touches.
    pub(super) fn longest_gap_ms(&self) -> Option<f64> {
        let first = self.late.pieces.first()?;
        let touches = |pair: &&[Instant]| pair[1] > self.late.sent && pair[0] < *first;
        let pairs = self.writing.iter().flat_map(|one| one.pieces.windows(2)).filter(touches);
        pairs.map(|pair| milliseconds(pair[0], pair[1])).max_by(f64::total_cmp)
    }
}

fn whole(streamed: Streamed, tokens: usize) -> Result<Streamed> {
    if streamed.answer_tokens != tokens || streamed.pieces.is_empty() {
        let found = streamed.answer_tokens;
        bail!("an answer has {found} tokens, expected {tokens}: `{}`", streamed.text);
    }
    Ok(streamed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_differ_and_come_again() {
        let mut prompts = Prompts::new(1);
        let (first, second) = (prompts.words(20), prompts.words(20));
        assert_eq!(first.split(' ').count(), 20);
        assert_ne!(first, second);
        assert_eq!(Prompts::new(1).words(20), first);
        assert_ne!(Prompts::new(2).words(20), first);
    }

    #[test]
    fn only_waits_in_the_time_of_the_long_prompt_count() {
        let begin = Instant::now();
        let at = |ms: u64| begin + Duration::from_millis(ms);
        let streamed = |sent, pieces: &[u64]| Streamed {
            sent: at(sent),
            pieces: pieces.iter().map(|ms| at(*ms)).collect(),
            ended: at(100),
            text: String::new(),
            finish: None,
            prompt_tokens: 1,
            answer_tokens: 1,
        };
        let found = Disturbed {
            writing: vec![streamed(0, &[1, 9, 12, 30, 80]), streamed(0, &[0, 10, 27])],
            late: streamed(11, &[29, 40]),
        };
        assert_eq!(found.longest_gap_ms(), Some(18.0));
    }
}
