//! The chat page: what a browser gets before it asks the API for anything.

use std::collections::BTreeSet;

use crate::support::{Reply, Running};

/// The page's own files that the text of one names after `mark`, each up to `end`.
fn named(text: &str, mark: &str, end: char) -> BTreeSet<String> {
    let parts = text.split(mark).skip(1);
    parts.filter_map(|part| part.split_once(end)).map(|(name, _)| name.to_owned()).collect()
}

/// Whether all that HTML must not have here is absent: what a policy without `unsafe-inline` stops.
fn is_without_inline(html: &str) -> bool {
    let tags = html.split('<').skip(1).filter_map(|tag| tag.split_once('>'));
    tags.into_iter().all(|(tag, after)| {
        let handler = tag.split_whitespace().any(|word| word.starts_with("on"));
        let style = tag.starts_with("style") || tag.contains(" style=");
        let script = tag.starts_with("script") && !(tag.contains(" src=") && after.is_empty());
        !(handler || style || script || tag.contains("javascript:"))
    })
}

fn get(server: &Running, path: &str) -> Reply {
    let reply = server.get(path);
    assert_eq!(reply.status, 200, "{path}");
    reply
}

#[test]
fn the_page_is_served_with_a_strict_policy_and_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    std::fs::write(&keys, format!("sha256:{} ours\n", "0".repeat(64))).unwrap();
    let server = Running::start(|options| options.key_file = Some(keys));
    let cases = [
        ("/", "text/html; charset=utf-8"),
        ("/favicon.ico", "image/svg+xml"),
        ("/page/icon.svg", "image/svg+xml"),
        ("/page/style.css", "text/css; charset=utf-8"),
        ("/page/app.js", "text/javascript; charset=utf-8"),
    ];
    for (path, kind) in cases {
        let reply = get(&server, path);
        let policy = reply.header("content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "img-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.split("; ").any(|found| found == part), "{path}: {part}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        let headers = [
            ("content-type", kind),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cache-control", "no-cache"),
        ];
        for (name, want) in headers {
            assert_eq!(reply.header(name), Some(want), "{path}: {name}");
        }
    }
    for path in ["/page", "/page/", "/page/none.js", "/page/../health", "/v1/models", "/health"] {
        assert_eq!(server.get(path).error(), "401 - invalid_api_key", "{path}");
    }
    let elsewhere = server.send("GET", "/", &[("host", "evil.example")], "");
    assert_eq!(elsewhere.error(), "403 - host_not_allowed");
    assert_eq!(server.send("POST", "/", &[], "").error(), "405 - method_not_allowed");
}

#[test]
fn a_version_that_the_browser_has_is_not_sent_again() {
    let server = Running::start(|_| {});
    let mut tags = BTreeSet::new();
    for path in ["/", "/page/app.js", "/page/style.css"] {
        let tag = get(&server, path).header("etag").unwrap().to_owned();
        let cases = [
            (tag.clone(), 304),
            (format!("W/{tag}"), 304),
            (format!("\"other\", {tag}"), 304),
            ("*".to_owned(), 304),
            ("\"other\"".to_owned(), 200),
            (tag.replace('"', ""), 200),
        ];
        for (known, want) in cases {
            let reply = server.send("GET", path, &[("if-none-match", &known)], "");
            assert_eq!(reply.status, want, "{path} {known}");
            assert_eq!(reply.body.is_empty(), want == 304, "{path} {known}");
            assert_eq!(reply.header("etag"), Some(&*tag), "{path} {known}");
            assert!(reply.header("content-security-policy").is_some(), "{path} {known}");
        }
        tags.insert(tag);
    }
    assert_eq!(tags.len(), 3, "files differ, so do their tags");
}

#[test]
fn all_that_the_page_names_is_served_and_nothing_is_inline() {
    let server = Running::start(|_| {});
    let html = get(&server, "/").body;
    assert!(is_without_inline(&html));
    assert!(!html.contains("//"), "nothing comes from another site");
    let mut files = named(&html, "href=\"page/", '"');
    files.extend(named(&html, "src=\"page/", '"'));
    assert!(files.len() > 5, "{files:?}");
    for file in &files {
        let text = get(&server, &format!("/page/{file}")).body;
        // What a module imports is named in the page too, so that browsers load all at once.
        let imports = named(&text, "from \"./", '"');
        assert!(imports.is_subset(&files), "{file} imports {imports:?}");
        assert!(!text.contains("innerHTML") && !text.contains("url("), "{file}");
    }
}

#[test]
fn inline_parts_would_be_found() {
    let cases = [
        ("<p>on style</p><script src=\"a\"></script>", true),
        ("<p style=\"x\">", false),
        ("<style>p {}</style>", false),
        ("<script>alert(1)</script>", false),
        ("<script src=\"a\">alert(1)</script>", false),
        ("<p onclick=\"x\">", false),
        ("<a href=\"javascript:x\">", false),
    ];
    for (html, want) in cases {
        assert_eq!(is_without_inline(html), want, "{html}");
    }
}
