//! `cargo xtask fuzz`: hostile bytes for every parser.
//!
//! The targets are the programs in `fuzz/src/bin`, linked with libFuzzer. They are built by the
//! stable compiler with its coverage instrumentation and checked arithmetic; memory errors cannot
//! happen in them, as the parsers forbid `unsafe`. What a target finds is in `fuzz/artifacts`; what
//! it learnt is kept in the cache, so that every run goes on where the last one ended.

use crate::run::{cargo, output, run};
use anyhow::{Context, Result, bail};
use rushlight_testkit::cache_dir;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The manifest of the crate of targets, which is not part of the workspace.
pub(crate) const MANIFEST: &str = "fuzz/Cargo.toml";

/// Seconds for each target in CI.
const SHORT: u64 = 10;
/// Seconds for each target otherwise.
const LONG: u64 = 600;

/// What the coverage-guided fuzzer needs from the compiler.
const RUSTFLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
    --cfg fuzzing";

/// Limits of one input: seconds, megabytes of the whole process, bytes of the input.
const LIMITS: [&str; 3] = ["-timeout=10", "-rss_limit_mb=1024", "-max_len=65536"];

/// Whether there is a crate of targets.
pub(crate) fn exists() -> bool {
    Path::new(MANIFEST).exists()
}

/// Every target for a short time.
pub(crate) fn short() -> Result<()> {
    fuzz(&targets()?, SHORT)
}

/// `fuzz [TARGET...] [--seconds N]`.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let request = Request::read(arguments)?;
    let all = targets()?;
    if let Some(name) = request.targets.iter().find(|name| !all.contains(name)) {
        bail!("there is no target `{name}`, only {}", all.join(", "));
    }
    let targets = if request.targets.is_empty() { all } else { request.targets };
    fuzz(&targets, request.seconds)
}

#[derive(Debug, PartialEq)]
struct Request {
    targets: Vec<String>,
    seconds: u64,
}

impl Request {
    fn read(arguments: &[String]) -> Result<Self> {
        let mut request = Self { targets: Vec::new(), seconds: LONG };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            if argument == "--seconds" {
                let value = arguments.next().context("`--seconds` wants a number")?;
                request.seconds =
                    value.parse().with_context(|| format!("`{value}` is not a number"))?;
            } else {
                request.targets.push(argument.clone());
            }
        }
        Ok(request)
    }
}

fn targets() -> Result<Vec<String>> {
    if !exists() {
        eprintln!("  there is no target yet");
        return Ok(Vec::new());
    }
    let folder = Path::new("fuzz/src/bin");
    let mut targets = Vec::new();
    for entry in folder.read_dir().with_context(|| format!("`{}`", folder.display()))? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if path.extension().is_some_and(|extension| extension == "rs") {
            targets.push(name);
        }
    }
    targets.sort();
    Ok(targets)
}

fn fuzz(targets: &[String], seconds: u64) -> Result<()> {
    if targets.is_empty() {
        return Ok(());
    }
    let folder = build()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut failed = Vec::new();
    // A target is one thread: as many at once as there are cores.
    for targets in targets.chunks(cores) {
        let run = |target: &String| one(&folder.join(target), target, seconds);
        let results: Vec<_> = std::thread::scope(|scope| {
            let spawn = |target| scope.spawn(move || run(target));
            let running: Vec<_> = targets.iter().map(spawn).collect();
            running.into_iter().map(|thread| thread.join()).collect()
        });
        for (target, result) in targets.iter().zip(results) {
            match result.unwrap_or_else(|_| bail!("its run panicked")) {
                Ok(summary) => eprintln!("  {target}: {summary}"),
                Err(error) => {
                    eprintln!("  {target}: {error:#}");
                    failed.push(target.as_str());
                }
            }
        }
    }
    if !failed.is_empty() {
        bail!("fuzzing found something in {}, see `fuzz/artifacts`", failed.join(", "));
    }
    Ok(())
}

/// Builds every target; the folder that holds them.
fn build() -> Result<PathBuf> {
    let version = output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    // Naming the target keeps the flags away from build scripts.
    let host = host.context("`rustc -vV` names no host")?;
    run(cargo()
        .args(["build", "--release", "--manifest-path", MANIFEST, "--target", host])
        .args(["--target-dir", "fuzz/target"])
        .env("RUSTFLAGS", RUSTFLAGS))?;
    Ok(Path::new("fuzz/target").join(host).join("release"))
}

/// Runs one target. What it says about itself when nothing was found.
fn one(program: &Path, target: &str, seconds: u64) -> Result<String> {
    let corpus = cache_dir()?.join("corpus").join(target);
    let artifacts = Path::new("fuzz/artifacts").join(target);
    let seeds = Path::new("fuzz/seeds").join(target);
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("`{}`", folder.display()))?;
    }
    let log_path = artifacts.join("run.log");
    let log = File::create(&log_path).with_context(|| format!("`{}`", log_path.display()))?;
    let mut command = Command::new(program);
    command.args(LIMITS).arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-artifact_prefix={}/", artifacts.display())).arg(&corpus);
    if seeds.is_dir() {
        command.arg(&seeds);
    }
    let status = command.stdout(log.try_clone()?).stderr(log).status()?;
    let log = String::from_utf8_lossy(&fs::read(&log_path)?).into_owned();
    if !status.success() {
        bail!("{status}, by {}:\n{}", log_path.display(), cause(&log));
    }
    let done = log.lines().rev().find(|line| line.starts_with("Done "));
    done.map(str::to_owned).with_context(|| format!("no closing line in `{}`", log_path.display()))
}

/// The lines of a run's log that say what was found: from the panic or the fuzzer's error on,
/// without the stack.
fn cause(log: &str) -> String {
    let begins = |line: &&str| line.contains("panicked at") || line.contains("ERROR: libFuzzer");
    let stack = |line: &&str| line.starts_with("    ") || line.starts_with("  ");
    let lines = log.lines().skip_while(|line| !begins(line)).filter(|line| !stack(line));
    lines.take(20).map(|line| format!("    {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::{LONG, Request, cause};

    #[test]
    fn the_cause_is_the_panic_and_the_file() {
        let log = "INFO: x\nthread panicked at a.rs:1\nmessage\nstack backtrace:\n   0: f\n\
            Test unit written to crash-1\n";
        let expected = [
            "thread panicked at a.rs:1",
            "message",
            "stack backtrace:",
            "Test unit written to crash-1",
        ];
        assert_eq!(cause(log).lines().map(str::trim).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn arguments_are_targets_and_seconds() {
        let read = |line: &str| {
            Request::read(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).ok()
        };
        let request = |targets: &[&str], seconds| {
            Some(Request { targets: targets.iter().map(|t| t.to_string()).collect(), seconds })
        };
        assert_eq!(read(""), request(&[], LONG));
        assert_eq!(read("gguf --seconds 3 template"), request(&["gguf", "template"], 3));
        assert_eq!(read("--seconds"), None);
        assert_eq!(read("--seconds many"), None);
    }
}
