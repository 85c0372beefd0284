//! Connections: so many at once, each with bounded patience.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::future::{Either, select};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::Listener;
use super::handshake::{self, Begun};
use super::patience::Patience;
use crate::app::App;
use crate::routes;

/// How long nothing is accepted after the kernel refused to.
const PAUSE: Duration = Duration::from_millis(100);

/// The connections of a server.
pub(super) struct Connections {
    app: Arc<App>,
    http: Http,
    /// For who does not speak TLS where it is expected.
    plain: Router,
    places: Arc<Semaphore>,
    watch: GracefulShutdown,
    /// Closes when no one is to be let in any more.
    open: watch::Sender<()>,
    tasks: JoinSet<()>,
}

impl Connections {
    pub(super) fn new(app: &Arc<App>) -> Self {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(app.options.head_timeout);
        Self {
            app: app.clone(),
            http: Http { builder, router: routes::router(app) },
            plain: handshake::told_to_speak_tls(),
            places: Arc::new(Semaphore::new(app.options.most_connections)),
            watch: GracefulShutdown::new(),
            open: watch::Sender::new(()),
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
        let stream = Patience::new(stream, self.app.options.write_timeout);
        let (http, watcher) = (self.http.clone(), self.watch.watcher());
        let Some(config) = self.app.guard.tls() else {
            self.tasks.spawn(async move {
                http.serve(stream, watcher).await;
                drop(place);
            });
            return;
        };
        let (app, plain, mut open) = (self.app.clone(), self.plain.clone(), self.open.subscribe());
        self.tasks.spawn(async move {
            let begun = pin!(handshake::begin(stream, config, app.options.head_timeout));
            // Nothing was asked yet: the end of the server need not wait for it.
            match select(begun, pin!(open.changed())).await {
                Either::Left((Begun::Tls(stream), _)) => http.serve(*stream, watcher).await,
                Either::Left((Begun::Plain(stream), _)) => {
                    app.metrics.refused("tls");
                    Http { router: plain, ..http }.serve(stream, watcher).await;
                }
                Either::Left((Begun::Refused, _)) => app.metrics.refused("tls"),
                Either::Right(_) => {}
            }
            drop(place);
        });
    }

    /// Lets answers go on for so long, then ends them.
    pub(super) async fn finish(self, grace: Duration) {
        let Self { watch, mut tasks, open, .. } = self;
        drop(open);
        // Who is not done by then is cut off.
        let _ = tokio::time::timeout(grace, watch.shutdown()).await;
        tasks.shutdown().await;
    }
}

/// How connections are served.
#[derive(Clone)]
struct Http {
    builder: http1::Builder,
    router: Router,
}

impl Http {
    async fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        watcher: Watcher,
    ) {
        let service = TowerToHyperService::new(self.router);
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        // What is wrong with a connection is the client's to know.
        let _ = watcher.watch(connection).await;
    }
}
