//! A server that is told to work less does, and says so.

use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use rushlight_server::{Governed, ServedModel, Throttle, Throttling};
use rushlight_testkit::tiny;
use serde_json::{Value, json};

use crate::support::{PATIENCE, Running, load, until};

fn throttling(change: impl FnOnce(&mut Throttling)) -> Throttling {
    let mut throttling = Throttling::default();
    change(&mut throttling);
    throttling
}

fn slowed(step: usize) -> Governed {
    let mut governed = Governed::default();
    (governed.step, governed.rung) = (step, "duty");
    governed.setting = "half of the time".to_owned();
    governed.limited_by = Some("75.1 °C, the limit is 75 °C".to_owned());
    governed.limit_celsius = Some(75.0);
    governed.celsius = Some(75.1);
    governed
}

fn ask(priority: i32) -> Value {
    json!({ "prompt": "abc", "max_tokens": 60, "ignore_eos": true, "priority": priority })
}

#[test]
fn steps_are_told_and_pauses_are_kept() {
    let throttle = Throttle::new();
    let own = throttle.clone();
    let server = Running::start(|options| options.throttle = Some(own));
    let time = || {
        let (begin, before) = (Instant::now(), throttle.work());
        assert_eq!(server.post("/v1/completions", &ask(0)).status, 200);
        let after = throttle.work();
        assert!(after.tokens >= before.tokens + 60, "{after:?}");
        assert!(after.busy > before.busy && after.passes > before.passes);
        assert!(after.is_interactive);
        (begin.elapsed(), after.passes - before.passes)
    };
    time();
    let health = server.get("/health").json();
    assert_eq!((&health["governor"]["step"], &health["governor"]["rung"]), (&json!(0), &json!("")));
    throttle.set(throttling(|t| t.duty = 0.1), slowed(3));
    let (all, passes) = time();
    assert!(all > passes * 7, "{all:?} of which {passes:?}");

    let health = server.get("/health").json();
    assert_eq!(health["status"], "degraded");
    let governor = &health["governor"];
    assert_eq!((&governor["step"], &governor["steps_slower"]), (&json!(3), &json!(1)));
    let told = health["degradations"].as_array().unwrap();
    let speed = told.iter().find(|d| d["what"] == "the speed: half of the time");
    assert_eq!(speed.unwrap()["reason"], "75.1 °C, the limit is 75 °C");
    assert_eq!(server.metric("rushlight_governor_step{rung=\"duty\"}"), 3.0);
    assert_eq!(server.metric("rushlight_governor_steps_total{way=\"slower\"}"), 1.0);
    assert_eq!(server.metric("rushlight_governor_limit{of=\"celsius\"}"), 75.0);
    assert_eq!(server.metric("rushlight_governor_reading{of=\"celsius\"}"), 75.1);

    throttle.set(Throttling::default(), Governed::default());
    assert_eq!(server.get("/health").json()["governor"]["steps_faster"], 1);
    assert!(!server.get("/metrics").body.contains("rung=\"duty\""));
}

#[test]
fn a_prompt_that_comes_is_told_of_before_it_is_read() {
    let throttle = Throttle::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let (own, seen, watched) = (throttle.clone(), told.clone(), throttle.clone());
    throttle.on_reading(move || seen.lock().unwrap().push(watched.work().tokens));
    let server = Running::start(|options| options.throttle = Some(own));
    server.wait();
    assert_eq!(server.post("/v1/completions", &ask(0)).status, 200);
    let first = throttle.work();
    assert!(!first.is_reading && first.threads == 1 && first.rows > 0, "{first:?}");
    assert!(first.passing >= first.passes);
    assert_eq!(server.post("/v1/completions", &ask(0)).status, 200);
    // Once for each, before any of its tokens.
    let (told, all) = (told.lock().unwrap(), throttle.work().tokens);
    assert!(told.len() == 2 && told[0] == 0, "{told:?}");
    // The last pass of an answer is counted when who asked has it already.
    assert!(told[1] + 2 >= first.tokens && told[1] + 60 <= all + 2, "{told:?} of {all}");
}

#[test]
fn a_prompt_that_waits_for_a_place_is_told_of_again_when_it_gets_one() {
    let throttle = Throttle::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let (own, seen, watched) = (throttle.clone(), told.clone(), throttle.clone());
    throttle.on_reading(move || seen.lock().unwrap().push(watched.work().tokens));
    let server = Running::start(|options| {
        options.throttle = Some(own);
        options.scheduler.most_running = 1;
    });
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| assert_eq!(server.post("/v1/completions", &ask(0)).status, 200));
        }
    });
    // The answer before it has ended, but for its last pass at most, and nothing of it was read.
    until("its last pass is counted", || throttle.work().tokens >= 2 * 60);
    let (last, all) = (*told.lock().unwrap().last().unwrap(), throttle.work().tokens);
    assert!((59..=all - 60).contains(&last), "{last} of {all}");
}

#[test]
fn low_priority_is_refused_first() {
    let throttle = Throttle::new();
    let own = throttle.clone();
    let server = Running::start(|options| options.throttle = Some(own));
    throttle.set(throttling(|t| t.refuses_batch = true), slowed(9));
    let refused = server.post("/v1/completions", &ask(-1));
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["error"]["code"], "slowed_down");
    assert!(refused.body.contains("75.1 °C"), "{}", refused.body);
    assert_eq!(server.post("/v1/completions", &ask(0)).status, 200);
    throttle.set(Throttling::default(), Governed::default());
    assert_eq!(server.post("/v1/completions", &ask(-1)).status, 200);
}

#[test]
fn a_smaller_variant_answers_once_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let model = |name: &str, case: &str| {
        let file = dir.path().join(format!("{name}.gguf"));
        tiny::write_gguf(&tiny::case(case), &file);
        ServedModel::new(name, move || load(&file))
    };
    let (mut large, mut small) = (model("large", "llama2"), model("small", "llama2"));
    large.smaller = vec!["small".to_owned()];
    small.pinned = false;
    let throttle = Throttle::new();
    let own = throttle.clone();
    let server = Running::start_models(vec![large, small], |options| options.throttle = Some(own));
    server.wait();
    let answers = |name: &str| {
        let body = json!({ "model": name, "prompt": "abc", "max_tokens": 3 });
        let reply = server.post("/v1/completions", &body);
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()["model"].as_str().unwrap().to_owned()
    };
    let is_loaded = || {
        let health = server.get("/health").json();
        health["models"]
            .as_array()
            .unwrap()
            .iter()
            .any(|m| m["model"] == "small" && m["stage"] == "loaded")
    };
    assert_eq!(answers("large"), "large");
    throttle.set(throttling(|t| t.variant = 1), slowed(20));
    // Nobody waits for the variant.
    assert_eq!(answers("large"), "large");
    until("the variant is there", is_loaded);
    assert_eq!(answers("large"), "small");
    // More variants than there are: the smallest one.
    throttle.set(throttling(|t| t.variant = 3), slowed(21));
    assert_eq!(answers("large"), "small");
    // What is about the model itself is of itself.
    let shown = server.post("/api/show", &json!({ "model": "large" }));
    assert_eq!(shown.status, 200);
    let tokens = json!({ "model": "large", "content": "abc" });
    assert_eq!(server.post("/tokenize", &tokens).status, 200);
    // How long to keep a model is said of the one that was asked for.
    let chat = json!({ "model": "large", "prompt": "abc", "keep_alive": 0, "stream": false });
    assert_eq!(server.post("/api/generate", &chat).json()["model"], "small");
    assert_eq!(answers("large"), "small");
    assert!(is_loaded());
    throttle.set(Throttling::default(), Governed::default());
    assert_eq!(answers("large"), "large");
}

#[test]
fn a_server_stops_while_a_variant_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tiny.gguf");
    tiny::write_gguf(&tiny::case("llama2"), &file);
    let (begun, has_begun) = mpsc::channel();
    let of_large = file.clone();
    let mut large = ServedModel::new("large", move || load(&of_large));
    let mut small = ServedModel::new("small", move || {
        begun.send(()).unwrap();
        std::thread::sleep(Duration::from_secs(1));
        load(&file)
    });
    large.smaller = vec!["small".to_owned()];
    small.pinned = false;
    let throttle = Throttle::new();
    throttle.set(throttling(|t| t.variant = 1), slowed(20));
    let mut server =
        Running::start_models(vec![large, small], |options| options.throttle = Some(throttle));
    server.wait();
    let body = json!({ "model": "large", "prompt": "abc", "max_tokens": 3 });
    assert_eq!(server.post("/v1/completions", &body).json()["model"], "large");
    has_begun.recv_timeout(PATIENCE).unwrap();
    server.tell_to_stop();
    server.end().unwrap();
}

#[test]
fn without_a_throttle_nothing_is_told_of_one() {
    let server = Running::start(|_| {});
    assert_eq!(server.get("/health").json().get("governor"), None);
    assert!(!server.get("/metrics").body.contains("governor"));
}
