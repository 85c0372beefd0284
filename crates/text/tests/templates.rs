//! Chats as transformers renders them, with the templates of published models.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use rushlight_text::{Builtin, ChatTemplate, Message, RenderOptions};
use serde_json::{Value, json};

const TEMPLATES: [(&str, &str); 3] = [
    ("smollm2", include_str!("golden/smollm2.jinja")),
    ("qwen2_5", include_str!("golden/qwen2_5.jinja")),
    ("qwen3", include_str!("golden/qwen3.jinja")),
];

#[test]
fn published_templates_render_as_in_transformers() {
    let templates: BTreeMap<&str, ChatTemplate> = TEMPLATES
        .into_iter()
        .map(|(name, source)| (name, ChatTemplate::new(source).unwrap()))
        .collect();
    let cases: Vec<Value> = serde_json::from_str(include_str!("golden/chat.json")).unwrap();
    let mut failures = Vec::new();
    for case in &cases {
        let messages: Vec<Message> = serde_json::from_value(case["messages"].clone()).unwrap();
        let extra: Vec<(&str, Value)> = case["extra"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        let options = RenderOptions {
            tools: case["tools"].as_array().unwrap(),
            add_generation_prompt: case["add_generation_prompt"].as_bool().unwrap(),
            bos: "<s>",
            eos: "</s>",
            extra: &extra,
            now: None,
        };
        let got = templates[case["template"].as_str().unwrap()].render(&messages, options);
        let expected = case["text"].as_str().unwrap();
        match got {
            Ok(text) if text == expected => {}
            got => failures.push(format!(
                "{} {} tools: {}\n  got  {got:?}\n  want {expected:?}",
                case["template"],
                case["chat"],
                !options.tools.is_empty()
            )),
        }
    }
    assert!(failures.is_empty(), "of {}:\n{}", cases.len(), failures.join("\n"));
}

#[test]
fn built_in_templates() {
    let messages =
        [Message::system("S"), Message::user("a"), Message::assistant("b"), Message::user("c")];
    let options = RenderOptions { add_generation_prompt: true, bos: "<bos>", ..Default::default() };
    for (builtin, expected) in [
        (
            Builtin::ChatMl,
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\na<|im_end|>\n\
             <|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n\
             <|im_start|>assistant\n",
        ),
        (
            Builtin::Llama3,
            "<bos><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|>\
             <|start_header_id|>user<|end_header_id|>\n\na<|eot_id|>\
             <|start_header_id|>assistant<|end_header_id|>\n\nb<|eot_id|>\
             <|start_header_id|>user<|end_header_id|>\n\nc<|eot_id|>\
             <|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
        (
            Builtin::Gemma,
            "<bos><start_of_turn>user\nS\n\na<end_of_turn>\n<start_of_turn>model\nb<end_of_turn>\n\
             <start_of_turn>user\nc<end_of_turn>\n<start_of_turn>model\n",
        ),
        (
            Builtin::Phi3,
            "<|system|>\nS<|end|>\n<|user|>\na<|end|>\n<|assistant|>\nb<|end|>\n<|user|>\nc<|end|>\n\
             <|assistant|>\n",
        ),
        (Builtin::Plain, "S\n\na\n\nb\n\nc"),
    ] {
        let text = ChatTemplate::builtin(builtin).render(&messages, options).unwrap();
        assert_eq!(text, expected, "{builtin:?}");
    }
}

/// What templates lean on beyond Jinja: Python's methods and transformers' functions. Expected
/// values from Python.
#[test]
fn python_in_templates() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_732_375_999);
    let options = RenderOptions { now: Some(now), ..Default::default() };
    let mut failures = Vec::new();
    for (source, expected) in [
        ("{{ ' a '.strip() }}|{{ 'xax'.strip('x') }}|{{ ' a'.lstrip() }}", "a|a|a"),
        ("{{ 'a,b,,c'.split(',') }}", "['a', 'b', '', 'c']"),
        ("{{ ' a  b '.split() }}{{ 'a b c'.split(' ', 1) }}", "['a', 'b']['a', 'b c']"),
        ("{{ 'a/b/c'.rsplit('/', 1)[-1] }}", "c"),
        ("{{ 'abc'.startswith('ab') }}{{ 'abc'.endswith(('x', 'c')) }}", "TrueTrue"),
        ("{{ 'aXbX'.replace('X', '-') }}{{ 'aXbX'.replace('X', '-', 1) }}", "a-b-a-bX"),
        ("{{ 'hELLO wORLD'.title() }} {{ 'hELLO'.capitalize() }}", "Hello World Hello"),
        ("{{ 'ab'.upper() }}{{ 'AB'.lower() }}{{ 'abab'.count('ab') }}", "ABab2"),
        ("{{ 'éab'.find('b') }} {{ 'ab'.find('z') }}", "2 -1"),
        ("{{ '-'.join(['a', 'b']) }}", "a-b"),
        ("{{ 'a{}b{}'.format(1, 'x') }} {{ '{1}{{{0}'.format(1, 2) }}", "a1bx 2{1"),
        ("{{ {'a': 1}.get('b', 2) }}{{ {'a': 1}.get('a') }}", "21"),
        ("{% for k, v in {'z': 1, 'a': 2}.items() %}{{ k }}{{ v }}{% endfor %}", "z1a2"),
        ("{{ {'z': 1, 'a': 2}.keys() | list }}{{ {'z': 1}.values() | list }}", "['z', 'a'][1]"),
        ("{{ none }} {{ true }} {{ 1.0 }}", "None True 1.0"),
        (
            "{{ none is iterable }} {{ [] is iterable }} {{ undefined_name is iterable }}",
            "False True True",
        ),
        (
            "{{ {'b': [1, 2.5, none], 'a': 'é\"\n<'} | tojson }}",
            r#"{"b": [1, 2.5, null], "a": "é\"\n<"}"#,
        ),
        ("{{ {'b': 1, 'a': [] } | tojson(indent=2) }}", "{\n  \"b\": 1,\n  \"a\": []\n}"),
        (
            "{{ {'b': 1, 'a': 'é🦙'} | tojson(sort_keys=true, ensure_ascii=true) }}",
            r#"{"a": "\u00e9\ud83e\udd99", "b": 1}"#,
        ),
        ("{{ [1, {'a': 2}] | tojson(separators=(',', ':')) }}", r#"[1,{"a":2}]"#),
        ("{{ strftime_now('%d %b %Y') }}", "23 Nov 2024"),
        ("a\n  {% if true %}\n  b\n  {% endif %}\nc\n", "a\n  b\nc"),
        ("{% generation %}x{% endgeneration %}{%- generation -%} y {%- endgeneration -%}", "xy"),
        (
            "{% set ns = namespace(l=[]) %}{% for m in [1, 2] %}{% set ns.l = ns.l + [m] %}\
          {% endfor %}{{ ns.l | length }}{{ ns.l[1:] }}",
            "2[2]",
        ),
        (
            "{% macro m(a, b='x') %}{{ a }}{{ b }}{% endmacro %}{{ m('1') }}{{ m('2', b='y') }}",
            "1x2y",
        ),
        (
            "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}\
          {% endif %}{{ i }}{{ loop.last }}{% endfor %}",
            "0False2False",
        ),
        ("{{ messages[0]['role'] ~ messages[-1].content ~ (tools is none) }}", "userhiTrue"),
        ("{{ '<' | e }}{{ ['b', 'a'] | sort | join(',') }}{{ 'x' if 'a' in 'bar' }}", "&lt;a,bx"),
    ] {
        let got = ChatTemplate::new(source)
            .and_then(|template| template.render(&[Message::user("hi")], options));
        match got {
            Ok(text) if text == expected => {}
            got => failures.push(format!("{source}\n  got  {got:?}\n  want {expected:?}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn refusals_speak_the_templates_words() {
    let template = ChatTemplate::new("a\n{{ raise_exception('roles must alternate') }}").unwrap();
    let error = template.render(&[], RenderOptions::default()).unwrap_err();
    assert_eq!(error.kind(), rushlight_text::ErrorKind::Template);
    assert!(error.to_string().contains("roles must alternate"), "{error}");
    assert!(error.to_string().contains("line 2"), "{error}");
}

#[test]
fn messages_read_openai_json() {
    let message: Message = serde_json::from_value(json!({
        "role": "assistant",
        "content": null,
        "tool_calls": [{"id": "1", "type": "function",
                        "function": {"name": "f", "arguments": {"a": 1}}}],
    }))
    .unwrap();
    assert_eq!(message.tool_calls[0].function.name, "f");
    let template = ChatTemplate::new("{{ messages | tojson }}").unwrap();
    assert_eq!(
        template.render(&[message], RenderOptions::default()).unwrap(),
        r#"[{"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}]}]"#
    );
}
