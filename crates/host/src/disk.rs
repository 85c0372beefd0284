//! Room on a file system.

use std::fs::File;
use std::path::Path;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use crate::Error;

/// Bytes that this user can still write on the file system of `path`.
///
/// # Errors
/// If the file system cannot be asked.
pub fn free_bytes(path: &Path) -> Result<u64, Error> {
    let stat = rustix::fs::statvfs(path)
        .map_err(|e| Error::io("cannot ask for the free space", path, e.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Makes `file` `len_bytes` long, with room for all of them where the file system can promise it.
///
/// # Errors
/// If there is no room, or the file cannot be as long.
pub fn reserve(file: &File, len_bytes: u64, path: &Path) -> Result<(), Error> {
    let reserved = match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, len_bytes) {
        // Some file systems cannot promise room.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
        other => other.map_err(std::io::Error::from),
    };
    reserved
        .and_then(|()| file.set_len(len_bytes))
        .map_err(|e| Error::io(format!("cannot reserve {len_bytes} bytes"), path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_file_has_its_length() {
        let dir = tempfile::tempdir().unwrap();
        assert!(free_bytes(dir.path()).unwrap() > 0);
        let path = dir.path().join("file");
        let file = File::create(&path).unwrap();
        reserve(&file, 100_000, &path).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 100_000);
        reserve(&file, 10, &path).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 10);
        let error = reserve(&file, u64::MAX >> 1, &path).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Io);
        assert!(free_bytes(Path::new("/nonexistent")).is_err());
    }
}
