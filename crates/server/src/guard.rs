//! Who may come in: names against DNS rebinding, origins against web pages, keys against everybody
//! else.

mod rights;

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio_rustls::rustls::ServerConfig;

use crate::app::{App, unix_seconds};
use crate::caller::Caller;
use crate::failure::Failure;
use crate::fresh::Fresh;
use crate::keys::Keys;
use crate::options::{Address, ServerOptions};
use crate::worker::Degradation;
use crate::{Error, ErrorKind, openapi, page};

/// Routes that need no key, beside the page's: they tell no more than that there is a server of
/// some version.
const OPEN: [&str; 3] = ["/livez", "/readyz", openapi::PATH];

/// Whether a path needs no key.
pub(crate) fn is_open(path: &str) -> bool {
    OPEN.contains(&path) || page::has(path)
}

/// The names that a machine has for itself.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The header that some clients send a key in.
const KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Why a request is not let in.
struct Refusal {
    /// As metrics tell it.
    reason: &'static str,
    failure: Failure,
}

/// Who may come in.
#[derive(Debug)]
pub(crate) struct Guard {
    /// Hosts in lower case; `None` lets all in.
    hosts: Option<Vec<String>>,
    /// Origins in lower case.
    origins: Vec<String>,
    keys: Option<Fresh<Keys>>,
    tls: Option<Fresh<ServerConfig>>,
}

impl Guard {
    /// Whether a socket that somebody else made is its owner's alone, or something keeps others out.
    ///
    /// # Errors
    /// If others may write to it, or it has no path and so no mode.
    pub(crate) fn check_socket(&self, options: &ServerOptions) -> Result<(), Error> {
        let Address::Unix(path) = &options.address else { return Ok(()) };
        let own = path.metadata().is_ok_and(|file| file.permissions().mode() & 0o022 == 0);
        let certified = options.tls.as_ref().is_some_and(|tls| tls.client_authorities.is_some());
        if own || self.keys.is_some() || certified {
            return Ok(());
        }
        let message = format!("others can reach the socket `{}`", path.display());
        Err(Error::new(ErrorKind::Address, message).with_hint(
            "`SocketMode=0600` in its unit keeps them out, and so does a file of API keys",
        ))
    }

    /// The guard of a server.
    ///
    /// # Errors
    /// If the keys or certificates cannot be read, or nothing keeps others out who can reach the
    /// server.
    pub(crate) fn new(options: &ServerOptions) -> Result<Self, Error> {
        let notices = &options.notices;
        let keys = options.key_file.clone().map(|path| {
            let read = path.clone();
            Fresh::new("API keys", vec![path], notices.clone(), move |before| {
                Keys::read(&read, before)
            })
        });
        let keys = keys.transpose()?;
        let tls = options.tls.as_ref().map(|files| files.load(notices.clone())).transpose()?;
        let certified = options.tls.as_ref().is_some_and(|tls| tls.client_authorities.is_some());
        let own = match options.address {
            Address::Unix(_) => None,
            Address::Tcp(address) => Some(address.ip()),
        };
        let local = own.is_none_or(|ip| ip.is_loopback());
        if !local && keys.is_none() && !certified {
            return Err(Error::new(
                ErrorKind::Address,
                format!(
                    "others can reach `{}`, and there are no API keys and no authorities of clients",
                    options.address
                ),
            )
            .with_hint(
                "give a file of API keys, or TLS with the authorities of clients, or listen on \
                 `127.0.0.1` or a Unix socket",
            ));
        }
        let lower = |list: &[String]| -> Vec<String> {
            list.iter().map(|name| name.to_lowercase()).collect()
        };
        let checked = own.is_some_and(|ip| ip.is_loopback()) || !options.allowed_hosts.is_empty();
        let hosts = checked.then(|| {
            let loopback = LOOPBACK.into_iter().map(str::to_owned);
            loopback.chain(own.map(name)).chain(lower(&options.allowed_hosts)).collect()
        });
        Ok(Self { hosts, origins: lower(&options.allowed_origins), keys, tls })
    }

    /// How TLS is spoken; `None` where it is not.
    pub(crate) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.tls.as_ref().map(Fresh::get)
    }

    /// Reads keys and certificates again.
    pub(crate) fn reload(&self) {
        if let Some(keys) = &self.keys {
            keys.reload();
        }
        if let Some(tls) = &self.tls {
            tls.reload();
        }
    }

    /// What of keys and certificates is not as it should be.
    pub(crate) fn degradations(&self) -> Vec<Degradation> {
        let keys = self.keys.as_ref().and_then(Fresh::degradation);
        keys.into_iter().chain(self.tls.as_ref().and_then(Fresh::degradation)).collect()
    }

    /// Whether the request was meant for this server: a web page can give itself an address of this
    /// machine, but not one of its names.
    fn check_host(&self, request: &Request) -> Result<(), Failure> {
        let Some(hosts) = &self.hosts else { return Ok(()) };
        let refused = |what: &str| {
            let message = format!("{what}; the server can be told to allow it");
            Failure::new(StatusCode::FORBIDDEN, "host_not_allowed", message)
        };
        let mut named = request.headers().get_all(header::HOST).iter();
        let (Some(host), None) = (named.next(), named.next()) else {
            return Err(refused("expected one `Host` header"));
        };
        let host = host.to_str().unwrap_or_default();
        for host in [Some(host), request.uri().host()].into_iter().flatten() {
            if !hosts.contains(&without_port(host).to_lowercase()) {
                return Err(refused("the name in the `Host` header is not allowed"));
            }
        }
        Ok(())
    }

    /// The origin of another site whose pages may come in; an error for one whose may not.
    fn check_origin(&self, headers: &HeaderMap) -> Result<Option<HeaderValue>, Failure> {
        let Some(origin) = headers.get(header::ORIGIN) else { return Ok(None) };
        let text = origin.to_str().unwrap_or_default().to_lowercase();
        if self.origins.contains(&text) {
            return Ok(Some(origin.clone()));
        }
        let authority = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        match (authority, host) {
            (Some(authority), Some(host)) if authority == host.to_lowercase() => Ok(None),
            _ => Err(Failure::new(
                StatusCode::FORBIDDEN,
                "origin_not_allowed",
                "web pages of this origin are not allowed; the server can be told to allow them",
            )),
        }
    }

    /// Who asks, if they may.
    fn check_key(&self, request: &Request) -> Result<Caller, (Caller, Refusal)> {
        let Some(keys) = &self.keys else { return Ok(Caller::default()) };
        if is_open(request.uri().path()) {
            return Ok(Caller::default());
        }
        let refused = |reason, message| {
            let failure = Failure::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message);
            Err((Caller::default(), Refusal { reason, failure }))
        };
        let Some(key) = key(request.headers()) else {
            return refused("no_key", "expected an API key: `Authorization: Bearer KEY`");
        };
        let Some(key) = keys.get().find(key).cloned() else {
            return refused("unknown_key", "the API key is not one of this server");
        };
        if key.is_expired(unix_seconds()) {
            return refused("expired_key", "the API key has expired");
        }
        let allowed = rights::check(&key, request);
        let caller = Caller::new(Some(key));
        match allowed {
            Ok(()) => Ok(caller),
            Err(refusal) => Err((caller, refusal)),
        }
    }
}

/// Lets a request through, or says why not.
pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let guard = &app.guard;
    let origin = guard.check_host(&request).and_then(|()| guard.check_origin(request.headers()));
    let origin = match origin {
        Ok(origin) => origin,
        Err(failure) => {
            app.metrics.refused("name");
            return failure.into_response();
        }
    };
    let mut response = if origin.is_some() && request.method() == Method::OPTIONS {
        allowed()
    } else {
        let (caller, mut response) = match guard.check_key(&request) {
            Ok(caller) => (caller.clone(), caller.scope(next.run(request)).await),
            Err((caller, refusal)) => {
                app.metrics.refused(refusal.reason);
                (caller, refusal.failure.into_response())
            }
        };
        if let Some(key) = caller.key() {
            rights::tell(key, &mut response);
        }
        response.extensions_mut().insert(caller);
        response
    };
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    response
}

/// What a browser is told that asks before it sends a request.
fn allowed() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, x-api-key, anthropic-version, anthropic-beta, \
             anthropic-dangerous-direct-browser-access",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// The key that a request brings.
fn key(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(key) = headers.get(KEY) {
        return Some(key.as_bytes());
    }
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
}

/// An address as a `Host` header has it.
fn name(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// A host without its port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // The last colon of `[::1]` is within it.
        Some((host, port)) if !port.ends_with(']') => host,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn of(address: &str, hosts: &[&str], origins: &[&str]) -> Guard {
        let options = ServerOptions {
            address: address.parse().unwrap(),
            allowed_hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            allowed_origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
            ..ServerOptions::default()
        };
        Guard::new(&options).unwrap()
    }

    fn request(uri: &str, headers: &[(&'static str, &'static str)]) -> Request {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn hosts() {
        let cases = [
            ("127.0.0.1:80", &[][..], "/", &["localhost:80"][..], true),
            ("127.0.0.1:80", &[], "/", &["LocalHost"], true),
            ("127.0.0.1:80", &[], "/", &["127.0.0.1:9"], true),
            ("127.0.0.1:80", &[], "/", &["[::1]:80"], true),
            ("127.0.0.1:80", &[], "/", &["[::1]"], true),
            ("127.0.0.7:80", &[], "/", &["127.0.0.7:80"], true),
            ("127.0.0.1:80", &[], "/", &["evil.example"], false),
            ("127.0.0.1:80", &[], "/", &["localhost.evil.example"], false),
            ("127.0.0.1:80", &[], "/", &[""], false),
            ("127.0.0.1:80", &[], "/", &[], false),
            ("127.0.0.1:80", &[], "/", &["localhost", "evil.example"], false),
            ("127.0.0.1:80", &[], "http://evil.example/", &["localhost"], false),
            ("127.0.0.1:80", &["Box.Local"], "/", &["box.local:80"], true),
            ("[::1]:80", &[], "/", &["evil.example"], false),
            ("unix:/a", &[], "/", &["anything"], true),
            ("unix:/a", &["box"], "/", &["anything"], false),
        ];
        for (address, allowed, uri, hosts, want) in cases {
            let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            let found = of(address, allowed, &[]).check_host(&request(uri, &headers)).is_ok();
            assert_eq!(found, want, "{address} {allowed:?} {uri} {hosts:?}");
        }
    }

    #[test]
    fn origins() {
        let guard = of("127.0.0.1:80", &[], &["https://App.example"]);
        let cases = [
            (None, Ok(false)),
            (Some("http://localhost:80"), Ok(false)),
            (Some("https://app.example"), Ok(true)),
            (Some("http://app.example"), Err(())),
            (Some("https://app.example:444"), Err(())),
            (Some("http://localhost"), Err(())),
            (Some("null"), Err(())),
            (Some("https://evil.example"), Err(())),
        ];
        for (origin, want) in cases {
            let mut headers = vec![("host", "localhost:80")];
            headers.extend(origin.map(|origin| ("origin", origin)));
            let found = guard.check_origin(request("/", &headers).headers());
            assert_eq!(found.map(|origin| origin.is_some()).map_err(drop), want, "{origin:?}");
        }
    }

    #[test]
    fn others_reach_it_only_with_keys() {
        let mut options = ServerOptions::default();
        for address in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80"] {
            options.address = address.parse().unwrap();
            let error = Guard::new(&options).unwrap_err();
            assert!(error.to_string().contains("no API keys"), "{error}");
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn keys_come_in_either_header() {
        let cases = [
            (&[("authorization", "Bearer abc")][..], Some("abc")),
            (&[("authorization", "bearer  abc ")], Some("abc")),
            (&[("x-api-key", "abc")], Some("abc")),
            (&[("authorization", "Basic abc")], None),
            (&[("authorization", "Bearer")], None),
            (&[], None),
        ];
        for (headers, want) in cases {
            let request = request("/", headers);
            assert_eq!(key(request.headers()), want.map(str::as_bytes), "{headers:?}");
        }
    }
}
