//! Bounds of size, number and time; clients that leave; the end.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Reply, Running, until};

/// The tiny model that goes on for longest.
const LONG: &str = "phi3_short";

/// A request that takes as long as the context lets it.
fn long() -> Value {
    json!({ "prompt": "abc", "max_tokens": 4000, "ignore_eos": true, "stream": true })
}

#[test]
fn bodies_are_bounded() {
    let server = Running::start(|options| {
        options.most_body_bytes = 1000;
        options.body_timeout = Duration::from_millis(200);
    });
    let body = json!({ "content": "x".repeat(1000) });
    let reply = server.post("/tokenize", &body);
    assert_eq!(reply.error(), "413 - request_too_large");
    // The same without saying the size first.
    let mut stream = server.connect();
    let head = "POST /tokenize HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                transfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    // The server may stop reading before the end.
    let _ = stream.write_all(format!("400\r\n{}\r\n0\r\n\r\n", "x".repeat(0x400)).as_bytes());
    assert_eq!(Reply::read(stream).error(), "413 - request_too_large");
    // One that never comes to its end.
    let mut stream = server.connect();
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(Reply::read(stream).error(), "408 - request_timeout");
    assert_eq!(server.post("/tokenize", &json!({ "content": "x" })).status, 200);
}

#[test]
fn there_is_room_for_so_many_large_bodies() {
    let server = Running::start(|options| options.most_body_bytes = 1000);
    let head = "POST /tokenize HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                content-length: 1000\r\nconnection: close\r\n\r\n";
    let open = || {
        let mut stream = server.connect();
        stream.write_all(format!("{head}{}", "x".repeat(990)).as_bytes()).unwrap();
        stream
    };
    let held: Vec<_> = (0..8).map(|_| open()).collect();
    until("the room is taken", || {
        let mut more = open();
        // It may be refused before its end.
        let _ = more.write_all(&[b'x'; 10]);
        let reply = Reply::read(more);
        reply.status == 503 && reply.error() == "503 - too_many_large_requests"
    });
    assert_eq!(server.post("/tokenize", &json!({ "content": "x" })).status, 200);
    drop(held);
    until("there is room again", || {
        let body = json!({ "content": "x".repeat(980) });
        server.post("/tokenize", &body).status == 200
    });
}

#[test]
fn heads_that_do_not_come_are_not_waited_for() {
    let server = Running::start(|options| options.head_timeout = Duration::from_millis(200));
    let begin = Instant::now();
    let mut stream = server.connect();
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: loc").unwrap();
    let mut rest = Vec::new();
    // It may be reset.
    let _ = stream.read_to_end(&mut rest);
    assert!(begin.elapsed() < Duration::from_secs(20));
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
    // One that is idle after a request.
    let begin = Instant::now();
    let mut stream = server.connect();
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.starts_with(b"HTTP/1.1 200"));
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn connections_beyond_the_bound_wait() {
    let server = Running::start(|options| options.most_connections = 1);
    until("the last connection of the start is gone", || server.get("/livez").status == 200);
    let held = server.connect();
    let mut second = server.connect();
    second
        .write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .unwrap();
    second.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(second.read(&mut [0]).is_err(), "it waits");
    drop(held);
    second.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    assert_eq!(Reply::read(second).status, 200);
}

#[test]
fn who_does_not_read_is_cut_off() {
    let server = Running::start(|options| {
        options.most_connections = 1;
        options.write_timeout = Duration::from_millis(300);
    });
    // The answer is larger than what the kernel keeps of a connection.
    let body = json!({ "content": "x".repeat(1 << 20), "with_pieces": true });
    let silent = server.begin("/tokenize", &body);
    until("the place is free again", || server.get("/livez").status == 200);
    let cut = Reply::read(silent);
    assert!(serde_json::from_str::<Value>(&cut.body).is_err(), "{} bytes", cut.body.len());
}

#[test]
fn a_full_queue_is_said_at_once() {
    let server = Running::start_tiny(LONG, |options| {
        options.scheduler.most_running = 1;
        options.scheduler.most_queued = 1;
    });
    let streams: Vec<_> = (0..12).map(|_| server.begin("/v1/completions", &long())).collect();
    let replies: Vec<Reply> = streams.into_iter().map(Reply::read).collect();
    let (good, refused): (Vec<_>, Vec<_>) = replies.iter().partition(|r| r.status == 200);
    assert!(good.len() >= 2 && !refused.is_empty(), "{} of 12 were answered", good.len());
    for reply in refused {
        assert_eq!(reply.error(), "429 - queue_full");
        assert!(reply.header("retry-after").is_some());
    }
    let many = json!({ "prompt": "abc", "n": 3 });
    let reply = server.post("/v1/completions", &many);
    assert_eq!(reply.status, 400, "it could never be answered: {reply:?}");
    assert_eq!(server.post("/v1/completions", &json!({ "prompt": "abc" })).status, 200);
}

#[test]
fn a_client_that_leaves_ends_its_answer() {
    let server = Running::start_tiny(LONG, |options| options.scheduler.most_running = 1);
    let mut stream = server.begin("/v1/completions", &long());
    let mut some = [0; 400];
    stream.read_exact(&mut some).unwrap();
    drop(stream);
    let ended = |how: &str| {
        let labels = format!("{{model=\"tiny\",finished_reason=\"{how}\"}}");
        server.metric(&format!("rushlight_request_finished_total{labels}"))
    };
    until("the streamed answer is ended", || ended("cancelled") == 1.0);
    // Several that are not streamed: one runs when its client leaves, the others wait.
    let mut whole = long();
    whole["stream"] = json!(false);
    whole["n"] = json!(8);
    let stream = server.begin("/v1/completions", &whole);
    until("one runs", || server.get("/health").json()["running"] == 1);
    drop(stream);
    until("nothing runs", || {
        let health = server.get("/health").json();
        health["running"] == 0 && health["queued"] == 0
    });
    assert!(ended("cancelled") > 5.0, "{}", server.get("/metrics").body);
    let begun = server.metric("rushlight_request_queue_time_seconds_count");
    assert!(begun < 5.0, "those that waited did not begin: {begun}");
}

#[test]
fn deadlines_end_answers() {
    let server = Running::start_tiny(LONG, |_| {});
    let mut body = long();
    body["deadline_ms"] = json!(1);
    body["stream"] = json!(false);
    assert_eq!(server.post("/v1/completions", &body).error(), "408 - deadline_exceeded");
    body["deadline_ms"] = json!(30);
    body["stream"] = json!(true);
    let reply = server.post("/v1/completions", &body);
    assert_eq!(reply.status, 200, "{reply:?}");
    let last = reply.body.trim_end().rsplit("data: ").next().unwrap();
    let error: Value = serde_json::from_str(last).unwrap();
    assert_eq!(error["error"]["code"], "deadline_exceeded", "{last}");
}

#[test]
fn a_server_that_is_told_to_stop_finishes_what_it_began() {
    let mut server = Running::start_tiny(LONG, |_| {});
    let mut stream = server.begin("/v1/completions", &long());
    let mut first = [0; 400];
    stream.read_exact(&mut first).unwrap();
    server.tell_to_stop();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("data: [DONE]"), "…{}", &rest[rest.len().saturating_sub(300)..]);
    server.end().unwrap();
}

#[test]
fn a_server_that_is_told_to_stop_does_not_wait_for_ever() {
    let mut server = Running::start_tiny(LONG, |options| options.grace = Duration::ZERO);
    let mut stream = server.begin("/v1/completions", &long());
    let mut first = [0; 400];
    stream.read_exact(&mut first).unwrap();
    server.tell_to_stop();
    server.end().unwrap();
    let mut rest = Vec::new();
    // It may be reset.
    let _ = stream.read_to_end(&mut rest);
    assert!(!String::from_utf8_lossy(&rest).contains("data: [DONE]"));
}
