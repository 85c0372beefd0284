//! What each process did (proc_pid_stat(5), proc_pid_io(5)).
//!
//! Two short files are read of each process. Its command line and its user are read once; its number
//! and the time of its start together say that it is the same one. Where there are many processes,
//! those that have done nothing for a while are read in turns, so that the cost stays what it is.

use std::io;
use std::os::unix::fs::MetadataExt as _;

use rushlight_host::probe::{Absent, Reason, Tree};

use super::files::Files;
use super::rate::{counted, per_second, percent, shown};
use super::{Own, Process, Sample};

/// Processes, at most; `/proc/sys/kernel/pid_max` is rarely more.
const MOST: usize = 1 << 16;
/// Characters of a command line that are kept.
const MOST_COMMAND: usize = 512;
/// Characters of a name; the kernel has at most 15, for its own at most 63.
const MOST_NAME: usize = 63;
/// In `flags`: the kernel's own (`PF_KTHREAD` of include/linux/sched.h).
const KERNEL_THREAD: u64 = 0x0020_0000;
/// A process that took no time is asked for its bytes only so often, in turns: what it reads and
/// writes without any is little.
const QUIET_TURNS: u64 = 4;
/// Samples in which a process did nothing before it may be left out of some.
const QUIET_SAMPLES: u8 = 10;
/// For each so many processes, those that do nothing have one more turn to wait.
const FEW: usize = 250;

#[derive(Debug, Default)]
pub(super) struct ProcessState {
    /// What was read of each process, in the order of the sample's.
    known: Vec<Known>,
    pids: Vec<u32>,
    turn: u64,
    /// Of how many samples a process that does nothing is read in one.
    turns: u64,
    /// Seconds that all samples took, on which the times of single readings are.
    clock: f64,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    start: u64,
    ticks: u64,
    /// When it was read.
    at: f64,
    /// Samples in which it did nothing, as far as they are counted.
    quiet: u8,
    bytes: Option<Bytes>,
    /// Whether this user may not know its bytes.
    is_refused: bool,
}

/// Bytes that were read and written since the process started, and when that was asked.
#[derive(Clone, Copy, Debug)]
struct Bytes {
    read: u64,
    written: u64,
    at: f64,
}

/// What one line says.
#[derive(Debug)]
struct Stat<'a> {
    name: &'a str,
    state: char,
    parent: u32,
    flags: u64,
    ticks: u64,
    threads: u32,
    start: u64,
    pages: u64,
}

impl ProcessState {
    pub(super) fn read(&mut self, files: &mut Files, sample: &mut Sample, seconds: f64) {
        self.turn += 1;
        self.clock += seconds;
        if let Err(error) = self.list(files) {
            sample.lacks("processes", &Absent::from_io(&error));
        }
        self.turns = 1 + (self.pids.len() / FEW) as u64;
        let per_second = match files.tree().is_this_machine() {
            true => rustix::param::clock_ticks_per_second().max(1) as f64,
            false => 100.0,
        };
        let before = std::mem::take(&mut sample.processes);
        let known = std::mem::replace(&mut self.known, Vec::with_capacity(self.pids.len()));
        let mut last = before.into_iter().zip(known).peekable();
        let (mut threads, mut refused) = (0u32, 0u32);
        let own = rustix::process::getpid().as_raw_nonzero().get().unsigned_abs();
        sample.own = Own::default();
        for at in 0..self.pids.len() {
            let Some(&pid) = self.pids.get(at) else { break };
            // Both are in the order of their numbers; those between have ended.
            while last.next_if(|(process, _)| process.pid < pid).is_some() {}
            let old = last.next_if(|(process, _)| process.pid == pid);
            // A process may end at any time.
            let Some((process, known)) = self.process(files, pid, old, per_second) else {
                continue;
            };
            threads = threads.saturating_add(process.threads);
            refused += u32::from(known.is_refused);
            if pid == own && files.tree().is_this_machine() {
                let (cpu_percent, memory_bytes) = (process.cpu_percent, process.memory_bytes);
                sample.own = Own { cpu_percent, memory_bytes };
            }
            sample.processes.push(process);
            self.known.push(known);
        }
        sample.tasks.processes = u32::try_from(sample.processes.len()).unwrap_or(u32::MAX);
        sample.tasks.threads = threads;
        if refused > 0 {
            let detail = match refused {
                1 => "disk bytes of a process of another user need root".to_owned(),
                count => format!("disk bytes of {count} processes of other users need root"),
            };
            sample.lacks("processes.io", &Absent { reason: Reason::Permission, detail });
        }
    }

    /// The numbers of all processes, ascending.
    fn list(&mut self, files: &Files) -> io::Result<()> {
        self.pids.clear();
        for entry in std::fs::read_dir(files.tree().path("proc"))? {
            let Ok(entry) = entry else { break };
            let name = entry.file_name();
            let digits =
                name.to_str().filter(|name| name.starts_with(|c: char| c.is_ascii_digit()));
            if let Some(pid) = digits.and_then(|digits| digits.parse().ok()) {
                self.pids.push(pid);
            }
            if self.pids.len() >= MOST {
                break;
            }
        }
        self.pids.sort_unstable();
        self.pids.dedup();
        Ok(())
    }

    fn process(
        &self,
        files: &mut Files,
        pid: u32,
        old: Option<(Process, Known)>,
        ticks_per_second: f64,
    ) -> Option<(Process, Known)> {
        let is_turn = |turns: u64| (self.turn + u64::from(pid)).is_multiple_of(turns);
        let old = match old {
            Some((mut process, known)) if known.quiet >= QUIET_SAMPLES && !is_turn(self.turns) => {
                process.cpu_percent = 0.0;
                return Some((process, known));
            }
            old => old,
        };
        let text = files.text(&format!("proc/{pid}/stat")).ok()?;
        let stat = parse(&text)?;
        let old = old.filter(|(_, known)| known.start == stat.start);
        let is_renamed = old.as_ref().is_none_or(|(process, _)| {
            process.name != stat.name && process.name != shown(stat.name, MOST_NAME)
        });
        let (mut process, before) = match old {
            Some((process, known)) => (process, Some(known)),
            None => (Process { pid, start_ticks: stat.start, ..Process::default() }, None),
        };
        let ticks = before.map_or(0, |before| stat.ticks.saturating_sub(before.ticks));
        process.parent = stat.parent;
        if !process.state.starts_with(stat.state) {
            process.state = stat.state.to_string();
        }
        process.threads = stat.threads;
        process.memory_bytes = stat.pages.saturating_mul(rustix::param::page_size() as u64);
        let seconds = before.map_or(0.0, |before| self.clock - before.at);
        process.cpu_percent = percent(ticks as f64 / ticks_per_second, seconds);
        process.is_kernel = stat.flags & KERNEL_THREAD != 0;
        let is_quiet = ticks == 0 && !matches!(stat.state, 'R' | 'D');
        let quiet = before.filter(|_| is_quiet).map_or(0, |before| before.quiet.saturating_add(1));
        let mut known = Known {
            start: stat.start,
            ticks: stat.ticks,
            at: self.clock,
            quiet,
            bytes: before.and_then(|before| before.bytes),
            is_refused: before.is_some_and(|before| before.is_refused),
        };
        if is_renamed {
            process.name = shown(stat.name, MOST_NAME);
            describe(files, &mut process);
        }
        let is_due = ticks > 0
            || before.is_none()
            || process.state == "D"
            || is_turn(QUIET_TURNS)
            || (self.turns > 1 && quiet > QUIET_SAMPLES);
        if process.is_kernel {
            process.read_bytes_per_second = Some(0);
            process.write_bytes_per_second = Some(0);
        } else if is_due && !known.is_refused {
            self.bytes(files, &mut process, &mut known);
        }
        Some((process, known))
    }

    fn bytes(&self, files: &mut Files, process: &mut Process, known: &mut Known) {
        let at = self.clock;
        let now = match files.text(&format!("proc/{}/io", process.pid)) {
            Ok(text) => {
                let field = |name: &str| {
                    let line = text.lines().find_map(|line| line.strip_prefix(name));
                    line.and_then(|rest| rest.trim().parse().ok())
                };
                field("read_bytes:").zip(field("write_bytes:"))
            }
            Err(error) => {
                known.is_refused = error.kind() == io::ErrorKind::PermissionDenied;
                None
            }
        };
        let bytes = now.map(|(read, written)| Bytes { read, written, at });
        let rate = |of: fn(&Bytes) -> u64| {
            let now = bytes.as_ref()?;
            let Some(before) = known.bytes.as_ref() else { return Some(0) };
            Some(per_second(counted(of(before), of(now)), at - before.at))
        };
        process.read_bytes_per_second = rate(|bytes| bytes.read);
        process.write_bytes_per_second = rate(|bytes| bytes.written);
        known.bytes = bytes;
    }
}

/// The command line and the user, which are read once.
fn describe(files: &mut Files, process: &mut Process) {
    let pid = process.pid;
    let bytes = files.bytes(&format!("proc/{pid}/cmdline")).unwrap_or_default();
    let bytes = bytes.get(..bytes.len().min(4 * MOST_COMMAND)).unwrap_or_default();
    let text = String::from_utf8_lossy(bytes);
    process.command = shown(&text.trim_end_matches('\0').replace('\0', " "), MOST_COMMAND);
    let program = text.split('\0').next().unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or_default();
    process.is_rushlight =
        !process.is_kernel && (program == "rushlight" || process.name == "rushlight");
    let directory = files.tree().path(format!("proc/{pid}"));
    process.user = std::fs::metadata(directory).map_or(0, |metadata| metadata.uid());
}

/// `pid (name) state parent …`; the name may have anything in it, brackets too.
fn parse(text: &str) -> Option<Stat<'_>> {
    let (start, end) = (text.find('(')?, text.rfind(')')?);
    let name = text.get(start + 1..end)?;
    let mut words = text.get(end + 1..)?.split_ascii_whitespace();
    let state = words.next()?.chars().next()?;
    let parent = words.next()?.parse().ok()?;
    let mut number = |skip: usize| words.nth(skip)?.parse::<u64>().ok();
    // Fields 9, 14, 15, 20, 22 and 24.
    let flags = number(4)?;
    let (user, system) = (number(4)?, number(0)?);
    let threads = u32::try_from(number(4)?).unwrap_or(u32::MAX);
    let start = number(1)?;
    let pages = number(1)?;
    Some(Stat {
        name,
        state,
        parent,
        flags,
        ticks: user.saturating_add(system),
        threads,
        start,
        pages,
    })
}

/// When a process started, in ticks after the machine did.
pub(crate) fn start_ticks(tree: &Tree, pid: u32) -> Option<u64> {
    let bytes = tree.bytes(format!("proc/{pid}/stat")).ok()?;
    Some(parse(&String::from_utf8_lossy(&bytes))?.start)
}
