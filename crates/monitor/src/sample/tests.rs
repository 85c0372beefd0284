//! A made-up tree in time: written, sampled, changed, sampled.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use super::*;

const STAT: &str = "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 50 0 50 400 0 0 0 0 0 0\n\
                    cpu1 50 0 50 400 0 0 0 0 0 0\nintr 5 1\nprocs_running 3\nprocs_blocked 1\n";

struct Made {
    dir: tempfile::TempDir,
    sampler: Sampler,
    now: Instant,
}

impl Made {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            write(dir.path(), path, text);
        }
        let sampler = Sampler::new(Tree::new(dir.path()));
        Self { dir, sampler, now: Instant::now() }
    }

    fn write(&self, path: &str, text: &str) {
        write(self.dir.path(), path, text);
    }

    fn sample(&mut self, after_ms: u64) -> Sample {
        self.now += Duration::from_millis(after_ms);
        self.sampler.sample(self.now, SystemTime::UNIX_EPOCH, None).clone()
    }
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn process(pid: u32, name: &str, ticks: u64, start: u64, flags: u64) -> String {
    format!(
        "{pid} ({name}) R 1 1 1 0 -1 {flags} 0 0 0 0 {ticks} 5 0 0 20 0 3 0 {start} 9999 25 18446744073709551615\n"
    )
}

#[test]
fn loads_are_shares_of_the_interval() {
    let base = "sys/devices/system/cpu/cpufreq/policy0";
    let mut made = Made::new(&[
        ("proc/stat", STAT),
        ("proc/loadavg", "0.50 1.25 nan 3/100 7\n"),
        (&format!("{base}/affected_cpus"), "0 1\n"),
        (&format!("{base}/scaling_cur_freq"), "2400000\n"),
    ]);
    let first = made.sample(0);
    assert_eq!((first.cpu.total.busy_percent, first.interval_seconds), (0.0, 0.0));
    assert_eq!(first.cpu.load_average, [0.5, 1.25, 0.0]);
    assert_eq!(first.cpu.cores[1].frequency_hz, Some(2_400_000_000));
    made.write(
        "proc/stat",
        "cpu  130 10 110 900 20 5 5 20\ncpu1 90 0 50 460 0 0 0 0\nprocs_running 1\n",
    );
    let second = made.sample(1000);
    // 200 ticks: 30 + 10 user, 10 + 5 + 5 system, 100 idle, 20 waiting, 20 stolen.
    let load = &second.cpu.total;
    assert_eq!(load.user_percent, 20.0);
    assert_eq!(load.system_percent, 10.0);
    assert_eq!(load.iowait_percent, 10.0);
    assert_eq!(load.steal_percent, 10.0);
    assert_eq!(load.busy_percent, 40.0);
    assert_eq!(load.seconds[3], 9.0);
    // The first processor went offline.
    assert_eq!(second.cpu.cores.len(), 1);
    assert_eq!((second.cpu.cores[0].cpu, second.cpu.cores[0].load.busy_percent), (1, 40.0));
    made.write("proc/stat", STAT);
    assert_eq!(made.sample(1000).cpu.total.busy_percent, 0.0);
}

#[test]
fn bytes_of_disks_and_interfaces_become_rates() {
    let net = |rx: u64, tx: u64| {
        format!(
            "Inter-| Receive\n face |bytes\n    lo: 1 0 0 0 0 0 0 0 1 0 0 0 0 0 0 0\n  eth0:{rx} 9 1 2 0 0 0 0 {tx} 9 3 4 0 0 0 0\n"
        )
    };
    let disk = |read: u64, written: u64, busy: u64| {
        format!(
            "   8  0 sda 5 0 {read} 7 5 0 {written} 7 0 {busy} 9 0 0 0 0\n   8  1 sda1 5 0 1 7 5 0 1 7 0 1 9\n 7 0 loop0 1 1 1 1 1 1 1 1 1 1 1\n 9 9 short 1\n"
        )
    };
    let mut made = Made::new(&[
        ("proc/net/dev", &net(4_294_967_000, 100)),
        ("proc/diskstats", &disk(1000, 2000, 50)),
        ("sys/block/sda/size", "1\n"),
    ]);
    made.sample(0);
    made.write("proc/net/dev", &net(704, 2100));
    made.write("proc/diskstats", &disk(1004, 2400, 550));
    let sample = made.sample(2000);
    assert_eq!(sample.disks.len(), 1, "no partition, no loop");
    let disk = &sample.disks[0];
    assert_eq!((disk.read_bytes_per_second, disk.write_bytes_per_second), (1024, 102_400));
    assert_eq!((disk.busy_percent, disk.written_bytes), (25.0, 2400 * 512));
    let eth = &sample.networks[1];
    assert_eq!(eth.name, "eth0");
    assert_eq!((eth.receive_bytes_per_second, eth.send_bytes_per_second), (500, 1000));
    assert_eq!(eth.errors, 10);
}

#[test]
fn memory_swap_and_pressure() {
    let meminfo = "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 400 kB\nBuffers: 5 kB\n\
                   Cached: 200 kB\nDirty: 7 kB\nSwapTotal: 100 kB\nSwapFree: 60 kB\nOdd\nX: y kB\n";
    let psi = |some: u64, full: u64| {
        format!(
            "some avg10=1.50 avg60=0 avg300=0 total={some}\nfull avg10=0.25 avg60=0 avg300=0 total={full}\n"
        )
    };
    let mut made = Made::new(&[
        ("proc/meminfo", meminfo),
        ("proc/vmstat", "pgpgin 5\npswpin 10\npswpout 20\n"),
        ("proc/pressure/memory", &psi(1_000_000, 0)),
        ("sys/block/zram0/mm_stat", "4096 100 8192 0 0 0 0\n"),
    ]);
    made.sample(0);
    made.write("proc/vmstat", "pswpin 12\npswpout 30\n");
    made.write("proc/pressure/memory", &psi(1_500_000, 250_000));
    let sample = made.sample(1000);
    let memory = &sample.memory;
    assert_eq!(memory.available_bytes, 400 << 10);
    assert_eq!((memory.cached_bytes, memory.swap_used_bytes), (205 << 10, 40 << 10));
    let page = rustix::param::page_size() as u64;
    assert_eq!(memory.swap_in_bytes_per_second, 2 * page);
    assert_eq!(memory.swap_out_bytes_per_second, 10 * page);
    assert_eq!(memory.zram, Some(Zram { data_bytes: 4096, used_bytes: 8192 }));
    let stalls = sample.pressure.memory.as_ref().unwrap();
    assert_eq!((stalls.some.average_10_s_percent, stalls.some.percent), (1.5, 50.0));
    assert_eq!((stalls.full.average_10_s_percent, stalls.full.percent), (0.25, 25.0));
    assert_eq!(sample.pressure.cpu, None);
    assert_eq!(sample.lack("pressure").unwrap().reason, "not_found");
}

#[test]
fn processes_come_go_and_are_replaced() {
    let io =
        |read: u64, written: u64| format!("rchar: 5\nread_bytes: {read}\nwrite_bytes: {written}\n");
    let mut made = Made::new(&[
        ("proc/7/stat", &process(7, "a) R (b", 100, 50, 0)),
        ("proc/7/cmdline", "/usr/bin/rushlight\0serve\0\x1b[2J\0"),
        ("proc/7/io", &io(1000, 0)),
        ("proc/9/stat", &process(9, "kworker", 100, 60, 0x0020_0000)),
        ("proc/12/stat", &process(12, "ends", 1, 60, 0)),
        ("proc/13/stat", "13 (half"),
        ("proc/notes", "no process"),
    ]);
    let first = made.sample(0);
    assert_eq!(first.processes.iter().map(|p| p.pid).collect::<Vec<_>>(), [7, 9, 12]);
    let one = &first.processes[0];
    assert_eq!(
        (one.name.as_str(), one.command.as_str()),
        ("a) R (b", "/usr/bin/rushlight serve ?[2J")
    );
    assert!(one.is_rushlight && !one.is_kernel && first.processes[1].is_kernel);
    assert_eq!((one.threads, one.state.as_str(), one.parent), (3, "R", 1));
    assert_eq!(one.memory_bytes, 25 * rustix::param::page_size() as u64);
    assert_eq!(one.read_bytes_per_second, Some(0));
    assert_eq!(first.processes[2].read_bytes_per_second, None);
    fs::remove_dir_all(made.dir.path().join("proc/12")).unwrap();
    made.write("proc/7/stat", &process(7, "a) R (b", 150, 50, 0));
    made.write("proc/7/io", &io(5000, 2000));
    made.write("proc/8/stat", &process(8, "new", 1000, 70, 0));
    let second = made.sample(2000);
    assert_eq!(second.processes.iter().map(|p| p.pid).collect::<Vec<_>>(), [7, 8, 9]);
    let one = &second.processes[0];
    assert_eq!(one.cpu_percent, 25.0);
    assert_eq!((one.read_bytes_per_second, one.write_bytes_per_second), (Some(2000), Some(1000)));
    assert_eq!(second.processes[1].cpu_percent, 0.0, "of a new one nothing is known");
    assert_eq!((second.tasks.processes, second.tasks.threads), (3, 9));
    // Another process with the same number.
    made.write("proc/7/stat", &process(7, "other", 900, 51, 0));
    let third = made.sample(1000);
    assert_eq!((third.processes[0].name.as_str(), third.processes[0].cpu_percent), ("other", 0.0));
}

#[test]
fn bytes_of_other_users_are_refused_with_a_reason() {
    let mut made = Made::new(&[
        ("errors", "EACCES proc/7/io\n"),
        ("proc/7/stat", &process(7, "x", 1, 5, 0)),
        ("proc/7/io", "read_bytes: 1\nwrite_bytes: 1\n"),
    ]);
    let sample = made.sample(0);
    assert_eq!(sample.processes[0].read_bytes_per_second, None);
    assert_eq!(sample.lack("processes.io").unwrap().reason, "permission");
}

#[test]
fn quiet_processes_have_their_turn() {
    let io = |n: u64| format!("read_bytes: {n}\nwrite_bytes: 0\n");
    let mut made = Made::new(&[("proc/7/stat", &process(7, "x", 1, 5, 0)), ("proc/7/io", &io(0))]);
    made.sample(0);
    let mut seen = Vec::new();
    for second in 1..=8 {
        made.write("proc/7/io", &io(1000 * second));
        seen.push(made.sample(1000).processes[0].read_bytes_per_second.unwrap());
    }
    // Over the time since it was asked last, so that nothing is lost or counted twice.
    assert!(seen.iter().all(|rate| [0, 1000].contains(rate)), "{seen:?}");
    assert_eq!(seen[4..], [1000; 4]);
}

#[test]
fn among_many_those_that_do_nothing_have_their_turn() {
    let stat = |pid: u32, ticks| process(pid, "x", ticks, 5, 0).replace(") R ", ") S ");
    let mut made = Made::new(&[]);
    for pid in 1..=300 {
        made.write(&format!("proc/{pid}/stat"), &stat(pid, 7));
    }
    for _ in 0..15 {
        made.sample(1000);
    }
    for pid in [20, 21] {
        made.write(&format!("proc/{pid}/stat"), &stat(pid, 107));
    }
    let mut seen = [Vec::new(), Vec::new()];
    for _ in 0..4 {
        let sample = made.sample(1000);
        assert_eq!(sample.processes.len(), 300);
        for (seen, at) in seen.iter_mut().zip([19, 20]) {
            seen.push(sample.processes[at].cpu_percent);
        }
    }
    // A second of work in the two seconds since it was read last, told once.
    seen.sort_by(|a, b| b.partial_cmp(a).unwrap());
    assert_eq!(seen, [vec![50.0, 0.0, 0.0, 0.0], vec![0.0, 50.0, 0.0, 0.0]]);
    fs::remove_dir_all(made.dir.path().join("proc/77")).unwrap();
    assert_eq!(made.sample(1000).processes.len(), 299, "one that ends is gone at once");
}

#[test]
fn an_empty_tree_has_a_reason_for_everything() {
    let mut made = Made::new(&[]);
    let sample = made.sample(0);
    for what in ["cpu", "cpu.frequency", "memory", "pressure", "disks", "networks", "processes"] {
        assert_eq!(sample.lack(what).map(|lack| lack.reason.as_str()), Some("not_found"), "{what}");
    }
}

#[test]
fn damaged_files_are_no_trouble() {
    let files: [(&str, &str); 9] = [
        ("proc/stat", STAT),
        ("proc/loadavg", "0.5 0.5 0.5 1/1 1\n"),
        ("proc/meminfo", "MemTotal: 5 kB\nSwapTotal: 4 kB\nSwapFree: 1 kB\n"),
        ("proc/vmstat", "pswpin 4\n"),
        ("proc/pressure/cpu", "some avg10=1.50 avg60=0 avg300=0 total=99\n"),
        ("proc/net/dev", "eth0:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"),
        ("proc/diskstats", "8 0 sda 5 0 1 7 5 0 1 7 0 1 9\n"),
        ("proc/7/stat", "7 (x) R 1 1 1 0 -1 0 0 0 0 0 5 5 0 0 20 0 3 0 5 9999 25 1\n"),
        ("proc/7/io", "read_bytes: 1\nwrite_bytes: 1\n"),
    ];
    let mut made = Made::new(&files);
    let mut random = 88172645463325252u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).unwrap()
    };
    let odd = [
        "",
        "-",
        "(",
        ")",
        "\u{0}",
        " ",
        "\n",
        "99999999999999999999999",
        "nan",
        "\u{fffd}",
        "18446744073709551615",
    ];
    for _ in 0..100 {
        for (path, text) in &files {
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..next(4) {
                let at = next(bytes.len() + 1);
                let end = (at + next(6)).min(bytes.len());
                bytes.splice(at..end, odd[next(odd.len())].bytes());
            }
            made.write(path, "");
            fs::write(made.dir.path().join(path), bytes).unwrap();
        }
        let sample = made.sample(next(3) as u64 * 500);
        let json = serde_json::to_string(&sample).unwrap();
        serde_json::from_str::<Sample>(&json).unwrap_or_else(|e| panic!("{e}: {json}"));
    }
}

#[test]
fn this_machine_agrees_with_itself() {
    let mut sampler = Sampler::new(Tree::this_machine());
    sampler.sample(Instant::now(), SystemTime::now(), None);
    let end = Instant::now() + Duration::from_millis(300);
    let mut spun = 0u64;
    while Instant::now() < end {
        spun = std::hint::black_box(spun + 1);
    }
    let sample = sampler.sample(Instant::now(), SystemTime::now(), None);
    let own = sample.processes.iter().find(|p| p.pid == std::process::id()).unwrap();
    // Other work on the machine takes its share.
    assert!(own.cpu_percent > 10.0, "{own:?}");
    assert_eq!(own.cpu_percent, sample.own.cpu_percent);
    assert!(
        sample.memory.available_bytes > 0
            && sample.memory.available_bytes < sample.memory.total_bytes
    );
    assert!(sample.filesystems.iter().any(|filesystem| filesystem.total_bytes > 0));
    assert!(!sample.host.kernel.is_empty() && sample.cpu.total.busy_percent > 0.0);
}
