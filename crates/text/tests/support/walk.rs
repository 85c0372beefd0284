//! Tiny tokenizers, and random answers that keep to a constraint.

use std::sync::Arc;

use rushlight_text::constrain::{Constraint, Constraints, Grammar};
use rushlight_text::{DecodeOptions, Tokenizer};

/// A byte-level vocabulary and one with spaces as U+2581, of 500 tokens each.
pub(crate) fn tokenizers() -> [(&'static str, Arc<Tokenizer>); 2] {
    let load =
        |json: &str| Arc::new(Tokenizer::from_json(json.as_bytes(), None).expect("it is tested"));
    [
        ("bytes", load(include_str!("../golden/bytes.json"))),
        ("spaces", load(include_str!("../golden/spaces.json"))),
    ]
}

/// The constraints of each of [`tokenizers`], compiled for `grammar`.
pub(crate) fn compiled(grammar: &Grammar) -> Vec<(&'static str, Arc<Tokenizer>, Constraint)> {
    let compile = |(name, tokenizer): (&'static str, Arc<Tokenizer>)| {
        let constraint = Constraints::new(Arc::clone(&tokenizer))
            .compile(grammar)
            .unwrap_or_else(|error| panic!("{grammar:?}: {error}"));
        (name, tokenizer, constraint)
    };
    tokenizers().into_iter().map(compile).collect()
}

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ (word >> 31)) % most as u64) as usize
    }
}

/// The text of a random answer. Half of the time it takes a token that may close something, so
/// that answers end.
pub(crate) fn walk(
    mut constraint: Constraint,
    tokenizer: &Tokenizer,
    random: &mut Random,
    most: usize,
) -> Result<String, String> {
    let mut ids = Vec::new();
    for _ in 0..most {
        let text = || tokenizer.decode(&ids, DecodeOptions::default());
        let fail = |what: String| format!("{what} after {:?}", text());
        if constraint.is_finished() {
            return String::from_utf8(bytes_of(tokenizer, &ids)).map_err(|e| e.to_string());
        }
        let may_end = constraint.may_end().map_err(|error| fail(error.to_string()))?;
        let forced = constraint.forced().to_vec();
        let mask = constraint.mask().map_err(|error| fail(error.to_string()))?;
        let allowed: Vec<u32> = mask.iter().collect();
        for &end in tokenizer.ends() {
            if mask.contains(end) != may_end {
                return Err(fail(format!("`may_end` is {may_end}, and the mask differs")));
            }
        }
        if forced.first().is_some_and(|first| allowed != [*first]) {
            return Err(fail(format!("forced {forced:?}, allowed {allowed:?}")));
        }
        let closers: Vec<u32> = allowed
            .iter()
            .copied()
            .filter(|&id| {
                tokenizer.is_end(id)
                    || matches!(&*tokenizer.token_bytes(id), b"\"" | b"}" | b"]" | b"!")
            })
            .collect();
        let from = if !closers.is_empty() && random.below(2) == 0 { &closers } else { &allowed };
        let id = from[random.below(from.len())];
        constraint.accept(id).map_err(|error| fail(error.to_string()))?;
        if !tokenizer.is_end(id) {
            ids.push(id);
        }
    }
    Err(format!("no end after {most} tokens"))
}

/// The bytes of `ids` one after the other: as grammars see them.
fn bytes_of(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<u8> {
    ids.iter().flat_map(|&id| tokenizer.token_bytes(id).into_owned()).collect()
}

/// Whether the answer `text`, a byte at a time, keeps to the constraint and may end there.
pub(crate) fn follows(mut constraint: Constraint, tokenizer: &Tokenizer, text: &str) -> bool {
    let mut bytes = vec![None; 256];
    for id in 0..tokenizer.vocab_size() as u32 {
        if let [byte] = *tokenizer.token_bytes(id) {
            bytes[usize::from(byte)].get_or_insert(id);
        }
    }
    for byte in text.bytes() {
        let id = bytes[usize::from(byte)].expect("the vocabulary has every byte");
        if constraint.accept(id).is_err() {
            return false;
        }
    }
    constraint.may_end().is_ok_and(|may_end| may_end)
}
