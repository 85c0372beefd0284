//! What a sample says. Its JSON is the schema of recordings and of `--once --json`: fields may be
//! added, and none goes or changes its meaning without a new number in [`Sample::SCHEMA`].

use serde::{Deserialize, Serialize};

/// What a machine and the models on it did in one interval.
///
/// A rate is the mean of the interval. A value that may be absent is `None`, and `null` in JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sample {
    /// When the interval ended: milliseconds since 1970.
    pub time_unix_ms: u64,
    /// How long it was; 0 for the first sample, which has no rates.
    pub interval_seconds: f64,
    /// Which machine.
    pub host: Host,
    /// Its processors.
    pub cpu: Cpu,
    /// Its memory.
    pub memory: Memory,
    /// How much waited for what is short.
    pub pressure: Pressure,
    /// Block devices without partitions, loops and memory disks.
    pub disks: Vec<Disk>,
    /// File systems on block devices, and the root.
    pub filesystems: Vec<Filesystem>,
    /// Network interfaces.
    pub networks: Vec<Network>,
    /// GPUs, NPUs and TPUs.
    pub accelerators: Vec<Accelerator>,
    /// What the machine takes.
    pub power: Power,
    /// How warm it is.
    pub heat: Heat,
    /// The rushlight server that is watched.
    pub served: Option<Served>,
    /// How many processes there are.
    pub tasks: Tasks,
    /// The processes, by number. A recording has those that did or held most.
    pub processes: Vec<Process>,
    /// What this program takes itself.
    pub own: Own,
    /// Why what is absent is absent.
    pub absent: Vec<Lack>,
}

impl Sample {
    /// The version of the schema.
    pub const SCHEMA: u32 = 1;
    /// The reason of a value that is there, but is the last one of a device that does not answer.
    pub const STALE: &str = "stale";
}

/// Why something is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lack {
    /// What, such as `power` or `cpu.frequency`.
    pub what: String,
    /// `not_found`, `permission`, `driver`, `unsupported` or `damaged`; `stale` if a device does not
    /// answer, and what is told is the last that it said.
    pub reason: String,
    /// For a person.
    pub detail: String,
}

/// A machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// The version of its kernel.
    pub kernel: String,
    /// The processor's name, or the board's.
    pub processor: String,
    /// Seconds since it started.
    pub uptime_seconds: u64,
}

/// Processors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cpu {
    /// Of all together.
    pub total: Load,
    /// Each hardware thread that is online.
    pub cores: Vec<Core>,
    /// Processes that ran or waited for a disk, averaged over 1, 5 and 15 minutes.
    pub load_average: [f32; 3],
}

/// What a processor did, in per cent of the interval.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Load {
    /// All but idle and waiting for a disk.
    pub busy_percent: f32,
    /// Programs, those of virtual machines and with a low priority too.
    pub user_percent: f32,
    /// The kernel and its interrupts.
    pub system_percent: f32,
    /// Idle while a disk was waited for.
    pub iowait_percent: f32,
    /// Taken by the host of a virtual machine.
    pub steal_percent: f32,
    /// Seconds since the start in the order of `/proc/stat`: user, nice, system, idle, iowait, irq,
    /// softirq, steal. Not in JSON.
    #[serde(skip)]
    pub seconds: [f64; 8],
}

/// A hardware thread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Core {
    /// Its number.
    pub cpu: u32,
    /// What it did.
    #[serde(flatten)]
    pub load: Load,
    /// Its clock.
    pub frequency_hz: Option<u64>,
}

/// Memory, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// All.
    pub total_bytes: u64,
    /// Free, or given up without swapping.
    pub available_bytes: u64,
    /// Used by nothing.
    pub free_bytes: u64,
    /// Pages of files and buffers.
    pub cached_bytes: u64,
    /// Pages of files that are to be written.
    pub dirty_bytes: u64,
    /// Swap.
    pub swap_total_bytes: u64,
    /// Swap that is used.
    pub swap_used_bytes: u64,
    /// Read from swap.
    pub swap_in_bytes_per_second: u64,
    /// Written to swap.
    pub swap_out_bytes_per_second: u64,
    /// Compressed swap in memory.
    pub zram: Option<Zram>,
    /// The control group that allows this program the least.
    pub limit: Option<Limit>,
}

/// Compressed swap in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Zram {
    /// What is in it, not compressed.
    pub data_bytes: u64,
    /// The memory that it takes.
    pub used_bytes: u64,
}

/// The memory limit of a control group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limit {
    /// What it allows.
    pub limit_bytes: u64,
    /// What of it is used.
    pub used_bytes: u64,
}

/// What was waited for (`/proc/pressure`); `None` where the kernel does not measure it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pressure {
    /// For a processor.
    pub cpu: Option<Stalls>,
    /// For memory.
    pub memory: Option<Stalls>,
    /// For a disk.
    pub io: Option<Stalls>,
}

/// How much waited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stalls {
    /// At least one task did.
    pub some: Stall,
    /// All did that could have run.
    pub full: Stall,
}

/// A share of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stall {
    /// Of the last ten seconds, by the kernel.
    pub average_10_s_percent: f32,
    /// Of the interval.
    pub percent: f32,
}

/// A block device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Disk {
    /// Its name below `/dev`.
    pub name: String,
    /// Read.
    pub read_bytes_per_second: u64,
    /// Written.
    pub write_bytes_per_second: u64,
    /// Time in which something was asked of it.
    pub busy_percent: f32,
    /// Whether it is made of others, whose bytes are its own: a volume, a RAID.
    pub is_made_of_others: bool,
    /// Bytes read since the start. Not in JSON.
    #[serde(skip)]
    pub read_bytes: u64,
    /// Bytes written since the start. Not in JSON.
    #[serde(skip)]
    pub written_bytes: u64,
}

/// A file system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filesystem {
    /// Where it is mounted.
    pub path: String,
    /// Its size.
    pub total_bytes: u64,
    /// What is in it.
    pub used_bytes: u64,
    /// What users may still write, which with what is used may be less than its size.
    pub free_bytes: u64,
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Received.
    pub receive_bytes_per_second: u64,
    /// Sent.
    pub send_bytes_per_second: u64,
    /// Errors and dropped packets since the start, both ways.
    pub errors: u64,
    /// Bytes received since the start. Not in JSON.
    #[serde(skip)]
    pub received_bytes: u64,
    /// Bytes sent since the start. Not in JSON.
    #[serde(skip)]
    pub sent_bytes: u64,
}

/// A GPU, NPU or TPU.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Accelerator {
    /// `gpu`, `npu` or `tpu`.
    pub kind: String,
    /// What it is.
    pub name: String,
    /// Time in which it worked.
    pub busy_percent: Option<f32>,
    /// Its memory, or what it uses of the machine's.
    pub memory_used_bytes: Option<u64>,
    /// Its memory.
    pub memory_total_bytes: Option<u64>,
    /// What it takes.
    pub watts: Option<f32>,
    /// How warm it is.
    pub celsius: Option<f32>,
    /// Its clock.
    pub frequency_hz: Option<u64>,
    /// What slows it down now; `None` where nothing tells.
    pub throttled_by: Option<Vec<String>>,
    /// Why values of it are absent, in the words of `what`: `busy`, `memory`, `power`, `heat`,
    /// `frequency`.
    pub absent: Vec<Lack>,
}

/// What the machine takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Power {
    /// By the sensor that covers the most.
    pub watts: Option<f32>,
    /// That sensor.
    pub source: Option<String>,
    /// Whether it is an estimate.
    pub is_estimated: bool,
    /// Joules since this program started. Not in JSON.
    #[serde(skip)]
    pub joules: Option<f64>,
    /// Each rail that is measured.
    pub rails: Vec<Rail>,
    /// The battery.
    pub battery: Option<Battery>,
}

/// A rail, or a part of the processor, whose power is measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rail {
    /// Its name.
    pub name: String,
    /// What it takes.
    pub watts: f32,
}

/// A battery.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Battery {
    /// How full it is.
    pub charge_percent: Option<f32>,
    /// `charging`, `discharging`, `full` and so on, as the kernel says it.
    pub status: String,
}

/// How warm the machine is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Heat {
    /// The temperature that matters.
    pub hottest: Option<Temperature>,
    /// Degrees to the nearest limit; negative beyond it.
    pub left_celsius: Option<f32>,
    /// What happens at that limit: `passive`, `hot`, `critical`.
    pub limit: Option<String>,
    /// Whether heat or a weak supply slows the machine down now.
    pub is_throttled: Option<bool>,
    /// What says so.
    pub because: Vec<String>,
    /// All temperatures.
    pub temperatures: Vec<Temperature>,
    /// Turns per minute of each fan.
    pub fans_rpm: Vec<u32>,
}

/// A temperature.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Temperature {
    /// Of what.
    pub name: String,
    /// The temperature.
    pub celsius: f32,
}

/// A rushlight server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Served {
    /// Where it answers.
    pub address: String,
    /// What it says of itself: `ok`, `degraded`, `loading`, `stuck`, `failed`.
    pub status: String,
    /// What is not as it should be.
    pub degraded_by: Vec<String>,
    /// Its version.
    pub version: String,
    /// Seconds since it started.
    pub uptime_seconds: u64,
    /// Watts by its own sensor.
    pub watts: Option<f32>,
    /// What its governor does, if one governs.
    pub governor: Option<String>,
    /// Its models.
    pub models: Vec<Model>,
}

/// A model that is served.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Model {
    /// What clients call it.
    pub name: String,
    /// Whether it is in memory.
    pub is_loaded: bool,
    /// Memory that it takes, at most.
    pub memory_bytes: u64,
    /// Answers that are being written.
    pub running: u64,
    /// Requests that wait.
    pub waiting: u64,
    /// Tokens of answers.
    pub tokens_per_second: f32,
    /// Tokens of prompts that were read, without those from the cache.
    pub prompt_tokens_per_second: f32,
    /// Of all tokens of prompts since the start, those that came from the cache.
    pub cached_percent: Option<f32>,
    /// Pages of keys and values in use.
    pub kv_percent: f32,
    /// From a request to its first token, on average of those of the interval.
    pub first_token_ms: Option<f32>,
    /// Of the tokens that were guessed since the start, those that were right.
    pub accepted_percent: Option<f32>,
    /// Energy of a token of an answer, by the server's sensor.
    pub joules_per_token: Option<f32>,
    /// Tokens of answers since the start.
    pub tokens: u64,
}

/// How many processes there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tasks {
    /// All.
    pub processes: u32,
    /// Those that run or could.
    pub running: u32,
    /// Those that wait for a disk or the like.
    pub blocked: u32,
    /// Their threads.
    pub threads: u32,
}

/// A process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// The number of the process that started it, or took it over.
    pub parent: u32,
    /// The number of its user.
    pub user: u32,
    /// Its name, at most 15 letters.
    pub name: String,
    /// Its command line; empty for the kernel's own.
    pub command: String,
    /// The letter of its state: `R` runs, `S` sleeps, `D` waits for a disk, `T` is stopped, `Z` has
    /// ended.
    pub state: String,
    /// Time of processors, in per cent of one.
    pub cpu_percent: f32,
    /// Memory that is resident.
    pub memory_bytes: u64,
    /// Its threads.
    pub threads: u32,
    /// Read from disks; `None` where this user may not know.
    pub read_bytes_per_second: Option<u64>,
    /// Written to disks; `None` where this user may not know.
    pub write_bytes_per_second: Option<u64>,
    /// Time of accelerators, in per cent of one; `None` where nothing tells.
    pub gpu_percent: Option<f32>,
    /// Memory of accelerators; `None` where nothing tells.
    pub gpu_memory_bytes: Option<u64>,
    /// Whether it is the kernel's own.
    pub is_kernel: bool,
    /// Whether it is a rushlight.
    pub is_rushlight: bool,
    /// When it started: ticks after the machine did. Together with the number it names a process.
    pub start_ticks: u64,
}

/// What this program takes itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Own {
    /// Time of processors, in per cent of one.
    pub cpu_percent: f32,
    /// Memory that is resident.
    pub memory_bytes: u64,
}
