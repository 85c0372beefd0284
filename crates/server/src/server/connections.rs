//! Connections: so many at once, each with bounded patience.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::Listener;
use super::patience::Patience;
use crate::options::ServerOptions;

/// How long nothing is accepted after the kernel refused to.
const PAUSE: Duration = Duration::from_millis(100);

/// The connections of a server.
pub(super) struct Connections {
    router: Router,
    http: http1::Builder,
    write_timeout: Duration,
    places: Arc<Semaphore>,
    watch: GracefulShutdown,
    tasks: JoinSet<()>,
}

impl Connections {
    pub(super) fn new(options: &ServerOptions, router: Router) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(options.head_timeout);
        Self {
            router,
            http,
            write_timeout: options.write_timeout,
            places: Arc::new(Semaphore::new(options.most_connections)),
            watch: GracefulShutdown::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Lets clients in, for as long as it is polled.
    pub(super) async fn accept(&mut self, listener: &Listener) -> Infallible {
        loop {
            let place = self.places.clone().acquire_owned().await;
            let place = place.expect("the semaphore is never closed");
            let accepted = match listener {
                Listener::Tcp(listener) => listener.accept().await.map(|(stream, _)| {
                    // Events are small and must not wait for each other; without it they are only
                    // later.
                    let _ = stream.set_nodelay(true);
                    self.serve(stream, place);
                }),
                Listener::Unix(listener, _) => {
                    listener.accept().await.map(|(stream, _)| self.serve(stream, place))
                }
            };
            if accepted.is_err() {
                // Too many open files, or a client that left already: others may have more luck.
                tokio::time::sleep(PAUSE).await;
            }
            while self.tasks.try_join_next().is_some() {}
        }
    }

    fn serve(
        &mut self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        place: OwnedSemaphorePermit,
    ) {
        let service = TowerToHyperService::new(self.router.clone());
        let stream = TokioIo::new(Patience::new(stream, self.write_timeout));
        let connection = self.http.serve_connection(stream, service);
        let connection = self.watch.watch(connection);
        self.tasks.spawn(async move {
            // What is wrong with a connection is the client's to know.
            let _ = connection.await;
            drop(place);
        });
    }

    /// Lets answers go on for so long, then ends them.
    pub(super) async fn finish(self, grace: Duration) {
        let Self { watch, mut tasks, .. } = self;
        // Who is not done by then is cut off.
        let _ = tokio::time::timeout(grace, watch.shutdown()).await;
        tasks.shutdown().await;
    }
}
