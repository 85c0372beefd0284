//! Answers that follow grammars: random ones keep to them, wrong grammars are refused.

#[path = "support/walk.rs"]
mod walk;

use rushlight_text::ErrorKind;
use rushlight_text::constrain::{Constraint, Constraints, Grammar};
use serde_json::{Value, json};
use walk::{Random, compiled, follows, tokenizers, walk};

/// Random answers to each grammar, looked at by `check`.
fn walks<T>(cases: &[T], grammar: impl Fn(&T) -> Grammar, check: impl Fn(&T, &str) -> bool) {
    let mut failures = Vec::new();
    for case in cases {
        let grammar = grammar(case);
        for (name, tokenizer, constraint) in compiled(&grammar) {
            for seed in 0..12 {
                match walk(constraint.clone(), &tokenizer, &mut Random(seed), 3000) {
                    Ok(text) if check(case, &text) => {}
                    Ok(text) => failures.push(format!("{name} {grammar:?}: {text:?}")),
                    Err(error) => failures.push(format!("{name} {grammar:?}: {error}")),
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn random_answers_satisfy_their_schema() {
    type Check = fn(&Value) -> bool;
    let cases: Vec<(Value, Check)> = vec![
        (json!(true), |_| true),
        (json!({"type": "object"}), Value::is_object),
        (json!({"type": "null"}), Value::is_null),
        (json!({"type": ["integer", "boolean"]}), |v| v.is_i64() || v.is_u64() || v.is_boolean()),
        (json!({"type": "integer", "minimum": -3, "exclusiveMaximum": 12}), |v| {
            (-3..12).contains(&v.as_i64().unwrap())
        }),
        (json!({"enum": ["a", "b\"", 7, null, [1, {"x": 2}]]}), |v| {
            json!(["a", "b\"", 7, null, [1, {"x": 2}]]).as_array().unwrap().contains(v)
        }),
        (json!({"const": {"a": [true]}}), |v| *v == json!({"a": [true]})),
        (json!({"type": "string", "minLength": 2, "maxLength": 4}), |v| {
            (2..=4).contains(&v.as_str().unwrap().chars().count())
        }),
        (json!({"type": "string", "pattern": "^[a-f]{2,5}-\\d$"}), |v| {
            regex::Regex::new("^[a-f]{2,5}-[0-9]$").unwrap().is_match(v.as_str().unwrap())
        }),
        (json!({"type": "string", "format": "date"}), |v| {
            regex::Regex::new(r"^\d{4}-\d\d-\d\d$").unwrap().is_match(v.as_str().unwrap())
        }),
        (
            json!({
                "$schema": "http://json-schema.org/draft-07/schema#",
                "type": "object",
                "title": "Person",
                "properties": {
                    "name": {"type": "string", "maxLength": 8},
                    "age": {"type": "integer", "minimum": 0, "maximum": 130},
                    "tags": {"type": "array", "items": {"enum": ["x", "y"]}, "maxItems": 3},
                },
                "required": ["name", "age"],
                "additionalProperties": false,
                "x-order": 1,
            }),
            |v| {
                let map = v.as_object().unwrap();
                let tags = map.get("tags").map_or(&[][..], |tags| tags.as_array().unwrap());
                map["name"].is_string()
                    && (0..=130).contains(&map["age"].as_i64().unwrap())
                    && tags.len() <= 3
                    && tags.iter().all(|tag| tag == "x" || tag == "y")
                    && map.keys().all(|key| ["name", "age", "tags"].contains(&key.as_str()))
            },
        ),
        (
            json!({"properties": {"a": {"type": "integer"}, "b": {"type": "null"}}, "type": "object",
                "required": ["b"]}),
            |v| {
                let map = v.as_object().unwrap();
                map["b"].is_null() && map.keys().all(|key| ["a", "b"].contains(&key.as_str()))
            },
        ),
        (
            json!({
                "$ref": "#/$defs/tree",
                "$defs": {"tree": {
                    "type": "object",
                    "properties": {
                        "leaf": {"type": "boolean"},
                        "next": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]},
                    },
                    "required": ["leaf", "next"],
                    "additionalProperties": false,
                }, "unused": {"not": {}}},
            }),
            |mut v| {
                while !v.is_null() {
                    if !v["leaf"].is_boolean() || v.as_object().unwrap().len() != 2 {
                        return false;
                    }
                    v = &v["next"];
                }
                true
            },
        ),
        (
            json!({"type": "array", "prefixItems": [{"const": 1}, {"type": "boolean"}],
                "items": {"type": "null"}, "minItems": 2, "maxItems": 4}),
            |v| {
                let items = v.as_array().unwrap();
                (2..=4).contains(&items.len())
                    && items[0] == 1
                    && items[1].is_boolean()
                    && items[2..].iter().all(Value::is_null)
            },
        ),
    ];
    walks(
        &cases,
        |(schema, _)| Grammar::JsonSchema(schema.clone()),
        |(_, check), text| serde_json::from_str(text).is_ok_and(|value| check(&value)),
    );
    walks(
        &[()],
        |()| Grammar::JsonObject,
        |(), text| serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object()),
    );
}

#[test]
fn random_answers_match_their_expression() {
    let patterns = [
        "a",
        "yes|no|maybe",
        "^[a-z]{3,9}$",
        r"\d{4}-(0[1-9]|1[0-2])",
        r"(?i)hello,? world[.!]*",
        r"[^\n]{5}",
        r"a/b\\c\$",
        r"(ab?c+)*d",
        "ä[öü]+😀?",
        r"\x41\u{1F600}",
    ];
    walks(
        &patterns,
        |pattern| Grammar::Regex((*pattern).to_owned()),
        |pattern, text| regex::Regex::new(&format!("^(?:{pattern})$")).unwrap().is_match(text),
    );
}

/// Grammars with answers that they have and answers that they lack.
#[test]
fn grammars_have_what_they_say() {
    let sums = "root ::= sum\nsum ::= term ([+-] term)*\nterm ::= number | \"(\" sum \")\"\n\
        number ::= [0-9]+ # digits\n";
    let list = "root ::= \"[\" ws (item (\",\" ws item)*)? \"]\"\n\
        item ::= \"\\\"\" ([^\"\\\\] | \"\\\\\" .)* \"\\\"\" ws\n  | root ws\nws ::= [ \\t\\n]*";
    type Case<'a> = (Grammar, &'a [&'a str], &'a [&'a str]);
    let gbnf = |text: &str| Grammar::Gbnf(text.to_owned());
    let lark = |text: &str| Grammar::Lark(text.to_owned());
    let cases: Vec<Case<'_>> = vec![
        (gbnf(sums), &["1", "1+22-3", "((1)+2)"], &["", "1+", "(1", "1++2", "a"]),
        (
            gbnf(list),
            &["[]", "[ \"a\", [\"\\\"é\"] ]", "[[[]]]"],
            &["[", "[,]", "[\"a]", "[\"\\\"]"],
        ),
        // Where terminals as long as they can be would read the `x`.
        (gbnf("root ::= n \"x\" | \"(\" root \")\"\nn ::= [a-z]+"), &["ax", "(xx)"], &["x", "a"]),
        (
            gbnf("root ::= n \"x\" root | \"!\"\nn ::= [a-z]+"),
            &["ax!", "axbxx!", "!"],
            &["a!", "x!", "ax"],
        ),
        (gbnf("root ::= [a-z]+ \"x\""), &["ax", "abxx"], &["x", "ab"]),
        (gbnf("root ::= \"a\"{2,3} \"b\"? .{1,}"), &["aab", "aaab.", "aaé"], &["ab", "aa"]),
        (gbnf("root ::= \"\\x41\\u00e9\\U0001F600\\n\" [\\]\\-]"), &["Aé😀\n]", "Aé😀\n-"], &["A"]),
        (gbnf("root ::= \"a\" | \nb\nb ::= \"b\" root | "), &["a", "", "bba", "b"], &["ab", "c"]),
        (
            lark("start: word (\" \" word)*\nword: /[a-z]+/ | \"1\"..\"3\"\n"),
            &["a", "ab 2 c"],
            &["", "a ", "4", "a  b"],
        ),
        (
            lark("start: \"<\" %json {\"type\": \"integer\"} \">\""),
            &["<12>", "<-3>"],
            &["<a>", "<>", "<1.5>"],
        ),
        (lark("%import common.INT\nstart: INT\n"), &["12"], &["a"]),
        (
            Grammar::JsonObject,
            &["{}", "{\"a\": [1, \"x\"]}", "{\n  \"a\":1\n}"],
            &["[]", "{\"a\"}", " {}"],
        ),
        (Grammar::Regex("a|bc".to_owned()), &["a", "bc"], &["ab", "b", ""]),
    ];
    let mut failures = Vec::new();
    for (grammar, has, lacks) in &cases {
        for (name, tokenizer, constraint) in compiled(grammar) {
            for (texts, expected) in [(has, true), (lacks, false)] {
                for text in *texts {
                    if follows(constraint.clone(), &tokenizer, text) != expected {
                        failures.push(format!("{name} {grammar:?} {text:?}: not {expected}"));
                    }
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let grammars: Vec<&Grammar> = cases.iter().map(|(grammar, ..)| grammar).collect();
    // What random answers end up as is read again, by bytes.
    walks(
        &grammars,
        |grammar| (*grammar).clone(),
        |grammar, text| {
            compiled(grammar)
                .into_iter()
                .all(|(_, tokenizer, constraint)| follows(constraint, &tokenizer, text))
        },
    );
}

/// White space cannot go on for ever.
#[test]
fn white_space_is_bounded() {
    let mut failures = Vec::new();
    for (_, tokenizer, constraint) in compiled(&Grammar::JsonSchema(json!({"type": "array"}))) {
        for (space, expected) in [
            (" ".to_owned(), true),
            ("\n".to_owned() + &" ".repeat(48), true),
            ("\n\t".to_owned(), true),
            ("  ".to_owned(), false),
            ("\n\n".to_owned(), false),
            ("\n".to_owned() + &" ".repeat(49), false),
        ] {
            let text = format!("[{space}1]");
            if follows(constraint.clone(), &tokenizer, &text) != expected {
                failures.push(format!("{text:?}: not {expected}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A token is in the mask exactly when it is accepted; where text is forced, the mask has the way
/// in which the tokenizer cuts it, and other ways are accepted too.
#[test]
fn masks_are_what_is_accepted() {
    let grammars = [
        Grammar::JsonSchema(json!({"properties": {"name": {"type": "string"}}})),
        Grammar::Regex("the (the|there|then)* end".to_owned()),
        Grammar::Gbnf("root ::= \"(\" root \")\" | [a-z]*".to_owned()),
    ];
    for grammar in &grammars {
        for (name, tokenizer, mut constraint) in compiled(grammar) {
            let mut random = Random(7);
            for _ in 0..25 {
                if constraint.is_finished() {
                    break;
                }
                let is_forced = !constraint.forced().is_empty();
                let mask = constraint.mask().unwrap().clone();
                for id in 0..tokenizer.vocab_size() as u32 + 40 {
                    let before = constraint.clone();
                    let is_accepted = constraint.accept(id).is_ok();
                    if is_accepted {
                        constraint = before;
                    }
                    let expected = mask.contains(id);
                    let agree = is_accepted == expected || is_forced && is_accepted;
                    assert!(agree, "{name} {grammar:?}: token {id}, {expected}");
                }
                let allowed: Vec<u32> = mask.iter().collect();
                constraint.accept(allowed[random.below(allowed.len())]).unwrap();
            }
        }
    }
}

#[test]
fn ends_come_when_the_grammar_can_stop() {
    let (_, tokenizer, constraint) = compiled(&Grammar::Regex("ab*".to_owned())).remove(0);
    let end = tokenizer.id("<|end|>").unwrap();
    let (a, b) = (tokenizer.id("a").unwrap(), tokenizer.id("b").unwrap());
    let begin = tokenizer.id("<|begin|>").unwrap();

    let mut answer = constraint.clone();
    assert!(!answer.may_end().unwrap() && !answer.allowed(end).unwrap());
    let error = answer.accept(end).unwrap_err();
    assert_eq!(error.to_string(), "constrained answer: token `501` (`<|end|>`) cannot come next");
    assert_eq!(error.kind(), ErrorKind::Constraint);
    assert!(answer.accept(begin).is_err() && answer.accept(b).is_err());
    // Nothing of that counts.
    answer.accept(a).unwrap();
    assert!(answer.may_end().unwrap() && answer.allowed(end).unwrap());
    assert!(!answer.is_finished() && answer.allowed(b).unwrap());
    answer.accept(b).unwrap();
    let mut other = answer.clone();
    answer.accept(end).unwrap();
    assert!(answer.is_finished() && answer.may_end().unwrap());
    assert_eq!(answer.mask().unwrap().iter().collect::<Vec<_>>(), [end]);
    assert!(answer.accept(b).is_err());
    answer.accept(end).unwrap();
    // The clone went no further.
    assert!(!other.is_finished());
    other.accept(b).unwrap();

    let (_, tokenizer, mut answer) = compiled(&Grammar::Regex("the end".to_owned())).remove(0);
    let mut text = Vec::new();
    while !answer.is_finished() {
        let forced = answer.forced().to_vec();
        assert!(!forced.is_empty());
        for id in forced {
            answer.accept(id).unwrap();
            text.extend_from_slice(&tokenizer.token_bytes(id));
        }
    }
    assert_eq!(text, b"the end");
}

/// Marks that are control tokens come where a grammar names them, and nowhere else.
#[test]
fn control_tokens_are_no_text() {
    let begin = format!("<[{}]>", 500);
    for (grammar, expected) in [
        (Grammar::Regex(r"[\s\S]+".to_owned()), false),
        (Grammar::Lark(format!("start: {begin} \"a\"")), true),
        (Grammar::Lark("start: <|begin|> \"a\"".to_owned()), true),
        (Grammar::Lark("start: \"<|begin|>a\"".to_owned()), false),
    ] {
        let mut answer = compile(&grammar).unwrap();
        assert_eq!(answer.allowed(500).unwrap(), expected, "{grammar:?}");
        if expected {
            answer.accept(500).unwrap();
            assert!(!answer.allowed(500).unwrap(), "{grammar:?}");
        }
    }
}

fn compile(grammar: &Grammar) -> Result<Constraint, rushlight_text::Error> {
    let [(_, tokenizer), _] = tokenizers();
    Constraints::new(tokenizer).compile(grammar)
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let schema = |value: Value| Grammar::JsonSchema(value);
    let regex = |text: &str| Grammar::Regex(text.to_owned());
    let lark = |text: &str| Grammar::Lark(text.to_owned());
    let cases = [
        (schema(json!({"not": {"type": "null"}})), "has the keyword `not`, which is not supported"),
        (schema(json!({"type": "string", "maxLenght": 3})), "has the keyword `maxLenght`"),
        (
            schema(json!({"properties": {"a": {"items": {"if": true}}}})),
            "JSON schema `/properties/a/items` has the keyword `if`",
        ),
        (
            schema(json!({"$ref": "#/$defs/a", "$defs": {"a": {"contains": {}}}})),
            "JSON schema `/$defs/a` has the keyword `contains`",
        ),
        (schema(json!({"x-guidance": {"lenient": true}, "not": {}})), "keyword `x-guidance`"),
        (schema(json!({"anyOf": [true, {"$id": "a"}]})), "`/anyOf/1` has the keyword `$id`"),
        (schema(json!({"uniqueItems": true})), "has the keyword `uniqueItems`"),
        (schema(json!({"type": "text"})), "`/type` is `\"text\"`, expected types of JSON"),
        (schema(json!({"type": []})), "`/type` is `[]`"),
        (schema(json!({"format": "idn-email"})), "`/format` is `\"idn-email\"`, expected one of"),
        (schema(json!({"pattern": "a\\"})), "`/pattern` ends in a lone backslash"),
        (schema(json!({"type": "string", "pattern": "(?=a)b"})), "look-around"),
        (schema(json!({"type": "string", "pattern": "(a"})), "unclosed group"),
        (schema(json!({"minItems": -1})), "`/minItems` is `-1`, expected an integer from `0`"),
        (schema(json!({"maxLength": 4_294_967_297_u64})), "expected an integer from `0` to"),
        (schema(json!({"const": 9_007_199_254_740_993_u64})), "at most 53 bits"),
        (schema(json!({"minimum": 1e300})), "at most 53 bits"),
        (schema(json!({"multipleOf": 0})), "`/multipleOf` is `0`, expected a number above `0`"),
        (
            schema(json!({"allOf": [true], "patternProperties":
                {"^a": true, "^b": true, "^c": true, "^d": true, "^e": true}})),
            "JSON schema `/patternProperties` has `5` patterns of names, expected at most `4`",
        ),
        (schema(json!({"exclusiveMinimum": true})), "expected a number, or `minimum` beside it"),
        (schema(json!({"enum": []})), "`/enum` is `[]`, expected a list of values"),
        (schema(json!({"required": ["a", 1]})), "`/required` is `[\"a\",1]`, expected a list"),
        (schema(json!({"properties": []})), "expected an object of schemas"),
        (schema(json!({"items": 3})), "`/items` is `3`, expected an object"),
        (schema(json!({"$ref": "https://a/b"})), "is `https://a/b`, expected one within"),
        (schema(json!({"$ref": "#/$defs/none"})), "`#/$defs/none`, which the schema does not have"),
        (schema(json!(false)), "is `false`, which no answer satisfies"),
        (schema(json!([])), "is `[]`, expected an object"),
        (schema(json!({"type": "integer", "minimum": 3, "maximum": 2})), "minimum"),
        (
            schema(json!({"type": "object", "properties": {"a": false}, "required": ["a"]})),
            "required property 'a' is unsatisfiable",
        ),
        (
            schema(json!({"oneOf": [{"type": "number"}, {"type": "integer"}]})),
            "JSON schema `/oneOf`: the branches of `oneOf` may overlap",
        ),
        (
            schema(json!({"properties": {"a": {"items": {"oneOf": [{}, {"type": "null"}]}}}})),
            "JSON schema `/properties/a/items/oneOf`: the branches",
        ),
        (
            schema(json!({"minProperties": 2, "properties": {"a": {}, "b": {}}})),
            "JSON schema `/minProperties`: min/maxProperties",
        ),
        (regex(""), "is empty"),
        (regex("a(b"), "unclosed group"),
        (regex("a\\"), "ends in a lone backslash"),
        (regex("(?=a)b"), "look-around"),
        (regex("a{3,2}"), "invalid repetition count"),
        (regex(r"\bword"), "lookarounds not supported"),
        (lark(""), "no start rule found"),
        (lark("start: a b\na: \"x\"\n"), "unknown name: \"b\""),
        (lark("start: \"a\nb: \"c\""), "1("),
        (lark("start: \"a\"\nother: ("), "2("),
        (lark("start: <|none|>"), "unknown special token"),
        (lark("start: @other"), "other"),
        (lark("start: %json {\"not\": {}}"), "in line `1`: JSON schema has the keyword `not`"),
        (lark("start: %json {\"a\": }"), "failed to parse"),
        (Grammar::Gbnf("root ::= missing".to_owned()), "in line `1`: there is no rule `missing`"),
        (Grammar::Gbnf("root ::= root \"a\"".to_owned()), "no answer can begin"),
        (schema(json!({"$ref": "#"})), "no answer can begin"),
    ];
    let mut failures = Vec::new();
    for (grammar, expected) in cases {
        match compile(&grammar) {
            Ok(_) => failures.push(format!("{grammar:?} is taken")),
            Err(error) => {
                let text = error.to_string();
                if !text.contains(expected) || error.kind() != ErrorKind::Grammar {
                    failures.push(format!("{grammar:?}\n  got  {text}\n  want {expected}"));
                }
                if text.contains("<state>") || text.contains("backtrace") {
                    failures.push(format!("{grammar:?}: {text}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn constraints_go_between_threads() {
    fn is_send<T: Send>() {}
    fn is_sync<T: Send + Sync + Clone>() {}
    is_send::<Constraint>();
    is_sync::<Constraints>();
    is_sync::<Grammar>();
}
