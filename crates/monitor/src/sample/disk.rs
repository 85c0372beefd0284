//! What disks did (the kernel's Documentation/admin-guide/iostats.rst).

use rushlight_host::probe::Absent;

use super::files::Files;
use super::rate::{counted, per_second, percent, shown};
use super::{Disk, Sample};

/// Bytes of a sector, whatever the disk calls one.
const SECTOR: u64 = 512;
/// Disks, at most.
const MOST: usize = 256;

#[derive(Debug, Default)]
pub(super) struct DiskState {
    /// Names that are no partitions; empty where nothing tells.
    whole: Vec<String>,
    last: Vec<Counts>,
}

#[derive(Debug)]
struct Counts {
    name: String,
    read_sectors: u64,
    written_sectors: u64,
    busy_ms: u64,
}

impl DiskState {
    pub(super) fn read(
        &mut self,
        files: &mut Files,
        sample: &mut Sample,
        seconds: f64,
        seldom: bool,
    ) {
        if seldom {
            self.whole = files.tree().names("sys/block");
        }
        let text = match files.text("proc/diskstats") {
            Ok(text) => text,
            Err(error) => {
                sample.disks.clear();
                sample.lacks("disks", &Absent::from_io(&error));
                return;
            }
        };
        let mut counts = Vec::new();
        sample.disks.clear();
        for now in text.lines().filter_map(parse) {
            let is_memory = ["loop", "ram", "zram"].iter().any(|kind| now.name.starts_with(kind));
            let is_part = !self.whole.is_empty() && !self.whole.contains(&now.name);
            if is_memory || is_part || counts.len() >= MOST {
                continue;
            }
            let before = self.last.iter().find(|before| before.name == now.name);
            let rate =
                |of: fn(&Counts) -> u64| before.map_or(0, |before| counted(of(before), of(&now)));
            let bytes = |sectors: u64| per_second(sectors.saturating_mul(SECTOR), seconds);
            let busy = rate(|counts| counts.busy_ms) as f64 / 1e3;
            sample.disks.push(Disk {
                name: shown(&now.name, 32),
                read_bytes_per_second: bytes(rate(|counts| counts.read_sectors)),
                write_bytes_per_second: bytes(rate(|counts| counts.written_sectors)),
                busy_percent: percent(busy, seconds).min(100.0),
                is_made_of_others: ["dm-", "md"].iter().any(|kind| now.name.starts_with(kind)),
                read_bytes: now.read_sectors.saturating_mul(SECTOR),
                written_bytes: now.written_sectors.saturating_mul(SECTOR),
            });
            counts.push(now);
        }
        self.last = counts;
    }
}

/// `major minor name reads merged sectors ms writes merged sectors ms now busy_ms …`
fn parse(line: &str) -> Option<Counts> {
    let mut words = line.split_ascii_whitespace().skip(2);
    let name = words.next()?.to_owned();
    let mut number = |skip: usize| words.nth(skip)?.parse().ok();
    Some(Counts {
        name,
        read_sectors: number(2)?,
        written_sectors: number(3)?,
        busy_ms: number(2)?,
    })
}
