//! Where development keeps what it fetched.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The folder `rushlight-dev` of the user's cache (`XDG_CACHE_HOME`, or `.cache` at home), made
/// when it is not there.
///
/// # Errors
/// If the user has no home, or the folder cannot be made.
pub fn cache_dir() -> io::Result<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let cache = absolute("XDG_CACHE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".cache")))
        .ok_or_else(|| io::Error::other("neither `XDG_CACHE_HOME` nor `HOME` is a full path"))?;
    let folder = cache.join("rushlight-dev");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Whether this process may do everything: it owns what it makes, and root is user 0.
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}
