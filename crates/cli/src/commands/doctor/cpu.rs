//! The group of the processor.

use rushlight_host::probe::Tree;
use rushlight_host::probe::cpu::{Class, Cpu};
use serde::Serialize;

use super::group::{Group, Verdict, count};
use super::rows::{row_for, used};
use crate::report::size;

/// The readings and what the kernels make of them.
#[derive(Serialize)]
struct Found {
    #[serde(flatten)]
    cpu: Cpu,
    /// The row of kernels that would run.
    kernels: &'static str,
    /// Which of the features that decide between rows are there.
    kernel_features: Vec<&'static str>,
}

/// Looks at the processor.
pub(crate) fn look(tree: &Tree) -> Group {
    let cpu = Cpu::read(tree);
    let architecture = cpu.architecture.get().cloned().unwrap_or_default();
    let features = cpu.features.get().cloned().unwrap_or_default();
    let row = if tree.is_this_machine() {
        rushlight_kernels::best().name()
    } else {
        row_for(&architecture, &features)
    };
    let here = |name: &&str| features.iter().any(|feature| feature == name);
    let kernel_features: Vec<_> = used(&architecture).into_iter().filter(here).collect();
    let found = Found { cpu, kernels: row, kernel_features };
    let cores = found.cpu.allowed.cores;
    let sentence = format!("{} with the kernels `{row}`.", count(cores, "core"));
    let mut group = Group::new("cpu", "CPU", sentence, &found);
    lines(&mut group, &found);
    judge(&mut group, &found, &architecture);
    group
}

fn lines(group: &mut Group, found: &Found) {
    let cpu = &found.cpu;
    group.reading("model", &cpu.name, String::clone);
    if cpu.board.get().is_some() {
        group.reading("machine", &cpu.board, String::clone);
    }
    let features = match found.kernel_features.is_empty() {
        false => format!(", of the instructions {}", found.kernel_features.join(", ")),
        true => String::new(),
    };
    group.line("kernels", format!("`{}`{features}", found.kernels));
    let (packages, threads) = (cpu.packages.get(), cpu.threads.get());
    group.reading("cores", &cpu.cores, |&cores| {
        let threads = threads.copied().unwrap_or(cores);
        let packages = packages.copied().unwrap_or(1);
        format!(
            "{}, {}, {}",
            count(cores, "core"),
            count(threads, "thread"),
            count(packages, "package")
        )
    });
    for class in &cpu.classes {
        let label = if class.name.is_empty() { "clock" } else { &class.name };
        group.line(label, clock(class, cpu.classes.len() > 1));
    }
    for cache in &cpu.caches {
        let each = if cache.count == 1 { "" } else { " each" };
        let kind = cache.kind.to_lowercase();
        let shared = count(cache.shared_by, "thread");
        group.line(
            format!("L{} {kind}", cache.level),
            format!("{} x {}{each}, for {shared}", cache.count, size(cache.size_bytes)),
        );
    }
    for node in cpu.nodes.iter().filter(|_| cpu.nodes.len() > 1) {
        let cpus = node.cpus.get().map_or("unknown", String::as_str);
        group.reading(format!("memory node {}", node.node), &node.memory, |&bytes| {
            format!("{} near to processors {cpus}", size(bytes))
        });
    }
    let allowed = &cpu.allowed;
    let paid = match allowed.quota.get() {
        Some(quota) => format!(", of which {quota} are paid for by the control group"),
        None => String::new(),
    };
    group.line(
        "this process",
        format!(
            "{} on {}{paid}",
            count(allowed.threads, "processor"),
            count(allowed.cores, "core")
        ),
    );
    group.line("default", count(allowed.default_threads, "thread"));
}

fn judge(group: &mut Group, found: &Found, architecture: &str) {
    let cpu = &found.cpu;
    if cpu.features.get().is_none() {
        group.judge(Verdict::Unknown, "The kernel does not tell what the processor can.");
    } else if !matches!(architecture, "x86_64" | "aarch64") {
        let sentence = format!("There is no build for the architecture `{architecture}`.");
        group.judge(Verdict::Bad, sentence);
        group.hint("rushlight runs on 64-bit x86 and ARM");
    } else if found.kernels == "scalar" {
        let sentence =
            "It has no vector instructions that the kernels use: they take the slow, plain path.";
        group.judge(Verdict::Degraded, sentence);
    }
    let powersave = cpu.classes.iter().any(|class| {
        let driver = class.driver.get().map_or("", String::as_str);
        // The drivers that choose clocks themselves call their usual choice `powersave`.
        let chooses = matches!(driver, "intel_pstate" | "amd-pstate-epp");
        !chooses && class.governor.get().is_some_and(|governor| governor == "powersave")
    });
    if powersave {
        group.judge(Verdict::Degraded, "The governor `powersave` holds the lowest clock.");
        group.hint("choose another governor: `cpupower frequency-set -g schedutil`, as root");
    }
}

/// `2.40 GHz (0.40 to 3.20), schedutil`.
fn clock(class: &Class, several: bool) -> String {
    let ghz = |hz: &u64| format!("{:.2}", *hz as f64 / 1e9);
    let mut parts = Vec::new();
    if several {
        parts.push(format!("{} on processors {}", count(class.cores, "core"), class.cpus));
    }
    match (class.min.get(), class.max.get()) {
        (Some(min), Some(max)) => parts.push(format!("{} to {} GHz", ghz(min), ghz(max))),
        (None, Some(max)) => parts.push(format!("up to {} GHz", ghz(max))),
        _ => {
            let why = class.max.value.as_ref().err().map(ToString::to_string);
            parts.push(format!("clocks not shown: {}", why.unwrap_or_default()));
        }
    }
    if let Some(now) = class.now.get() {
        parts.push(format!("now {} GHz", ghz(now)));
    }
    if let Some(governor) = class.governor.get() {
        parts.push(format!("governor `{governor}`"));
    }
    parts.join(", ")
}
