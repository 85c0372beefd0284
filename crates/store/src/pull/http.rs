//! The HTTP client: our rules on schemes, redirects and tokens around ureq.

use std::io::Read as _;

use ureq::Agent;
use ureq::http::Response;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use super::address::Address;
use crate::{Error, ErrorKind, Settings, error::Result};

/// The most hops of one request.
const MAX_REDIRECTS: usize = 8;

/// Where systems keep the certificates they trust: Debian, Fedora, SUSE, Alpine.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

pub(crate) struct Client<'a> {
    settings: &'a Settings,
}

/// An answer, after redirects.
pub(crate) struct Answer {
    pub(crate) status: u16,
    response: Response<ureq::Body>,
}

impl<'a> Client<'a> {
    pub(crate) fn new(settings: &'a Settings) -> Self {
        Self { settings }
    }

    /// Asks for `address`. `secrets` are headers for its own origin only; they are left out after
    /// a redirect to another. Any status is an answer.
    pub(crate) fn get(
        &self,
        address: &Address,
        headers: &[(&str, String)],
        secrets: &[(&str, String)],
    ) -> Result<Answer> {
        let mut at = address.clone();
        for _ in 0..=MAX_REDIRECTS {
            self.check(&at, address)?;
            let mut request = self.agent(&at).get(at.to_string());
            for (name, value) in headers {
                request = request.header(*name, value);
            }
            if at.same_origin(address) {
                for (name, value) in secrets {
                    request = request.header(*name, value);
                }
            }
            let response = request.call().map_err(|e| {
                Error::new(ErrorKind::Network, "the request failed").at(&at).because(e)
            })?;
            let status = response.status().as_u16();
            let location = response.headers().get("location");
            let (301 | 302 | 303 | 307 | 308, Some(location)) = (status, location) else {
                return Ok(Answer { status, response });
            };
            let location = location.to_str().map_err(|e| {
                Error::new(ErrorKind::Network, "a redirect that is not text").at(&at).because(e)
            })?;
            let next = at.join(location).map_err(|e| {
                Error::new(ErrorKind::Refused, "a redirect that is not followed").at(&at).because(e)
            })?;
            if at.is_secure() && !next.is_secure() {
                let what = format!("redirects from `https` to `{next}`");
                return Err(Error::new(ErrorKind::Refused, what).at(&at));
            }
            at = next;
        }
        let what = format!("more than {MAX_REDIRECTS} redirects");
        Err(Error::new(ErrorKind::Refused, what).at(address))
    }

    /// Asks for a document of at most `max_bytes`.
    pub(crate) fn document(
        &self,
        address: &Address,
        secrets: &[(&str, String)],
        max_bytes: u64,
    ) -> Result<(u16, Vec<u8>)> {
        let answer = self.get(address, &[], secrets)?;
        let status = answer.status;
        let mut bytes = Vec::new();
        let mut reader = answer.into_reader().take(max_bytes + 1);
        reader.read_to_end(&mut bytes).map_err(|e| {
            Error::new(ErrorKind::Network, "the answer broke off").at(address).because(e)
        })?;
        if bytes.len() as u64 > max_bytes {
            let what = format!("the answer has more than {max_bytes} bytes");
            return Err(Error::new(ErrorKind::Refused, what).at(address));
        }
        Ok((status, bytes))
    }

    fn check(&self, at: &Address, first: &Address) -> Result<()> {
        // A server elsewhere must not make us talk to services of this machine.
        let inward = at.is_loopback() && !first.is_loopback();
        if (at.is_secure() || at.is_loopback() || self.settings.allow_http) && !inward {
            return Ok(());
        }
        let what = if inward {
            "a redirect to this machine from another"
        } else {
            "plain `http` would let anybody on the way change the model"
        };
        Err(Error::new(ErrorKind::Refused, what).at(at).advise("use an `https` address"))
    }

    fn agent(&self, at: &Address) -> Agent {
        let patience = Some(self.settings.patience);
        let mut config = Agent::config_builder()
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("rushlight/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .timeout_connect(patience)
            .timeout_recv_response(patience)
            .timeout_per_read(patience);
        if at.is_loopback() {
            config = config.proxy(None);
        }
        if at.is_secure() {
            config = config.tls_config(TlsConfig::builder().root_certs(roots()).build());
        }
        config.build().into()
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    pub(crate) fn into_reader(self) -> impl std::io::Read {
        self.response.into_body().into_reader()
    }
}

/// The certificates this machine trusts (`SSL_CERT_FILE`, or the system's bundle), so that a
/// company's own authority works here as everywhere; the built-in ones where there are none.
fn roots() -> RootCerts {
    let own = std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty());
    let mut paths =
        own.iter().map(std::path::Path::new).chain(BUNDLES.iter().map(std::path::Path::new));
    let certificates = paths.find_map(|path| {
        let pem = crate::layout::read_bounded(path, 16 << 20).ok()?;
        let certificates: Vec<_> = parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        (!certificates.is_empty()).then_some(certificates)
    });
    certificates.map_or(RootCerts::WebPki, |certificates| RootCerts::new_with_certs(&certificates))
}
