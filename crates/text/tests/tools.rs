//! Calls of tools: found in answers cut anywhere, and forced by grammars.

#[path = "support/walk.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod walk;

use rushlight_text::constrain::{Constraints, Grammar};
use rushlight_text::tools::{
    CallOptions, Convention, ToolCallParser, ToolChoice, ToolEvent, grammar,
};
use serde_json::{Value, json};
use walk::{Random, follows, tokenizers, walk};

const NAMES: [&str; 2] = ["add", "get_time"];

/// The events of `pieces`, with neighbours of one kind as one.
fn events(convention: Convention, pieces: &[&str]) -> Vec<ToolEvent> {
    let mut parser = ToolCallParser::new(convention, NAMES);
    let mut all: Vec<ToolEvent> = pieces.iter().flat_map(|piece| parser.push(piece)).collect();
    all.extend(parser.finish());
    let mut merged: Vec<ToolEvent> = Vec::new();
    for event in all {
        match (merged.last_mut(), event) {
            (Some(ToolEvent::Content(before)), ToolEvent::Content(text))
            | (Some(ToolEvent::Arguments(before)), ToolEvent::Arguments(text)) => {
                before.push_str(&text);
            }
            (_, event) => merged.push(event),
        }
    }
    merged
}

/// Events as a line: `content`, `name(arguments)`, and `…` after a call that was cut off.
fn line(events: &[ToolEvent]) -> String {
    let mut out = String::new();
    let mut open = false;
    for event in events {
        match event {
            ToolEvent::Content(text) => out.push_str(&format!("{text:?} ")),
            ToolEvent::Begin { name } => out.push_str(&format!("{name}(")),
            ToolEvent::Arguments(text) => out.push_str(text),
            ToolEvent::End => out.push_str(") "),
        }
        open = match event {
            ToolEvent::Begin { .. } => true,
            ToolEvent::End | ToolEvent::Content(_) => false,
            ToolEvent::Arguments(_) => open,
        };
    }
    if open { out + "…" } else { out.trim_end().to_owned() }
}

#[test]
fn cuts_change_nothing() {
    use Convention::{Hermes, Json, Llama3, Mistral};
    let one =
        "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": [1, \"}\\\"\"]}}\n</tool_call>";
    let two = "<tool_call>{\"arguments\":{},\"name\":\"get_time\"}</tool_call>";
    let both = format!("{one}\n{two}\n");
    let cases: &[(Convention, &str, &str)] = &[
        (Hermes, one, "add({\"a\": [1, \"}\\\"\"]})"),
        (Hermes, &both, "add({\"a\": [1, \"}\\\"\"]}) get_time({})"),
        (Hermes, "é <b> <tool_call>\n{\"name\": \"x\"}</tool_call> z", "\"é <b> \" x({}) \" z\""),
        (Hermes, "text only", "\"text only\""),
        (Hermes, "a <tool_", "\"a <tool_\""),
        (Hermes, "<tool_call>nothing", "\"<tool_call>nothing\""),
        (Hermes, "<tool_call>{\"name\": 1}", "\"<tool_call>{\\\"name\\\": 1}\""),
        (
            Hermes,
            "<tool_call>{\"name\": \"x\", \"y\": 1} b",
            "\"<tool_call>{\\\"name\\\": \\\"x\\\", \\\"y\\\": 1} b\"",
        ),
        (Hermes, "<tool_call>{\"name\": \"x\", \"arguments\": {\"a\": ", "x({\"a\": …"),
        (
            Hermes,
            "<tool_call>{\"name\": \"x\", \"arguments\"",
            "\"<tool_call>{\\\"name\\\": \\\"x\\\", \\\"arguments\\\"\"",
        ),
        (
            Hermes,
            "<tool_call>{\"name\": \"x\", \"arguments\": \"{\\\"a\\\":1}\"}</tool_call>",
            "x({\"a\":1})",
        ),
        (Hermes, "<tool_call>{\"name\": \"x\", \"arguments\": null}</tool_c", "x({})"),
        (Hermes, "<tool_call>{\"name\": \"x\"}\n<tool_call>{\"name\": \"y\"}", "x({}) y({})"),
        (Llama3, "{\"name\": \"add\", \"parameters\": {\"a\": 1}}", "add({\"a\": 1})"),
        (Llama3, " {\"type\": \"function\", \"name\": \"add\", \"parameters\": {}}\n", "add({})"),
        (
            Llama3,
            "<|python_tag|>{\"name\": \"b\", \"parameters\": {}}; {\"name\": \"c\"}",
            "b({}) c({})",
        ),
        (Llama3, "<|python_tag|>print(1)", "\"<|python_tag|>print(1)\""),
        (
            Llama3,
            "{\"name\": \"Ada\", \"age\": 36}",
            "\"{\\\"name\\\": \\\"Ada\\\", \\\"age\\\": 36}\"",
        ),
        (Llama3, "{\"a\": 1}", "\"{\\\"a\\\": 1}\""),
        (Llama3, "So {\"name\": \"add\"}", "\"So {\\\"name\\\": \\\"add\\\"}\""),
        (
            Mistral,
            "[TOOL_CALLS][{\"name\": \"add\", \"arguments\": {\"a\": 1}}, {\"name\":\"z\"}]",
            "add({\"a\": 1}) z({})",
        ),
        (
            Mistral,
            "[TOOL_CALLS] [{\"name\": \"add\", \"arguments\": {}, \"id\": \"x1\"}] ok",
            "add({}) \"] ok\"",
        ),
        (Mistral, "a [TOOL] [", "\"a [TOOL] [\""),
        (Json, "{\"name\": \"add\", \"arguments\": {\"a\": -1.5e3}}", "add({\"a\": -1.5e3})"),
        (
            Json,
            "[{\"name\": \"add\", \"arguments\": {}}, {\"name\": \"get_time\"}]",
            "add({}) get_time({})",
        ),
        (Json, "[1, 2]", "\"[1, 2]\""),
        (Json, "", ""),
    ];
    let mut failures = Vec::new();
    for (convention, text, expected) in cases {
        let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        for &at in &ends {
            for &end in ends.iter().filter(|end| **end >= at) {
                let pieces = [&text[..at], &text[at..end], &text[end..]];
                let got = line(&events(*convention, &pieces));
                if got != *expected {
                    failures.push(format!("{pieces:?}\n  got  {got}\n  want {expected}"));
                }
            }
        }
        let signs: Vec<String> = text.chars().map(String::from).collect();
        let signs: Vec<&str> = signs.iter().map(String::as_str).collect();
        assert_eq!(line(&events(*convention, &signs)), *expected, "{text} sign by sign");
    }
    failures.truncate(12);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn text_waits_only_where_it_could_begin_a_call() {
    let mut parser = ToolCallParser::new(Convention::Hermes, NAMES);
    let content = |text: &str| vec![ToolEvent::Content(text.to_owned())];
    assert_eq!(parser.push("a <"), content("a "));
    assert_eq!(parser.push("b"), content("<b"));
    assert_eq!(parser.push("<tool_call>"), []);
    assert_eq!(
        parser.push("{\"name\": \"add\", \"arguments\": {\"a\""),
        [ToolEvent::Begin { name: "add".to_owned() }, ToolEvent::Arguments("{\"a\"".to_owned()),]
    );
    assert_eq!(parser.push(": 1"), [ToolEvent::Arguments(": 1".to_owned())]);
    assert!(parser.is_in_call());
    let mut parser = ToolCallParser::new(Convention::Json, NAMES);
    assert_eq!(parser.push("{\"nam"), []);
    assert_eq!(parser.push("ed"), []);
    assert_eq!(parser.push("\":"), content("{\"named\":"));
}

#[test]
fn conventions_are_read_off_templates() {
    for (template, expected) in [
        (include_str!("golden/qwen2_5.jinja"), Convention::Hermes),
        (include_str!("golden/qwen3.jinja"), Convention::Hermes),
        (include_str!("golden/smollm2.jinja"), Convention::Json),
        ("{{ '[TOOL_CALLS][' }}", Convention::Mistral),
        ("{{- \"<|python_tag|>\" }}", Convention::Llama3),
        (
            "Respond in the format {\"name\": function name, \"parameters\": dictionary of argument \
          name and its value}.",
            Convention::Llama3,
        ),
    ] {
        assert_eq!(Convention::of(template), expected, "{template}");
    }
}

fn tools() -> [Value; 2] {
    [
        json!({"type": "function", "function": {
            "name": "add",
            "description": "Adds.",
            "parameters": {
                "properties": {"a": {"type": "integer"}, "to": {"enum": ["x\"", "y"]}},
                "required": ["a"],
                "additionalProperties": false,
            },
        }}),
        json!({"type": "function", "function": {"name": "get_time"}}),
    ]
}

/// Random answers under each grammar are calls that the parser finds, with arguments that fit.
#[test]
fn forced_calls_are_found_again() {
    let tools = tools();
    let mut failures = Vec::new();
    for convention in
        [Convention::Hermes, Convention::Llama3, Convention::Mistral, Convention::Json]
    {
        for choice in [ToolChoice::Auto, ToolChoice::Required, ToolChoice::Named("add")] {
            for parallel in [false, true] {
                let options = CallOptions { tools: &tools, choice, parallel };
                for (name, tokenizer) in tokenizers() {
                    let case = format!("{name} {convention:?} {choice:?} {parallel}");
                    let grammar = grammar(&tokenizer, convention, options).unwrap();
                    let constraint = match Constraints::new(tokenizer.clone()).compile(&grammar) {
                        Ok(constraint) => constraint,
                        Err(error) => {
                            failures.push(format!("{case}: {error}\n{grammar:?}"));
                            continue;
                        }
                    };
                    for seed in 0..10 {
                        match walk(constraint.clone(), &tokenizer, &mut Random(seed), 3000) {
                            Ok(text) => {
                                if let Err(why) = check(convention, options, &text) {
                                    failures.push(format!("{case}: {why}: {text:?}"));
                                }
                            }
                            Err(error) => failures.push(format!("{case}: {error}")),
                        }
                    }
                }
            }
        }
    }
    failures.truncate(12);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn check(convention: Convention, options: CallOptions<'_>, text: &str) -> Result<(), String> {
    let mut calls: Vec<(String, String, bool)> = Vec::new();
    let mut content = String::new();
    for event in events(convention, &[text]) {
        match event {
            ToolEvent::Content(text) => content.push_str(&text),
            ToolEvent::Begin { name } => calls.push((name, String::new(), false)),
            ToolEvent::Arguments(text) => {
                calls.last_mut().expect("after a beginning").1.push_str(&text);
            }
            ToolEvent::End => calls.last_mut().expect("after a beginning").2 = true,
        }
    }
    let auto = options.choice == ToolChoice::Auto;
    if !auto && (calls.is_empty() || !content.is_empty()) {
        return Err(format!("{} calls and content {content:?}", calls.len()));
    }
    if calls.len() > 1 && !(options.parallel && convention.is_parallel()) {
        return Err("several calls".to_owned());
    }
    for (name, arguments, ended) in calls {
        let arguments: Value = serde_json::from_str(&arguments).map_err(|e| e.to_string())?;
        let fits = match name.as_str() {
            "add" => {
                let to = arguments.get("to").is_none_or(|to| to == "x\"" || to == "y");
                arguments["a"].is_number() && to
            }
            "get_time" => options.choice != ToolChoice::Named("add") && arguments == json!({}),
            _ => false,
        };
        if !fits || !ended {
            return Err(format!("`{name}` is called with {arguments}"));
        }
    }
    Ok(())
}

#[test]
fn text_and_calls_beside_each_other() {
    let tools = tools();
    let [(_, tokenizer), _] = tokenizers();
    let options = CallOptions { tools: &tools, parallel: true, ..CallOptions::default() };
    let call = "<tool_call>\n{\"name\": \"get_time\", \"arguments\": {}}\n</tool_call>";
    let cases = [
        (Convention::Hermes, "plain text", true),
        (Convention::Hermes, call, true),
        (Convention::Hermes, &format!("Well <tool. {call}\n{call}"), true),
        (Convention::Hermes, "<tool_call>", false),
        (Convention::Hermes, &format!("{call} and"), false),
        (Convention::Hermes, &call.replace("{}", "{\"a\": 1}"), false),
        (Convention::Hermes, &call.replace("get_time", "none"), false),
        (Convention::Json, "plain {", true),
        (Convention::Json, "{\"name\": \"add\", \"arguments\": {\"a\": 1}}", true),
        (Convention::Json, "{\"name\": \"add\"}", false),
        (Convention::Llama3, "{\"name\": \"add\", \"parameters\": {\"a\": 1}}", true),
        (Convention::Llama3, "{\"name\": \"add\", \"arguments\": {\"a\": 1}}", false),
    ];
    for (convention, text, expected) in cases {
        let grammar = grammar(&tokenizer, convention, options).unwrap();
        let constraint = Constraints::new(tokenizer.clone()).compile(&grammar).unwrap();
        assert_eq!(follows(constraint, &tokenizer, text), expected, "{convention:?} {text:?}");
    }
}

/// A mark that is a control token is written as that token.
#[test]
fn marks_are_tokens_where_the_vocabulary_says_so() {
    let json = include_str!("golden/bytes.json").replace("<|begin|>", "[TOOL_CALLS]");
    let tokenizer = rushlight_text::Tokenizer::from_json(json.as_bytes(), None).unwrap();
    let tokenizer = std::sync::Arc::new(tokenizer);
    let tools = tools();
    for choice in [ToolChoice::Auto, ToolChoice::Required] {
        let options = CallOptions { tools: &tools, choice, parallel: false };
        let grammar = grammar(&tokenizer, Convention::Mistral, options).unwrap();
        let mut answer = Constraints::new(tokenizer.clone()).compile(&grammar).unwrap();
        let auto = choice == ToolChoice::Auto;
        assert_eq!(answer.mask().unwrap().count() > 1, auto);
        if auto {
            answer.accept(tokenizer.id("a").unwrap()).unwrap();
            assert!(answer.may_end().unwrap());
        }
        answer.accept(500).unwrap();
        assert!(!answer.may_end().unwrap());
        let rest = "[{\"name\": \"get_time\", \"arguments\": {}}]";
        assert!(follows(answer, &tokenizer, rest), "{choice:?}");
    }
    let mut shown = rushlight_text::StreamDecoder::showing([500]);
    assert_eq!(shown.push(&tokenizer, 500), "[TOOL_CALLS]");
    assert_eq!(shown.push(&tokenizer, 501), "");
}

#[test]
fn what_cannot_be_called_is_refused() {
    let [(_, tokenizer), _] = tokenizers();
    let fails = |tools: &[Value], choice, expected: &str| {
        let options = CallOptions { tools, choice, parallel: false };
        let error = grammar(&tokenizer, Convention::Hermes, options).unwrap_err();
        assert_eq!(error.to_string(), format!("tool calls: {expected}"));
    };
    let tools = tools();
    fails(&[], ToolChoice::Required, "there are no tools to call");
    fails(&tools, ToolChoice::Named("x"), "there is no tool `x`, which must be called");
    fails(&[tools[0].clone(), tools[0].clone()], ToolChoice::Auto, "tool `add` is there twice");
    fails(&[json!({"function": {}})], ToolChoice::Auto, "tool `0` has no `name`");
    fails(
        &[json!({"name": "x", "parameters": {"type": "array"}})],
        ToolChoice::Auto,
        "parameters of tool `x` are not of type `object`",
    );
    fails(
        &[json!({"name": "x", "parameters": {"properties": {"a": {"not": {}}}}})],
        ToolChoice::Auto,
        "parameters of tool `x`: JSON schema `/properties/a` has the keyword `not`, which is not \
         supported here",
    );
    let Grammar::Lark(lark) =
        grammar(&tokenizer, Convention::Json, CallOptions { tools: &tools, ..Default::default() })
            .unwrap()
    else {
        panic!("another grammar");
    };
    assert!(lark.contains("{\\\"name\\\": \\\"add\\\", \\\"arguments\\\": "), "{lark}");
}
