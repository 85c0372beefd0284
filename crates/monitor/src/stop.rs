//! Stops a process, and no other one that took its number.

use rushlight_host::probe::Tree;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::error::{Error, ErrorKind};
use crate::screen::Stop;

/// Asks the process to end, or ends it at once.
///
/// # Errors
///
/// If it has ended, another one has its number now, or this user may not.
pub fn stop(stop: &Stop) -> Result<(), Error> {
    let name = &stop.name;
    let failed = |why: &str| {
        Error::new(ErrorKind::Stop, format!("{} `{name}` cannot be stopped: {why}", stop.pid))
    };
    let pid = i32::try_from(stop.pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| failed("there is no such number"))?;
    // From here on it is one process, whatever becomes of its number.
    let handle = pidfd_open(pid, PidfdFlags::empty()).map_err(|e| failed(&e.to_string()))?;
    let start = crate::sample::start_ticks(&Tree::this_machine(), stop.pid);
    if start != Some(stop.start_ticks) {
        return Err(failed("it has ended"));
    }
    let signal = if stop.is_kill { Signal::KILL } else { Signal::TERM };
    pidfd_send_signal(handle, signal).map_err(|e| failed(&e.to_string()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn only_the_process_itself_is_stopped() {
        let mut child = Command::new("sleep").arg("100").spawn().unwrap();
        let start_ticks = crate::sample::start_ticks(&Tree::this_machine(), child.id()).unwrap();
        let mut which = Stop {
            pid: child.id(),
            start_ticks: start_ticks + 1,
            name: "sleep".to_owned(),
            is_kill: false,
        };
        assert!(stop(&which).unwrap_err().to_string().contains("has ended"));
        assert!(child.try_wait().unwrap().is_none());
        which.start_ticks = start_ticks;
        stop(&which).unwrap();
        assert!(!child.wait().unwrap().success());
        assert!(stop(&which).is_err());
        which.pid = u32::MAX;
        assert!(stop(&which).is_err());
    }
}
