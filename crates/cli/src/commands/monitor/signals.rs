//! Waits for keys, signals or time, whichever is first.

use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use rushlight_monitor::screen::Key;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGWINCH};

use super::input::keys;

/// What happened.
#[derive(Debug, PartialEq)]
pub(super) enum Event {
    /// Keys were pressed.
    Keys(Vec<Key>),
    /// The size of the terminal changed, or the program goes on after it was stopped.
    Resized,
    /// The program is to end.
    End,
    /// Nothing until the time came.
    Time,
}

/// Signals, as something that can be waited for.
#[derive(Debug)]
pub(super) struct Signals {
    woken: UnixStream,
    end: Arc<AtomicBool>,
    resized: Arc<AtomicBool>,
}

impl Signals {
    /// Begins to listen.
    pub(super) fn install() -> anyhow::Result<Self> {
        let (woken, wake) = UnixStream::pair().context("cannot listen to signals")?;
        woken.set_nonblocking(true)?;
        let (end, resized) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let all = [
            (SIGINT, &end),
            (SIGTERM, &end),
            (SIGHUP, &end),
            (SIGWINCH, &resized),
            (SIGCONT, &resized),
        ];
        for (signal, flag) in all {
            // The flag first: who is woken finds it.
            signal_hook::flag::register(signal, flag.clone())?;
            signal_hook::low_level::pipe::register(signal, wake.try_clone()?)?;
        }
        Ok(Self { woken, end, resized })
    }

    /// Waits until `until` at most; for keys only if `has_keys`.
    pub(super) fn wait(&mut self, until: Instant, has_keys: bool) -> anyhow::Result<Event> {
        loop {
            if self.end.load(Ordering::Relaxed) {
                return Ok(Event::End);
            }
            if self.resized.swap(false, Ordering::Relaxed) {
                return Ok(Event::Resized);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Event::Time);
            }
            let stdin = std::io::stdin();
            let mut all =
                [PollFd::new(&self.woken, PollFlags::IN), PollFd::new(&stdin, PollFlags::IN)];
            let waited = all.get_mut(..if has_keys { 2 } else { 1 }).unwrap_or_default();
            match poll(waited, Some(&timespec(left))) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error).context("cannot wait for keys"),
            }
            let [woken, typed] = &all;
            let (is_woken, is_typed) =
                (!woken.revents().is_empty(), has_keys && !typed.revents().is_empty());
            if is_woken {
                // It only wakes.
                while self.woken.read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
                continue;
            }
            if is_typed {
                let mut bytes = [0; 256];
                match rustix::io::read(&stdin, &mut bytes) {
                    // The terminal is gone.
                    Ok(0) => return Ok(Event::End),
                    Ok(read) => {
                        return Ok(Event::Keys(keys(bytes.get(..read).unwrap_or_default())));
                    }
                    Err(Errno::INTR | Errno::AGAIN) => {}
                    Err(_) => return Ok(Event::End),
                }
            }
        }
    }
}

fn timespec(left: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(left.subsec_nanos()),
    }
}
