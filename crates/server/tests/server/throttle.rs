//! A server that is told to work less does, and says so.

use std::time::Instant;

use rushlight_server::{Governed, Throttle, Throttling};
use serde_json::{Value, json};

use crate::support::Running;

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
fn without_a_throttle_nothing_is_told_of_one() {
    let server = Running::start(|_| {});
    assert_eq!(server.get("/health").json().get("governor"), None);
    assert!(!server.get("/metrics").body.contains("governor"));
}
