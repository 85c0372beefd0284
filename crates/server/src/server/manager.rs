//! What a service manager hears of the server, and what it says to it: SIGHUP.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::future::pending;
use rushlight_host::monotonic_time;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use crate::app::App;
use crate::routes;

/// Tells the manager, if there is one.
pub(super) fn say(app: &App, lines: &[&str]) {
    let Some(notify) = &app.options.notify else { return };
    if let (Err(error), Some(notices)) = (notify.say(lines), &app.options.notices) {
        notices.tell(&format!("the service manager cannot be told: {error}"));
    }
}

/// Tells that requests are answered.
pub(super) fn ready(app: &App) {
    say(app, &["READY=1", "STATUS=answering requests"]);
}

/// Reads keys and certificates again at each SIGHUP.
pub(super) async fn hangups(app: &App) -> Infallible {
    let signal =
        if app.options.reload_on_hangup { signal(SignalKind::hangup()).ok() } else { None };
    let Some(mut signal) = signal else { return pending().await };
    while signal.recv().await.is_some() {
        // Before it is ready it must not say that it is.
        let is_ready = routes::answers(app);
        if is_ready {
            let time = format!("MONOTONIC_USEC={}", monotonic_time().as_micros());
            say(app, &["RELOADING=1", &time, "STATUS=reading keys and certificates again"]);
        }
        app.guard.reload();
        if is_ready {
            ready(app);
        }
    }
    pending().await
}

/// Tells that the server lives, while it does and where the manager wants to know.
pub(super) async fn pulse(app: &App) -> Infallible {
    match app.options.notify.as_ref().and_then(|notify| notify.pulse()) {
        Some(every) => beat(every, || routes::lives(app), || say(app, &["WATCHDOG=1"])).await,
        None => pending().await,
    }
}

async fn beat(every: Duration, lives: impl Fn() -> bool, tell: impl Fn()) -> Infallible {
    loop {
        if lives() {
            tell();
        }
        sleep(every).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::timeout;

    use super::*;

    #[test]
    fn who_does_not_live_is_silent() {
        let (lives, told) = (Cell::new(true), Cell::new(0));
        let count = |alive: bool| {
            lives.set(alive);
            let before = told.get();
            crate::runtime().unwrap().block_on(async {
                let every = Duration::from_millis(1);
                let beats = beat(every, || lives.get(), || told.set(told.get() + 1));
                let _ = timeout(Duration::from_millis(100), beats).await;
            });
            told.get() - before
        };
        assert!(count(true) > 3);
        assert_eq!(count(false), 0);
        assert!(count(true) > 3);
    }
}
