//! From an address to answers, and to an orderly end.

mod connections;
mod handshake;
mod listen;
mod manager;
mod patience;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, join4, pending, select};
use rushlight_host::Activated;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::Error;
use crate::app::App;
use crate::energy::Accounts;
use crate::guard::Guard;
use crate::metrics::Metrics;
use crate::models::{Models, ServedModel};
use crate::options::{Address, ServerOptions, Traces};
use crate::trace::Tracer;
use connections::Connections;
use listen::Listener;

/// How long the engine's thread may take to end once nobody waits for answers.
pub(crate) const LAST: Duration = Duration::from_secs(5);

/// Threads for what would keep others waiting, at most: reading long prompts, for example.
const ASIDE: usize = 2;

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    address: Address,
    guard: Guard,
    options: ServerOptions,
    tracer: Option<Arc<Tracer>>,
}

impl Server {
    /// Begins to listen.
    ///
    /// # Errors
    /// If the address cannot be listened on, the keys cannot be read, others can reach the address
    /// and there are no keys, or the collector of traces has no address.
    pub async fn bind(options: ServerOptions) -> Result<Self, Error> {
        let guard = Guard::new(&options)?;
        let (listener, address) = Listener::bind(&options).await?;
        let tracer = tracer(&options)?;
        Ok(Self { listener, address, guard, options, tracer })
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
        guard.check_socket(&options)?;
        let tracer = tracer(&options)?;
        Ok(Self { listener, address, guard, options, tracer })
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

    /// Loads those of `models` that are pinned and answers until `shutdown` is ready; the others are
    /// loaded when somebody asks for them. From then on no one is let in, and answers may go on for
    /// [`ServerOptions::grace`]. The first model is the one that is meant by no name.
    ///
    /// Before the pinned ones are there, `/livez` is good and `/readyz` is not.
    ///
    /// # Errors
    /// If there are no models or two have the same name, or if a pinned one cannot be loaded, has no
    /// room, or wrote no token.
    pub async fn run<S>(self, models: Vec<ServedModel>, shutdown: S) -> Result<(), Error>
    where
        S: Future<Output = ()>,
    {
        let Self { listener, guard, options, tracer, .. } = self;
        let metrics = Arc::new(Metrics::new(Accounts::new(options.power.clone())));
        let models = Models::new(models, &options, &metrics)?;
        let app = Arc::new(App::new(options, guard, models.clone(), metrics, tracer));
        manager::say(&app, &[&format!("STATUS=loading `{}`", models.first().model.name)]);
        let mut connections = Connections::new(&app);
        let outcome = {
            let serve = pin!(join4(
                connections.accept(&listener),
                manager::hangups(&app),
                manager::pulse(&app),
                models.tend(),
            ));
            let end = pin!(end(&models, shutdown, &app));
            match select(serve, end).await {
                Either::Left(((never, ..), _)) => match never {},
                Either::Right((outcome, _)) => outcome,
            }
        };
        drop(listener);
        manager::say(&app, &["STOPPING=1", "STATUS=ending, after what was begun"]);
        models.stop();
        connections.finish(app.options.grace).await;
        models.end(LAST).await;
        app.tracer.iter().for_each(|tracer| tracer.finish());
        outcome
    }
}

/// What takes traces, if they are to go anywhere.
fn tracer(options: &ServerOptions) -> Result<Option<Arc<Tracer>>, Error> {
    let start = |traces: &Traces| Tracer::start(&traces.endpoint, &traces.service);
    Ok(options.traces.as_ref().map(start).transpose()?.map(Arc::new))
}

/// Waits until the server is to end, which it is too when a model that is to stay cannot be loaded.
async fn end(
    models: &Arc<Models>,
    shutdown: impl Future<Output = ()>,
    app: &App,
) -> Result<(), Error> {
    let loaded = pin!(models.load_pinned());
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
