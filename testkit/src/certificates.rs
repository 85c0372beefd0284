//! Certificates for tests of TLS, made by `golden/make_certificates.sh`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Who signed [`SERVER`], [`RENEWED`] and [`CLIENT`]; there is no key of it.
pub const AUTHORITY: &str = "authority";
/// Of `localhost` and `127.0.0.1`.
pub const SERVER: &str = "server";
/// The same, with another key.
pub const RENEWED: &str = "renewed";
/// Of a client.
pub const CLIENT: &str = "client";
/// Of a client, signed by somebody else.
pub const STRANGE_CLIENT: &str = "strange-client";

/// The certificate of a name, as PEM.
///
/// # Panics
/// If there is none.
pub fn certificate(name: &str) -> String {
    text(&format!("{name}.pem"))
}

/// Writes a name's certificate and its key, which is for its owner alone, and gives their paths.
///
/// # Panics
/// If there is no such name, or they cannot be written.
pub fn write(name: &str, dir: &Path) -> (PathBuf, PathBuf) {
    let paths = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
    put(&paths.0, &certificate(name), 0o644);
    put(&paths.1, &text(&format!("{name}.key")), 0o600);
    paths
}

/// Writes a file with a mode.
///
/// # Panics
/// If it cannot be written.
pub fn put(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).expect("a test can write its files");
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a file's owner sets its mode");
}

fn text(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/certificates").join(file);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
