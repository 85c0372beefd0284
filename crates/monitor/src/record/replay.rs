//! Reads a recording.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::{Header, MAGIC, failed};
use crate::error::{Error, ErrorKind};
use crate::sample::Sample;

/// Bytes of a line, at most: more than a sample of a large machine has.
const MOST_LINE: u64 = 16 << 20;
/// Samples, at most: a year at one each ten seconds.
const MOST_SAMPLES: usize = 1 << 22;

/// The samples of a file, in any order.
#[derive(Debug)]
pub struct Replay {
    path: PathBuf,
    file: BufReader<File>,
    /// Where each line begins.
    lines: Vec<u64>,
    interval_seconds: f64,
}

impl Replay {
    /// Opens a recording and finds its samples, which are read when they are asked for.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is no recording, or is one of a later version.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let cannot = |e: std::io::Error| failed(path, "read", &e);
        let file = File::open(path).map_err(cannot)?;
        if !file.metadata().map_err(cannot)?.is_file() {
            return Err(failed(path, "read", &"it is no regular file"));
        }
        let mut file = BufReader::new(file);
        let (mut lines, mut interval_seconds) = (Vec::new(), 1.0);
        let (mut at, mut line) = (0, Vec::new());
        while lines.len() < MOST_SAMPLES {
            line.clear();
            let read =
                file.by_ref().take(MOST_LINE).read_until(b'\n', &mut line).map_err(cannot)?;
            if read == 0 {
                break;
            }
            if line.starts_with(MAGIC.as_bytes()) {
                interval_seconds = header(path, &line)?.interval_seconds;
            } else if at == 0 {
                return Err(no_recording(path));
            } else if !line.trim_ascii().is_empty() {
                // Damaged ones too: they are counted when they are read.
                lines.push(at);
            }
            at += read as u64;
        }
        if at == 0 {
            return Err(no_recording(path));
        }
        let interval_seconds =
            if interval_seconds.is_finite() { interval_seconds.clamp(0.01, 3600.0) } else { 1.0 };
        Ok(Self { path: path.to_owned(), file, lines, interval_seconds })
    }

    /// How many samples there are, damaged ones too.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Seconds from sample to sample, as they were to be.
    pub fn interval_seconds(&self) -> f64 {
        self.interval_seconds
    }

    /// The sample with the number `at`, from 0; `None` if its line is damaged, or there is none.
    ///
    /// # Errors
    ///
    /// If the file cannot be read any more.
    pub fn get(&mut self, at: usize) -> Result<Option<Sample>, Error> {
        let Some(&start) = self.lines.get(at) else { return Ok(None) };
        let cannot = |e: std::io::Error| failed(&self.path, "read", &e);
        self.file.seek(SeekFrom::Start(start)).map_err(cannot)?;
        let mut line = Vec::new();
        self.file.by_ref().take(MOST_LINE).read_until(b'\n', &mut line).map_err(cannot)?;
        Ok(serde_json::from_slice(&line).ok())
    }
}

fn header(path: &Path, line: &[u8]) -> Result<Header, Error> {
    let header: Header = serde_json::from_slice(line).map_err(|_| no_recording(path))?;
    if header.rushlight_monitor > Sample::SCHEMA {
        let message = format!(
            "`{}` is a recording of version {}, this program reads up to {}",
            path.display(),
            header.rushlight_monitor,
            Sample::SCHEMA
        );
        return Err(Error::new(ErrorKind::Recording, message)
            .with_hint(format!("it was written by rushlight {}", header.version)));
    }
    Ok(header)
}

fn no_recording(path: &Path) -> Error {
    Error::new(ErrorKind::Recording, format!("`{}` is no recording", path.display()))
        .with_hint("expected a file of `rushlight monitor --record FILE`")
}
