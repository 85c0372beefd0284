//! Pulls of one file from a web server.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rushlight_store::{Digest, ErrorKind, Kind, Means, Phase, Source, Store};

use crate::child;
use crate::models::{assert_clean, blobs, gguf, part, store};
use crate::server::{Reply, Request, Server};

const TAG: &str = "\"v1\"";

fn pull(store: &Store, url: &str) -> Result<rushlight_store::Added, rushlight_store::Error> {
    store.pull(&Source::parse(url)?, None, &())
}

fn partial_bytes(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir.join("ingest")).into_iter().flatten().flatten();
    let partials = entries.filter(|e| e.path().extension().is_some_and(|ext| ext == "partial"));
    partials.map(|entry| entry.metadata().map_or(0, |meta| meta.len())).sum()
}

#[test]
fn a_file_is_pulled_once_and_then_found() {
    let file = gguf(1, 1000);
    let body = file.clone();
    let server = Server::start(move |r| Reply::file(r, &body, TAG));
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let url = server.url("/Tiny-1M.Q4_0.gguf?download=true");

    let events = Mutex::new(Vec::new());
    let progress = |e: &rushlight_store::Event<'_>| {
        events.lock().unwrap().push((e.phase, e.done_bytes, e.total_bytes));
    };
    let first = store.resolve(&url, &progress).unwrap();
    assert_eq!(first.name.as_ref().unwrap().to_string(), "tiny:1m-q4_0");
    assert_eq!(first.kind, Kind::Gguf);
    assert_eq!(fs::read(&first.path).unwrap(), file);
    let len = file.len() as u64;
    assert_eq!(events.into_inner().unwrap().last(), Some(&(Phase::Download, len, Some(len))));

    let asked = server.seen().len();
    assert_eq!(store.resolve(&url, &()).unwrap(), first);
    assert_eq!(store.resolve("tiny:1m-q4_0", &()).unwrap(), first);
    assert_eq!(store.resolve("tiny", &()).unwrap(), first);
    assert_eq!(server.seen().len(), asked, "the second run asked again");
    assert_clean(&store, 1);

    let model = store.show("tiny").unwrap();
    assert_eq!(model.entry.source.as_deref(), Some(&*url));
    assert_eq!(model.entry.license.as_deref(), Some("apache-2.0"));
    assert_eq!(model.config.descriptor.family.as_deref(), Some("llama"));
    assert_eq!(model.files[0].digest, Digest::of(&file));
}

#[test]
fn a_broken_download_goes_on_where_it_was() {
    let file = gguf(2, 100_000);
    let (body, count) = (file.clone(), AtomicUsize::new(0));
    let server = Server::start(move |request| {
        let mut reply = Reply::file(request, &body, TAG);
        // Three pieces, with an error of the server in between.
        match count.fetch_add(1, Ordering::Relaxed) {
            0 => reply.cut = Some(100_000),
            1 => return Reply::new(503, "later"),
            2 => reply.cut = Some(150_000),
            _ => {}
        }
        reply
    });
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let added = pull(&store, &server.url("/m.gguf")).unwrap();
    assert_eq!(added.files[0].means, Means::Fetched);
    let starts: Vec<_> = server.seen().iter().map(Request::from).collect();
    assert_eq!(starts, [0, 100_000, 100_000, 250_000]);
    assert!(server.seen()[1..].iter().all(|r| r.header("if-range") == Some(TAG)));
    assert_eq!(store.show("m").unwrap().files[0].digest, Digest::of(&file));
    assert_clean(&store, 1);
}

#[test]
fn a_killed_pull_leaves_nothing_whole_and_is_gone_on_with() {
    let file = gguf(3, 500_000);
    let (body, slow) = (file.clone(), Arc::new(AtomicUsize::new(1)));
    let pace = Arc::clone(&slow);
    let server = Server::start(move |request| {
        let mut reply = Reply::file(request, &body, TAG);
        if pace.load(Ordering::Relaxed) == 1 {
            reply.slow = Some(Duration::from_millis(20));
        }
        reply
    });
    let dir = tempfile::tempdir().unwrap();
    let url = server.url("/m.gguf");
    let mut child = child::pull(dir.path(), &url, None);
    child::wait_for("a part of the download", || partial_bytes(dir.path()) > 300_000);
    child.kill().unwrap();
    child.wait().unwrap();

    let store = store(dir.path());
    assert_eq!(store.list().unwrap(), []);
    assert_eq!(blobs(&store), 0);
    assert_eq!(store.show("m").unwrap_err().kind(), ErrorKind::NotFound);
    let had = partial_bytes(dir.path());
    assert!(had > 300_000 && had < file.len() as u64, "{had}");

    slow.store(0, Ordering::Relaxed);
    pull(&store, &url).unwrap();
    assert_eq!(server.seen().last().unwrap().from() as u64, had, "it began anew");
    assert_eq!(store.show("m").unwrap().files[0].digest, Digest::of(&file));
    assert_clean(&store, 1);
}

#[test]
fn a_beginning_is_not_continued_with_the_end_of_another_file() {
    // The second answers: a new version; no tag at all; a weak tag.
    for (first_tag, second_tag) in [(TAG, "\"v2\""), ("", ""), ("W/\"v1\"", "W/\"v1\"")] {
        let (old, new) = (gguf(4, 50_000), gguf(5, 50_000));
        let (answer, count) = (new.clone(), AtomicUsize::new(0));
        let server = Server::start(move |request| {
            if count.fetch_add(1, Ordering::Relaxed) == 0 {
                let mut reply = Reply::file(request, &old, first_tag);
                reply.slow = Some(Duration::from_millis(200));
                reply
            } else {
                Reply::file(request, &answer, second_tag)
            }
        });
        let dir = tempfile::tempdir().unwrap();
        let url = server.url("/m.gguf");
        let mut child = child::pull(dir.path(), &url, None);
        child::wait_for("a part of the download", || partial_bytes(dir.path()) > 0);
        child.kill().unwrap();
        child.wait().unwrap();
        let store = store(dir.path());
        pull(&store, &url).unwrap();
        let found = store.show("m").unwrap().files[0].digest;
        assert_eq!(found, Digest::of(&new), "{first_tag} {second_tag}");
        assert_clean(&store, 1);
    }
}

#[test]
fn wrong_ranges_are_not_believed() {
    let file = gguf(6, 50_000);
    let (body, count) = (file.clone(), AtomicUsize::new(0));
    let server = Server::start(move |request| match count.fetch_add(1, Ordering::Relaxed) {
        0 => Reply { cut: Some(1000), ..Reply::file(request, &body, TAG) },
        1 => Reply::new(206, &body[5000..])
            .with("content-range", format!("bytes 5000-{}/{}", body.len() - 1, body.len())),
        2 => Reply { cut: Some(1000), ..Reply::file(request, &body, TAG) },
        3 => Reply::new(416, "").with("content-range", "bytes */10"),
        _ => Reply::file(request, &body, TAG),
    });
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    pull(&store, &server.url("/m.gguf")).unwrap();
    assert_eq!(store.show("m").unwrap().files[0].digest, Digest::of(&file));
    let starts: Vec<_> = server.seen().iter().map(Request::from).collect();
    assert_eq!(starts, [0, 1000, 0, 1000, 0]);
}

#[test]
fn a_pinned_digest_must_match() {
    let file = gguf(7, 1000);
    let body = file.clone();
    let server = Server::start(move |r| Reply::file(r, &body, TAG));
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let wrong = format!("{}#sha256={}", server.url("/m.gguf"), "0".repeat(64));
    let error = pull(&store, &wrong).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    assert!(error.to_string().contains(&Digest::of(&file).to_string()), "{error}");
    assert_clean(&store, 0);
    assert_eq!(blobs(&store), 0);

    let right = format!("{}#sha256={}", server.url("/m.gguf"), Digest::of(&file).hex());
    assert_eq!(pull(&store, &right).unwrap().files[0].means, Means::Fetched);
    let asked = server.seen().len();
    assert_eq!(pull(&store, &right).unwrap().files[0].means, Means::Present);
    assert_eq!(server.seen().len(), asked, "what is there was fetched again");
}

#[test]
fn a_split_model_comes_whole() {
    let server = Server::start(|request| match &*request.path {
        "/d/m-00001-of-00002.gguf?x=1" => Reply::file(request, &part(1, 0, 2), TAG),
        "/d/m-00002-of-00002.gguf?x=1" => Reply::file(request, &part(2, 1, 2), TAG),
        _ => Reply::new(404, ""),
    });
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let url = server.url("/d/m-00002-of-00002.gguf?x=1");
    let found = store.resolve(&url, &()).unwrap();
    assert_eq!(found.files.len(), 2);
    assert_eq!(fs::read(&found.files[0]).unwrap(), part(1, 0, 2));
    assert_clean(&store, 1);
}

#[test]
fn bad_answers() {
    let mut failures = Vec::new();
    let cut = Reply { cut: Some(500), ..Reply::new(200, gguf(8, 1000)).with("etag", TAG) };
    let cases: [(&str, Reply, ErrorKind); 12] = [
        ("missing", Reply::new(404, "no"), ErrorKind::NotFound),
        ("forbidden", Reply::new(403, "no"), ErrorKind::Network),
        ("always down", Reply::new(500, "no"), ErrorKind::Network),
        ("always cut", cut, ErrorKind::Network),
        ("teapot", Reply::new(418, "no"), ErrorKind::Network),
        ("not a model", Reply::new(200, "<html>"), ErrorKind::Model),
        ("empty", Reply::new(200, ""), ErrorKind::Model),
        ("to a file", Reply::redirect("file:///etc/passwd"), ErrorKind::Refused),
        ("to plain http", Reply::redirect("http://example.invalid/m"), ErrorKind::Refused),
        ("in a circle", Reply::redirect("/m.gguf"), ErrorKind::Refused),
        (
            "larger than any disk",
            Reply::new(200, "x").with("content-length", (1_u64 << 60).to_string()),
            ErrorKind::Space,
        ),
        (
            "compressed",
            Reply::new(200, gguf(8, 10)).with("content-encoding", "br"),
            ErrorKind::Refused,
        ),
    ];
    for (what, reply, expected) in cases {
        let server = Server::start(move |_| reply.clone());
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        match pull(&store, &server.url("/m.gguf")) {
            Ok(_) => failures.push(format!("{what}: accepted")),
            Err(e) if e.kind() != expected => failures.push(format!("{what}: {:?}: {e}", e.kind())),
            Err(_) => {}
        }
        if !store.list().unwrap().is_empty() || blobs(&store) > 0 {
            failures.push(format!("{what}: left something that looks whole"));
        }
    }
    assert_eq!(failures, [""; 0]);
}

#[test]
fn a_server_that_never_answers_is_not_asked_again() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/m.gguf", listener.local_addr().unwrap());
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            counted.fetch_add(1, Ordering::Relaxed);
            drop(stream);
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let error = pull(&store(dir.path()), &url).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[test]
fn plain_http_is_for_this_machine_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    for url in ["http://example.invalid/m.gguf", "http://10.0.0.1/m.gguf"] {
        assert_eq!(pull(&store, url).unwrap_err().kind(), ErrorKind::Refused, "{url}");
    }
}

#[test]
fn two_processes_pull_the_same_at_once() {
    let file = gguf(9, 200_000);
    let body = file.clone();
    let server = Server::start(move |request| {
        let slow = Some(Duration::from_millis(20));
        Reply { slow, ..Reply::file(request, &body, TAG) }
    });
    let dir = tempfile::tempdir().unwrap();
    let url = server.url("/m.gguf");
    let mut children: Vec<_> = (0..3).map(|_| child::pull(dir.path(), &url, None)).collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(server.seen().len(), 1, "one waits for the other");
    let store = store(dir.path());
    assert_eq!(store.show("m").unwrap().files[0].digest, Digest::of(&file));
    assert_clean(&store, 1);
}

#[test]
fn prune_beside_a_running_pull_takes_nothing_from_it() {
    let file = gguf(10, 200_000);
    let body = file.clone();
    let server = Server::start(move |request| {
        let slow = Some(Duration::from_millis(20));
        Reply { slow, ..Reply::file(request, &body, TAG) }
    });
    let dir = tempfile::tempdir().unwrap();
    let (store, url) = (store(dir.path()), server.url("/m.gguf"));
    std::thread::scope(|scope| {
        let pulling = scope.spawn(|| pull(&store, &url).unwrap());
        let mut rounds = 0;
        while !pulling.is_finished() {
            store.prune("panels").unwrap();
            rounds += 1;
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(rounds > 10);
        pulling.join().unwrap();
    });
    assert_eq!(server.seen().len(), 1);
    assert_eq!(store.show("m").unwrap().files[0].digest, Digest::of(&file));
    assert_clean(&store, 1);

    // What nobody works on any more goes.
    let mut child = child::pull(dir.path(), &format!("{url}?other"), None);
    child::wait_for("a part of the download", || partial_bytes(dir.path()) > 100_000);
    child.kill().unwrap();
    child.wait().unwrap();
    let pruned = store.prune("panels").unwrap();
    assert!(pruned.leftovers >= 1 && pruned.freed_bytes > 100_000, "{pruned:?}");
    assert_clean(&store, 1);
}
