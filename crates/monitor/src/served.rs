//! What a rushlight server says of itself, by its `/metrics` and `/health`.

mod exposition;
mod rates;

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rushlight_host::probe::{Absent, Reason};

use crate::error::{Error, ErrorKind};
pub use crate::http::Address;
use crate::http::Client;
use crate::sample::ServedNow;
use rates::Rates;

/// Where a server answers by itself.
pub const DEFAULT_ADDRESS: &str = "http://127.0.0.1:8080";
/// How long a server that did not answer is left alone.
const REST: Duration = Duration::from_secs(5);

/// Asks a server on a thread of its own, so that one that is slow holds nothing up.
#[derive(Debug)]
pub struct Watch {
    latest: Arc<Mutex<Option<ServedNow>>>,
    /// Its end ends the thread.
    _end: Sender<()>,
}

impl Watch {
    /// Begins to ask the server at `address` as often as `every`, with `key` if it wants one.
    ///
    /// # Errors
    ///
    /// If no thread can be started.
    pub fn start(address: Address, key: Option<String>, every: Duration) -> Result<Self, Error> {
        let latest = Arc::new(Mutex::new(None));
        let (end, ended) = channel();
        let told = latest.clone();
        std::thread::Builder::new()
            .name("served".to_owned())
            .spawn(move || run(address, key, every, &told, &ended))
            .map_err(|e| {
                Error::new(ErrorKind::Address, format!("no thread to ask servers: {e}"))
            })?;
        Ok(Self { latest, _end: end })
    }

    /// What it last said, or why it says nothing; `None` before the first answer.
    pub fn latest(&self) -> Option<ServedNow> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn run(
    address: Address,
    key: Option<String>,
    every: Duration,
    told: &Mutex<Option<ServedNow>>,
    ended: &Receiver<()>,
) {
    let name = address.to_string();
    let client = Client::new(address, key);
    let mut rates = Rates::default();
    loop {
        let begin = Instant::now();
        let now = ask(&client, &name, &mut rates, begin);
        let rest = if now.is_ok() { every } else { every.max(REST) };
        *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        let rest = rest.saturating_sub(begin.elapsed());
        if ended.recv_timeout(rest) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

fn ask(client: &Client, name: &str, rates: &mut Rates, now: Instant) -> ServedNow {
    let failed = |error: io::Error| {
        let reason = match error.kind() {
            io::ErrorKind::PermissionDenied => Reason::Permission,
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Reason::NotFound,
            _ => Reason::Unsupported,
        };
        let detail = match reason {
            Reason::NotFound => format!("no server at {name}"),
            _ => format!("the server at {name} does not answer: {error}"),
        };
        Absent { reason, detail }
    };
    let (status, health) = client.get("/health").map_err(failed)?;
    let refused = |what: &str| Absent {
        reason: Reason::Permission,
        detail: format!("the server at {name} wants a key for {what}"),
    };
    let wants_key = |status: u16| matches!(status, 401 | 403);
    if wants_key(status) {
        return Err(refused("/health"));
    }
    let (status, metrics) = client.get("/metrics").map_err(failed)?;
    if wants_key(status) {
        return Err(refused("/metrics"));
    }
    let served = rates.served(name, &health, &metrics, now);
    served.ok_or_else(|| Absent {
        reason: Reason::Unsupported,
        detail: format!("what answers at {name} is no rushlight server"),
    })
}
