//! Traces reach a collector, and tell nothing of texts.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use rushlight_server::Traces;
use serde_json::{Value, json};

use crate::support::{PATIENCE, Running};

/// A collector, and what it is told.
fn collector() -> (String, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).unwrap() == 0 {
                    return;
                }
                let lower = line.to_lowercase();
                if let Some(text) = lower.strip_prefix("content-length:") {
                    length = text.trim().parse().unwrap();
                }
                head += &line;
                if line == "\r\n" {
                    break;
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
            if tell.send((head, serde_json::from_slice(&body).unwrap())).is_err() {
                return;
            }
        }
    });
    (address, told)
}

fn attribute<'a>(span: &'a Value, name: &str) -> &'a Value {
    let all = span["attributes"].as_array().unwrap();
    let found = all.iter().find(|attribute| attribute["key"] == name);
    found.map_or(&Value::Null, |a| a["value"].as_object().unwrap().values().next().unwrap())
}

#[test]
fn a_request_and_its_answers_are_spans_of_the_trace_that_it_names() {
    let (endpoint, told) = collector();
    let mut server = Running::start(|options| {
        options.traces = Some(Traces { endpoint, service: "box-7".to_owned() });
    });
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let traceparent = format!("00-{trace}-{parent}-01");
    let headers = [("content-type", "application/json"), ("traceparent", &traceparent)];
    let body = json!({ "prompt": "secret", "max_tokens": 3, "ignore_eos": true, "n": 2 });
    let reply = server.send("POST", "/v1/completions", &headers, &body.to_string());
    assert_eq!(reply.status, 200);
    // One that is not to be recorded.
    let silent = format!("00-{trace}-{parent}-00");
    server.send("GET", "/livez", &[("traceparent", &silent)], "");
    server.tell_to_stop();
    server.end().unwrap();
    let mut spans = Vec::new();
    while let Ok((head, body)) = told.recv_timeout(std::time::Duration::from_secs(2)) {
        assert!(head.starts_with("POST /v1/traces HTTP/1.1"), "{head}");
        assert!(!body.to_string().contains("secret"), "{body}");
        let resource = &body["resourceSpans"][0];
        assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "box-7");
        spans.extend(resource["scopeSpans"][0]["spans"].as_array().unwrap().clone());
    }
    let of_trace: Vec<&Value> = spans.iter().filter(|span| span["traceId"] == trace).collect();
    assert_eq!(of_trace.len(), 3, "{spans:?}");
    let request = of_trace.iter().find(|span| span["kind"] == 2).unwrap();
    assert_eq!(request["parentSpanId"], parent);
    assert_eq!(request["name"], "POST /v1/completions");
    assert_eq!(attribute(request, "http.response.status_code"), "200");
    for answer in of_trace.iter().filter(|span| span["kind"] == 1) {
        assert_eq!(answer["parentSpanId"], request["spanId"]);
        assert_eq!(attribute(answer, "gen_ai.request.model"), "tiny");
        assert_eq!(attribute(answer, "gen_ai.usage.output_tokens"), "3");
        assert_eq!(attribute(answer, "gen_ai.response.finish_reasons"), "length");
        let times = ["startTimeUnixNano", "endTimeUnixNano"];
        let times = times.map(|name| answer[name].as_str().unwrap().parse::<u64>().unwrap());
        assert!(times[0] > 1_600_000_000_000_000_000 && times[0] < times[1], "{answer}");
        assert_eq!(answer["events"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn a_collector_that_is_not_there_is_told_and_keeps_nobody_waiting() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let server = Running::start(|options| {
        options.traces = Some(Traces { endpoint, service: "x".to_owned() });
    });
    let begin = std::time::Instant::now();
    loop {
        let health = server.get("/health").json();
        if health["traces"]["failure"].is_string() {
            assert!(health["traces"]["dropped"].as_u64().unwrap() > 0);
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "{health}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
