//! TLS: certificates from PEM files, and whose certificates clients must have.
//!
//! TLS 1.2 and 1.3 by rustls, with ring's arithmetic. Sessions are remembered by what was read from the
//! files, so that none goes on from certificates that were replaced.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};

use crate::fresh::{self, Fresh, Open};
use crate::observe::Notices;
use crate::{Error, ErrorKind};

/// What is spoken within TLS, by its name in ALPN (RFC 7301).
const HTTP: &[u8] = b"http/1.1";

/// The files of TLS, in PEM. They are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsFiles {
    /// The server's certificate, and after it those that lead to its authority.
    pub certificate: PathBuf,
    /// The private key of the certificate, which not everyone may read.
    pub key: PathBuf,
    /// Authorities of clients: with them, only who has a certificate of one of them may connect.
    pub client_authorities: Option<PathBuf>,
}

impl TlsFiles {
    /// A certificate and its key; clients need no certificate.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { certificate: certificate.into(), key: key.into(), client_authorities: None }
    }

    /// What they say, read again when they change.
    pub(crate) fn load(&self, notices: Option<Notices>) -> Result<Fresh<ServerConfig>, Error> {
        let files = self.clone();
        let mut paths = vec![files.certificate.clone(), files.key.clone()];
        paths.extend(files.client_authorities.clone());
        Fresh::new("certificates", paths, notices, move |_| files.read())
    }

    fn read(&self) -> Result<ServerConfig, Error> {
        let provider = Arc::new(ring::default_provider());
        let failed = |what: &str, e: rustls::Error| Error::new(ErrorKind::Tls, what).because(e);
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| failed("TLS cannot be used", e))?;
        let builder = match &self.client_authorities {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(
                    authorities(path)?.into(),
                    provider,
                );
                builder.with_client_cert_verifier(verifier.build().map_err(|e| {
                    let message =
                        format!("the client authorities `{}` cannot be used", path.display());
                    Error::new(ErrorKind::Tls, message).because(e)
                })?)
            }
        };
        let chain = certificates(&self.certificate, "certificate")?;
        let key = key(&self.key)?;
        let mut config = builder.with_single_cert(chain, key).map_err(|e| {
            let (certificate, key) = (self.certificate.display(), self.key.display());
            let message = match e {
                rustls::Error::InconsistentKeys(_) => {
                    format!("the key `{key}` is not that of the certificate `{certificate}`")
                }
                _ => format!("the certificate `{certificate}` and its key `{key}` cannot be used"),
            };
            failed(&message, e)
        })?;
        config.alpn_protocols = vec![HTTP.to_vec()];
        Ok(config)
    }
}

fn authorities(path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, "client authorities")? {
        roots.add(certificate).map_err(|e| {
            let message = format!("the client authorities `{}` cannot be used", path.display());
            Error::new(ErrorKind::Tls, message).because(e)
        })?;
    }
    Ok(roots)
}

/// The certificates of a file, at least one.
fn certificates(path: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = fresh::read(path, what, ErrorKind::Tls, Open::ToRead)?;
    let wrong =
        |how: &str| Error::new(ErrorKind::Tls, format!("the {what} `{}` {how}", path.display()));
    let all: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    let all = all.map_err(|e| wrong("is no PEM").because(e))?;
    if all.is_empty() {
        return Err(
            wrong("has no certificate").with_hint("expected PEM: `-----BEGIN CERTIFICATE-----`")
        );
    }
    Ok(all)
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let text = fresh::read(path, "key", ErrorKind::Tls, Open::ToSome)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|e| {
        let wrong =
            |how: &str| Error::new(ErrorKind::Tls, format!("the key `{}` {how}", path.display()));
        match e {
            pem::Error::NoItemsFound => wrong("has no private key that can be read").with_hint(
                "expected PEM without a passphrase; `openssl pkey -in FILE -out NEW` takes one off",
            ),
            e => wrong("is no PEM").because(e),
        }
    })
}

#[cfg(test)]
mod tests {
    use rushlight_testkit::certificates::{RENEWED, SERVER, put, write};

    use super::*;

    #[test]
    fn files_that_are_no_good_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (good, key) = write(SERVER, dir.path());
        let (_, others) = write(RENEWED, dir.path());
        let (pem, secret) = (std::fs::read_to_string(&good), std::fs::read_to_string(&key));
        let (pem, secret) = (pem.unwrap(), secret.unwrap());
        let file = |name: &str, text: &str, mode: u32| {
            let path = dir.path().join(name);
            put(&path, text, mode);
            path
        };
        let group = file("group", &secret, 0o640);
        let open = file("open", &secret, 0o644);
        let shared = file("shared", &pem, 0o666);
        let text = file("text", "hello", 0o600);
        let cut = file("cut", &pem[..100], 0o600);
        let locked = "ENCRYPTED PRIVATE KEY-----\nAAAA\n-----";
        let locked = format!("-----BEGIN {locked}END ENCRYPTED PRIVATE KEY-----\n");
        let locked = file("locked", &locked, 0o600);
        let none = dir.path().join("none");
        let folder = dir.path().to_owned();
        let cases = [
            (&good, &key, None, None),
            (&good, &group, Some(&good), None),
            (&none, &key, None, Some("cannot be read")),
            (&folder, &key, None, Some("no regular file")),
            (&text, &key, None, Some("has no certificate")),
            (&cut, &key, None, Some("is no PEM")),
            (&shared, &key, None, Some("written by everyone")),
            (&good, &open, None, Some("read by everyone")),
            (&good, &good, None, Some("read by everyone")),
            (&good, &text, None, Some("no private key")),
            (&good, &locked, None, Some("no private key")),
            (&good, &others, None, Some("is not that of the certificate")),
            (&good, &key, Some(&text), Some("client authorities")),
            (&good, &key, Some(&shared), Some("written by everyone")),
        ];
        let mut failures = Vec::new();
        for (certificate, key, clients, want) in cases {
            let mut files = TlsFiles::new(certificate, key);
            files.client_authorities = clients.cloned();
            let found = files.read().map(drop).map_err(|error| error.to_string());
            let right = match (&found, want) {
                (Ok(()), None) => true,
                (Err(found), Some(want)) => found.contains(want),
                _ => false,
            };
            if !right {
                failures.push(format!("{files:?}: {found:?}, expected {want:?}"));
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }
}
