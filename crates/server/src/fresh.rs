//! What was read from files, and is read again when they change.
//!
//! Nothing runs in between: who needs the value looks at the files first, though not each time. Files
//! that are no good any more leave what was read before as it is, which is told.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::observe::Notices;
use crate::worker::{Degradation, chain};
use crate::{Error, ErrorKind};

/// Files are not looked at more often.
const PAUSE: Duration = Duration::from_secs(2);

/// Files of keys and certificates are no larger than this.
const MOST_BYTES: u64 = 1 << 20;

/// Reads the value; from the second time on with what was there before.
type Read<T> = Box<dyn Fn(Option<&T>) -> Result<T, Error> + Send + Sync>;

/// A value that was read from files.
pub(crate) struct Fresh<T> {
    /// What it is, for people.
    what: &'static str,
    files: Vec<PathBuf>,
    read: Read<T>,
    notices: Option<Notices>,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: Arc<T>,
    stamps: Vec<Option<Stamp>>,
    looked: Instant,
    /// Why the files cannot be used as they are now.
    wrong: Option<String>,
}

/// What tells a file from what it was: device and number, size, when it was written and changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp(u64, u64, u64, (i64, i64), (i64, i64));

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let meta = fs::metadata(path).ok()?;
        let (written, changed) =
            ((meta.mtime(), meta.mtime_nsec()), (meta.ctime(), meta.ctime_nsec()));
        Some(Self(meta.dev(), meta.ino(), meta.size(), written, changed))
    }
}

impl<T> Fresh<T> {
    /// Reads the value for the first time.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn new(
        what: &'static str,
        files: Vec<PathBuf>,
        notices: Option<Notices>,
        read: impl Fn(Option<&T>) -> Result<T, Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let stamps = stamps(&files);
        let value = Arc::new(read(None)?);
        let state = State { value, stamps, looked: Instant::now(), wrong: None };
        Ok(Self { what, files, read: Box::new(read), notices, state: Mutex::new(state) })
    }

    /// The value, read again if it is time to look and its files have changed.
    pub(crate) fn get(&self) -> Arc<T> {
        let mut state = self.lock();
        if state.looked.elapsed() >= PAUSE {
            let stamps = stamps(&self.files);
            if stamps != state.stamps {
                self.read_again(&mut state, stamps);
            }
            state.looked = Instant::now();
        }
        state.value.clone()
    }

    /// Reads the value again at once.
    pub(crate) fn reload(&self) {
        let mut state = self.lock();
        self.read_again(&mut state, stamps(&self.files));
    }

    /// What is not as it should be.
    pub(crate) fn degradation(&self) -> Option<Degradation> {
        let wrong = self.lock().wrong.clone()?;
        Some(Degradation::new(self.what, format!("{wrong}; what was read before is used")))
    }

    /// The stamps were taken before, so that what is written meanwhile is seen the next time.
    fn read_again(&self, state: &mut State<T>, stamps: Vec<Option<Stamp>>) {
        state.stamps = stamps;
        let notice = match (self.read)(Some(&state.value)) {
            Ok(value) => {
                state.value = Arc::new(value);
                state.wrong = None;
                format!("read again: {}", self.what)
            }
            Err(error) => {
                let why = chain(&error);
                let notice = format!("not read again: {}: {why}", self.what);
                state.wrong = Some(why);
                notice
            }
        };
        if let Some(notices) = &self.notices {
            notices.tell(&notice);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> std::fmt::Debug for Fresh<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fresh").field("files", &self.files).finish_non_exhaustive()
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    files.iter().map(|file| Stamp::of(file)).collect()
}

/// Who may do what with a file that access depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Open {
    /// Everyone may read it.
    ToRead,
    /// Not everyone may.
    ToSome,
}

/// Reads a file that access depends on; `what` names it in errors.
///
/// # Errors
/// If it is no file, is too large, or can be written by everyone, or read where that must not be.
pub(crate) fn read(path: &Path, what: &str, kind: ErrorKind, open: Open) -> Result<Vec<u8>, Error> {
    let wrong = |how: &str| Error::new(kind, format!("the {what} `{}` {how}", path.display()));
    let meta = fs::metadata(path).map_err(|e| wrong("cannot be read").because(e))?;
    if !meta.is_file() {
        return Err(wrong("is no regular file"));
    }
    if meta.mode() & 0o002 != 0 {
        return Err(wrong("can be written by everyone").with_hint("`chmod o-w` it"));
    }
    if open == Open::ToSome && meta.mode() & 0o004 != 0 {
        return Err(wrong("can be read by everyone").with_hint("`chmod o-r` it"));
    }
    if meta.len() > MOST_BYTES {
        return Err(wrong(&format!("has more than `{MOST_BYTES}` bytes")));
    }
    fs::read(path).map_err(|e| wrong("cannot be read").because(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(path: &Path) -> Result<u32, Error> {
        let wrong = |what: &str| Error::new(ErrorKind::Keys, what);
        let text = fs::read_to_string(path).map_err(|_| wrong("gone"))?;
        text.parse().map_err(|_| wrong("no number"))
    }

    fn age<T>(fresh: &Fresh<T>) {
        fresh.lock().looked = Instant::now().checked_sub(PAUSE).unwrap();
    }

    #[test]
    fn what_changes_is_read_again_and_what_is_wrong_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n");
        fs::write(&path, "1").unwrap();
        let file = path.clone();
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let hear = told.clone();
        let notices = Notices::new(move |text| hear.lock().unwrap().push(text.to_owned()));
        let fresh = Fresh::new("number", vec![path.clone()], Some(notices), move |_| number(&file))
            .unwrap();
        fs::write(&path, "22").unwrap();
        assert_eq!(*fresh.get(), 1, "it is not time yet");
        age(&fresh);
        assert_eq!(*fresh.get(), 22);
        fs::write(&path, "x").unwrap();
        age(&fresh);
        assert_eq!(*fresh.get(), 22);
        assert!(fresh.degradation().unwrap().reason.contains("no number"));
        age(&fresh);
        assert_eq!(*fresh.get(), 22, "it is told once");
        // A new file in the place of the old one.
        fs::write(dir.path().join("m"), "3").unwrap();
        fs::rename(dir.path().join("m"), &path).unwrap();
        age(&fresh);
        assert_eq!(*fresh.get(), 3);
        assert!(fresh.degradation().is_none());
        fs::remove_file(&path).unwrap();
        fresh.reload();
        assert_eq!(*fresh.get(), 3);
        assert!(fresh.degradation().unwrap().reason.contains("gone"));
        let want = [
            "read again: number",
            "not read again: number: no number",
            "read again: number",
            "not read again: number: gone",
        ];
        assert_eq!(*told.lock().unwrap(), want);
    }
}
