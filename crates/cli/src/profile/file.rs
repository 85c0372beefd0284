//! Profiles on disk.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::Key;
use crate::args::{CoreSet, KvType};
use crate::tune::{Backend, Setting, Spread, Weights};

/// The version of the files. One of another version is not used.
const VERSION: u32 = 1;
/// A profile is no larger than this.
const MOST_BYTES: u64 = 64 << 10;
/// Other files of the same model that are looked at, to say why none is used.
const MOST_FILES: usize = 256;
/// No machine has more threads.
const MOST_THREADS: usize = 4096;
/// No chunk is larger.
const MOST_CHUNK: usize = 1 << 20;

/// A profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    version: u32,
    pub(crate) key: Key,
    /// When it was measured, as RFC 3339 has it.
    pub(crate) made: String,
    /// What was wanted.
    pub(crate) objective: String,
    pub(crate) settings: Settings,
    pub(crate) prompt: Option<Figures>,
    pub(crate) answer: Option<Figures>,
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) backend: String,
    pub(crate) kernels: String,
    pub(crate) weights: String,
    pub(crate) cores: String,
    pub(crate) threads: usize,
    pub(crate) decode_threads: usize,
    pub(crate) kv: String,
    pub(crate) chunk: usize,
    pub(crate) parallel: Option<usize>,
}

/// Tokens per second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Figures {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    pub(crate) measurements: usize,
}

impl Figures {
    pub(crate) fn of(spread: &Spread) -> Self {
        let Spread { median, least, most, count, .. } = *spread;
        Self { median, least, most, measurements: count }
    }
}

impl Settings {
    pub(crate) fn of(setting: &Setting, parallel: Option<usize>) -> Self {
        Self {
            backend: setting.machine.backend.name().to_owned(),
            kernels: setting.machine.kernels.to_owned(),
            weights: setting.machine.weights.name().to_owned(),
            cores: setting.cores.name().to_owned(),
            threads: setting.threads,
            decode_threads: setting.decode_threads,
            kv: setting.kv.name().to_owned(),
            chunk: setting.chunk,
            parallel,
        }
    }

    /// Whether this program can do what they say.
    fn check(&self) -> Result<(), String> {
        let counts = [self.threads, self.decode_threads, self.parallel.unwrap_or(1)];
        let known = [
            ("backend", &self.backend, self.backend == Backend::Cpu.name()),
            ("kernels", &self.kernels, rushlight_kernels::by_name(&self.kernels).is_some()),
            ("weights", &self.weights, Weights::EACH.iter().any(|w| w.name() == self.weights)),
            ("cores", &self.cores, CoreSet::from_str(&self.cores, false).is_ok()),
            ("kv", &self.kv, KvType::from_str(&self.kv, false).is_ok()),
        ];
        if let Some((what, value, _)) = known.iter().find(|(.., known)| !known) {
            let value: String = value.chars().take(40).collect();
            return Err(format!("`{what}` is `{}`", value.escape_debug()));
        }
        if counts.iter().any(|n| !(1..=MOST_THREADS).contains(n)) {
            return Err(format!("threads and answers of {counts:?}"));
        }
        match self.chunk {
            1..=MOST_CHUNK => Ok(()),
            chunk => Err(format!("chunks of `{chunk}`")),
        }
    }
}

impl Profile {
    pub(crate) fn new(key: Key, objective: &str, settings: Settings) -> Self {
        Self {
            version: VERSION,
            key,
            made: rushlight_server::rfc3339(SystemTime::now()),
            objective: objective.to_owned(),
            settings,
            prompt: None,
            answer: None,
        }
    }

    /// The day on which it was measured.
    pub(super) fn day(&self) -> &str {
        self.made.get(..10).unwrap_or("unknown day")
    }

    fn parse(text: &str) -> Result<Self, String> {
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|_| "it is no JSON".to_owned())?;
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(version) if version == u64::from(VERSION) => {}
            Some(version) => return Err(format!("version `{version}`, expected `{VERSION}`")),
            None => return Err("it has no version".to_owned()),
        }
        let profile: Self = serde_json::from_value(value).map_err(|e| {
            let message: String = e.to_string().chars().take(120).collect();
            message.escape_debug().to_string()
        })?;
        let of_time = |c: char| c.is_ascii_digit() || "-:.TZ".contains(c);
        if !profile.made.chars().all(of_time) || profile.made.len() > 40 {
            return Err("`made` is no time".to_owned());
        }
        profile.settings.check().map(|()| profile)
    }

    fn read(path: &Path) -> Result<Self, String> {
        let mut text = String::new();
        // To open a pipe would wait.
        if !fs::metadata(path).is_ok_and(|meta| meta.is_file()) {
            return Err("it is no file".to_owned());
        }
        let file = File::open(path).map_err(|e| e.to_string())?;
        let read = file.take(MOST_BYTES + 1).read_to_string(&mut text);
        read.map_err(|e| e.to_string())?;
        if text.len() as u64 > MOST_BYTES {
            return Err(format!("it is larger than `{MOST_BYTES}` bytes"));
        }
        Self::parse(&text)
    }
}

fn directory(store: &Path) -> PathBuf {
    store.join("profiles")
}

/// The profile of a key in a store; an error says why one that is there is not used.
pub(super) fn read(store: &Path, key: &Key) -> Result<Option<Profile>, String> {
    let path = directory(store).join(key.file_name());
    if !path.exists() {
        return match other(store, key) {
            None => Ok(None),
            Some(other) => Err(format!(
                "the device profile of {} is not used: it was made {}; `rushlight tune` makes one for here",
                other.day(),
                key.differences(&other.key).join(" and "),
            )),
        };
    }
    let profile = Profile::read(&path);
    let unused = |why| format!("the device profile `{}` is not used: {why}", path.display());
    let profile = profile.map_err(unused)?;
    match key.differences(&profile.key)[..] {
        [] => Ok(Some(profile)),
        ref differences => Err(unused(format!("it was made {}", differences.join(" and ")))),
    }
}

/// The latest profile of the same model for something else.
fn other(store: &Path, key: &Key) -> Option<Profile> {
    let files = fs::read_dir(directory(store)).ok()?.flatten();
    let of_model = files.filter(|file| {
        file.file_name().to_str().is_some_and(|name| name.starts_with(&key.of_model()))
    });
    let profiles = of_model.take(MOST_FILES).filter_map(|file| Profile::read(&file.path()).ok());
    profiles
        .filter(|profile| profile.key != *key && profile.key.model == key.model)
        .max_by(|a, b| a.made.cmp(&b.made))
}

/// Keeps a profile: the file is the old one or the new one, whatever happens. Returns where.
pub(crate) fn write(store: &Path, profile: &Profile) -> anyhow::Result<PathBuf> {
    let directory = directory(store);
    let path = directory.join(profile.key.file_name());
    let partial = path.with_extension(format!("{}.partial", std::process::id()));
    let written = || -> anyhow::Result<()> {
        fs::create_dir_all(&directory)?;
        let mut file = File::create(&partial)?;
        file.write_all(format!("{:#}\n", serde_json::to_value(profile)?).as_bytes())?;
        file.sync_all()?;
        Ok(fs::rename(&partial, &path)?)
    };
    let written = written();
    if written.is_err() {
        // Perhaps it was never there.
        let _ = fs::remove_file(&partial);
    }
    written.with_context(|| format!("the device profile `{}` cannot be kept", path.display()))?;
    Ok(path)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn profile() -> Profile {
        let key = Key {
            machine: "2 x a processor, 8 GiB".to_owned(),
            limits: "0@1024 1@1024 no quota".to_owned(),
            program: "0.1.0 ab".to_owned(),
            model: "llama: 2 layers".to_owned(),
        };
        let settings = Settings {
            backend: "cpu".to_owned(),
            kernels: rushlight_kernels::best().name().to_owned(),
            weights: "memory".to_owned(),
            cores: "fast".to_owned(),
            threads: 4,
            decode_threads: 2,
            kv: "f16".to_owned(),
            chunk: 512,
            parallel: Some(16),
        };
        let mut profile = Profile::new(key, "speed", settings);
        profile.made = "2026-11-26T08:30:00.5Z".to_owned();
        profile.prompt = Spread::of(vec![10.5, 11.0, 9.25]).as_ref().map(Figures::of);
        profile
    }

    #[test]
    fn a_profile_comes_back_as_it_was_and_only_for_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let profile = profile();
        assert_eq!(read(dir.path(), &profile.key), Ok(None), "there is none yet");
        let path = write(dir.path(), &profile).unwrap();
        assert_eq!(read(dir.path(), &profile.key), Ok(Some(profile.clone())));
        let mut newer = profile.clone();
        newer.settings.threads = 3;
        assert_eq!(write(dir.path(), &newer).unwrap(), path);
        assert_eq!(read(dir.path(), &profile.key), Ok(Some(newer)));
        let files: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(files.len(), 1, "nothing is left over");
        let key = || profile.key.clone();
        let other = || "other".to_owned();
        let cases = [
            (Key { machine: other(), ..key() }, "on another machine"),
            (Key { limits: other(), ..key() }, "under other limits on its processors"),
            (Key { program: other(), ..key() }, "by another build of the program"),
        ];
        for (key, words) in cases {
            let note = read(dir.path(), &key).unwrap_err();
            assert!(note.contains("2026-11-26") && note.contains(words), "{note}");
        }
        let of_other_model = Key { model: other(), ..key() };
        assert_eq!(read(dir.path(), &of_other_model), Ok(None), "it has no profile");
    }

    #[test]
    fn what_is_damaged_is_not_used_and_said() {
        let dir = tempfile::tempdir().unwrap();
        let profile = profile();
        let path = write(dir.path(), &profile).unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        let edit = |from: &str, to: &str| {
            assert!(whole.contains(from), "{from} in {whole}");
            whole.replace(from, to)
        };
        let cases = [
            (String::new(), "no JSON"),
            (whole[..whole.len() / 2].to_owned(), "no JSON"),
            ("[1, 2]".to_owned(), "no version"),
            ("[".repeat(60_000), "no JSON"),
            (" ".repeat(100_000), "larger than"),
            (edit("\"version\": 1", "\"version\": 2"), "version `2`, expected `1`"),
            (edit("\"version\": 1", "\"version\": \"1\""), "no version"),
            (edit("\"threads\": 4", "\"threads\": 0"), "threads and answers"),
            (edit("\"threads\": 4", "\"threads\": 99999"), "threads and answers"),
            (edit("\"threads\": 4", "\"threads\": -4"), "invalid value"),
            (edit("\"decode_threads\": 2", "\"decode_threads\": 0"), "threads and answers"),
            (edit("\"parallel\": 16", "\"parallel\": 0"), "threads and answers"),
            (edit("\"chunk\": 512", "\"chunk\": 0"), "chunks of `0`"),
            (edit("\"cpu\"", "\"gpu\""), "`backend` is `gpu`"),
            (edit("\"f16\"", "\"q1\""), "`kv` is `q1`"),
            (edit("\"memory\"", "\"\\u001b[2J\""), "`weights` is `\\u{1b}[2J`"),
            (edit("\"fast\"", "\"many\""), "`cores` is `many`"),
            (edit("2026-11-26T", "\\u001b[2J"), "`made` is no time"),
            (edit("\"objective\"", "\"objectives\""), "unknown field"),
            (edit("a processor", "another processor"), "on another machine"),
        ];
        for (text, words) in cases {
            fs::write(&path, &text).unwrap();
            let note = read(dir.path(), &profile.key).unwrap_err();
            let shown = text.chars().take(300).collect::<String>();
            assert!(note.contains(words) && !note.contains('\u{1b}'), "{shown}: {note}");
        }
        fs::write(&path, [0xff; 100]).unwrap();
        assert!(read(dir.path(), &profile.key).is_err());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(read(dir.path(), &profile.key).unwrap_err().contains("is not used"));
    }
}
