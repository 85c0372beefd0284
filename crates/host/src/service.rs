//! What a service manager hands to a process that it starts: a socket to listen on, and where to say
//! how it is. As `sd_listen_fds(3)`, `sd_notify(3)` and `sd_watchdog_enabled(3)` have it.

#![expect(
    unsafe_code,
    reason = "what is handed over is owned by nobody yet, and is handed over once"
)]

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::TcpListener;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::io::FdFlags;
use socket2::{Domain, SockRef, Type};

use crate::clock::Clock;
use crate::{Error, ErrorKind};

/// The first descriptor that is handed over.
const FIRST: RawFd = 3;

/// All variables that are meant for one process, not for those that it starts.
const VARIABLES: [&str; 8] = [
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_PIDFDID",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "WATCHDOG_PIDFDID",
];

/// What a service manager handed over.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Service {
    /// The socket to listen on.
    pub socket: Option<Activated>,
    /// Where to say how the process is, as `NOTIFY_SOCKET` has it.
    pub notify: Option<OsString>,
    /// How long the manager waits for a sign of life, at most.
    pub watchdog: Option<Duration>,
}

/// A socket that listens already.
#[derive(Debug)]
pub enum Activated {
    /// A port.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

impl Service {
    /// Takes what there is, once: later calls find nothing. Processes that this one starts inherit
    /// neither the socket nor the variables. To be called before there are other threads.
    ///
    /// # Errors
    /// If there are other threads, a variable is not what it should be, or what was handed over is not
    /// one stream socket that listens.
    pub fn take() -> Result<Self, Error> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        let found = VARIABLES.map(|name| (name, std::env::var_os(name)));
        if found.iter().all(|(_, value)| value.is_none()) || TAKEN.swap(true, Ordering::AcqRel) {
            return Ok(Self::default());
        }
        let tasks = Path::new("/proc/self/task");
        let threads = tasks.read_dir().map_err(|e| Error::io("cannot be read", tasks, e))?.count();
        if threads != 1 {
            let what = format!("`{threads}` threads run already");
            return Err(Error::service(what));
        }
        for name in VARIABLES {
            // SAFETY: no other thread reads the variables meanwhile: there is none, as was counted.
            unsafe { std::env::remove_var(name) };
        }
        let value = |name: &str| {
            let (_, value) = found.iter().find(|(found, _)| *found == name)?;
            value.clone()
        };
        let Told { has_socket, notify, watchdog } = Told::read(&value, std::process::id())?;
        let socket = has_socket.then(adopt).transpose()?;
        Ok(Self { socket, notify, watchdog })
    }
}

/// Takes the descriptor, which only `Service::take` does, once.
fn adopt() -> Result<Activated, Error> {
    let path = format!("/proc/self/fd/{FIRST}");
    let path = Path::new(&path);
    // It names what is open, not a file.
    path.symlink_metadata().map_err(|e| Error::io("is not open", path, e))?;
    // SAFETY: it is open, as was just seen, and `LISTEN_PID` says that it was handed to this process,
    // so nothing in it has opened it; it is taken once.
    let fd = unsafe { OwnedFd::from_raw_fd(FIRST) };
    listener(fd, path)
}

/// What a descriptor listens on.
fn listener(fd: OwnedFd, path: &Path) -> Result<Activated, Error> {
    let failed = |e: io::Error| Error::io("is no socket that can be used", path, e);
    rustix::io::fcntl_setfd(&fd, FdFlags::CLOEXEC).map_err(|e| failed(e.into()))?;
    let socket = SockRef::from(&fd);
    let (domain, kind) = (socket.domain().map_err(failed)?, socket.r#type().map_err(failed)?);
    if kind != Type::STREAM || !socket.is_listener().map_err(failed)? {
        let what = "is no stream socket that listens";
        return Err(Error::at(ErrorKind::Service, what, path));
    }
    match domain {
        Domain::IPV4 | Domain::IPV6 => Ok(Activated::Tcp(fd.into())),
        Domain::UNIX => Ok(Activated::Unix(fd.into())),
        _ => Err(Error::at(ErrorKind::Service, "is neither of TCP nor a Unix socket", path)),
    }
}

/// What the variables say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    has_socket: bool,
    notify: Option<OsString>,
    watchdog: Option<Duration>,
}

impl Told {
    /// Reads the variables for the process `pid`. Those that are for another are not for this one.
    fn read(value: &dyn Fn(&str) -> Option<OsString>, pid: u32) -> Result<Self, Error> {
        let number = |name: &str| {
            let Some(text) = value(name) else { return Ok(None) };
            let parsed = text.to_str().and_then(|text| text.parse::<u64>().ok());
            let wrong = || {
                let what =
                    format!("the variable `{name}` is `{}`, expected a number", text.display());
                Error::service(what)
            };
            parsed.map(Some).ok_or_else(wrong)
        };
        let sockets = match number("LISTEN_PID")? {
            Some(other) if other == u64::from(pid) => number("LISTEN_FDS")?.unwrap_or(0),
            _ => 0,
        };
        if sockets > 1 {
            let what = format!("the service manager hands over `{sockets}` sockets, expected one");
            return Err(Error::service(what));
        }
        let watchdog = match number("WATCHDOG_PID")? {
            Some(other) if other != u64::from(pid) => None,
            _ => number("WATCHDOG_USEC")?,
        };
        if watchdog == Some(0) {
            return Err(Error::service("the variable `WATCHDOG_USEC` is `0`, expected more"));
        }
        Ok(Self {
            has_socket: sockets == 1,
            notify: value("NOTIFY_SOCKET").filter(|name| name.as_os_str() != OsStr::new("")),
            watchdog: watchdog.map(Duration::from_micros),
        })
    }
}

/// The time of the clock that service managers compare: since the system started, less what it slept.
pub fn monotonic_time() -> Duration {
    Clock::Monotonic.now()
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn variables() {
        let told = |has_socket, notify: Option<&str>, watchdog| {
            let watchdog = Option::map(watchdog, Duration::from_micros);
            Ok(Told { has_socket, notify: notify.map(OsString::from), watchdog })
        };
        type Case<'a> = (&'a [(&'a str, &'a str)], Result<Told, &'a str>);
        let cases: [Case<'_>; 13] = [
            (&[], told(false, None, None)),
            (&[("LISTEN_FDS", "1"), ("LISTEN_PID", "7")], told(true, None, None)),
            (&[("LISTEN_FDS", "1"), ("LISTEN_PID", "8")], told(false, None, None)),
            (&[("LISTEN_FDS", "1")], told(false, None, None)),
            (&[("LISTEN_FDS", "0"), ("LISTEN_PID", "7")], told(false, None, None)),
            (&[("LISTEN_FDS", "2"), ("LISTEN_PID", "7")], Err("`2` sockets")),
            (&[("LISTEN_FDS", "x"), ("LISTEN_PID", "7")], Err("`LISTEN_FDS` is `x`")),
            (&[("LISTEN_PID", "-7")], Err("`LISTEN_PID` is `-7`")),
            (&[("NOTIFY_SOCKET", "@a")], told(false, Some("@a"), None)),
            (&[("NOTIFY_SOCKET", "")], told(false, None, None)),
            (&[("WATCHDOG_USEC", "5"), ("WATCHDOG_PID", "7")], told(false, None, Some(5))),
            (&[("WATCHDOG_USEC", "5"), ("WATCHDOG_PID", "8")], told(false, None, None)),
            (&[("WATCHDOG_USEC", "0")], Err("`WATCHDOG_USEC` is `0`")),
        ];
        for (variables, want) in cases {
            let value = |name: &str| {
                let found = variables.iter().find(|(found, _)| *found == name);
                found.map(|(_, value)| OsString::from(value))
            };
            match (Told::read(&value, 7), want) {
                (Ok(found), Ok(want)) => assert_eq!(found, want, "{variables:?}"),
                (Err(found), Err(want)) => assert!(found.to_string().contains(want), "{found}"),
                (found, want) => panic!("{variables:?}: {found:?}, expected {want:?}"),
            }
        }
    }

    #[test]
    fn descriptors() {
        let dir = tempfile::tempdir().unwrap();
        let path = Path::new("fd");
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = tcp.local_addr().unwrap();
        assert!(
            matches!(listener(tcp.into(), path), Ok(Activated::Tcp(tcp)) if tcp.local_addr().unwrap() == at)
        );
        let unix = UnixListener::bind(dir.path().join("s")).unwrap();
        assert!(matches!(listener(unix.into(), path), Ok(Activated::Unix(_))));
        let wrong: [(OwnedFd, &str); 3] = [
            (UdpSocket::bind("127.0.0.1:0").unwrap().into(), "no stream socket that listens"),
            (
                std::os::unix::net::UnixStream::pair().unwrap().0.into(),
                "no stream socket that listens",
            ),
            (std::fs::File::open("/").unwrap().into(), "no socket"),
        ];
        for (fd, want) in wrong {
            let error = listener(fd, path).unwrap_err();
            assert!(error.to_string().contains(want), "{error}");
        }
    }
}
