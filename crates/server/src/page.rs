//! The chat page at `/`: a few files that stand in the binary, as they are written.
//!
//! They hold nothing secret and are served without a key; what the page asks of the API needs one.
//! The page runs only what comes from here: its policy leaves no room for scripts or styles within
//! HTML, for other sites, or for text that would become HTML.

use std::future::ready;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use sha2::{Digest as _, Sha256};

/// What browsers let the page do.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'";

/// The headers that all files have.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-cache"),
];

/// Bytes of a digest that tell two versions of a file apart.
const TAG_BYTES: usize = 16;

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

const ICON: &str = include_str!("page/icon.svg");

/// A file that does not change.
pub(crate) struct File {
    pub(crate) path: &'static str,
    kind: &'static str,
    pub(crate) text: &'static str,
}

/// The file at a path, of this content type.
pub(crate) const fn file(path: &'static str, kind: &'static str, text: &'static str) -> File {
    File { path, kind, text }
}

static FILES: [File; 17] = [
    file("/", HTML, include_str!("page/index.html")),
    file("/favicon.ico", IMAGE, ICON),
    file("/page/icon.svg", IMAGE, ICON),
    file("/page/style.css", STYLE, include_str!("page/style.css")),
    file("/page/text.css", STYLE, include_str!("page/text.css")),
    file("/page/api.js", SCRIPT, include_str!("page/api.js")),
    file("/page/app.js", SCRIPT, include_str!("page/app.js")),
    file("/page/chat.js", SCRIPT, include_str!("page/chat.js")),
    file("/page/dom.js", SCRIPT, include_str!("page/dom.js")),
    file("/page/files.js", SCRIPT, include_str!("page/files.js")),
    file("/page/inline.js", SCRIPT, include_str!("page/inline.js")),
    file("/page/key.js", SCRIPT, include_str!("page/key.js")),
    file("/page/markdown.js", SCRIPT, include_str!("page/markdown.js")),
    file("/page/message.js", SCRIPT, include_str!("page/message.js")),
    file("/page/server.js", SCRIPT, include_str!("page/server.js")),
    file("/page/settings.js", SCRIPT, include_str!("page/settings.js")),
    file("/page/store.js", SCRIPT, include_str!("page/store.js")),
];

/// Whether the page has a file at `path`.
pub(crate) fn has(path: &str) -> bool {
    FILES.iter().any(|file| file.path == path)
}

/// The routes of the page's files.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.iter().fold(Router::new(), |router, file| {
        let tag = tag(file.text);
        let answer = move |headers: HeaderMap| ready(answer(file, &tag, &headers));
        router.route(file.path, get(answer))
    })
}

/// What a version of a file is called.
pub(crate) fn tag(text: &str) -> HeaderValue {
    let digest = Sha256::digest(text);
    let hex: String = digest.iter().take(TAG_BYTES).map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::try_from(format!("\"{hex}\"")).expect("hexadecimal digits may stand in headers")
}

/// The file, unless the client has this version of it.
pub(crate) fn answer(file: &File, tag: &HeaderValue, request: &HeaderMap) -> Response {
    let known = request.get_all(header::IF_NONE_MATCH).iter().any(|known| matches(known, tag));
    let mut response = Response::new(Body::from(if known { "" } else { file.text }));
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::ETAG, tag.clone());
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.kind));
    }
    response
}

/// Whether a list of versions has this one. Proxies that compress call a version weak.
fn matches(known: &HeaderValue, tag: &HeaderValue) -> bool {
    let known = known.to_str().unwrap_or_default().split(',').map(str::trim);
    known.into_iter().any(|known| known == "*" || known.trim_start_matches("W/") == tag)
}
