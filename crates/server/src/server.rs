//! From an address to answers, and to an orderly end.

mod connections;
mod handshake;
mod listen;
mod manager;
mod patience;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, join3, pending, select};
use rushlight_host::Activated;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::Error;
use crate::app::App;
use crate::guard::Guard;
use crate::metrics::Metrics;
use crate::options::{Address, ServerOptions};
use crate::worker::{Loaded, Worker};
use connections::Connections;
use listen::Listener;

/// How long the engine's thread may take to end once nobody waits for answers.
const LAST: Duration = Duration::from_secs(5);

/// Threads for what would keep others waiting, at most: reading long prompts, for example.
const ASIDE: usize = 2;

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    address: Address,
    guard: Guard,
    options: ServerOptions,
}

impl Server {
    /// Begins to listen.
    ///
    /// # Errors
    /// If the address cannot be listened on, the keys cannot be read, or others can reach the address
    /// and there are no keys.
    pub async fn bind(options: ServerOptions) -> Result<Self, Error> {
        let guard = Guard::new(&options)?;
        let (listener, address) = Listener::bind(&options).await?;
        Ok(Self { listener, address, guard, options })
    }

    /// Listens on a socket that a service manager made, instead of the address of the options. What
    /// holds for an address holds for it too.
    ///
    /// # Errors
    /// If the socket cannot be used, the keys cannot be read, or others can reach it and there are no
    /// keys.
    pub async fn adopt(mut options: ServerOptions, socket: Activated) -> Result<Self, Error> {
        let (listener, address) = Listener::adopt(socket)?;
        options.address = address.clone();
        let guard = Guard::new(&options)?;
        Ok(Self { listener, address, guard, options })
    }

    /// Where it listens: the port is the one that it has.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Where clients reach it, as they write it: `https://…` with TLS.
    pub fn url(&self) -> String {
        let plain = self.address.to_string();
        match plain.strip_prefix("http://") {
            Some(rest) if self.options.tls.is_some() => format!("https://{rest}"),
            _ => plain,
        }
    }

    /// Loads the engine on a thread of its own and answers until `shutdown` is ready. From then on
    /// no one is let in, and answers may go on for [`ServerOptions::grace`].
    ///
    /// Before the engine is there, `/livez` is good and `/readyz` is not.
    ///
    /// # Errors
    /// If the engine cannot be loaded, or wrote no token.
    pub async fn run<L, S>(self, load: L, shutdown: S) -> Result<(), Error>
    where
        L: FnOnce() -> Result<Loaded, Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
        S: Future<Output = ()>,
    {
        let Self { listener, guard, options, .. } = self;
        let metrics = Arc::new(Metrics::new(&options.model));
        let mut worker = Worker::start(Box::new(load), &options, metrics.clone())?;
        let engine = worker.handle().clone();
        let app = Arc::new(App::new(options, guard, engine, metrics));
        manager::say(&app, &[&format!("STATUS=loading `{}`", app.options.model)]);
        let mut connections = Connections::new(&app);
        let outcome = {
            let serve = pin!(join3(
                connections.accept(&listener),
                manager::hangups(&app),
                manager::pulse(&app)
            ));
            let end = pin!(end(&mut worker, shutdown, &app));
            match select(serve, end).await {
                Either::Left(((never, ..), _)) => match never {},
                Either::Right((outcome, _)) => outcome,
            }
        };
        drop(listener);
        manager::say(&app, &["STOPPING=1", "STATUS=ending, after what was begun"]);
        connections.finish(app.options.grace).await;
        worker.stop(LAST).await;
        outcome
    }
}

/// Waits until the server is to end, which it is too when the engine cannot be loaded.
async fn end(
    worker: &mut Worker,
    shutdown: impl Future<Output = ()>,
    app: &App,
) -> Result<(), Error> {
    let loaded = pin!(worker.loaded());
    match select(loaded, pin!(shutdown)).await {
        Either::Left((Ok(()), shutdown)) => {
            manager::ready(app);
            shutdown.await;
            Ok(())
        }
        Either::Left((Err(error), _)) => Err(error),
        Either::Right(((), _)) => Ok(()),
    }
}

/// A runtime for a server: one thread, as the engine has the others.
///
/// # Errors
/// If the kernel does not let it.
pub fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(ASIDE)
        .thread_name("aside")
        .build()
}

/// Is ready when the process is asked to end: by SIGTERM or SIGINT.
pub async fn terminated() {
    let heard = |kind| async move {
        match signal(kind) {
            Ok(mut signal) => drop(signal.recv().await),
            // Without it the signal ends the process at once, as it does by default.
            Err(_) => pending().await,
        }
    };
    let (term, int) = (pin!(heard(SignalKind::terminate())), pin!(heard(SignalKind::interrupt())));
    select(term, int).await;
}
