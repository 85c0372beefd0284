//! Load, clocks and load averages (proc_stat(5), the kernel's Documentation/admin-guide/pm/cpufreq.rst).

use rushlight_host::probe::{Absent, Reason};

use super::files::Files;
use super::rate::{percent, rounded};
use super::{Core, Load, Sample};

/// Processors, at most: twice what Linux can be built for.
const MOST: usize = 1 << 14;
/// Policies of clocks that are read, at most.
const MOST_POLICIES: usize = 512;

/// Ticks of one processor, in the order of the file: user, nice, system, idle, iowait, irq, softirq,
/// steal. Those of guests are in user and nice.
type Ticks = [u64; 8];

#[derive(Debug)]
pub(super) struct CpuState {
    ticks_per_second: f64,
    total: Option<Ticks>,
    cores: Vec<(u32, Ticks)>,
    policies: Vec<Policy>,
}

/// Processors with one clock.
#[derive(Debug)]
struct Policy {
    file: String,
    cpus: Vec<u32>,
}

impl CpuState {
    pub(super) fn new(files: &Files) -> Self {
        // A made-up tree has the ticks of most machines.
        let ticks = if files.tree().is_this_machine() {
            rustix::param::clock_ticks_per_second()
        } else {
            100
        };
        Self {
            ticks_per_second: ticks.max(1) as f64,
            total: None,
            cores: Vec::new(),
            policies: Vec::new(),
        }
    }

    pub(super) fn read(&mut self, files: &mut Files, sample: &mut Sample, seldom: bool) {
        match files.text("proc/stat") {
            Ok(text) => self.loads(&text, sample),
            Err(error) => sample.lacks("cpu", &Absent::from_io(&error)),
        }
        if let Ok(text) = files.text("proc/loadavg") {
            let mut words = text.split(' ').map_while(|word| word.parse().ok());
            sample
                .cpu
                .load_average
                .fill_with(|| words.next().filter(|n: &f32| n.is_finite()).unwrap_or(0.0));
        }
        if seldom {
            self.policies = policies(files);
        }
        self.clocks(files, sample);
    }

    fn loads(&mut self, text: &str, sample: &mut Sample) {
        let before = std::mem::take(&mut self.cores);
        let mut last = before.iter();
        sample.cpu.cores.clear();
        sample.tasks.running = 0;
        for line in text.lines() {
            let Some((name, rest)) = line.split_once(' ') else { continue };
            let value = || rest.trim().parse().unwrap_or(0);
            match name {
                "cpu" => {
                    let now = ticks(rest);
                    sample.cpu.total = self.load(self.total.as_ref(), &now);
                    self.total = Some(now);
                }
                "procs_running" => sample.tasks.running = value(),
                "procs_blocked" => sample.tasks.blocked = value(),
                _ => {
                    let cpu = name.strip_prefix("cpu").and_then(|digits| digits.parse().ok());
                    let Some(cpu) = cpu.filter(|_| self.cores.len() < MOST) else { continue };
                    let now = ticks(rest);
                    // Both are in the order of the file; those between have gone offline.
                    let old = last.as_slice().iter().position(|(number, _)| *number == cpu);
                    let old = old.and_then(|at| last.nth(at)).map(|(_, ticks)| ticks);
                    let load = self.load(old, &now);
                    sample.cpu.cores.push(Core { cpu, load, frequency_hz: None });
                    self.cores.push((cpu, now));
                }
            }
        }
    }

    fn load(&self, before: Option<&Ticks>, now: &Ticks) -> Load {
        let seconds = now.map(|ticks| ticks as f64 / self.ticks_per_second);
        let Some(before) = before else { return Load { seconds, ..Load::default() } };
        // Idle and iowait may go back a little (proc_stat(5)).
        let mut spent = [0.0; 8];
        for (spent, (before, now)) in spent.iter_mut().zip(before.iter().zip(now)) {
            *spent = now.saturating_sub(*before) as f64;
        }
        let all: f64 = spent.iter().sum();
        let [user, nice, system, idle, iowait, irq, softirq, steal] = spent;
        Load {
            busy_percent: percent(all - idle - iowait, all),
            user_percent: percent(user + nice, all),
            system_percent: percent(system + irq + softirq, all),
            iowait_percent: percent(iowait, all),
            steal_percent: percent(steal, all),
            seconds,
        }
    }

    fn clocks(&self, files: &mut Files, sample: &mut Sample) {
        let mut problem = None;
        for policy in &self.policies {
            let khz = files.text(&policy.file).map(|text| text.trim().parse::<u64>().ok());
            match khz {
                Ok(khz) => {
                    let hz = khz.and_then(|khz| khz.checked_mul(1000));
                    for core in &mut sample.cpu.cores {
                        if policy.cpus.contains(&core.cpu) {
                            core.frequency_hz = hz;
                        }
                    }
                }
                Err(error) => problem = Some(Absent::from_io(&error)),
            }
        }
        if sample.cpu.cores.iter().all(|core| core.frequency_hz.is_none()) {
            let absent = problem.unwrap_or_else(|| Absent {
                reason: Reason::NotFound,
                detail: "no cpufreq, as in most virtual machines".to_owned(),
            });
            sample.lacks("cpu.frequency", &absent);
        }
    }
}

fn ticks(text: &str) -> Ticks {
    let mut ticks = Ticks::default();
    for (ticks, word) in ticks.iter_mut().zip(text.split_ascii_whitespace()) {
        *ticks = word.parse().unwrap_or(0);
    }
    ticks
}

fn policies(files: &mut Files) -> Vec<Policy> {
    let base = "sys/devices/system/cpu/cpufreq";
    let names = files.tree().names(base).into_iter().filter(|name| name.starts_with("policy"));
    let names: Vec<String> = names.take(MOST_POLICIES).collect();
    let policy = |name: String| {
        let text = files.text(&format!("{base}/{name}/affected_cpus")).ok()?;
        let cpus = text.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
        Some(Policy { file: format!("{base}/{name}/scaling_cur_freq"), cpus })
    };
    names.into_iter().filter_map(policy).collect()
}

impl Sample {
    /// The mean clock of the processors, where it is known.
    pub fn frequency_hz(&self) -> Option<f64> {
        let known = self.cpu.cores.iter().filter_map(|core| core.frequency_hz);
        let (mut sum, mut count) = (0.0, 0.0);
        for hz in known {
            sum += hz as f64;
            count += 1.0;
        }
        (count > 0.0).then(|| rounded(sum / count, 1.0))
    }
}
