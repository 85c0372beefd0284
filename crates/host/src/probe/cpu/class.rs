//! Cores of one kind: big and little ones, performance and efficiency ones, with their clocks.

use std::collections::BTreeMap;

use serde::Serialize;

use super::name::Cpuinfo;
use super::processors::{self, Processor};
use super::{SYSTEM, directory};
use crate::cpu_list;
use crate::probe::{Reading, Tree, Unit};

/// Above this a clock is no clock: the fastest processors reach 6 GHz, overclocked 9.
const MOST_HZ: u64 = 20_000_000_000;

/// Cores of one kind.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Class {
    /// Of ARM the name of the core; `performance` and `efficiency` of Intel's hybrid processors;
    /// otherwise empty.
    pub name: String,
    /// Physical cores.
    pub cores: usize,
    /// Processors (hardware threads).
    pub threads: usize,
    /// The processors, as `0-3,8`.
    pub cpus: String,
    /// Relative speed, where the kernel tells; 1024 is the fastest.
    pub capacity: Option<u64>,
    /// The lowest clock.
    pub min: Reading<u64>,
    /// The highest clock.
    pub max: Reading<u64>,
    /// The clock of its first processor when it was read.
    pub now: Reading<u64>,
    /// What chooses the clock.
    pub governor: Reading<String>,
    /// The driver that sets it.
    pub driver: Reading<String>,
}

/// The kinds, fastest first.
pub(super) fn classes(tree: &Tree, processors: &[Processor], cpuinfo: &Cpuinfo) -> Vec<Class> {
    let efficient = list(tree, "sys/devices/cpu_atom/cpus");
    let performing = list(tree, "sys/devices/cpu_core/cpus");
    let mut kinds: BTreeMap<(u64, String), Vec<&Processor>> = BTreeMap::new();
    for processor in processors {
        let name = match cpuinfo.part_of(processor.cpu) {
            Some(part) => part,
            None if efficient.contains(&processor.cpu) => "efficiency".to_owned(),
            None if performing.contains(&processor.cpu) => "performance".to_owned(),
            None => String::new(),
        };
        let slow = u64::from(efficient.contains(&processor.cpu));
        let speed = processor.capacity.unwrap_or(1024).saturating_sub(slow * 512);
        kinds.entry((u64::MAX - speed, name)).or_default().push(processor);
    }
    kinds.into_iter().map(|((_, name), members)| class(tree, name, &members)).collect()
}

fn list(tree: &Tree, path: &str) -> Vec<usize> {
    let text = tree.text(path).value.ok();
    text.and_then(|text| cpu_list::parse(&text)).unwrap_or_default()
}

fn class(tree: &Tree, name: String, members: &[&Processor]) -> Class {
    let owned: Vec<Processor> = members.iter().map(|&member| member.clone()).collect();
    let cpus: Vec<usize> = members.iter().map(|member| member.cpu).collect();
    let folder = match members.first() {
        Some(first) => format!("{}/cpufreq", directory(first)),
        None => format!("{SYSTEM}/cpufreq"),
    };
    let highest = members.iter().max_by_key(|member| member.max_khz);
    let highest = highest.map_or(folder.clone(), |member| format!("{}/cpufreq", directory(member)));
    Class {
        name,
        cores: processors::cores(&owned),
        threads: members.len(),
        cpus: cpu_list::show(&cpus),
        capacity: members.first().and_then(|member| member.capacity),
        min: hertz(tree, &format!("{folder}/cpuinfo_min_freq")),
        max: hertz(tree, &format!("{highest}/cpuinfo_max_freq")),
        now: hertz(tree, &format!("{folder}/scaling_cur_freq")),
        governor: tree.text(format!("{folder}/scaling_governor")),
        driver: tree.text(format!("{folder}/scaling_driver")),
    }
}

/// Files of cpufreq count kHz (Documentation/admin-guide/pm/cpufreq.rst).
fn hertz(tree: &Tree, path: &str) -> Reading<u64> {
    tree.number::<u64>(path, Unit::Hertz).check(Unit::Hertz, |khz| {
        let hz = khz.checked_mul(1000).filter(|hz| (1..=MOST_HZ).contains(hz));
        hz.ok_or_else(|| format!("{khz} kHz is no clock of a processor"))
    })
}
