//! What the processor and its board are called, and what `/proc/cpuinfo` says it can.

mod parts;

use std::collections::{BTreeMap, BTreeSet};

use crate::probe::{Reading, Reason, Tree, Unit, board};

const CPUINFO: &str = "proc/cpuinfo";

/// What `/proc/cpuinfo` says, as far as it is wanted.
pub(super) struct Cpuinfo {
    text: Reading<String>,
    /// The implementer and part of each ARM processor.
    parts: BTreeMap<usize, (u32, u32)>,
}

impl Cpuinfo {
    pub(super) fn read(tree: &Tree) -> Self {
        let text = tree.text(CPUINFO);
        let mut parts = BTreeMap::new();
        let (mut cpu, mut implementer) = (None, None);
        for (key, value) in text.get().into_iter().flat_map(|text| pairs(text)) {
            match key {
                "processor" => (cpu, implementer) = (value.parse().ok(), None),
                "CPU implementer" => implementer = hex(value),
                "CPU part" => {
                    if let (Some(cpu), Some(implementer), Some(part)) =
                        (cpu, implementer, hex(value))
                    {
                        parts.insert(cpu, (implementer, part));
                    }
                }
                _ => {}
            }
        }
        Self { text, parts }
    }

    /// The name of an ARM processor's core.
    pub(super) fn part_of(&self, cpu: usize) -> Option<String> {
        self.parts.get(&cpu).map(|&(implementer, part)| parts::name(implementer, part))
    }

    /// What is said first of a key.
    fn first(&self, wanted: &str) -> Option<&str> {
        let text = self.text.get()?;
        pairs(text).find(|(key, value)| *key == wanted && !value.is_empty()).map(|pair| pair.1)
    }
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.split_once(':')?;
        Some((key.trim(), value.trim()))
    })
}

fn hex(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// As `uname -m` says.
pub(super) fn architecture(tree: &Tree, cpuinfo: &Cpuinfo) -> Reading<String> {
    // Since Linux 6.1.
    tree.text("proc/sys/kernel/arch").or_else(|| {
        if tree.is_this_machine() {
            return Reading::new(std::env::consts::ARCH.to_owned(), Unit::None, "this program");
        }
        let has = |list: &str, word: &str| {
            cpuinfo.first(list).is_some_and(|list| list.split(' ').any(|w| w == word))
        };
        let name = match cpuinfo.first("CPU architecture") {
            Some("8" | "AArch64") if has("Features", "asimd") => "aarch64",
            Some(_) => "arm",
            None if has("flags", "lm") => "x86_64",
            None if cpuinfo.first("flags").is_some() => "i686",
            None => {
                let detail = "neither `proc/sys/kernel/arch` nor `proc/cpuinfo` tells";
                return Reading::absent(Reason::NotFound, detail, Unit::None, CPUINFO);
            }
        };
        Reading::new(name.to_owned(), Unit::None, CPUINFO)
    })
}

/// What the processor calls itself.
pub(super) fn name(cpuinfo: &Cpuinfo) -> Reading<String> {
    cpuinfo.text.clone().check(Unit::None, |_| {
        if let Some(name) = cpuinfo.first("model name") {
            return Ok(name.split_whitespace().collect::<Vec<_>>().join(" "));
        }
        let mut counts: Vec<(String, usize)> = Vec::new();
        for &(implementer, part) in cpuinfo.parts.values() {
            let name = parts::name(implementer, part);
            match counts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, count)) => *count += 1,
                None => counts.push((name, 1)),
            }
        }
        let names: Vec<_> = counts.iter().map(|(name, n)| format!("{n} x {name}")).collect();
        match names.is_empty() {
            false => Ok(names.join(", ")),
            true => Err("there is neither a `model name` nor a `CPU part`".to_owned()),
        }
    })
}

/// The board: of a device tree its `model`, of a PC what its firmware says.
pub(super) fn board(tree: &Tree) -> Reading<String> {
    let dmi = || {
        let read = |name: &str| tree.text(format!("sys/class/dmi/id/{name}"));
        let vendor = read("sys_vendor").value.unwrap_or_default();
        read("product_name").map(|product| format!("{vendor} {product}").trim().to_owned())
    };
    board::property(tree, "model").or_else(dmi)
}

/// The device tree's `compatible`: words that end in a zero each.
pub(super) fn compatible(tree: &Tree) -> Reading<Vec<String>> {
    let words = |text: String| text.split(['\0', '\n']).map(str::to_owned).collect();
    board::property(tree, "compatible").map(words)
}

/// What all processors can.
pub(super) fn features(cpuinfo: &Cpuinfo) -> Reading<Vec<String>> {
    cpuinfo.text.clone().check(Unit::None, |text| {
        let lists = pairs(&text).filter(|(key, _)| matches!(*key, "flags" | "Features"));
        let mut lists: Vec<&str> = lists.map(|pair| pair.1).collect();
        lists.sort_unstable();
        lists.dedup();
        let sets = lists.into_iter().map(|list| list.split(' ').collect::<BTreeSet<_>>());
        let common = sets.reduce(|a, b| a.intersection(&b).copied().collect());
        let common = common.ok_or("there are neither `flags` nor `Features`")?;
        Ok(common.into_iter().filter(|word| !word.is_empty()).map(str::to_owned).collect())
    })
}
