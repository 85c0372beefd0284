//! TLS, with a client of its own.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rushlight_server::{ErrorKind, Notices, Server, ServerOptions, TlsFiles, runtime};
use rushlight_testkit::certificates::{
    AUTHORITY, CLIENT, RENEWED, SERVER, STRANGE_CLIENT, certificate, put, write,
};
use rushlight_testkit::tiny;
use tempfile::TempDir;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use crate::support::{Reply, Running, load, until};

/// Of `secret`.
const DIGEST: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A client that knows the authority, with a certificate of its own or none.
fn client(version: &'static SupportedProtocolVersion, own: Option<&str>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let authority = certificate(AUTHORITY);
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    let Some(own) = own else { return builder.with_no_client_auth() };
    let dir = tempfile::tempdir().unwrap();
    let (chain, key) = write(own, dir.path());
    let chain = CertificateDer::from_pem_file(chain).unwrap();
    builder.with_client_auth_cert(vec![chain], PrivateKeyDer::from_pem_file(key).unwrap()).unwrap()
}

/// A connection after its handshake.
fn open(server: &Running, config: ClientConfig) -> io::Result<Stream> {
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, server.connect());
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// Asks for a path; an error if the connection is refused, which a client of TLS 1.3 hears only when
/// it reads.
fn ask(mut stream: Stream, path: &str, headers: &str) -> io::Result<Reply> {
    let head =
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}connection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(Reply::read(&*bytes))
}

fn get(server: &Running, path: &str) -> Reply {
    ask(open(server, client(&TLS13, None)).unwrap(), path, "").unwrap()
}

/// A server of a tiny model with a certificate, and the folder of its files.
fn start(change: impl FnOnce(&mut ServerOptions, &Path)) -> (Running, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("tiny.gguf");
    tiny::write_gguf(&tiny::case("llama2"), &model);
    let (certificate, key) = write(SERVER, dir.path());
    let server = Running::start_with(
        move || load(&model),
        |options| {
            options.tls = Some(TlsFiles::new(certificate, key));
            change(options, dir.path());
        },
    );
    (server, dir)
}

/// Has clients bring a certificate.
fn certified(options: &mut ServerOptions, dir: &Path) {
    let path = dir.join("authority.pem");
    put(&path, &certificate(AUTHORITY), 0o644);
    options.tls.as_mut().unwrap().client_authorities = Some(path);
}

#[test]
fn both_versions_are_spoken_and_plain_text_is_told_so() {
    let (server, _dir) = start(|_, _| {});
    until("it is ready", || get(&server, "/readyz").status == 200);
    for version in [&TLS12, &TLS13] {
        let mut config = client(version, None);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = open(&server, config).unwrap();
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(ask(stream, "/v1/models", "").unwrap().status, 200);
        let mut config = client(version, None);
        config.alpn_protocols = vec![b"h2".to_vec()];
        assert!(open(&server, config).is_err(), "HTTP/2 is not spoken");
    }
    let reply = server.get("/v1/models");
    assert_eq!(reply.error(), "400 - tls_required");
    assert_eq!(reply.header("connection"), Some("close"));
    assert!(server.get("/api/tags").json()["error"].as_str().unwrap().contains("https://"));
    // Neither TLS nor HTTP.
    let mut stream = server.connect();
    stream.write_all(&[0; 100]).unwrap();
    let mut rest = Vec::new();
    // It may be reset.
    let _ = stream.read_to_end(&mut rest);
    assert!(!rest.starts_with(b"HTTP"), "{rest:?}");
    let metrics = get(&server, "/metrics").body;
    assert!(metrics.contains("rushlight_refused_total{reason=\"tls\"} 5"), "{metrics}");
}

#[test]
fn certificates_are_read_again_when_they_change() {
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let hear = told.clone();
    let (server, dir) = start(|options, _| {
        let hear = move |text: &str| hear.lock().unwrap().push(text.to_owned());
        options.notices = Some(Notices::new(hear));
    });
    until("it is ready", || get(&server, "/readyz").status == 200);
    let shown = || {
        let stream = open(&server, client(&TLS13, None)).unwrap();
        stream.conn.peer_certificates().unwrap()[0].clone().into_owned()
    };
    let of = |name: &str| CertificateDer::from_pem_slice(certificate(name).as_bytes()).unwrap();
    assert_eq!(shown(), of(SERVER));
    let (renewed, key) = write(RENEWED, dir.path());
    // The certificate alone is not that of the key: the old one stays.
    std::fs::rename(renewed, dir.path().join("server.pem")).unwrap();
    let wrong = || {
        let health = get(&server, "/health").json();
        let all = health["degradations"].as_array().unwrap();
        let wrong = all.iter().find(|d| d["what"] == "certificates");
        wrong.map(|wrong| wrong["reason"].as_str().unwrap().to_owned())
    };
    until("it is told", || wrong().is_some());
    let reason = wrong().unwrap();
    assert!(reason.contains("is not that of the certificate"), "{reason}");
    assert_eq!(shown(), of(SERVER));
    std::fs::rename(key, dir.path().join("server.key")).unwrap();
    until("the new one is shown", || shown() == of(RENEWED));
    assert_eq!(wrong(), None);
    let told = told.lock().unwrap();
    assert!(told[0].starts_with("not read again: certificates: the key `"), "{told:?}");
    assert_eq!(told[1..], ["read again: certificates"]);
}

#[test]
fn handshakes_that_do_not_come_are_not_waited_for() {
    let (mut server, _dir) = start(|options, _| {
        options.head_timeout = Duration::from_millis(300);
        options.most_connections = 1;
    });
    until("it is ready", || get(&server, "/readyz").status == 200);
    let begin = Instant::now();
    let mut held = server.connect();
    held.write_all(&[0x16, 3, 1]).unwrap();
    let second = get(&server, "/livez");
    assert_eq!(second.status, 200);
    assert!(begin.elapsed() >= Duration::from_millis(250), "it had to wait for the place");
    assert!(begin.elapsed() < Duration::from_secs(20));
    drop(held);
    server.tell_to_stop();
    server.end().unwrap();
}

#[test]
fn the_end_does_not_wait_for_handshakes() {
    let (mut server, _dir) = start(|_, _| {});
    until("it is ready", || get(&server, "/readyz").status == 200);
    let mut held = server.connect();
    held.write_all(&[0x16, 3, 1]).unwrap();
    // It is accepted before this one.
    assert_eq!(get(&server, "/livez").status, 200);
    let begin = Instant::now();
    server.tell_to_stop();
    server.end().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[test]
fn clients_need_a_certificate_where_their_authorities_are_named() {
    let (server, _dir) = start(|options, dir| {
        options.address = "0.0.0.0:0".parse().unwrap();
        certified(options, dir);
    });
    let ask = |version, own: Option<&str>| {
        open(&server, client(version, own)).and_then(|stream| ask(stream, "/v1/models", ""))
    };
    until("it is ready", || ask(&TLS13, Some(CLIENT)).unwrap().status == 200);
    for version in [&TLS12, &TLS13] {
        assert_eq!(ask(version, Some(CLIENT)).unwrap().status, 200);
        for own in [None, Some(STRANGE_CLIENT), Some(SERVER)] {
            assert!(ask(version, own).is_err(), "{own:?}");
        }
    }
}

#[test]
fn keys_are_needed_beside_certificates() {
    let (server, _dir) = start(|options, dir| {
        certified(options, dir);
        let keys = dir.join("keys");
        std::fs::write(&keys, DIGEST).unwrap();
        options.key_file = Some(keys);
    });
    let get = |own: Option<&str>, headers: &str| {
        let stream = open(&server, client(&TLS13, own))?;
        ask(stream, "/v1/models", headers).map(|reply| reply.status)
    };
    let key = "authorization: Bearer secret\r\n";
    until("it is ready", || get(Some(CLIENT), key).unwrap() == 200);
    assert_eq!(get(Some(CLIENT), "").unwrap(), 401);
    assert!(get(None, key).is_err());
}

#[test]
fn certificates_that_cannot_be_used_are_refused_at_start() {
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = write(SERVER, dir.path());
    put(&key, "nothing", 0o600);
    let mut options = ServerOptions::default();
    options.address = "127.0.0.1:0".parse().unwrap();
    options.tls = Some(TlsFiles::new(&certificate, &key));
    let error = runtime().unwrap().block_on(Server::bind(options.clone())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert!(error.hint().unwrap().contains("openssl pkey"), "{error}");
    // Certificates of the server alone keep nobody out.
    let (_, key) = write(SERVER, dir.path());
    options.tls = Some(TlsFiles::new(certificate, key));
    options.address = "0.0.0.0:0".parse().unwrap();
    let error = runtime().unwrap().block_on(Server::bind(options)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Address);
}
