//! Recordings: a line of JSON that says what it is, then one for each sample.
//!
//! A line is written at once, so that what a crash leaves is whole lines, at most followed by a part
//! of one, which the reader leaves out.

mod replay;

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::sample::{Process, Sample};
pub use replay::Replay;

/// Processes of a sample that are recorded for each thing that they may do most of.
const MOST_PROCESSES: usize = 12;
/// Characters of a command line that are recorded.
const MOST_COMMAND: usize = 120;
/// How a recording begins.
const MAGIC: &str = "{\"rushlight_monitor\":";

/// The first line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Header {
    /// The version of the schema.
    rushlight_monitor: u32,
    /// The version of the program.
    version: String,
    /// Seconds from sample to sample.
    interval_seconds: f64,
}

/// Writes samples to a file.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    file: File,
    most_bytes: u64,
    header: String,
    line: Vec<u8>,
}

impl Recorder {
    /// Writes to `path`, after what is there if that is a recording. When the file is `most_bytes`
    /// long it is renamed to `PATH.1`, in place of an earlier one, and a new one is begun.
    ///
    /// # Errors
    ///
    /// If the file cannot be written, or is something else than a recording.
    pub fn create(path: &Path, interval_seconds: f64, most_bytes: u64) -> Result<Self, Error> {
        let header = Header {
            rushlight_monitor: Sample::SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            interval_seconds,
        };
        let header =
            serde_json::to_string(&header).map_err(|e| failed(path, "written", &e))? + "\n";
        let mut recorder = Self {
            file: open(path).map_err(|e| failed(path, "written", &e))?,
            path: path.to_owned(),
            most_bytes,
            header,
            line: Vec::new(),
        };
        recorder.begin()?;
        Ok(recorder)
    }

    /// Writes a sample, with the processes that did most.
    ///
    /// # Errors
    ///
    /// If the file cannot be written, such as when the disk is full.
    pub fn write(&mut self, sample: &Sample) -> Result<(), Error> {
        let failed = |e: io::Error| failed(&self.path, "written", &e);
        self.line.clear();
        serde_json::to_writer(&mut self.line, &trimmed(sample)).map_err(|e| failed(e.into()))?;
        self.line.push(b'\n');
        let bytes = self.file.metadata().map_err(failed)?.len();
        let is_full = bytes.saturating_add(self.line.len() as u64) > self.most_bytes;
        if is_full && bytes > self.header.len() as u64 {
            let mut old = self.path.clone().into_os_string();
            old.push(".1");
            match std::fs::rename(&self.path, old) {
                // It was renamed before, and no new one could be begun.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                _ => self.file = open(&self.path).map_err(failed)?,
            }
            self.begin()?;
        } else if bytes == 0 {
            // Someone emptied it, or the disk had no room for the first line.
            self.begin()?;
        }
        append(&mut self.file, &self.line)
            .map_err(|e| crate::record::failed(&self.path, "written", &e))
    }

    fn begin(&mut self) -> Result<(), Error> {
        let cannot = |e: io::Error| failed(&self.path, "written", &e);
        let mut text = String::new();
        if self.file.metadata().map_err(cannot)?.len() > 0 {
            let mut start = vec![0; MAGIC.len()];
            self.file.seek(SeekFrom::Start(0)).map_err(cannot)?;
            let is_recording =
                self.file.read_exact(&mut start).is_ok() && start == MAGIC.as_bytes();
            if !is_recording {
                let path = self.path.display();
                let message = format!("`{path}` is something else than a recording");
                return Err(Error::new(ErrorKind::Recording, message)
                    .with_hint("name a file that is not there yet"));
            }
            let mut last = [0];
            self.file.seek(SeekFrom::End(-1)).map_err(cannot)?;
            self.file.read_exact(&mut last).map_err(cannot)?;
            if last != *b"\n" {
                text.push('\n');
            }
        }
        text.push_str(&self.header);
        append(&mut self.file, text.as_bytes()).map_err(cannot)
    }
}

/// Writes all of it at the end, or nothing: what follows begins on a line of its own.
fn append(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    let before = file.metadata()?.len();
    file.write_all(bytes).inspect_err(|_| {
        // If that fails too, the reader leaves the line out.
        let _ = file.set_len(before);
    })
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).open(path)
}

fn failed(path: &Path, what: &str, error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Recording, format!("`{}` cannot be {what}: {error}", path.display()))
}

/// The sample without processes that did little and hold little.
fn trimmed(sample: &Sample) -> Sample {
    let processes = &sample.processes;
    let mut kept = vec![false; processes.len()];
    let mut keep = |of: &dyn Fn(&Process) -> f64| {
        let mut order: Vec<(f64, usize)> = processes.iter().map(of).zip(0..).collect();
        order.retain(|(much, _)| *much > 0.0);
        order.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (_, at) in order.into_iter().take(MOST_PROCESSES) {
            if let Some(kept) = kept.get_mut(at) {
                *kept = true;
            }
        }
    };
    keep(&|process| f64::from(process.cpu_percent));
    keep(&|process| process.memory_bytes as f64);
    keep(&|process| {
        let read = process.read_bytes_per_second.unwrap_or(0) as f64;
        read + process.write_bytes_per_second.unwrap_or(0) as f64
    });
    keep(&|process| f64::from(process.gpu_percent.unwrap_or(0.0)));
    keep(&|process| process.gpu_memory_bytes.unwrap_or(0) as f64);
    keep(&|process| f64::from(u8::from(process.is_rushlight)));
    let processes = processes.iter().zip(kept).filter(|(_, kept)| *kept);
    let processes = processes.map(|(process, _)| {
        let command = process.command.chars().take(MOST_COMMAND).collect();
        Process { command, ..process.clone() }
    });
    let processes = processes.collect();
    // All but the processes, which may be many, is small.
    Sample { processes, ..without_processes(sample) }
}

fn without_processes(sample: &Sample) -> Sample {
    Sample {
        time_unix_ms: sample.time_unix_ms,
        interval_seconds: sample.interval_seconds,
        host: sample.host.clone(),
        cpu: sample.cpu.clone(),
        memory: sample.memory.clone(),
        pressure: sample.pressure.clone(),
        disks: sample.disks.clone(),
        filesystems: sample.filesystems.clone(),
        networks: sample.networks.clone(),
        accelerators: sample.accelerators.clone(),
        power: sample.power.clone(),
        heat: sample.heat.clone(),
        served: sample.served.clone(),
        tasks: sample.tasks.clone(),
        processes: Vec::new(),
        own: sample.own.clone(),
        absent: sample.absent.clone(),
    }
}

#[cfg(test)]
mod tests;
