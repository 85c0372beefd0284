//! Which processors the threads of a pool stay on.

use std::sync::OnceLock;

use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity};

use crate::Topology;

/// A class of cores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CoreClass {
    /// The fastest ones first: where a pool begins.
    #[default]
    Fast,
    /// Those that are less than half as fast as the fastest.
    Efficient,
}

/// The processors of a pool's threads.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// The processor of each worker, the caller's first; empty if the threads are not pinned.
    fast: Vec<usize>,
    efficient: Vec<usize>,
    class: CoreClass,
    /// Where the caller might run before it was moved.
    caller: Option<CpuSet>,
}

impl Places {
    /// Those of so many threads; none if there is no processor of its own for each.
    pub(super) fn of(topology: &Topology, threads: usize) -> Self {
        let fast = topology.placement(threads);
        if fast.len() < threads {
            return Self::default();
        }
        let slow = topology.cores.iter().skip(topology.fast_cores().len());
        let efficient = slow.filter_map(|core| core.cpus.first().copied()).collect();
        Self { fast, efficient, class: CoreClass::Fast, caller: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fast.is_empty()
    }

    /// Efficient cores.
    pub(super) fn efficient(&self) -> usize {
        self.efficient.len()
    }

    /// The processor of each worker in the present class, the caller's first.
    pub(super) fn cpus(&self) -> &[usize] {
        match self.class {
            CoreClass::Fast => &self.fast,
            CoreClass::Efficient => &self.efficient,
        }
    }

    /// How many threads there is a place for, if they have places.
    pub(super) fn most(&self) -> Option<usize> {
        Some(self.cpus().len()).filter(|most| *most > 0)
    }

    /// Moves the workers of these numbers and the calling thread. Returns whether they are there.
    pub(super) fn go(&mut self, class: CoreClass, workers: &[OnceLock<Pid>]) -> bool {
        if class == self.class {
            return true;
        }
        let cpus = match class {
            CoreClass::Fast => &self.fast,
            CoreClass::Efficient => &self.efficient,
        };
        let Some((&own, others)) = cpus.split_first() else { return false };
        match class {
            CoreClass::Efficient => {
                let before = sched_getaffinity(None).ok();
                if !pin(own) {
                    return false;
                }
                self.caller = before;
            }
            CoreClass::Fast => {
                // It was there before.
                let _ = self.caller.take().map(|before| sched_setaffinity(None, &before));
            }
        }
        for (id, cpu) in workers.iter().zip(others) {
            // One that stays where it was works on there.
            let _ = id.get().zip(set(*cpu)).map(|(id, set)| sched_setaffinity(Some(*id), &set));
        }
        self.class = class;
        true
    }

    /// Moves the calling thread to its own processor if it runs on one of the workers' that take
    /// part. The worker cannot go elsewhere, and the kernel takes milliseconds to see that the caller
    /// could: until then the two would share one processor.
    pub(super) fn step_aside(&self, active: usize) {
        let Some((&own, others)) = self.cpus().split_first() else { return };
        let others = others.get(..active.saturating_sub(1)).unwrap_or(others);
        if !others.contains(&rustix::thread::sched_getcpu()) {
            return;
        }
        if let Ok(allowed) = sched_getaffinity(None)
            && pin(own)
        {
            // The kernel accepts a mask that it gave out itself; a failure would leave the thread
            // where it should be anyway.
            let _ = sched_setaffinity(None, &allowed);
        }
    }
}

/// Pins the calling thread. Returns whether it is pinned now.
pub(super) fn pin(cpu: usize) -> bool {
    set(cpu).is_some_and(|set| sched_setaffinity(None, &set).is_ok())
}

/// A set of one processor.
fn set(cpu: usize) -> Option<CpuSet> {
    let mut set = CpuSet::new();
    if cpu >= CpuSet::MAX_CPU {
        return None;
    }
    set.set(cpu);
    Some(set)
}
