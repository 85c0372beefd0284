//! The processes in the order in which they are shown.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::sample::Process;

/// Levels of a tree that are shown as such.
const MOST_DEPTH: usize = 24;

/// What processes are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Cpu,
    Memory,
    Io,
    Gpu,
    Pid,
}

impl Sort {
    pub(super) const ALL: [Self; 5] = [Self::Cpu, Self::Memory, Self::Io, Self::Gpu, Self::Pid];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "CPU",
            Self::Memory => "memory",
            Self::Io => "disk",
            Self::Gpu => "GPU",
            Self::Pid => "number",
        }
    }

    /// Which comes first: the one with more, or the lower number.
    fn compare(self, a: &Process, b: &Process) -> Ordering {
        let io = |process: &Process| {
            let read = process.read_bytes_per_second.unwrap_or(0);
            read.saturating_add(process.write_bytes_per_second.unwrap_or(0))
        };
        let gpu = |process: &Process| {
            (process.gpu_percent.unwrap_or(0.0), process.gpu_memory_bytes.unwrap_or(0))
        };
        let order = match self {
            Self::Cpu => b.cpu_percent.total_cmp(&a.cpu_percent),
            Self::Memory => b.memory_bytes.cmp(&a.memory_bytes),
            Self::Io => io(b).cmp(&io(a)),
            Self::Gpu => {
                let (a, b) = (gpu(a), gpu(b));
                b.0.total_cmp(&a.0).then(b.1.cmp(&a.1))
            }
            Self::Pid => a.pid.cmp(&b.pid),
        };
        // Among those that do nothing the larger ones are of interest.
        order.then(b.memory_bytes.cmp(&a.memory_bytes)).then(a.pid.cmp(&b.pid))
    }
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Its place among the processes of the sample.
    pub(super) process: usize,
    /// How deep it is in the tree.
    pub(super) depth: usize,
}

/// Puts processes in order; those without `filter` in their name, command or number are left out,
/// but of a tree the ancestors of those with it stay.
pub(super) fn arrange(
    processes: &[Process],
    sort: Sort,
    is_reversed: bool,
    is_tree: bool,
    filter: &str,
) -> Vec<Row> {
    let filter = filter.to_lowercase();
    let mut order: Vec<usize> = (0..processes.len()).collect();
    order.sort_by(|a, b| match (processes.get(*a), processes.get(*b)) {
        (Some(a), Some(b)) => match is_reversed {
            true => sort.compare(b, a),
            false => sort.compare(a, b),
        },
        _ => Ordering::Equal,
    });
    let fits = |at: usize| processes.get(at).is_some_and(|process| matches(process, &filter));
    if !is_tree {
        let rows = order.into_iter().filter(|at| fits(*at));
        return rows.map(|process| Row { process, depth: 0 }).collect();
    }
    tree(processes, &order, &fits)
}

fn matches(process: &Process, filter: &str) -> bool {
    filter.is_empty()
        || process.name.to_lowercase().contains(filter)
        || process.command.to_lowercase().contains(filter)
        || process.pid.to_string() == filter
}

fn tree(processes: &[Process], order: &[usize], fits: &dyn Fn(usize) -> bool) -> Vec<Row> {
    let by_pid: HashMap<u32, usize> =
        processes.iter().enumerate().map(|(at, process)| (process.pid, at)).collect();
    let parent = |at: usize| {
        let process = processes.get(at)?;
        by_pid.get(&process.parent).copied().filter(|parent| *parent != at)
    };
    let mut is_shown = vec![false; processes.len()];
    for at in (0..processes.len()).filter(|at| fits(*at)) {
        let mut next = Some(at);
        // Ends at one that is shown already, thus in a circle too.
        while let Some(shown) = next.and_then(|at| is_shown.get_mut(at)).filter(|is| !**is) {
            *shown = true;
            next = next.and_then(parent);
        }
    }
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); processes.len()];
    let mut roots = Vec::new();
    for &at in order.iter().filter(|at| is_shown.get(**at) == Some(&true)) {
        match parent(at).and_then(|parent| children.get_mut(parent)) {
            Some(of) => of.push(at),
            None => roots.push(at),
        }
    }
    let mut rows = Vec::new();
    let mut stack: Vec<(usize, usize)> = Vec::new();
    // A recording may claim that processes are each other's parents: they have no root, and are
    // roots themselves.
    for &root in roots.iter().chain(order) {
        stack.push((root, 0));
        while let Some((at, depth)) = stack.pop() {
            let Some(shown) = is_shown.get_mut(at).filter(|is| **is) else { continue };
            *shown = false;
            rows.push(Row { process: at, depth });
            let below = children.get(at).into_iter().flatten().rev();
            stack.extend(below.map(|at| (*at, (depth + 1).min(MOST_DEPTH))));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32, name: &str, cpu_percent: f32) -> Process {
        Process { pid, parent, name: name.to_owned(), cpu_percent, ..Process::default() }
    }

    fn shown(processes: &[Process], rows: &[Row]) -> String {
        let row = |row: &Row| format!("{}{}", "-".repeat(row.depth), processes[row.process].pid);
        rows.iter().map(row).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn processes_are_ordered_filtered_and_put_in_a_tree() {
        let processes = [
            process(1, 0, "init", 0.0),
            process(5, 1, "shell", 1.0),
            process(7, 5, "Rushlight", 50.0),
            process(8, 1, "other", 9.0),
            process(20, 21, "a", 0.0),
            process(21, 20, "b", 0.0),
        ];
        let arranged = |sort, is_reversed, is_tree, filter: &str| {
            shown(&processes, &arrange(&processes, sort, is_reversed, is_tree, filter))
        };
        assert_eq!(arranged(Sort::Cpu, false, false, ""), "7 8 5 1 20 21");
        assert_eq!(arranged(Sort::Pid, true, false, ""), "21 20 8 7 5 1");
        assert_eq!(arranged(Sort::Cpu, false, false, "rush"), "7");
        assert_eq!(arranged(Sort::Cpu, false, false, "8"), "8");
        assert_eq!(arranged(Sort::Cpu, false, true, ""), "1 -8 -5 --7 20 -21");
        assert_eq!(arranged(Sort::Cpu, false, true, "rush"), "1 -5 --7");
        assert_eq!(arranged(Sort::Cpu, false, true, "nothing"), "");
    }

    #[test]
    fn a_deep_tree_is_no_trouble() {
        let processes: Vec<Process> = (1..50_000).map(|n| process(n, n - 1, "x", 0.0)).collect();
        let rows = arrange(&processes, Sort::Cpu, false, true, "x");
        assert_eq!(rows.len(), processes.len());
        assert_eq!(rows.last().unwrap().depth, MOST_DEPTH);
    }
}
