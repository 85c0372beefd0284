//! How a connection begins: with TLS where there are certificates.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Router, middleware};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use super::patience::Patience;
use crate::dialect;
use crate::failure::Failure;

/// A connection that has begun.
pub(super) enum Begun<S> {
    /// It speaks TLS.
    Tls(Box<TlsStream<Patience<S>>>),
    /// It speaks HTTP where TLS was expected.
    Plain(Patience<S>),
    /// It is no use.
    Refused,
}

/// Begins TLS within so much time.
pub(super) async fn begin<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: Patience<S>,
    config: Arc<ServerConfig>,
    most: Duration,
) -> Begun<S> {
    let begun = async {
        match stream.first().await {
            // All that TLS begins with is below letters, and each method of HTTP is one of letters.
            Ok(Some(first)) if first.is_ascii_alphabetic() => Begun::Plain(stream),
            Ok(Some(_)) => match TlsAcceptor::from(config).accept(stream).await {
                Ok(stream) => Begun::Tls(Box::new(stream)),
                Err(_) => Begun::Refused,
            },
            Ok(None) | Err(_) => Begun::Refused,
        }
    };
    timeout(most, begun).await.unwrap_or(Begun::Refused)
}

/// What is said to who speaks HTTP where TLS was expected.
pub(super) fn told_to_speak_tls() -> Router {
    Router::new().fallback(speak_tls).layer(middleware::from_fn(dialect::speak))
}

async fn speak_tls() -> Response {
    let message = "this port speaks TLS: the address begins with `https://`";
    let failure = Failure::new(StatusCode::BAD_REQUEST, "tls_required", message);
    let mut response = failure.into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
