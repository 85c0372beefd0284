//! Who may come in, and where.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use rushlight_server::{Address, ErrorKind, Observer, Server, ServerOptions, runtime};

use crate::support::{Running, load};

/// Of `secret`.
const DIGEST: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

#[test]
fn names_and_origins_of_others_are_refused() {
    let server = Running::start(|options| {
        options.allowed_origins = vec!["https://app.example".to_owned()];
    });
    let cases: [(&[(&str, &str)], u16); 7] = [
        (&[], 200),
        (&[("host", "localhost")], 200),
        (&[("host", "evil.example")], 403),
        (&[("host", "localhost:1"), ("origin", "http://localhost:1")], 200),
        (&[("origin", "http://evil.example")], 403),
        (&[("origin", "null")], 403),
        (&[("origin", "https://app.example")], 200),
    ];
    for (headers, want) in cases {
        let reply = server.send("GET", "/health", headers, "");
        // The tiny model has no chat template, which is told and no failure.
        assert_eq!(reply.status, want, "{headers:?} {reply:?}");
        let allowed = headers.contains(&("origin", "https://app.example"));
        let told = reply.header("access-control-allow-origin");
        assert_eq!(told, allowed.then_some("https://app.example"), "{headers:?}");
    }
    let asks = [("origin", "https://app.example"), ("access-control-request-method", "POST")];
    let reply = server.send("OPTIONS", "/v1/chat/completions", &asks, "");
    assert_eq!(reply.status, 204);
    assert!(reply.header("access-control-allow-headers").unwrap().contains("authorization"));
    let asks = [("origin", "https://evil.example"), ("access-control-request-method", "POST")];
    assert_eq!(server.send("OPTIONS", "/v1/chat/completions", &asks, "").status, 403);
}

#[test]
fn keys_open_everything_but_the_probes() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    std::fs::write(&keys, format!("# tests\nsha256:{DIGEST} ours\n")).unwrap();
    let server = Running::start(|options| options.key_file = Some(keys));
    let cases = [
        ("/livez", &[][..], 200),
        ("/readyz", &[], 200),
        ("/health", &[], 401),
        ("/metrics", &[], 401),
        ("/v1/models", &[("authorization", "Bearer wrong")], 401),
        ("/v1/models", &[("authorization", "Basic secret")], 401),
        ("/nowhere", &[], 401),
        ("/v1/models", &[("authorization", "Bearer secret")], 200),
        ("/v1/models", &[("x-api-key", "secret")], 200),
    ];
    for (path, headers, want) in cases {
        let reply = server.send("GET", path, headers, "");
        assert_eq!(reply.status, want, "{path} {headers:?}");
        if want == 401 {
            assert_eq!(reply.error(), "401 - invalid_api_key");
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        }
    }
}

#[test]
fn routes_and_methods_that_are_not_there() {
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let hear = heard.clone();
    let server = Running::start(move |options| {
        options.observer = Some(Observer::new(move |seen| {
            let line = format!("{} {} {}", seen.method, seen.route, seen.status);
            hear.lock().unwrap().push(line);
        }));
    });
    heard.lock().unwrap().clear();
    assert_eq!(server.get("/nowhere").error(), "404 - unknown_route");
    assert_eq!(server.get("/v1/chat/completions").error(), "405 - method_not_allowed");
    let reply = server.send("POST", "/livez", &[], "");
    assert_eq!(reply.error(), "405 - method_not_allowed");
    assert!(reply.header("allow").unwrap().contains("GET"), "{reply:?}");
    assert_eq!(server.get("/v1/models/secret").status, 404);
    let lines = heard.lock().unwrap();
    let chat = "GET /v1/chat/completions 405";
    let want = ["GET other 404", chat, "POST /livez 405", "GET /v1/models/{*id} 404"];
    assert_eq!(*lines, want, "nothing of the path but its route is told");
}

#[test]
fn addresses_that_cannot_be_are_refused_at_start() {
    let bind = |change: &dyn Fn(&mut ServerOptions)| {
        let mut options = ServerOptions::default();
        options.address = "127.0.0.1:0".parse().unwrap();
        change(&mut options);
        runtime().unwrap().block_on(Server::bind(options)).map(|server| server.address().clone())
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap();
    let open = bind(&|o| o.address = "0.0.0.0:0".parse().unwrap()).unwrap_err();
    assert_eq!(open.kind(), ErrorKind::Address);
    assert!(open.hint().unwrap().contains("API keys"));
    let taken = bind(&|o| o.address = Address::Tcp(taken)).unwrap_err();
    assert!(taken.hint().unwrap().contains("already"), "{taken}");
    let no_socket = bind(&|o| o.address = Address::Unix(file.clone())).unwrap_err();
    assert_eq!(no_socket.kind(), ErrorKind::Address);
    assert_eq!(std::fs::read(&file).unwrap(), b"x");
    let no_keys = bind(&|o| o.key_file = Some(dir.path().join("none"))).unwrap_err();
    assert_eq!(no_keys.kind(), ErrorKind::Keys);
}

#[test]
fn a_unix_socket_is_its_owners_alone_and_goes_with_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let model = dir.path().join("tiny.gguf");
    rushlight_testkit::tiny::write_gguf(&rushlight_testkit::tiny::case("llama2"), &model);
    // What a server that was killed leaves behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let mut server = Running::start_with(
        move || load(&model),
        |options| options.address = Address::Unix(path.clone()),
    );
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: any\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    let mut second = ServerOptions::default();
    second.address = Address::Unix(path.clone());
    assert!(runtime().unwrap().block_on(Server::bind(second)).is_err(), "it is in use");
    server.tell_to_stop();
    server.end().unwrap();
    assert!(!path.exists());
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}
