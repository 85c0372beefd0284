//! Grammars that are made to cost: each is refused or followed within bounds, none panics.

#[path = "support/walk.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod walk;

use std::time::{Duration, Instant};

use rushlight_text::constrain::{Constraints, Grammar};
use serde_json::{Value, json};
use walk::{Random, tokenizers, walk};

/// Far above what any case takes, also in a debug build on a busy machine.
const MOST: Duration = Duration::from_secs(20);

/// Compiles `grammar` and follows it for a while; what is refused on the way is fine.
fn survive(name: &str, grammar: &Grammar) -> String {
    let start = Instant::now();
    let mut outcomes = Vec::new();
    for (_, tokenizer) in tokenizers() {
        let outcome = match Constraints::new(tokenizer.clone()).compile(grammar) {
            Err(error) => format!("refused: {error}"),
            Ok(constraint) => match walk(constraint, &tokenizer, &mut Random(3), 200) {
                Ok(text) => format!("{} bytes", text.len()),
                Err(error) => format!("stopped: {}", error.chars().take(160).collect::<String>()),
            },
        };
        outcomes.push(outcome);
    }
    let took = start.elapsed();
    let outcome = outcomes.swap_remove(0);
    let short: String = outcome.chars().take(200).collect();
    eprintln!("{name}: {took:?}: {short}");
    assert!(took < MOST, "{name} took {took:?}: {short}");
    assert!(!outcome.contains("panic"), "{name}: {outcome}");
    outcome
}

fn nested(open: &str, inner: &str, close: &str, levels: usize) -> String {
    format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
}

#[test]
fn schemas() {
    let mut deep = json!({"type": "null"});
    for _ in 0..2000 {
        deep = json!({"items": deep});
    }
    assert!(survive("2,000 levels", &Grammar::JsonSchema(deep)).contains("deeper than"));

    let mut wide = serde_json::Map::new();
    for number in 0..20_000 {
        wide.insert(format!("property{number}"), json!({"type": "string"}));
    }
    let wide = json!({"type": "object", "properties": wide});
    assert!(survive("20,000 properties", &Grammar::JsonSchema(wide)).contains("bytes, expected"));

    let mut wide = serde_json::Map::new();
    for number in 0..1800 {
        wide.insert(format!("property{number}"), json!({"type": "string", "maxLength": 1000}));
    }
    survive("1,800 properties", &Grammar::JsonSchema(json!({"properties": wide})));

    let wide: serde_json::Map<String, Value> =
        (0..8000).map(|number| (format!("p{number}"), json!({"type": "null"}))).collect();
    let wide = json!({"properties": wide});
    assert!(
        survive("8,000 properties", &Grammar::JsonSchema(wide)).contains("too many properties")
    );

    let mut doubles = serde_json::Map::new();
    doubles.insert("d0".to_owned(), json!({"type": "integer"}));
    for number in 1..60 {
        let below = format!("#/$defs/d{}", number - 1);
        let below = json!({"$ref": below});
        let both = json!({"allOf": [below, {"anyOf": [below, below]}]});
        doubles.insert(format!("d{number}"), both);
    }
    let doubles = json!({"$ref": "#/$defs/d59", "$defs": doubles});
    survive("references that double", &Grammar::JsonSchema(doubles));

    let any: Vec<Value> = (0..30).map(|n| json!({"properties": {format!("p{n}"): true}})).collect();
    survive(
        "allOf of anyOf",
        &Grammar::JsonSchema(json!({"allOf": [
            {"anyOf": any}, {"anyOf": any}, {"anyOf": any}, {"anyOf": any}, {"anyOf": any},
        ]})),
    );
    survive(
        "cycle",
        &Grammar::JsonSchema(json!({
            "$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
        })),
    );
    survive("cycle in allOf", &Grammar::JsonSchema(json!({"allOf": [{"$ref": "#"}]})));
    survive(
        "a million items",
        &Grammar::JsonSchema(json!({
            "type": "array", "items": {"type": "null"}, "minItems": 1_000_000,
        })),
    );
    survive(
        "items of items",
        &Grammar::JsonSchema(json!({
            "items": {"items": {"items": {"maxItems": 100_000}, "maxItems": 100_000},
                "maxItems": 100_000}, "maxItems": 100_000, "minItems": 99_999, "type": "array",
        })),
    );
    survive(
        "a million characters",
        &Grammar::JsonSchema(json!({
            "type": "string", "minLength": 1_000_000, "maxLength": 1_000_000,
        })),
    );
    survive(
        "patterns in patterns",
        &Grammar::JsonSchema(json!({
            "type": "string", "pattern": "^((a{1,500}b){1,500}c){1,500}$",
        })),
    );
    let patterns: serde_json::Map<String, Value> =
        (0..200).map(|n| (format!("^(a|b)*{n}(a|b){{0,99}}$"), json!(true))).collect();
    let patterns = json!({"patternProperties": patterns});
    assert!(survive("200 patterns", &Grammar::JsonSchema(patterns)).contains("at most `64`"));
    let patterns: serde_json::Map<String, Value> =
        (0..60).map(|n| (format!("^(a|b)*{n}(a|b){{0,99}}$"), json!(true))).collect();
    survive("60 patterns", &Grammar::JsonSchema(json!({"patternProperties": patterns})));
    let numbers: Vec<u32> = (0..40_000).collect();
    survive("40,000 values", &Grammar::JsonSchema(json!({"enum": numbers})));
    survive(
        "least multiple",
        &Grammar::JsonSchema(json!({"allOf": (1..60)
        .map(|n| json!({"type": "integer", "multipleOf": 97 * n + 1})).collect::<Vec<_>>()})),
    );
    survive(
        "a small multiple",
        &Grammar::JsonSchema(json!({
            "type": "number", "multipleOf": 1e-300, "minimum": 1e-300, "maximum": 1e10,
        })),
    );
}

#[test]
fn expressions() {
    for (name, pattern) in [
        ("60,000 groups", nested("(", "a", ")", 30_000)),
        ("200 groups", nested("(", "a", ")", 200)),
        ("nested stars", nested("(", "a", ")*", 200)),
        ("0 to 100,000", "(a{0,100000}b){0,100000}".to_owned()),
        ("repetitions in repetitions", nested("(", "a", "){1,1000}", 10)),
        ("the n-th from the end", "(a|b)*a(a|b){5000}".to_owned()),
        ("alternatives that share", format!("({})*", vec!["a?a?a?a?a?b"; 5000].join("|"))),
        ("optionals", "(a?){20000}a{20000}".to_owned()),
        ("long", "[a-z]".repeat(13_000)),
        ("classes of all scripts", r"(\p{L}|\p{N}|\w|\s){0,5000}".to_owned()),
        ("case", format!("(?i){}", "ſtraße".repeat(5000))),
        ("nothing", r"[^\s\S]".to_owned()),
        ("bytes", r"(?-u:\xff)+".to_owned()),
        ("a slash", "/ \nstart: /[\\s\\S]*/".to_owned()),
    ] {
        survive(name, &Grammar::Regex(pattern));
    }
}

#[test]
fn lark_and_gbnf() {
    let chain = |count: usize, sign: &str| {
        let rules: Vec<String> =
            (0..count).map(|n| format!("{sign}{n}: {sign}{} \"x\"", n + 1)).collect();
        format!("start: {sign}0\n{}\n{sign}{count}: \"y\"\n", rules.join("\n"))
    };
    let gbnf = |count: usize| {
        let rules: Vec<String> =
            (0..count).map(|n| format!("r{n} ::= r{} \"x\" | root \"z\"", n + 1)).collect();
        format!("root ::= r0\n{}\nr{count} ::= \"y\"\n", rules.join("\n"))
    };
    let regular = |count: usize| {
        let rules: Vec<String> = (0..count).map(|n| format!("r{n} ::= r{} \"x\"", n + 1)).collect();
        format!("root ::= r0\n{}\nr{count} ::= \"y\"\n", rules.join("\n"))
    };
    for (name, grammar) in [
        ("a chain of rules", Grammar::Lark(chain(4000, "r"))),
        ("a chain of terminals", Grammar::Lark(chain(4000, "T"))),
        ("too many rules", Grammar::Lark(chain(5000, "r"))),
        ("deep groups", Grammar::Lark(format!("start: {}", nested("(", "\"a\"", ")", 60_000)))),
        ("negations", Grammar::Lark(format!("start: {} \"a\"", "~".repeat(4000)))),
        ("a rule of itself", Grammar::Lark("start: start".to_owned())),
        ("two of itself", Grammar::Lark("start: start start | \"a\"".to_owned())),
        ("empty or itself", Grammar::Lark("start: start start start |".to_owned())),
        ("any text, any number", Grammar::Lark("start: (/.*/)*".to_owned())),
        ("a hundred thousand", Grammar::Lark("start: a~100000\na: \"x\" | \"y\"".to_owned())),
        (
            "powers",
            Grammar::Lark("start: a~999\na: b~999\nb: c~999\nc: d~999\nd: \"x\" | a".to_owned()),
        ),
        (
            "terminals of terminals",
            Grammar::Lark(format!(
                "start: D\nA: \"a\"?\nB: {}\nC: {}\nD: {}\n",
                "A ".repeat(60),
                "B ".repeat(60),
                "C ".repeat(60)
            )),
        ),
        ("a long row", Grammar::Lark(format!("start: {}", "\"a\" ".repeat(100_000)))),
        ("many choices", Grammar::Lark(format!("start: {}\"b\"", "\"a\" | ".repeat(80_000)))),
        ("unclosed", Grammar::Lark("start: \"".repeat(20_000))),
        (
            "no UTF-8",
            Grammar::Lark(
                "%llguidance {\"allow_invalid_utf8\" : true}\nstart: /[\\s\\S]/".to_owned(),
            ),
        ),
        (
            "substrings",
            Grammar::Lark(format!(
                "start: T\nT: %regex {{\"substring_chars\": \"{}\"}}",
                "ab".repeat(50_000)
            )),
        ),
        ("schemas", Grammar::Lark("start: %json {\"anyOf\": [{}, {}]}\n".repeat(5000))),
        ("gbnf chain", Grammar::Gbnf(gbnf(4000))),
        ("gbnf regular chain", Grammar::Gbnf(regular(4000))),
        ("gbnf stars", Grammar::Gbnf(format!("root ::= \"a\"{}", "*".repeat(100_000)))),
        ("gbnf groups", Grammar::Gbnf(format!("root ::= {}", nested("(", "\"a\"", ")*", 60_000)))),
        (
            "gbnf powers",
            Grammar::Gbnf(
                "root ::= (((\"a\"{0,9999}){0,9999}){0,9999}){0,9999} root \"b\" | \"c\""
                    .to_owned(),
            ),
        ),
        ("gbnf choices", Grammar::Gbnf(format!("root ::= {}root", "\"a\" | ".repeat(70_000)))),
        ("gbnf of itself", Grammar::Gbnf("root ::= root root | ".to_owned())),
        ("gbnf long", Grammar::Gbnf(" ".repeat(1 << 20))),
    ] {
        survive(name, &grammar);
    }
}
