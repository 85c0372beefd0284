//! Servers that run as long as a measurement or a test needs them, and HTTP to them.

pub(crate) mod http;
pub(crate) mod random;
pub(crate) mod stream;

use anyhow::{Context, Result, bail};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to read its model.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// A server on a port of loopback, ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Served {
    child: Child,
    /// `IP:PORT`
    pub(crate) address: String,
}

impl Served {
    /// Starts `command`, which is told to listen on `address`, and waits until `path` answers 200.
    /// What it says goes to `log`.
    pub(crate) fn start(
        command: &mut Command,
        address: &str,
        path: &str,
        log: &Path,
    ) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let file = || std::fs::File::create(log).with_context(|| format!("`{}`", log.display()));
        let file = file()?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("`{name}` cannot be started"))?;
        let mut served = Self { child, address: address.to_owned() };
        let begun = Instant::now();
        while !served.is_ready(path) {
            if let Some(status) = served.child.try_wait()? {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                let last = said.lines().last().unwrap_or("it says nothing");
                bail!("`{name}` ended ({status}): {last}");
            }
            if begun.elapsed() > READY_WITHIN {
                bail!("`{name}` is not ready after {} s", READY_WITHIN.as_secs());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(served)
    }

    /// `rushlight serve` of `model`, with more arguments.
    pub(crate) fn ours(
        program: &Path,
        model: &Path,
        arguments: &[String],
        log: &Path,
    ) -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(program);
        command.arg("serve").arg(model).args(["--address", &address]).args(arguments);
        Self::start(&mut command, &address, "/readyz", log)
    }

    fn is_ready(&self, path: &str) -> bool {
        http::get(&self.address, path).is_ok_and(|answer| answer.status == 200)
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.kill();
    }
}

/// An address of loopback where nothing listens.
pub(crate) fn free_address() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no port of loopback is free")?;
    Ok(listener.local_addr()?.to_string())
}

/// The program that is measured or tested: `named`, or a release build of this repository.
pub(crate) fn program(named: Option<&Path>) -> Result<PathBuf> {
    match named {
        Some(path) => Ok(path.to_path_buf()),
        None => crate::run::built(&["--release", "--package", "rushlight"], "rushlight"),
    }
}
