//! Templates out of hostile files (classes J1 and J2): each is an error or a short text, soon, in
//! little memory, on a thread with a small stack.

use std::time::{Duration, Instant};

use rushlight_text::{ChatTemplate, ErrorKind, Message, RenderOptions};

fn render(source: &str) -> Result<String, rushlight_text::Error> {
    let options = RenderOptions::default();
    ChatTemplate::new(source).and_then(|template| template.render(&[Message::user("hi")], options))
}

/// A loop that grows a value in a namespace `times` times by `step`, and `end`.
fn grow(times: usize, step: &str, end: &str) -> String {
    format!(
        "{{% set ns = namespace(s=[1], t='a') %}}{{% for i in range({times}) %}}{step}{{% endfor %}}{end}"
    )
}

fn hostile() -> Vec<(&'static str, String)> {
    let doubled =
        |end: &str| format!("{{% set s = [1] %}}{}{end}", "{% set s = s + s %}".repeat(40));
    let nested = "{% set ns.s = [ns.s, ns.s] %}";
    vec![
        // Lists that double, which fuel alone does not see.
        ("doubling in a namespace", grow(40, "{% set ns.s = ns.s + ns.s %}", "{{ ns.s|length }}")),
        ("doubling, length", doubled("{{ s|length }}")),
        ("doubling, print", doubled("{{ s }}")),
        ("doubling, join", doubled("{{ ''.join(s) }}")),
        (
            "doubling in a macro",
            "{% macro m(s, n) %}{% if n %}{{ m(s + s, n - 1) }}{% else %}\
             {{ s|length }}{% endif %}{% endmacro %}{{ m([1], 40) }}"
                .to_owned(),
        ),
        // Lists in lists, which print exponentially.
        ("nesting, print", grow(60, nested, "{{ ns.s }}")),
        ("nesting, json", grow(60, nested, "{{ ns.s|tojson }}")),
        ("nesting, concatenation", grow(60, nested, "{{ (ns.s ~ '')|length }}")),
        ("nesting, equality", grow(60, nested, "{{ ns.s == [ns.s] }}")),
        ("nesting, key", grow(60, nested, "{{ {ns.s: 1} }}")),
        ("nesting by dict", grow(60, "{% set ns.s = dict(a=ns.s, b=ns.s) %}", "{{ ns.s }}")),
        ("nesting by namespace", grow(60, "{% set ns.s = namespace(a=ns.s) %}", "{{ ns.s }}")),
        ("nesting, deep", grow(100_000, "{% set ns.s = [ns.s] %}", "{{ ns.s }}")),
        (
            "a namespace in itself",
            "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}".to_owned(),
        ),
        (
            "a namespace in a list in itself",
            "{% set ns = namespace() %}{% set ns.a = [ns] %}{{ ns }}".to_owned(),
        ),
        (
            "equality in loops",
            grow(
                15,
                nested,
                "{% for i in range(9999) %}{% for j in range(9999) %}\
             {{ 'x' if ns.s == [ns.s] }}{% endfor %}{% endfor %}",
            ),
        ),
        // Texts.
        ("text by ~", grow(60, "{% set ns.t = ns.t ~ ns.t %}", "{{ ns.t|length }}")),
        ("text by *", "{{ ('a' * 10000000000)|length }}".to_owned()),
        ("text by join", grow(60, "{% set ns.t = [ns.t, ns.t]|join %}", "")),
        ("text by replace method", grow(60, "{% set ns.t = ns.t.replace('a', 'aa') %}", "")),
        (
            "text by replace of a million",
            "{% set s = 'a' * 1000000 %}{{ s.replace('a', s)|length }}".to_owned(),
        ),
        (
            "text by replace filter",
            "{% set s = 'a' * 1000000 %}{{ s|replace('a', s)|length }}".to_owned(),
        ),
        ("text by format", "{{ '%1000000000d'|format(1) }}".to_owned()),
        ("text by indent", "{{ 'a'|indent(10000000000) }}".to_owned()),
        (
            "a million long texts",
            "{% set s = 'a' * 1000000 %}{{ ([s] * 1000000)|length }}".to_owned(),
        ),
        // The abort of minijinja's own filter.
        ("json indent", "{{ [1]|tojson(indent=10000000000) }}".to_owned()),
        // Steps.
        (
            "nested loops",
            "{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}\
             {% endfor %}"
                .to_owned(),
        ),
        ("recursion", "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}".to_owned()),
        ("range", "{{ range(1000000000)|list }}".to_owned()),
        ("power", "{{ 10 ** 1000000000 }}".to_owned()),
        // The parser.
        ("parentheses", format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000))),
        ("minus", format!("{{{{ {}1 }}}}", "-".repeat(200_000))),
        ("not", format!("{{{{ {}1 }}}}", "not ".repeat(50_000))),
        ("attributes", format!("{{{{ a{} }}}}", ".b".repeat(100_000))),
        ("plus", format!("{{{{ 1{} }}}}", "+1".repeat(100_000))),
        ("elif", format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(20_000))),
        ("blocks", "{% if 1 %}".repeat(20_000)),
        ("lists", format!("{{{{ {} }}}}", "[".repeat(100_000))),
        ("size", "a".repeat(2 << 20)),
        ("no end", "{{ 'a".to_owned()),
        // Ways out of the sandbox.
        ("files", "{% include '/etc/passwd' %}".to_owned()),
        ("imports", "{% import 'os' as os %}".to_owned()),
        ("classes", "{{ ''.__class__.__mro__ }}".to_owned()),
        ("globals", "{{ raise_exception.__globals__['os'].popen('id') }}".to_owned()),
        ("the check's name", "{{ bound([1]) }}".to_owned()),
    ]
}

#[test]
fn hostile_templates_are_refused_soon() {
    // A server's worker has two megabytes of stack.
    let worker = std::thread::Builder::new().stack_size(2 << 20).spawn(|| {
        let mut failures = Vec::new();
        for (name, source) in hostile() {
            let began = Instant::now();
            match render(&source) {
                Err(error) if error.kind() == ErrorKind::Template => {}
                got => failures.push(format!("{name}: {got:?}")),
            }
            // Bounds of work, not of speed: unbounded ones take years.
            if began.elapsed() > Duration::from_secs(60) {
                failures.push(format!("{name}: took {:?}", began.elapsed()));
            }
        }
        failures
    });
    let failures = worker.unwrap().join().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What stays below the limits is rendered.
#[test]
fn long_but_honest() {
    for (name, source, expected) in [
        ("minus", format!("{{{{ {}1 }}}}", "-".repeat(4000)), "1".to_owned()),
        ("plus", format!("{{{{ 1{} }}}}", "+1".repeat(2000)), "2001".to_owned()),
        (
            "elif",
            format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(1000)),
            String::new(),
        ),
        ("append", grow(300, "{% set ns.s = ns.s + [i] %}", "{{ ns.s|length }}"), "301".to_owned()),
    ] {
        assert_eq!(render(&source).unwrap(), expected, "{name}");
    }
    let long = "word ".repeat(1_000_000);
    let template =
        ChatTemplate::new("{% for m in messages %}{{ '<' + m.content + '>\n' }}{% endfor %}");
    let text = template.unwrap().render(&[Message::user(long)], RenderOptions::default()).unwrap();
    assert_eq!(text.len(), 5_000_003);
}
