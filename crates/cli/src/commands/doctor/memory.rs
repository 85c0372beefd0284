//! The group of memory.

use rushlight_host::probe::memory::{Memory, Zram};
use rushlight_host::probe::{Reading, Tree};
use serde::Serialize;

use super::group::{Group, Verdict};
use crate::report::size;

/// The smallest model that writes sentences, SmolLM2-135M-Instruct in Q4_1, at a context of 512 tokens:
/// what `rushlight show` says of it.
const SMALLEST: Smallest = Smallest {
    name: "SmolLM2-135M in Q4_1",
    weights_bytes: 98_360_000,
    cache_bytes: 11_796_480,
    activations_bytes: 27_060_000,
    program_bytes: 16 << 20,
};
/// Per cent of the time that everything may wait for memory before that is said.
const MUCH_PRESSURE: f64 = 5.0;
/// From here on a process is among the first to be killed.
const FIRST_TO_GO: i32 = 500;

/// What the smallest model needs.
#[derive(Clone, Copy, Serialize)]
struct Smallest {
    name: &'static str,
    weights_bytes: u64,
    cache_bytes: u64,
    activations_bytes: u64,
    /// The program itself, as installed: `Plan::PROCESS_BYTES` of a release build.
    program_bytes: u64,
}

impl Smallest {
    fn total_bytes(self) -> u64 {
        self.weights_bytes + self.cache_bytes + self.activations_bytes + self.program_bytes
    }
}

#[derive(Serialize)]
struct Found {
    #[serde(flatten)]
    memory: Memory,
    /// What the verdict compares `usable` with.
    smallest_model: Smallest,
}

/// Looks at memory.
pub(crate) fn look(tree: &Tree) -> Group {
    let found = Found { memory: Memory::read(tree), smallest_model: SMALLEST };
    let memory = &found.memory;
    let sentence = match memory.usable.get() {
        Some(&usable) => format!("A model can have {}.", size(usable)),
        None => String::new(),
    };
    let mut group = Group::new("memory", "Memory", sentence, &found);
    lines(&mut group, memory);
    judge(&mut group, memory);
    group
}

fn lines(group: &mut Group, memory: &Memory) {
    let bytes = |&bytes: &u64| size(bytes);
    group.reading("total", &memory.total, bytes);
    group.reading("available", &memory.available, bytes);
    for limit in &memory.limits {
        let (most, used) = (size(limit.limit_bytes), size(limit.used_bytes));
        group.line("group limit", format!("{most}, of which {used} are used ({})", limit.group));
    }
    if memory.tightest().is_some() {
        group.reading("usable", &memory.usable, bytes);
    }
    swap(group, memory);
    let huge = &memory.huge;
    group.reading("huge pages", &huge.transparent, |choice| {
        let set_aside: Vec<String> = huge
            .pools
            .iter()
            .filter_map(|pool| match pool.pages.get() {
                None | Some(0) => None,
                Some(pages) => Some(format!("{pages} of {} set aside", size(pool.page_bytes))),
            })
            .collect();
        let set_aside = match set_aside.is_empty() {
            true => "none set aside".to_owned(),
            false => set_aside.join(", "),
        };
        format!("transparent ones `{choice}`, {set_aside}")
    });
    let share = |reading: &Reading<f64>| match reading.get() {
        Some(share) => format!("{share:.1} %"),
        None => "an unknown share".to_owned(),
    };
    let pressure = &memory.pressure;
    group.reading("pressure", &pressure.full_10s, |_| {
        format!(
            "everything waited {} of the last 10 s, something {}",
            share(&pressure.full_10s),
            share(&pressure.some_10s)
        )
    });
    out_of_memory(group, memory);
    for sharing in &memory.shared {
        let text = format!("with `{}` ({}): {}", sharing.card, sharing.driver, sharing.why);
        group.line("shared", text);
    }
}

fn swap(group: &mut Group, memory: &Memory) {
    let swap = &memory.swap;
    group.reading("swap", &swap.total, |&total| match total {
        0 => "none".to_owned(),
        _ => {
            let free = swap.free.get().map_or("unknown".to_owned(), |&free| size(free));
            format!("{}, of which {free} are free", size(total))
        }
    });
    // Together: Jetsons have one for each core.
    let sum = |of: fn(&Zram) -> &Reading<u64>| {
        let values = swap.zram.iter().filter_map(|zram| of(zram).get());
        values.fold(0_u64, |sum, value| sum.saturating_add(*value))
    };
    if let most @ 1.. = sum(|zram| &zram.size) {
        let (stored, taken) = (sum(|zram| &zram.stored), sum(|zram| &zram.taken));
        let held = format!("holds {} in {}", size(stored), size(taken));
        group.line("zram", format!("compressed in memory, up to {}, {held}", size(most)));
    }
}

fn out_of_memory(group: &mut Group, memory: &Memory) {
    let oom = &memory.oom;
    group.reading("out of memory", &oom.score_adj, |adjusted| {
        let mut parts = vec![match oom.score.get() {
            Some(score) => format!("score {score} (adjusted by {adjusted})"),
            None => format!("adjusted by {adjusted}"),
        }];
        match oom.panic_on_oom.get() {
            None | Some(0) => {}
            Some(_) => parts.push("the machine stops (`vm.panic_on_oom`)".to_owned()),
        }
        if oom.group_kill.get() == Some(&true) {
            parts.push("the whole control group is killed".to_owned());
        }
        if let Some(killed @ 1..) = oom.killed.get() {
            parts.push(format!("{killed} killed in this control group so far"));
        }
        parts.join(", ")
    });
    group.reading("promises", &oom.overcommit, |kind| match kind {
        0 => "as far as the kernel guesses (`vm.overcommit_memory` 0)".to_owned(),
        1 => "without end (`vm.overcommit_memory` 1)".to_owned(),
        2 => "only what there is (`vm.overcommit_memory` 2)".to_owned(),
        _ => format!("`vm.overcommit_memory` {kind}"),
    });
}

fn judge(group: &mut Group, memory: &Memory) {
    let Some(&usable) = memory.usable.get() else {
        group.judge(Verdict::Unknown, "The kernel does not tell how much memory there is.");
        return;
    };
    let needed = SMALLEST.total_bytes();
    if usable < needed {
        group.judge(
            Verdict::Bad,
            format!(
                "{} are usable, but even {} needs {}: weights {}, cache of 512 tokens {}, \
                 activations {}, the program {}.",
                size(usable),
                SMALLEST.name,
                size(needed),
                size(SMALLEST.weights_bytes),
                size(SMALLEST.cache_bytes),
                size(SMALLEST.activations_bytes),
                size(SMALLEST.program_bytes),
            ),
        );
        group.hint(match memory.tightest() {
            Some(limit) => format!("raise the limit of the control group `{}`", limit.group),
            None => "stop programs that take memory".to_owned(),
        });
        return;
    }
    if memory.pressure.full_10s.get().is_some_and(|&share| share > MUCH_PRESSURE) {
        group.judge(Verdict::Degraded, "Memory is short: work waits for it.");
        group.hint("stop programs that take memory, or load a smaller model");
    }
    if memory.huge.transparent.get().is_some_and(|choice| choice == "never") {
        let sentence =
            "There are no huge pages: what is read beyond the caches is 10 to 20 % slower.";
        group.judge(Verdict::Degraded, sentence);
        group.hint("write `madvise` to /sys/kernel/mm/transparent_hugepage/enabled, as root");
    }
    if memory.oom.score_adj.get().is_some_and(|&adjusted| adjusted >= FIRST_TO_GO) {
        group.judge(Verdict::Degraded, "This process is among the first to be killed for memory.");
        group.hint("lower `OOMScoreAdjust=` of the service, or the priority class of the pod");
    }
    if memory.oom.overcommit.get() == Some(&2) {
        group.hint(
            "`vm.overcommit_memory` is 2: what is promised to a model counts, even if unused",
        );
    }
}
