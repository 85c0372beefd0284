//! Hostile answers, cut at any place: calls of tools and reasoning are the same however a text
//! arrives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rushlight_text::tools::{Convention, ToolCallParser, ToolEvent};
use rushlight_text::{ReasoningFilter, Thought};

const CONVENTIONS: [Convention; 4] =
    [Convention::Hermes, Convention::Llama3, Convention::Mistral, Convention::Json];

/// Content and calls, what belongs together in one.
fn calls(convention: Convention, pieces: &[&str]) -> Vec<ToolEvent> {
    let mut parser = ToolCallParser::new(convention, ["f", "get"]);
    let mut all: Vec<ToolEvent> = Vec::new();
    let mut events: Vec<ToolEvent> = pieces.iter().flat_map(|piece| parser.push(piece)).collect();
    events.extend(parser.finish());
    for event in events {
        match (all.last_mut(), event) {
            (Some(ToolEvent::Content(all)), ToolEvent::Content(text)) => all.push_str(&text),
            (Some(ToolEvent::Arguments(all)), ToolEvent::Arguments(text)) => all.push_str(&text),
            (_, event) => all.push(event),
        }
    }
    all
}

/// Reasoning and content.
fn thoughts(pieces: &[&str]) -> (String, String) {
    let mut filter = ReasoningFilter::new();
    let (mut reasoning, mut content) = (String::new(), String::new());
    let mut thoughts: Vec<Thought> = pieces.iter().flat_map(|piece| filter.push(piece)).collect();
    thoughts.extend(filter.finish());
    for thought in thoughts {
        match thought {
            Thought::Reasoning(text) => reasoning += &text,
            Thought::Content(text) => content += &text,
        }
    }
    (reasoning, content)
}

fuzz_target!(|input: (u8, u16, &str)| {
    let (choice, cut, text) = input;
    let convention = CONVENTIONS[usize::from(choice) % CONVENTIONS.len()];
    let whole = calls(convention, &[text]);
    let at = (0..=usize::from(cut) % (text.len() + 1)).rev().find(|at| text.is_char_boundary(*at));
    let (first, second) = text.split_at(at.unwrap_or(0));
    assert_eq!(calls(convention, &[first, second]), whole, "{first:?} and {second:?}");
    assert_eq!(thoughts(&[first, second]), thoughts(&[text]), "{first:?} and {second:?}");
});
