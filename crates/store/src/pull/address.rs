//! Web addresses: parsed once, and what is checked is what is connected to.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use ureq::http::Uri;

use crate::{Error, ErrorKind, error::Result};

/// An `http` or `https` address without user information.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    secure: bool,
    host: String,
    port: u16,
    /// Path and query, beginning with `/`.
    rest: String,
}

impl Address {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let fail = |expected: &str| {
            let shown: String = text.chars().take(200).collect();
            Error::new(ErrorKind::Syntax, format!("expected {expected}")).at(shown.escape_debug())
        };
        let uri: Uri = text.parse().map_err(|e| fail("a web address").because(e))?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(fail("an address that begins with `https://`")),
        };
        let authority = uri.authority().ok_or_else(|| fail("a host in the address"))?;
        if authority.as_str().contains('@') {
            return Err(fail("an address without user name or password"));
        }
        let host = authority.host().to_ascii_lowercase();
        let host_is_plain = !host.is_empty()
            && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._[]:".contains(c));
        if !host_is_plain {
            return Err(fail("a plain host name in the address"));
        }
        let port = match (authority.port(), authority.port_u16()) {
            (None, _) => {
                if secure {
                    443
                } else {
                    80
                }
            }
            (Some(_), Some(port)) => port,
            (Some(_), None) => return Err(fail("a port number below 65536")),
        };
        let rest = uri.path_and_query().map_or("/", |rest| rest.as_str());
        let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
        Ok(Self { secure, host, port, rest })
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether the host is this machine, as far as its name says.
    pub(crate) fn is_loopback(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        self.host == "localhost"
            || bare.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
            || bare.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Whether both are the same scheme, host and port: who may know the other's secrets.
    pub(crate) fn same_origin(&self, other: &Self) -> bool {
        (self.secure, &self.host, self.port) == (other.secure, &other.host, other.port)
    }

    /// The last component of the path.
    pub(crate) fn file_name(&self) -> String {
        let path = self.rest.split('?').next().unwrap_or_default();
        let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        // `%` and what else a path may carry stays out of file names.
        let plain: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "._-+".contains(c) { c } else { '_' })
            .take(200)
            .collect();
        if plain.trim_matches(['.', '_']).is_empty() { "model".to_owned() } else { plain }
    }

    /// The same address with another last component of the path.
    pub(crate) fn with_file_name(&self, name: &str) -> Result<Self> {
        let (path, query) = match self.rest.split_once('?') {
            Some((path, query)) => (path, format!("?{query}")),
            None => (&*self.rest, String::new()),
        };
        let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
        self.join(&format!("{dir}/{name}{query}"))
    }

    /// Where a redirect from here to `location` leads.
    pub(crate) fn join(&self, location: &str) -> Result<Self> {
        if location.contains("://") && !location.starts_with('/') {
            return Self::parse(location);
        }
        let scheme = if self.secure { "https" } else { "http" };
        let base = format!("{scheme}://{}:{}", self.host, self.port);
        let text = if let Some(rest) = location.strip_prefix("//") {
            format!("{scheme}://{rest}")
        } else if location.starts_with('/') {
            format!("{base}{location}")
        } else {
            let path = self.rest.split('?').next().unwrap_or("/");
            let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
            format!("{base}{dir}/{location}")
        };
        Self::parse(&text)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.secure { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port != usual {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_they_say() {
        let from = Address::parse("https://Hub.example/a/b?x=1").unwrap();
        for (location, expected) in [
            ("https://cdn.example/f", "https://cdn.example/f"),
            ("/c", "https://hub.example/c"),
            ("c?y", "https://hub.example/a/c?y"),
            ("//other.example/f", "https://other.example/f"),
            ("http://127.0.0.1:99/x", "http://127.0.0.1:99/x"),
        ] {
            assert_eq!(from.join(location).unwrap().to_string(), expected);
        }
        for bad in
            ["file:///etc/passwd", "ftp://a/b", "https://a\\@b/", "https://u:p@a/", "gopher://x"]
        {
            from.join(bad).unwrap_err();
        }
    }

    #[test]
    fn loopback_by_name() {
        for (host, expected) in [
            ("127.0.0.1", true),
            ("127.9.9.9:80", true),
            ("[::1]:8080", true),
            ("localhost", true),
            ("localhost.evil.example", false),
            ("10.0.0.1", false),
            ("[::2]", false),
            ("127.0.0.1.evil.example", false),
            ("0.0.0.0", false),
        ] {
            let address = Address::parse(&format!("http://{host}/x")).unwrap();
            assert_eq!(address.is_loopback(), expected, "{host}");
        }
    }

    #[test]
    fn file_names() {
        for (url, expected) in [
            ("https://a/b/m.gguf?download=true", "m.gguf"),
            ("https://a", "model"),
            ("https://a/b/", "b"),
            ("https://a/..", "model"),
            ("https://a/%2e%2e%2fx", "_2e_2e_2fx"),
        ] {
            assert_eq!(Address::parse(url).unwrap().file_name(), expected);
        }
    }
}
