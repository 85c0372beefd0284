//! What a server listens on.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net;
use std::path::{Path, PathBuf};

use rushlight_host::Activated;
use tokio::net::{TcpListener, UnixListener};

use crate::options::{Address, ServerOptions};
use crate::{Error, ErrorKind};

/// What a server listens on.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(
        UnixListener,
        #[expect(dead_code, reason = "it is dropped with the listener")] Option<SocketFile>,
    ),
}

impl Listener {
    /// Begins to listen, and gives the address with its port.
    pub(super) async fn bind(options: &ServerOptions) -> Result<(Self, Address), Error> {
        let failed = |e: io::Error| {
            let message = format!("cannot listen on `{}`", options.address);
            let error = Error::new(ErrorKind::Address, message);
            let hint = match e.kind() {
                io::ErrorKind::AddrInUse => Some("something listens there already"),
                io::ErrorKind::PermissionDenied => Some("ports below 1024 are for root"),
                _ => None,
            };
            hint.into_iter().fold(error, Error::with_hint).because(e)
        };
        match &options.address {
            Address::Tcp(address) => {
                let listener = TcpListener::bind(address).await.map_err(failed)?;
                let address = listener.local_addr().map_err(failed)?;
                Ok((Self::Tcp(listener), Address::Tcp(address)))
            }
            Address::Unix(path) => {
                let listener = bind_socket(path, options.socket_mode).map_err(failed)?;
                let file = SocketFile(path.clone());
                listener.set_nonblocking(true).map_err(failed)?;
                let listener = UnixListener::from_std(listener).map_err(failed)?;
                Ok((Self::Unix(listener, Some(file)), options.address.clone()))
            }
        }
    }

    /// Listens on what listens already, and gives its address. The file of a socket stays.
    pub(super) fn adopt(socket: Activated) -> Result<(Self, Address), Error> {
        let failed = |e: io::Error| {
            let message = "the socket of the service manager cannot be listened on";
            Error::new(ErrorKind::Address, message).because(e)
        };
        match socket {
            Activated::Tcp(listener) => {
                listener.set_nonblocking(true).map_err(failed)?;
                let listener = TcpListener::from_std(listener).map_err(failed)?;
                let address = listener.local_addr().map_err(failed)?;
                Ok((Self::Tcp(listener), Address::Tcp(address)))
            }
            Activated::Unix(listener) => {
                listener.set_nonblocking(true).map_err(failed)?;
                let listener = UnixListener::from_std(listener).map_err(failed)?;
                let address = listener.local_addr().map_err(failed)?;
                let path = address.as_pathname().map_or_else(|| "(no path)".into(), Path::to_owned);
                Ok((Self::Unix(listener, None), Address::Unix(path)))
            }
        }
    }
}

/// A socket's file, which goes when nobody listens any more.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // One that is left is replaced at the next start.
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes a socket with the mode, which it has from the moment that it can be found: it is made in a
/// folder that only its owner can enter, and moved.
fn bind_socket(path: &Path, mode: u32) -> io::Result<net::UnixListener> {
    if let Ok(found) = fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            let message = "there is a file of this name, which is no socket";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        if net::UnixStream::connect(path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
    }
    // The kernel takes some 100 bytes as a path: the longer name is short.
    let folder = path.with_file_name(format!(".{}", std::process::id()));
    DirBuilder::new().mode(0o700).create(&folder)?;
    let within = folder.join("s");
    let bound = net::UnixListener::bind(&within).and_then(|listener| {
        fs::set_permissions(&within, Permissions::from_mode(mode))?;
        fs::rename(&within, path)?;
        Ok(listener)
    });
    if bound.is_err() {
        // It may never have been made.
        let _ = fs::remove_file(&within);
    }
    // An empty folder is no harm.
    let _ = fs::remove_dir(&folder);
    bound
}
