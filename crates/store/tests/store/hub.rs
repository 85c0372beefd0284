//! Pulls from a fake Hugging Face hub.

use std::fs;
use std::sync::Arc;

use rushlight_store::{Digest, ErrorKind, Kind, Means, Settings, Source, Store};
use serde_json::{Value, json};

use crate::models::{assert_clean, blobs, checkpoint, gguf, store};
use crate::server::{Reply, Request, Server};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn sibling(name: &str, bytes: &[u8], large: bool) -> Value {
    let mut sibling = json!({ "rfilename": name, "size": bytes.len(), "blobId": "x" });
    if large {
        let lfs =
            json!({ "sha256": Digest::of(bytes).hex(), "size": bytes.len(), "pointerSize": 9 });
        sibling["lfs"] = lfs;
    }
    sibling
}

fn listing(siblings: &[Value]) -> Value {
    json!({ "id": "org/repo", "sha": COMMIT, "siblings": siblings, "cardData": { "license": "mit" } })
}

/// A hub with these files; the large ones come from another host, as on the real one.
fn hub(listing: Value, files: Vec<(String, Vec<u8>)>) -> (Server, Arc<Server>) {
    let stored = files.clone();
    let cdn = Arc::new(Server::start(move |request| {
        let name = request.path.trim_start_matches('/');
        match stored.iter().find(|(file, _)| file == name) {
            Some((_, bytes)) => Reply::file(request, bytes, "\"cdn\""),
            None => Reply::new(404, ""),
        }
    }));
    let redirect = Arc::clone(&cdn);
    let front = Server::start(move |request: &Request| {
        if request.path.starts_with("/api/models/org/repo/revision/main?") {
            return Reply::new(200, listing.to_string());
        }
        let prefix = format!("/org/repo/resolve/{COMMIT}/");
        match request.path.strip_prefix(&prefix) {
            Some(name) if name.ends_with("json") || name.ends_with("md") => {
                match files.iter().find(|(file, _)| file == name) {
                    Some((_, bytes)) => Reply::file(request, bytes, "\"git\""),
                    None => Reply::new(404, ""),
                }
            }
            Some(name) => Reply::redirect(redirect.url(&format!("/{name}"))),
            None => Reply::new(401, "Invalid credentials"),
        }
    });
    (front, cdn)
}

fn with_hub(dir: &std::path::Path, hub: &Server) -> Store {
    let mut settings = Settings::default();
    settings.hf_endpoint = hub.url("/");
    settings.hf_token = Some("hf_secret".to_owned());
    settings.retry_pause = std::time::Duration::from_millis(1);
    store(dir).with_settings(settings)
}

fn pull(store: &Store, source: &str) -> Result<rushlight_store::Added, rushlight_store::Error> {
    store.pull(&Source::parse(source)?, None, &())
}

#[test]
fn a_file_by_its_quantisation() {
    let (small, large) = (gguf(1, 100), gguf(2, 1000));
    let names = ["tiny-1m.Q4_K_M.gguf", "tiny-1m.Q8_0.gguf"];
    let siblings = [sibling(names[0], &small, true), sibling(names[1], &large, true)];
    let files = vec![(names[0].to_owned(), small.clone()), (names[1].to_owned(), large.clone())];
    let (hub, cdn) = hub(listing(&siblings), files);
    let dir = tempfile::tempdir().unwrap();
    let store = with_hub(dir.path(), &hub);

    let first = store.resolve("hf:org/repo:Q8_0", &()).unwrap();
    assert_eq!(fs::read(&first.path).unwrap(), large);
    assert_eq!(first.name.unwrap().to_string(), "tiny:1m-q8_0");
    let second = store.resolve("hf:org/repo", &()).unwrap();
    assert_eq!(fs::read(&second.path).unwrap(), small);
    assert_clean(&store, 2);

    // The token goes to the hub, never to the host that it redirects to.
    assert!(!hub.seen().is_empty() && !cdn.seen().is_empty());
    for request in hub.seen() {
        assert_eq!(request.header("authorization"), Some("Bearer hf_secret"), "{}", request.path);
    }
    for request in cdn.seen() {
        assert_eq!(request.header("authorization"), None, "{}", request.path);
    }
    // Remembered: no request, and offline is no hindrance.
    let asked = hub.seen().len();
    let mut offline = Settings::default();
    offline.offline = true;
    let store = store.with_settings(offline);
    store.resolve("hf:org/repo", &()).unwrap();
    let error = store.resolve("hf:org/other", &()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Offline);
    assert_eq!(hub.seen().len(), asked);
}

#[test]
fn a_directory_and_its_view() {
    let files: Vec<_> = checkpoint().into_iter().map(|(n, bytes)| (n.to_owned(), bytes)).collect();
    let siblings: Vec<_> =
        files.iter().map(|(n, bytes)| sibling(n, bytes, n.ends_with("safetensors"))).collect();
    let (hub, cdn) = hub(listing(&siblings), files.clone());
    let dir = tempfile::tempdir().unwrap();
    let store = with_hub(dir.path(), &hub);

    let found = store.resolve("hf:org/repo", &()).unwrap();
    assert_eq!(found.kind, Kind::HfDirectory);
    assert_eq!(found.name.as_ref().unwrap().to_string(), "repo:latest");
    for (name, bytes) in &files {
        let seen = fs::read(found.path.join(name)).ok();
        let wanted = (name != "train.py").then(|| bytes.clone());
        assert_eq!(seen, wanted, "{name}");
    }
    assert_eq!(store.resolve("repo", &()).unwrap(), found);
    assert_eq!(store.list().unwrap()[0].license.as_deref(), Some("mit"));

    // A second pull fetches no weights again.
    let asked = cdn.seen().len();
    let again = pull(&store, "hf:org/repo").unwrap();
    assert_eq!(again.files[0].means, Means::Present);
    assert_eq!(again.replaced, None);
    assert_eq!(cdn.seen().len(), asked);
    assert_clean(&store, 1);
    assert_eq!(store.prune("panels").unwrap().blobs, 0);

    // The view comes back when it is gone, and goes with its model.
    fs::remove_dir_all(&found.path).unwrap();
    assert_eq!(store.resolve("repo", &()).unwrap(), found);
    assert!(found.path.join("config.json").exists());
    store.remove("repo").unwrap();
    store.prune("panels").unwrap();
    assert!(!found.path.exists());
    assert_eq!(blobs(&store), 0);
}

#[test]
fn lies_of_a_hub() {
    let file = gguf(3, 1000);
    let good = sibling("m.gguf", &file, true);
    let edit = |pointer: &str, value: Value| {
        let mut listing = listing(std::slice::from_ref(&good));
        *listing.pointer_mut(pointer).unwrap() = value;
        listing
    };
    let mut failures = Vec::new();
    for (what, listing, expected) in [
        (
            "another digest",
            edit("/siblings/0/lfs/sha256", "0".repeat(64).into()),
            ErrorKind::Mismatch,
        ),
        ("another size", edit("/siblings/0/lfs/size", 17.into()), ErrorKind::Mismatch),
        (
            "a digest that is a path",
            edit("/siblings/0/lfs/sha256", "../../../../etc/passwd".into()),
            ErrorKind::Syntax,
        ),
        ("a commit that is a path", edit("/sha", "../../x".into()), ErrorKind::Network),
        ("no commit", edit("/sha", "".into()), ErrorKind::Network),
        (
            "a name that is a path",
            edit("/siblings/0/rfilename", "..\\m.gguf".into()),
            ErrorKind::Syntax,
        ),
        ("no files", edit("/siblings", json!([])), ErrorKind::NotFound),
        ("no listing", json!([1, 2]), ErrorKind::Network),
    ] {
        let (hub, _cdn) = hub(listing, vec![("m.gguf".to_owned(), file.clone())]);
        let dir = tempfile::tempdir().unwrap();
        let store = with_hub(dir.path(), &hub);
        match pull(&store, "hf:org/repo") {
            Ok(_) => failures.push(format!("{what}: accepted")),
            Err(e) if e.kind() != expected => failures.push(format!("{what}: {:?} {e}", e.kind())),
            Err(_) => {}
        }
        if !store.list().unwrap().is_empty() || blobs(&store) > 0 {
            failures.push(format!("{what}: left something that looks whole"));
        }
    }
    assert_eq!(failures, [""; 0]);
}

#[test]
fn what_is_not_shown() {
    let (hub, _cdn) = hub(listing(&[]), Vec::new());
    let dir = tempfile::tempdir().unwrap();
    let store = with_hub(dir.path(), &hub);
    let error = pull(&store, "hf:org/gated").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().unwrap().contains("HF_TOKEN"));
    // Neither the error nor the settings tell the token.
    assert!(!format!("{error:?} {store:?}").contains("hf_secret"));
}
