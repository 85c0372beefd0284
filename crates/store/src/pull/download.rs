//! One file over HTTP: resumed where that is sound, hashed while it comes, locked meanwhile.
//!
//! The partial file is named by the digest of its address and of what is wanted. Beside it lies the
//! entity tag of the answer that it is the beginning of; without a strong one (RFC 9110, 8.8.1) or
//! a known digest nothing proves that the rest would fit, and the download begins anew.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::address::Address;
use super::http::{Answer, Client};
use crate::digest::{Hashing, pump};
use crate::layout::{Layout, Staged, make_read_only, read_bounded};
use crate::progress::{Phase, Progress, reporter};
use crate::stage::Means;
use crate::{Digest, Error, ErrorKind, error::Result};

/// How often a download is tried again without a single byte having come.
const MAX_IDLE_TRIES: u32 = 5;

/// What the file must be, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) digest: Option<Digest>,
    pub(crate) len_bytes: Option<u64>,
}

pub(crate) struct Download<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) client: &'a Client<'a>,
    pub(crate) address: &'a Address,
    /// For the address's own origin only.
    pub(crate) headers: &'a [(&'a str, String)],
    pub(crate) item: &'a str,
    pub(crate) wanted: Wanted,
    pub(crate) pause: Duration,
    pub(crate) progress: &'a dyn Progress,
}

/// The end of one request.
enum End {
    Complete,
    /// It broke off: to be gone on with.
    Broken(Error),
    /// No answer came. Worth another try if one has come before.
    Silent(Error),
}

impl Download<'_> {
    /// Downloads. `present` is asked again when another process has been waited for.
    pub(crate) fn run(&self, present: &dyn Fn() -> Option<Staged>) -> Result<(Staged, Means)> {
        let path = self.partial();
        let (file, waited) = self.lock(&path)?;
        if waited && let Some(staged) = present() {
            // The new, empty file that the loop of `lock` has made.
            fs::remove_file(&path).map_err(Error::io("cannot remove", &path))?;
            return Ok((staged, Means::Present));
        }
        let mut hashing = self.hash_beginning(file, &path)?;
        let (mut idle, mut answered) = (0, false);
        loop {
            let before = hashing.len_bytes();
            let error = match self.request(&path, &mut hashing)? {
                End::Complete => break,
                End::Silent(error) if !answered => return Err(error),
                End::Silent(error) => error,
                End::Broken(error) => {
                    answered = true;
                    error
                }
            };
            idle = if hashing.len_bytes() > before { 0 } else { idle + 1 };
            if idle >= MAX_IDLE_TRIES {
                return Err(error.advise("run the same command again to go on from here"));
            }
            std::thread::sleep(self.pause * 2_u32.pow(idle.saturating_sub(1)));
        }
        self.finish(hashing, path)
    }

    fn partial(&self) -> PathBuf {
        let digest = self.wanted.digest.map(|d| d.to_string()).unwrap_or_default();
        let key = Digest::of(format!("{}\n{digest}", self.address).as_bytes());
        self.layout.ingest().join(format!("{}.partial", key.hex()))
    }

    /// Opens the partial file and locks it; says whether somebody else had it.
    fn lock(&self, path: &Path) -> Result<(File, bool)> {
        let fail = |e| Error::io("cannot open the partial download", path)(e);
        let mut waited = false;
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let file = options.open(path).map_err(fail)?;
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                waited = true;
                reporter(self.progress, Phase::Wait, self.item, None)(0);
                flock(&file, FlockOperation::LockExclusive)
                    .map_err(Error::io("cannot lock the partial download", path))?;
            }
            // Who had the lock may have moved the file to the blobs, or removed it.
            let ours = file.metadata().map_err(fail)?;
            let named = fs::symlink_metadata(path).ok();
            if named.is_some_and(|named| (named.dev(), named.ino()) == (ours.dev(), ours.ino())) {
                return Ok((file, waited));
            }
        }
    }

    /// Hashes what an earlier process has left, if it can be gone on with.
    fn hash_beginning(&self, mut file: File, path: &Path) -> Result<Hashing<File>> {
        let fail = |e| Error::io("cannot read the partial download", path)(e);
        let len = file.metadata().map_err(fail)?.len();
        let sound = self.wanted.digest.is_some() || self.tag(path).is_some();
        let fits = self.wanted.len_bytes.is_none_or(|wanted| len <= wanted);
        if !sound || !fits {
            file.set_len(0).map_err(fail)?;
            return Ok(Hashing::new(file));
        }
        // Hashed into nothing, then gone on with: the file's offset ends up behind its last byte.
        let mut beginning = Hashing::new(io::sink());
        let report = reporter(self.progress, Phase::Hash, self.item, Some(len));
        pump(&mut file, &mut beginning, report).map_err(fail)?;
        Ok(beginning.with(file))
    }

    fn request(&self, path: &Path, hashing: &mut Hashing<File>) -> Result<End> {
        let have = hashing.len_bytes();
        if have > 0 && self.wanted.len_bytes == Some(have) {
            return Ok(End::Complete);
        }
        let mut headers = Vec::new();
        if have > 0 {
            headers.push(("range", format!("bytes={have}-")));
            if let Some(tag) = self.tag(path) {
                headers.push(("if-range", tag));
            }
        }
        let answer = match self.client.get(self.address, &headers, self.headers) {
            Ok(answer) => answer,
            Err(error) if error.kind() == ErrorKind::Network => return Ok(End::Silent(error)),
            Err(error) => return Err(error),
        };
        let total = match answer.status {
            200 => {
                self.restart(path, hashing)?;
                let tag = answer.header("etag").filter(|tag| is_strong(tag));
                self.keep_tag(path, tag)?;
                answer.header("content-length").and_then(|n| n.parse().ok())
            }
            206 => match range(&answer) {
                Some((first, total)) if first == have => Some(total),
                _ => {
                    // Not what was asked for: from the beginning.
                    self.restart(path, hashing)?;
                    self.keep_tag(path, None)?;
                    return Ok(End::Broken(self.fault(ErrorKind::Network, "a wrong range came")));
                }
            },
            416 if have > 0 => {
                if unsatisfied(&answer) == Some(have) {
                    return Ok(End::Complete);
                }
                self.restart(path, hashing)?;
                self.keep_tag(path, None)?;
                return Ok(End::Broken(self.fault(ErrorKind::Network, "the file has changed")));
            }
            status => return self.refusal(status),
        };
        if answer.header("content-encoding").is_some_and(|coding| coding != "identity") {
            return Err(self.fault(ErrorKind::Refused, "the answer is compressed, not asked for"));
        }
        self.receive(answer, total, hashing)
    }

    fn receive(
        &self,
        answer: Answer,
        total: Option<u64>,
        hashing: &mut Hashing<File>,
    ) -> Result<End> {
        let have = hashing.len_bytes();
        if let (Some(total), Some(wanted)) = (total, self.wanted.len_bytes)
            && total != wanted
        {
            let what = format!("the server has {total} bytes, expected {wanted}");
            return Err(self.fault(ErrorKind::Mismatch, what));
        }
        let total = total.or(self.wanted.len_bytes);
        // Without a promised length the disk is the bound, less what others may need.
        let free = self.layout.free_bytes()?.saturating_sub(64 << 20);
        let most = total.unwrap_or(have.saturating_add(free)).saturating_sub(have);
        self.layout.check_space(most.min(u64::MAX >> 1))?;

        let report = reporter(self.progress, Phase::Download, self.item, total);
        report(have);
        let mut reader = answer.into_reader().take(most.saturating_add(1));
        match pump(&mut reader, hashing, |done| report(have + done)) {
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::StorageFull => {
                return Err(self.fault(ErrorKind::Space, "the disk is full").because(e));
            }
            Err(e) => {
                return Ok(End::Broken(
                    self.fault(ErrorKind::Network, "the download broke off").because(e),
                ));
            }
        }
        let now = hashing.len_bytes();
        match total {
            Some(total) if now < total => {
                let what = format!("the download ended at {now} of {total} bytes");
                Ok(End::Broken(self.fault(ErrorKind::Network, what)))
            }
            Some(total) if now > total => {
                let what = format!("more came than the {total} bytes that were promised");
                Err(self.fault(ErrorKind::Mismatch, what))
            }
            None if now - have > most => {
                Err(self.fault(ErrorKind::Space, "the answer has no end that fits on the disk"))
            }
            _ => Ok(End::Complete),
        }
    }

    fn finish(&self, hashing: Hashing<File>, path: PathBuf) -> Result<(Staged, Means)> {
        let (file, digest, len_bytes) = hashing.into_parts();
        if let Some(wanted) = self.wanted.digest
            && wanted != digest
        {
            // Never to be gone on with.
            self.discard(&path)?;
            let what = format!("the file is {digest}, expected {wanted}");
            return Err(self.fault(ErrorKind::Mismatch, what));
        }
        if let Some(wanted) = self.wanted.len_bytes
            && wanted != len_bytes
        {
            self.discard(&path)?;
            let what = format!("the file has {len_bytes} bytes, expected {wanted}");
            return Err(self.fault(ErrorKind::Mismatch, what));
        }
        file.sync_all().map_err(Error::io("cannot sync", &path))?;
        make_read_only(&path)?;
        self.keep_tag(&path, None)?;
        Ok((Staged { path: Some(path), digest, len_bytes, _lock: Some(file) }, Means::Fetched))
    }

    fn discard(&self, path: &Path) -> Result<()> {
        self.keep_tag(path, None)?;
        fs::remove_file(path).map_err(Error::io("cannot remove", path))
    }

    fn restart(&self, path: &Path, hashing: &mut Hashing<File>) -> Result<()> {
        let fail = |e| Error::io("cannot begin the download anew", path)(e);
        let file = hashing.restart();
        file.set_len(0).map_err(fail)?;
        file.seek(SeekFrom::Start(0)).map_err(fail)?;
        Ok(())
    }

    fn refusal(&self, status: u16) -> Result<End> {
        let (kind, what) = match status {
            404 | 410 => (ErrorKind::NotFound, "no such file on the server".to_owned()),
            401 | 403 => (ErrorKind::Network, format!("access denied (HTTP {status})")),
            408 | 429 | 500..=599 => {
                let what = format!("the server answers with HTTP {status}");
                return Ok(End::Broken(self.fault(ErrorKind::Network, what)));
            }
            _ => (ErrorKind::Network, format!("unexpected answer HTTP {status}")),
        };
        let error = self.fault(kind, what);
        Err(if matches!(status, 401 | 403) {
            error.advise("for a gated model, accept its terms on the hub and set `HF_TOKEN`")
        } else {
            error
        })
    }

    fn fault(&self, kind: ErrorKind, what: impl Into<String>) -> Error {
        Error::new(kind, what).at(self.address)
    }

    /// The strong entity tag of what is in the partial file.
    fn tag(&self, path: &Path) -> Option<String> {
        let bytes = read_bounded(&path.with_extension("json"), 4096).ok()?;
        let tag: String = serde_json::from_slice(&bytes).ok()?;
        is_strong(&tag).then_some(tag)
    }

    fn keep_tag(&self, path: &Path, tag: Option<&str>) -> Result<()> {
        let beside = path.with_extension("json");
        let done = match tag {
            Some(tag) => File::create(&beside).and_then(|mut file| {
                file.write_all(serde_json::Value::from(tag).to_string().as_bytes())
            }),
            None => match fs::remove_file(&beside) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
                _ => Ok(()),
            },
        };
        done.map_err(Error::io("cannot keep the entity tag", &beside))
    }
}

fn is_strong(tag: &str) -> bool {
    tag.len() > 2 && tag.len() < 1000 && tag.starts_with('"') && tag.ends_with('"')
}

/// First byte and total of `Content-Range: bytes 5-9/10`.
fn range(answer: &Answer) -> Option<(u64, u64)> {
    let (span, total) = answer.header("content-range")?.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = span.split_once('-')?;
    let (first, last, total): (u64, u64, u64) =
        (first.parse().ok()?, last.parse().ok()?, total.parse().ok()?);
    (first <= last && last < total).then_some((first, total))
}

/// The total of `Content-Range: bytes */10`.
fn unsatisfied(answer: &Answer) -> Option<u64> {
    answer.header("content-range")?.strip_prefix("bytes */")?.parse().ok()
}
