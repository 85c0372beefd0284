//! Ollama's routes.

use std::time::Duration;

use rushlight_testkit::model_path;
use serde_json::{Value, json};

use crate::support::{Reply, Running, load};

const GENERATE: &str = "/api/generate";
const CHAT: &str = "/api/chat";

/// Both routes, with what they are asked and where they answer.
const ROUTES: [(&str, &str); 2] = [(GENERATE, "/response"), (CHAT, "/message/content")];

/// A request of eight greedy tokens, with further fields.
fn ask(path: &str, fields: Value) -> Value {
    let mut body = json!({ "model": "tiny", "options": { "temperature": 0, "num_predict": 8 } });
    match path {
        GENERATE => body["prompt"] = json!("abc"),
        _ => body["messages"] = json!([{ "role": "user", "content": "abc" }]),
    }
    for (name, value) in fields.as_object().unwrap() {
        match (name.as_str(), value) {
            ("options", Value::Object(options)) => {
                for (name, value) in options {
                    body["options"][name] = value.clone();
                }
            }
            _ => body[name] = value.clone(),
        }
    }
    body
}

fn tool(name: &str) -> Value {
    json!({ "type": "function", "function": {
        "name": name,
        "description": "Says how the weather is.",
        "parameters": {
            "type": "object",
            "properties": { "city": { "type": "string", "maxLength": 12 } },
            "required": ["city"],
            "additionalProperties": false,
        },
    }})
}

fn text<'a>(reply: &'a Value, at: &str) -> &'a str {
    reply.pointer(at).and_then(Value::as_str).unwrap_or_else(|| panic!("{reply}"))
}

fn lines(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/x-ndjson"));
    assert!(reply.body.ends_with('\n'));
    reply.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The status of an error and its message, which is all that it has.
fn error(reply: &Reply) -> (u16, String) {
    let value = reply.json();
    assert_eq!(value.as_object().unwrap().len(), 1, "{reply:?}");
    (reply.status, value["error"].as_str().unwrap().to_owned())
}

fn assert_ended(line: &Value, reason: &str) {
    assert_eq!(line["done"], true, "{line}");
    assert_eq!(line["done_reason"], reason, "{line}");
    let number = |name: &str| line[name].as_u64().unwrap_or_else(|| panic!("{name}: {line}"));
    let parts = ["load_duration", "prompt_eval_duration", "eval_duration"].map(number);
    assert!(parts.iter().all(|part| *part > 0), "{line}");
    assert!(number("total_duration") + 3 >= parts.iter().sum(), "{line}");
    assert!(number("prompt_eval_count") > 0, "{line}");
    assert!(line.get("context").is_none());
}

#[test]
fn an_answer_has_the_shape_of_the_api() {
    let server = Running::start(|_| {});
    for (path, at) in ROUTES {
        let reply = server.post(path, &ask(path, json!({ "stream": false })));
        assert_eq!(reply.header("content-type"), Some("application/json"), "{reply:?}");
        let value = reply.json();
        assert_eq!(value["model"], "tiny");
        let time = value["created_at"].as_str().unwrap();
        assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
        assert!(!text(&value, at).is_empty());
        assert_ended(&value, "length");
        assert_eq!(value["eval_count"], 8);
        // Without a word it is streamed.
        let lines = lines(&server.post(path, &ask(path, json!({}))));
        let (last, pieces) = lines.split_last().unwrap();
        assert!(pieces.iter().all(|piece| piece["done"] == false));
        let told: String = pieces.iter().map(|piece| text(piece, at)).collect();
        assert_eq!(told, text(&value, at));
        assert_eq!(text(last, at), "");
        assert_ended(last, "length");
        if path == CHAT {
            assert!(lines.iter().all(|line| line["message"]["role"] == "assistant"));
        }
    }
}

#[test]
fn nothing_to_answer_asks_for_the_model() {
    let server = Running::start(|_| {});
    let cases = [
        (GENERATE, json!({ "model": "tiny" })),
        (GENERATE, json!({ "model": "tiny", "prompt": "", "keep_alive": -1 })),
        (CHAT, json!({ "model": "tiny" })),
        (CHAT, json!({ "model": "tiny", "messages": [], "keep_alive": "5m" })),
    ];
    for (path, body) in cases {
        let value = server.post(path, &body).json();
        assert_eq!((&value["done"], &value["done_reason"]), (&json!(true), &json!("load")));
    }
}

#[test]
fn names_have_a_tag_or_none() {
    let server = Running::start_named("tiny", &["own:1b"]);
    for (name, status) in
        [("tiny", 200), ("tiny:latest", 200), ("own:1b", 200), ("own", 404), ("tiny:1b", 404)]
    {
        let body = ask(CHAT, json!({ "model": name, "stream": false }));
        let reply = server.post(CHAT, &body);
        assert_eq!(reply.status, status, "{name}: {reply:?}");
        if status == 200 {
            assert_eq!(reply.json()["model"], name);
        }
        let shown = server.post("/api/show", &json!({ "model": name }));
        assert_eq!(shown.status, status, "{name}");
    }
}

#[test]
fn what_changes_nothing_is_taken() {
    let server = Running::start(|_| {});
    for (path, at) in ROUTES {
        let plain = server.post(path, &ask(path, json!({ "stream": false }))).json();
        let cases = [
            json!({ "keep_alive": 0, "think": false, "format": "", "logprobs": false }),
            json!({ "options": {
                "num_thread": 4, "num_gpu": 0, "num_batch": 8, "use_mmap": true, "numa": false,
                "num_ctx": 16, "num_keep": 4, "mirostat": 0, "mirostat_tau": 5, "tfs_z": 1,
                "min_p": 0, "typical_p": 1, "top_k": 40, "top_p": 0.9, "seed": 3,
                "repeat_penalty": 1.1, "repeat_last_n": 64, "presence_penalty": 0, "stop": [],
            } }),
            match path {
                GENERATE => json!({
                    "suffix": "", "system": "", "template": "", "context": [], "images": [],
                    "raw": false,
                }),
                _ => json!({ "tools": [] }),
            },
        ];
        for fields in cases {
            let mut body = ask(path, fields);
            body["stream"] = json!(false);
            let reply = server.post(path, &body);
            assert_eq!(text(&reply.json(), at), text(&plain, at), "{body}: {reply:?}");
        }
    }
}

#[test]
fn options_change_the_answer() {
    let server = Running::start(|_| {});
    let of = |fields: Value| {
        let mut body = ask(GENERATE, fields);
        body["stream"] = json!(false);
        server.post(GENERATE, &body).json()
    };
    let response = |fields: Value| text(&of(fields), "/response").to_owned();
    let drawn = |seed: i64| {
        response(json!({ "options": { "temperature": 1, "top_k": 0, "top_p": 1, "seed": seed } }))
    };
    assert_eq!(drawn(7), drawn(7));
    assert_ne!(drawn(7), drawn(8));
    let plain = of(json!({}));
    let count = |value: &Value| value["prompt_eval_count"].as_u64().unwrap();
    assert!(count(&of(json!({ "system": "Be short." }))) > count(&plain));
    let long = response(json!({ "options": { "num_predict": 24 } }));
    let letters: Vec<char> = long.chars().collect();
    let stop: String = letters[letters.len() / 2..][..2].iter().collect();
    let stopped = of(json!({ "options": { "num_predict": 24, "stop": [stop] } }));
    assert_eq!(text(&stopped, "/response"), long.split(&stop).next().unwrap());
    assert_ended(&stopped, "stop");
}

#[test]
fn what_is_wrong_is_said_with_its_parameter() {
    let server = Running::start(|_| {});
    let both = [
        (json!({ "model": "other" }), 404, "`other`"),
        (json!({ "model": null }), 400, "`model` is missing"),
        (json!({ "temperature": 1 }), 400, "`temperature` is not a parameter"),
        (json!({ "format": "yaml" }), 400, "`format` is the string `yaml`"),
        (json!({ "format": [1] }), 400, "`format`"),
        (json!({ "format": { "type": "objekt" } }), 400, "objekt"),
        (json!({ "format": { "type": "array", "uniqueItems": true } }), 400, "uniqueItems"),
        (json!({ "think": true }), 400, "`think`"),
        (json!({ "think": "low" }), 400, "`think`"),
        (json!({ "logprobs": true }), 400, "`logprobs`"),
        (json!({ "truncate": true }), 400, "`truncate`"),
        (json!({ "stream": "yes" }), 400, "`stream`"),
        (json!({ "options": { "temprature": 1 } }), 400, "`options.temprature`"),
        (json!({ "options": { "temperature": -1 } }), 400, "`options.temperature`"),
        (json!({ "options": { "num_ctx": 1_000_000 } }), 400, "`options.num_ctx`"),
        (json!({ "options": { "mirostat": 2 } }), 400, "`options.mirostat`"),
        (json!({ "options": { "tfs_z": 0.5 } }), 400, "`options.tfs_z`"),
        (json!({ "options": { "stop": [1] } }), 400, "`options.stop`"),
        (json!({ "options": [] }), 400, "`options`"),
    ];
    let image = json!([{ "role": "user", "content": "x", "images": ["aGk="] }]);
    let call = json!({ "function": { "name": "f", "arguments": {} } });
    let calling = json!({ "role": "assistant", "tool_calls": [call] });
    let own = [
        (GENERATE, json!({ "prompt": 1 }), 400, "`prompt`"),
        (GENERATE, json!({ "suffix": "x" }), 400, "`suffix`"),
        (GENERATE, json!({ "template": "x" }), 400, "`template`"),
        (GENERATE, json!({ "context": [1] }), 400, "`context`"),
        (GENERATE, json!({ "images": ["aGk="] }), 400, "`images`"),
        (GENERATE, json!({ "raw": true, "system": "x" }), 400, "`system`"),
        (GENERATE, json!({ "prompt": "long".repeat(600) }), 400, "context"),
        (CHAT, json!({ "tools": [{}] }), 400, "`tools[0].type`"),
        (CHAT, json!({ "tools": [tool(" ")] }), 400, "`tools[0].function.name`"),
        (CHAT, json!({ "tools": [tool("f")], "format": "json" }), 400, "`format`"),
        (CHAT, json!({ "tools": [tool("f")], "tool_choice": "required" }), 400, "`tool_choice`"),
        (CHAT, json!({ "messages": [calling] }), 400, "calls tools"),
        (GENERATE, json!({ "tools": [tool("f")] }), 400, "`tools`"),
        (CHAT, json!({ "messages": image }), 400, "`messages[0].images`"),
        (CHAT, json!({ "messages": [{ "content": "x" }] }), 400, "`messages[0].role`"),
        (CHAT, json!({ "messages": [{ "role": "king" }] }), 400, "`messages[0].role`"),
    ];
    let both = ROUTES.iter().flat_map(|(path, _)| {
        both.iter().map(move |(fields, status, message)| (*path, fields.clone(), *status, *message))
    });
    let mut failures = Vec::new();
    for (path, fields, status, message) in both.chain(own) {
        let found = error(&server.post(path, &ask(path, fields.clone())));
        if found.0 != status || !found.1.contains(message) {
            failures.push(format!("{path} {fields}: {found:?}, expected {status} {message}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_model_that_knows_nothing_follows_a_format() {
    let server = Running::start(|_| {});
    let schema = json!({
        "title": "Person",
        "type": "object",
        "properties": {
            "name": { "type": "string", "maxLength": 20 },
            "age": { "type": "integer", "minimum": 0, "maximum": 150 },
        },
        "required": ["name", "age"],
        "additionalProperties": false,
    });
    for (path, at) in ROUTES {
        for seed in 0..6 {
            let options =
                json!({ "temperature": 1.5, "top_k": 0, "seed": seed, "num_predict": 200 });
            let fields = |stream: bool| {
                ask(path, json!({ "format": schema, "options": options, "stream": stream }))
            };
            let whole = server.post(path, &fields(false)).json();
            let found: Value = serde_json::from_str(text(&whole, at)).unwrap();
            assert!((0..=150).contains(&found["age"].as_i64().unwrap()), "{found}");
            assert!(found["name"].is_string(), "{found}");
            assert_eq!(found.as_object().unwrap().len(), 2, "{found}");
            assert_ended(&whole, "stop");
            let lines = lines(&server.post(path, &fields(true)));
            let told: String = lines.iter().map(|line| text(line, at)).collect();
            assert_eq!(told, text(&whole, at));
        }
        let body = ask(path, json!({ "format": "json", "stream": false }));
        let reply = server.post(path, &body).json();
        assert!(text(&reply, at).starts_with('{'), "{reply}");
    }
}

/// The API cannot ask for a call. But a tool that is strict has an answer that begins like a call be
/// one, and where all signs are as likely, some seed begins it so.
#[test]
fn an_answer_that_begins_like_a_call_is_one() {
    let server = Running::start_tiny("llama_yarn", |_| {});
    let mut strict = tool("weather");
    strict["function"]["strict"] = json!(true);
    let chat = |seed: usize, most: usize, stream: bool| {
        let options = json!({
            "temperature": 100, "top_k": 0, "top_p": 1, "repeat_penalty": 1, "seed": seed,
            "num_predict": most,
        });
        ask(CHAT, json!({ "tools": [strict], "options": options, "stream": stream }))
    };
    let begins = |seed: &usize| {
        let reply = server.post(CHAT, &chat(*seed, 1, false)).json();
        // What waits while it could be a call is told in the end.
        text(&reply, "/message/content") == "{"
    };
    let seeds: Vec<usize> = (0..4000).filter(begins).take(2).collect();
    assert_eq!(seeds.len(), 2);
    for seed in seeds {
        let reply = server.post(CHAT, &chat(seed, 1200, false)).json();
        let message = &reply["message"];
        assert_eq!(message["content"], "", "{reply}");
        let [call] = message["tool_calls"].as_array().unwrap().as_slice() else { panic!() };
        assert_eq!(call["function"]["name"], "weather", "{call}");
        assert!(call["function"]["arguments"]["city"].is_string(), "{call}");
        assert_ended(&reply, "stop");
        let lines = lines(&server.post(CHAT, &chat(seed, 1200, true)));
        let (last, pieces) = lines.split_last().unwrap();
        let told: Vec<&Value> = pieces.iter().map(|line| &line["message"]).collect();
        assert_eq!(told, [message]);
        assert_eq!(last["message"], json!({ "role": "assistant", "content": "" }));
        assert_ended(last, "stop");
        // One that is cut is no call.
        let reply = server.post(CHAT, &chat(seed, 40, false)).json();
        assert!(reply["message"]["tool_calls"].is_null(), "{reply}");
        assert!(text(&reply, "/message/content").starts_with("{\"name\": \"weather\""), "{reply}");
        assert_ended(&reply, "length");
    }
}

#[test]
fn calls_and_what_they_gave_are_part_of_the_prompt() {
    let server = Running::start_tiny("llama_yarn", |_| {});
    let count = |messages: Value| {
        let body = ask(CHAT, json!({ "messages": messages, "stream": false }));
        let reply = server.post(CHAT, &body);
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["prompt_eval_count"].as_u64().unwrap()
    };
    let question = json!({ "role": "user", "content": "abc" });
    let call = json!({ "function": { "name": "weather", "arguments": { "city": "Rome" } } });
    let calling = json!({ "role": "assistant", "content": "", "tool_calls": [call] });
    let gave = |text: &str| json!({ "role": "tool", "tool_name": "weather", "content": text });
    let (none, short, long) = (
        count(json!([question])),
        count(json!([question, calling, gave("a")])),
        count(json!([question, calling, gave("abcdefghij")])),
    );
    assert!(short > none + 30 && long >= short + 9, "{none} {short} {long}");
}

#[test]
fn bodies_need_no_type_unless_a_browser_sent_them() {
    let server = Running::start(|_| {});
    let json = ("content-type", "application/json");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let plain = ("content-type", "text/plain");
    let ours = [("host", "localhost:1"), ("origin", "http://localhost:1")];
    let cases: [(&[(&str, &str)], u16); 9] = [
        (&[], 200),
        (&[form], 200),
        (&[json, ours[0], ours[1]], 200),
        (&[plain], 415),
        (&[ours[0], ours[1]], 415),
        (&[form, ours[0], ours[1]], 415),
        (&[form, ("sec-fetch-site", "cross-site")], 415),
        (&[("referer", "http://evil.example/")], 415),
        (&[json, ("origin", "http://evil.example")], 403),
    ];
    let body = ask(GENERATE, json!({ "stream": false })).to_string();
    for (headers, want) in cases {
        let reply = server.send("POST", GENERATE, headers, &body);
        assert_eq!(reply.status, want, "{headers:?} {reply:?}");
        if want != 200 {
            error(&reply);
        }
    }
    // Other APIs have no such users.
    assert_eq!(server.send("POST", "/v1/completions", &[form], &body).status, 415);
}

#[test]
fn what_fails_before_it_is_read_is_said_in_the_same_words() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    // Of `secret`.
    let digest = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    std::fs::write(&keys, digest).unwrap();
    let server = Running::start(|options| {
        options.key_file = Some(keys);
        options.most_body_bytes = 1000;
    });
    let key = ("authorization", "Bearer secret");
    let large = "x".repeat(1001);
    let cases = [
        ("POST", CHAT, &[][..], "{}", 401),
        ("GET", "/api/tags", &[], "", 401),
        ("POST", CHAT, &[key], &large, 413),
        ("POST", CHAT, &[key], "{", 400),
        ("GET", CHAT, &[key], "", 405),
        ("POST", "/api/pull", &[key], "{}", 404),
        ("POST", "/api/pull", &[key], "{}", 404),
    ];
    for (method, path, headers, body, want) in cases {
        assert_eq!(error(&server.send(method, path, headers, body)).0, want, "{method} {path}");
    }
    assert_eq!(server.send("GET", "/api/tags", &[key], "").status, 200);
}

#[test]
fn the_model_is_listed_and_shown() {
    let server = Running::start_named("tiny", &["own:1b"]);
    let tags = server.get("/api/tags").json();
    let models = tags["models"].as_array().unwrap();
    let names: Vec<&str> = models.iter().map(|model| model["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["tiny:latest", "own:1b"]);
    for model in models {
        assert_eq!(model["model"], model["name"]);
        assert_eq!(model["digest"].as_str().unwrap().len(), 64);
        assert!(model["size"].as_u64().unwrap() > 0);
        assert_eq!(model["details"]["family"], "llama");
        assert!(model["modified_at"].as_str().unwrap().ends_with('Z'));
    }
    let running = server.get("/api/ps").json();
    let running = &running["models"][0];
    assert_eq!(running["name"], "tiny:latest");
    assert_eq!(running["size_vram"], 0);
    assert_eq!(running["context_length"], server.get("/health").json()["context"]);
    assert!(running["expires_at"].is_string());
    let shown = server.post("/api/show", &json!({ "name": "tiny", "verbose": true })).json();
    assert_eq!(shown["capabilities"], json!(["completion"]));
    assert!(shown["template"].as_str().unwrap().contains("messages"), "{shown}");
    assert_eq!(shown["details"], models[0]["details"]);
    let info = &shown["model_info"];
    assert_eq!(info["general.architecture"], "llama");
    assert!(info["llama.context_length"].as_u64().unwrap() > 0);
    assert!(info["general.parameter_count"].as_u64().unwrap() > 1000);
    let version = server.get("/api/version").json();
    assert_eq!(version["version"], server.get("/health").json()["version"]);
    assert_eq!(error(&server.post("/api/show", &json!({}))).0, 400);
    assert_eq!(server.send("HEAD", "/api/version", &[], "").status, 200);
}

#[test]
fn a_stream_that_fails_says_so_in_its_last_line() {
    // How long it takes until an answer is under way depends on the machine.
    let failed = [5, 20, 80].into_iter().any(|ms| {
        let server = Running::start_tiny("phi3_short", |options| {
            options.answer_timeout = Some(Duration::from_millis(ms));
        });
        // The model ends its answers at random.
        (0..8).any(|seed| {
            let options = json!({ "num_predict": -1, "temperature": 100, "seed": seed });
            let reply = server.post(GENERATE, &ask(GENERATE, json!({ "options": options })));
            reply.status == 200
                && lines(&reply).pop().unwrap()["error"]
                    .as_str()
                    .is_some_and(|message| message.contains("deadline"))
        })
    });
    assert!(failed, "no answer was late");
}

#[test]
fn smollm2_is_135_million_numbers_and_knows_berlin() {
    let Some(file) = model_path() else { return };
    let server = Running::start_with(move || load(&file), |_| {});
    server.wait();
    let details = &server.get("/api/tags").json()["models"][0]["details"];
    assert_eq!(details["parameter_size"], "134.52M");
    assert_eq!(details["quantization_level"], "Q4_1");
    let question = "What is the capital of Germany?";
    let body = json!({
        "prompt": question, "stream": false, "options": { "temperature": 0, "num_predict": 24 },
        "model": "tiny",
    });
    let value = server.post(GENERATE, &body).json();
    assert!(text(&value, "/response").contains("Berlin"), "{value}");
    assert_ended(&value, "stop");
    let mut raw = body;
    raw["raw"] = json!(true);
    let raw = server.post(GENERATE, &raw).json();
    let count = |value: &Value| value["prompt_eval_count"].as_u64().unwrap();
    assert!(count(&raw) < count(&value), "{raw}");
    let body = json!({
        "messages": [
            { "role": "user", "content": question },
            { "role": "assistant", "content": "The capital of Germany is" },
        ],
        "stream": false, "options": { "temperature": 0, "num_predict": 24 }, "model": "tiny",
    });
    let value = server.post(CHAT, &body).json();
    assert!(text(&value, "/message/content").starts_with(" Berlin"), "{value}");
}
