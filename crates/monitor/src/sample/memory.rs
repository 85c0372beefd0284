//! Memory, swap, zram, limits and pressure (proc_meminfo(5), the kernel's
//! Documentation/accounting/psi.rst and Documentation/admin-guide/blockdev/zram.rst).

use rushlight_host::probe::{Absent, Reason};

use super::files::Files;
use super::rate::{counted, per_second, percent};
use super::{Limit, Sample, Stall, Stalls, Zram};

#[derive(Debug, Default)]
pub(super) struct MemoryState {
    /// Pages read from swap and written to it.
    swapped: Option<[u64; 2]>,
    /// Microseconds waited, some and full, for processors, memory and disks.
    waited: [Option<[u64; 2]>; 3],
    /// Directories of compressed swap.
    zram: Vec<String>,
}

impl MemoryState {
    pub(super) fn read(
        &mut self,
        files: &mut Files,
        sample: &mut Sample,
        seconds: f64,
        seldom: bool,
    ) {
        meminfo(files, sample);
        self.swap(files, sample, seconds);
        if seldom {
            let names = files.tree().names("sys/block").into_iter();
            self.zram = names.filter(|name| name.starts_with("zram")).take(64).collect();
            let budget = rushlight_host::memory(files.tree().root());
            sample.memory.limit =
                budget.limits.iter().min_by_key(|limit| limit.left_bytes()).map(|limit| Limit {
                    limit_bytes: limit.limit_bytes,
                    used_bytes: limit.used_bytes,
                });
        }
        let mut zram = Zram::default();
        for name in &self.zram {
            let Ok(text) = files.text(&format!("sys/block/{name}/mm_stat")) else { continue };
            // orig_data_size compr_data_size mem_used_total …
            let mut words = text.split_ascii_whitespace().map(|word| word.parse().unwrap_or(0));
            zram.data_bytes = zram.data_bytes.saturating_add(words.next().unwrap_or(0));
            zram.used_bytes = zram.used_bytes.saturating_add(words.nth(1).unwrap_or(0));
        }
        sample.memory.zram = (!self.zram.is_empty()).then_some(zram);
        self.pressure(files, sample, seconds);
    }

    fn swap(&mut self, files: &mut Files, sample: &mut Sample, seconds: f64) {
        let memory = &mut sample.memory;
        (memory.swap_in_bytes_per_second, memory.swap_out_bytes_per_second) = (0, 0);
        if memory.swap_total_bytes == 0 {
            return;
        }
        let Ok(text) = files.text("proc/vmstat") else { return };
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.trim().parse().ok()).unwrap_or(0)
        };
        let now: [u64; 2] = [field("pswpin "), field("pswpout ")];
        if let Some(before) = self.swapped.replace(now) {
            let page = rustix::param::page_size() as u64;
            let rate = |at: usize| {
                let pages = counted(before[at], now[at]);
                per_second(pages.saturating_mul(page), seconds)
            };
            (memory.swap_in_bytes_per_second, memory.swap_out_bytes_per_second) =
                (rate(0), rate(1));
        }
    }

    fn pressure(&mut self, files: &mut Files, sample: &mut Sample, seconds: f64) {
        let mut problem = None;
        let mut read = |at: usize, name: &str| {
            let text = match files.text(&format!("proc/pressure/{name}")) {
                Ok(text) => text,
                Err(error) => {
                    problem = Some(Absent::from_io(&error));
                    return None;
                }
            };
            let ([some, some_total], [full, full_total]) =
                (line(&text, "some "), line(&text, "full "));
            let now = [some_total as u64, full_total as u64];
            let before = self.waited[at].replace(now).unwrap_or(now);
            let stall = |average: f64, which: usize| Stall {
                average_10_s_percent: average.clamp(0.0, 100.0) as f32,
                percent: percent(counted(before[which], now[which]) as f64 / 1e6, seconds)
                    .min(100.0),
            };
            Some(Stalls { some: stall(some, 0), full: stall(full, 1) })
        };
        sample.pressure.cpu = read(0, "cpu");
        sample.pressure.memory = read(1, "memory");
        sample.pressure.io = read(2, "io");
        if let Some(mut problem) = problem {
            if problem.reason == Reason::NotFound {
                problem.detail = "the kernel is built or started without PSI".to_owned();
            }
            sample.lacks("pressure", &problem);
        }
    }
}

/// The average of ten seconds and the microseconds of `some avg10=0.12 avg60=… avg300=… total=5`.
fn line(text: &str, name: &str) -> [f64; 2] {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let field = |name: &str| {
        let word = line.split(' ').find_map(|word| word.strip_prefix(name));
        word.and_then(|word| word.parse().ok()).filter(|n: &f64| n.is_finite()).unwrap_or(0.0)
    };
    [field("avg10="), field("total=")]
}

fn meminfo(files: &mut Files, sample: &mut Sample) {
    let text = match files.text("proc/meminfo") {
        Ok(text) => text,
        Err(error) => {
            sample.lacks("memory", &Absent::from_io(&error));
            return;
        }
    };
    let memory = &mut sample.memory;
    let (mut cached, mut buffers, mut available, mut swap_free) = (0, 0, None, 0);
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(':') else { continue };
        let kib = rest.split_ascii_whitespace().next().and_then(|word| word.parse::<u64>().ok());
        let Some(bytes) = kib.and_then(|kib| kib.checked_mul(1024)) else { continue };
        match name {
            "MemTotal" => memory.total_bytes = bytes,
            "MemFree" => memory.free_bytes = bytes,
            "MemAvailable" => available = Some(bytes),
            "Buffers" => buffers = bytes,
            "Cached" => cached = bytes,
            "Dirty" => memory.dirty_bytes = bytes,
            "SwapTotal" => memory.swap_total_bytes = bytes,
            "SwapFree" => swap_free = bytes,
            _ => {}
        }
    }
    memory.cached_bytes = u64::saturating_add(cached, buffers);
    memory.available_bytes = available.unwrap_or(memory.free_bytes);
    memory.swap_used_bytes = memory.swap_total_bytes.saturating_sub(swap_free);
}
