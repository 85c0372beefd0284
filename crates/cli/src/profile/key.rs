//! What a profile is of.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use rushlight_host::Topology;
use rushlight_model::{Ffn, Model};
use rushlight_store::Digest;
use serde::{Deserialize, Serialize};

use super::build;

/// All that a measurement depends on, in words: a profile is used where all of it is the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    /// Processors, memory, kernels that run.
    pub(crate) machine: String,
    /// The processors that this process may use, and for how much time: affinity, cpuset, quota.
    pub(crate) limits: String,
    /// The program: its version and build.
    pub(crate) program: String,
    /// The model: sizes and types of tensors, not its name.
    pub(crate) model: String,
}

impl Key {
    /// The key of a model on the machine whose `/proc` and `/sys` are below `root`.
    pub(crate) fn of(root: &Path, model: &Model) -> Self {
        Self {
            machine: machine(root),
            limits: limits(&Topology::read(root)),
            program: build::identity(&root.join("proc/self/exe")),
            model: shape(model),
        }
    }

    /// The beginning of the names of all profiles of the model's shape.
    pub(super) fn of_model(&self) -> String {
        short(&self.model)
    }

    /// The file's name.
    pub(super) fn file_name(&self) -> String {
        let rest = format!("{}\n{}\n{}", self.machine, self.limits, self.program);
        format!("{}-{}.json", self.of_model(), short(&rest))
    }

    /// In which parts another key is another, in words.
    pub(super) fn differences(&self, other: &Self) -> Vec<&'static str> {
        let parts = [
            (self.machine == other.machine, "on another machine"),
            (self.limits == other.limits, "under other limits on its processors"),
            (self.program == other.program, "by another build of the program"),
            (self.model == other.model, "with another model"),
        ];
        parts.into_iter().filter(|(same, _)| !same).map(|(_, words)| words).collect()
    }
}

/// Enough of a digest to tell apart what one machine has.
fn short(text: &str) -> String {
    Digest::of(text.as_bytes()).hex().chars().take(16).collect()
}

/// Lines of `/proc/cpuinfo` that name a processor: x86 says `model name`, ARM numbers.
const NAMES: [&str; 4] = ["model name", "CPU implementer", "CPU part", "CPU variant"];

fn machine(root: &Path) -> String {
    let text = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    let mut processors: BTreeMap<String, usize> = BTreeMap::new();
    for processor in text("proc/cpuinfo").split("\n\n") {
        let named = processor.lines().filter_map(|line| line.split_once(':'));
        let named = named.filter(|(name, _)| NAMES.contains(&name.trim()));
        let name: Vec<&str> = named.map(|(_, value)| value.trim()).collect();
        if !name.is_empty() {
            *processors.entry(name.join(" ")).or_default() += 1;
        }
    }
    let mut words: Vec<String> =
        processors.into_iter().map(|(name, count)| format!("{count} x {name}")).collect();
    let board = text("proc/device-tree/model");
    let board = board.trim_end_matches('\0');
    if !board.is_empty() {
        words.insert(0, board.to_owned());
    }
    // What the kernel keeps for itself differs from one version to the next.
    let gib = (rushlight_host::memory(root).total_bytes as f64 / (1u64 << 30) as f64).round();
    words.push(format!("{gib} GiB"));
    let rows: Vec<&str> = rushlight_kernels::rows().iter().map(|row| row.name()).collect();
    words.push(format!("kernels {}", rows.join(" ")));
    words.join(", ")
}

fn limits(topology: &Topology) -> String {
    let mut text = String::new();
    for core in &topology.cores {
        let cpus: Vec<String> = core.cpus.iter().map(usize::to_string).collect();
        // Writing to a string does not fail.
        let _ = write!(text, "{}@{} ", cpus.join("+"), core.speed);
    }
    match topology.quota {
        Some(quota) => text + &format!("quota {quota}"),
        None => text + "no quota",
    }
}

fn shape(model: &Model) -> String {
    let dims = model.dims();
    let weights = model.weights();
    let mut formats: BTreeMap<String, usize> = BTreeMap::new();
    let mut count = |format: String| *formats.entry(format).or_default() += 1;
    count(format!("embedding {}", weights.embedding.format()));
    count(format!("output {}", weights.output.weight.format()));
    for layer in &weights.layers {
        for linear in [&layer.q, &layer.k, &layer.v, &layer.o] {
            count(format!("attention {}", linear.weight.format()));
        }
        let parts = match &layer.ffn {
            Ffn::Dense(ffn) => std::slice::from_ref(ffn),
            Ffn::Experts { experts, .. } => experts,
        };
        for part in parts {
            for linear in part.gate.iter().chain([&part.up, &part.down]) {
                count(format!("feed-forward {}", linear.weight.format()));
            }
        }
    }
    let mut text = format!(
        "{}: {} layers, width {}, heads {} ({} key/value) of {}, feed-forward {}, vocabulary {}",
        model.arch().name,
        dims.layers.len(),
        dims.d,
        dims.h,
        dims.g,
        dims.k,
        dims.f,
        dims.v,
    );
    if let Some(experts) = &dims.experts {
        text += &format!(", {} of {} experts", experts.used, experts.count);
    }
    for (format, count) in formats {
        text += &format!(", {count} x {format}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rushlight_testkit::tiny;

    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        dir
    }

    fn model(name: &str) -> Model {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().with_extension("gguf");
        tiny::write_gguf(&tiny::case(name), &path);
        let model = Model::open(&path).unwrap();
        fs::remove_file(path).unwrap();
        model
    }

    const PI: [(&str, &str); 4] = [
        (
            "proc/cpuinfo",
            "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n\nprocessor\t: 1\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n\nRevision\t: d04170\n",
        ),
        ("proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0"),
        ("proc/meminfo", "MemTotal:        8256000 kB\n"),
        ("sys/devices/system/cpu/online", "0-1"),
    ];

    #[test]
    fn a_key_says_what_it_is_of_and_changes_with_each_part() {
        let dir = tree(&PI);
        let (llama, qwen) = (model("llama2"), model("qwen3"));
        let key = Key::of(dir.path(), &llama);
        assert!(
            key.machine.starts_with(
                "Raspberry Pi 5 Model B Rev 1.0, 2 x 0x41 0xd0b, 8 GiB, kernels scalar"
            ),
            "{key:?}"
        );
        assert_eq!(key.limits, "0@1024 1@1024 no quota");
        assert_eq!(key, Key::of(dir.path(), &llama));
        let other = Key::of(dir.path(), &qwen);
        assert_eq!(key.differences(&other), ["with another model"]);
        assert_ne!(key.of_model(), other.of_model());
        fs::write(dir.path().join("proc/meminfo"), "MemTotal: 4100000 kB\n").unwrap();
        let other = Key::of(dir.path(), &llama);
        assert_eq!(key.differences(&other), ["on another machine"]);
        assert_ne!(key.file_name(), other.file_name());
        let limited = [
            ("proc/self/cgroup", "0::/a\n"),
            ("proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
            ("sys/fs/cgroup/a/cpu.max", "150000 100000\n"),
        ];
        let other = Key::of(tree(&[&PI[..], &limited].concat()).path(), &llama);
        assert_eq!(key.differences(&other), ["under other limits on its processors"]);
        let bound = [("proc/self/status", "Cpus_allowed_list:\t1\n")];
        let other = Key::of(tree(&[&PI[..], &bound].concat()).path(), &llama);
        assert_eq!(other.limits, "1@1024 no quota");
        let built = [("proc/self/exe", "another program")];
        let other = Key::of(tree(&[&PI[..], &built].concat()).path(), &llama);
        assert_eq!(key.differences(&other), ["by another build of the program"]);
    }

    #[test]
    fn this_machine_has_a_key() {
        let key = Key::of(Path::new("/"), &model("llama2"));
        assert!(key.machine.contains(" x ") && key.limits.contains('@'), "{key:?}");
    }
}
