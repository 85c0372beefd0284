//! The servers, and how each is started.

use super::options::Options;
use crate::bench::options::Options as BenchOptions;
use crate::bench::{engine::capture, parse};
use crate::serving::{self, Served, free_address};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A server that is measured.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    pub(super) name: String,
    program: PathBuf,
    /// What it says it is.
    pub(super) version: String,
    /// What it was told beside the file, the threads and the places.
    pub(super) flags: Vec<String>,
    is_ours: bool,
}

/// How many answers at once and how long each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Places {
    pub(super) count: usize,
    /// Positions of each, prompt and answer.
    pub(super) each: usize,
}

/// Ours, and then the peers.
pub(super) fn all(options: &Options) -> Result<Vec<Engine>> {
    let program = serving::program(options.program.as_deref())?;
    let flags = options.flags.split_whitespace().map(str::to_owned).collect();
    let mut all = vec![Engine::new("rushlight", program, flags, true)?];
    for (name, path) in &options.peer {
        if all.iter().any(|engine| engine.name == *name) {
            bail!("two servers are called `{name}`");
        }
        let path = Path::new(path);
        let program = if path.is_dir() { path.join("llama-server") } else { path.to_path_buf() };
        let flags = BenchOptions::flags_of(&options.peer_flags, name);
        all.push(Engine::new(name, program, flags, false)?);
    }
    if let Some((name, _)) =
        options.peer_flags.iter().find(|(name, _)| all.iter().skip(1).all(|e| e.name != *name))
    {
        bail!("there are flags for `{name}`, which is no `--peer`");
    }
    Ok(all)
}

impl Engine {
    fn new(name: &str, program: PathBuf, flags: Vec<String>, is_ours: bool) -> Result<Self> {
        let said = capture(Command::new(&program).arg("--version"));
        let (out, words) = said.with_context(|| format!("the server `{name}`"))?;
        Ok(Self {
            name: name.to_owned(),
            program,
            version: version(&(out + &words)),
            flags,
            is_ours,
        })
    }

    #[cfg(test)]
    pub(super) fn made_up(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            program: PathBuf::new(),
            version: "1 (abc)".to_owned(),
            flags: vec!["-fa".to_owned(), "on".to_owned()],
            is_ours: false,
        }
    }

    /// Starts it with `places` and waits until it is ready; what it says goes to a file in
    /// `folder`.
    pub(super) fn start(
        &self,
        model: &Path,
        threads: usize,
        places: Places,
        folder: &Path,
    ) -> Result<Served> {
        let log = folder.join(format!("{}.log", self.name));
        let (threads, parallel) = (threads.to_string(), places.count.to_string());
        let context = places.count * places.each.next_multiple_of(256);
        if self.is_ours {
            let mut arguments = vec!["-t", &threads, "--parallel", &parallel];
            arguments.extend(self.flags.iter().map(String::as_str));
            let arguments: Vec<_> = arguments.into_iter().map(str::to_owned).collect();
            return Served::ours(&self.program, model, &arguments, &log);
        }
        let address = free_address()?;
        let (host, port) = address.split_once(':').context("an address has a port")?;
        let mut command = Command::new(&self.program);
        command.arg("-m").arg(model).args(["-t", &threads, "-np", &parallel]);
        command.args(["-c", &context.to_string(), "--host", host, "--port", port]);
        Served::start(command.args(&self.flags), &address, "/health", &log)
            .with_context(|| format!("see `{}`", log.display()))
    }
}

/// What a program says of its version, in a line.
fn version(text: &str) -> String {
    let first = text.lines().find(|line| line.contains("version") || line.contains("rushlight"));
    let first = first.unwrap_or(text).trim().trim_start_matches("version: ").to_owned();
    match parse::compiler(text) {
        Some(compiler) => format!("{first}, {compiler}"),
        None => first,
    }
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_a_line() {
        let cases = [
            ("rushlight 0.1.0\n", "rushlight 0.1.0"),
            (
                "load: something\nversion: 1 (0c1e570)\nbuilt with Clang 19.1.7 for Linux x86_64\n",
                "1 (0c1e570), Clang 19.1.7",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(version(text), expected);
        }
    }
}
