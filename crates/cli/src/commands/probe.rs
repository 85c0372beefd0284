//! `probe`: asks a vendor's library in a process of its own, so that a library that hangs or crashes
//! takes nothing with it. `doctor` starts it and reads what it writes.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rushlight_host::probe::nvml::{NVML_DEADLINE, NVML_LIBRARY, Nvml, NvmlReport};
use rushlight_host::probe::{Absent, Reason, Tree};
use serde::{Deserialize, Serialize};

use crate::args::Probe;

/// How long the process may take: to start the library, and to ask it.
const LIMIT: Duration = NVML_DEADLINE.saturating_mul(2);
/// Bytes that are read of it, at most: 256 GPUs with a hundred processes each are fewer.
const MOST_BYTES: u64 = 16 << 20;

/// What the process writes.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Report(NvmlReport),
    Absent(Absent),
}

/// Asks the library and writes its answer to standard output.
pub(crate) fn probe(probe: &Probe) -> anyhow::Result<ExitCode> {
    let Probe::Nvml { library } = probe;
    let library = library.as_deref().unwrap_or(Path::new(NVML_LIBRARY));
    let report = Nvml::load(library, NVML_DEADLINE).and_then(|mut nvml| nvml.report());
    let answer = report.map_or_else(Answer::Absent, Answer::Report);
    let text = serde_json::to_string(&answer).context("cannot write what NVML says")?;
    writeln!(std::io::stdout(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}

/// What NVML says of this machine, asked in another process.
pub(crate) fn ask_nvml(tree: &Tree) -> Result<NvmlReport, Absent> {
    if !tree.is_this_machine() {
        let detail = "NVML would speak of this machine, and these are the files of another";
        return Err(Absent { reason: Reason::NotFound, detail: detail.to_owned() });
    }
    let program = std::env::current_exe().map_err(|error| failed(&error.to_string()))?;
    let mut command = Command::new(program);
    command.args(["probe", "nvml"]);
    run(command, LIMIT)
}

/// Runs a process that writes an answer, for at most `limit`.
fn run(mut command: Command, limit: Duration) -> Result<NvmlReport, Absent> {
    let began = Instant::now();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| failed(&error.to_string()))?;
    let answer = read(&mut child, limit);
    // It may have ended already.
    let killed = answer.is_none() && child.kill().is_ok();
    let Some(status) = ended(&mut child).map_err(|error| failed(&error.to_string()))? else {
        return Err(failed("it hangs in the kernel and cannot be ended"));
    };
    match answer.as_deref().map(serde_json::from_slice) {
        Some(Ok(Answer::Report(report))) => Ok(report),
        Some(Ok(Answer::Absent(absent))) => Err(absent),
        _ if killed && began.elapsed() >= limit => {
            Err(failed(&format!("it did not end within {} s", limit.as_secs_f32())))
        }
        _ => Err(failed(&format!("it ended with {status}"))),
    }
}

/// How a process ended, if it does within a second: one that the kernel holds does not, killed or not.
pub(super) fn ended(child: &mut Child) -> std::io::Result<Option<ExitStatus>> {
    for _ in 0..100 {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(None)
}

/// All that the process writes until it ends; `None` after `limit`.
fn read(child: &mut Child, limit: Duration) -> Option<Vec<u8>> {
    let out = child.stdout.take()?;
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let result = out.take(MOST_BYTES).read_to_end(&mut bytes);
        // Nobody waits for it any more after the limit.
        let _ = send.send(result.map(|_| bytes));
    });
    receive.recv_timeout(limit).ok()?.ok()
}

fn failed(why: &str) -> Absent {
    Absent { reason: Reason::Driver, detail: format!("the process that asks NVML failed: {why}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> String {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        run(command, limit).unwrap_err().detail
    }

    #[test]
    fn a_process_that_crashes_hangs_or_babbles_is_no_harm() {
        let long = Duration::from_secs(20);
        let crash = shell("kill -SEGV $$", long);
        assert!(crash.contains("signal: 11"), "{crash}");
        let babble = shell("echo x; exit 3", long);
        assert!(babble.contains("exit status: 3"), "{babble}");
        let hang = shell("exec sleep 60", Duration::from_millis(200));
        assert!(hang.contains("did not end within 0.2 s"), "{hang}");
        let absent = Absent { reason: Reason::Driver, detail: "no driver".to_owned() };
        let answer = serde_json::to_string(&Answer::Absent(absent)).unwrap();
        assert_eq!(shell(&format!("echo '{answer}'"), long), "no driver");
    }
}
