//! Says to a service manager how the server is, as `sd_notify(3)` has it.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use crate::{Error, ErrorKind};

/// A service manager that wants to know how the server is: that it is ready, reads its files again,
/// ends, and lives.
#[derive(Clone, Debug)]
pub struct Notify {
    socket: Arc<UnixDatagram>,
    to: SocketAddr,
    watchdog: Option<Duration>,
}

impl Notify {
    /// A manager at a socket as `NOTIFY_SOCKET` has it: a full path, or `@` and an abstract name. With
    /// `watchdog`, it ends a process of which it heard nothing for so long; it hears twice in that
    /// time, unless the engine is stuck or has failed.
    ///
    /// # Errors
    /// If the name is none, or there is no socket to be had.
    pub fn new(name: &OsStr, watchdog: Option<Duration>) -> Result<Self, Error> {
        let failed = |e: io::Error| {
            let message = format!("the service manager cannot be told at `{}`", name.display());
            Error::new(ErrorKind::Address, message)
                .with_hint("`NOTIFY_SOCKET` is expected to be a full path, or `@` and a name")
                .because(e)
        };
        let to = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            [b'/', ..] => SocketAddr::from_pathname(name),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        };
        let to = to.map_err(failed)?;
        let socket = UnixDatagram::unbound().map_err(failed)?;
        // A manager that does not listen keeps nobody waiting.
        socket.set_nonblocking(true).map_err(failed)?;
        Ok(Self { socket: Arc::new(socket), to, watchdog })
    }

    /// Says something: lines of `NAME=value`.
    ///
    /// # Errors
    /// If the manager is gone, or takes no more.
    pub(crate) fn say(&self, lines: &[&str]) -> io::Result<()> {
        self.socket.send_to_addr(lines.join("\n").as_bytes(), &self.to).map(drop)
    }

    /// How often it must hear that the server lives.
    pub(crate) fn pulse(&self) -> Option<Duration> {
        self.watchdog.map(|watchdog| watchdog / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_have_paths_or_abstract_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let abstract_name = format!("rushlight-test-{}", std::process::id());
        let by_path = UnixDatagram::bind(&path).unwrap();
        let address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        let by_name = UnixDatagram::bind_addr(&address).unwrap();
        let at = format!("@{abstract_name}");
        for (name, heard) in [(path.as_os_str(), by_path), (OsStr::new(&at), by_name)] {
            let notify = Notify::new(name, Some(Duration::from_secs(3))).unwrap();
            notify.say(&["READY=1", "STATUS=good"]).unwrap();
            let mut buffer = [0; 100];
            let length = heard.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"READY=1\nSTATUS=good");
            assert_eq!(notify.pulse(), Some(Duration::from_millis(1500)));
        }
        for name in ["", "notify", "vsock:2:1"] {
            let error = Notify::new(OsStr::new(name), None).unwrap_err();
            assert!(error.hint().unwrap().contains("full path"), "{error}");
        }
        let gone = Notify::new(dir.path().join("gone").as_os_str(), None).unwrap();
        assert!(gone.say(&["READY=1"]).is_err());
    }
}
