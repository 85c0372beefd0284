//! The screen as text, against files in `tests/golden`; `RUSHLIGHT_GOLDEN=write` writes them anew.

use std::fs;
use std::path::Path;

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;

use super::*;
use crate::sample::{
    Accelerator, Battery, Core, Disk, Host, Lack, Limit, Load, Model, Network, Rail, Served, Stall,
    Stalls, Tasks, Temperature,
};

fn load(busy_percent: f32) -> Load {
    Load {
        busy_percent,
        user_percent: busy_percent * 0.75,
        system_percent: busy_percent * 0.25,
        iowait_percent: 1.5,
        ..Load::default()
    }
}

fn process(pid: u32, parent: u32, command: &str, cpu_percent: f32) -> Process {
    let program = command.split(' ').next().unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default().to_owned();
    Process {
        pid,
        parent,
        user: 1000,
        is_rushlight: name == "rushlight",
        name,
        command: command.to_owned(),
        state: if cpu_percent > 1.0 { "R" } else { "S" }.to_owned(),
        cpu_percent,
        memory_bytes: u64::from(pid) << 18,
        threads: pid % 7 + 1,
        read_bytes_per_second: Some(u64::from(pid % 3) * 5000),
        write_bytes_per_second: (!pid.is_multiple_of(5)).then_some(u64::from(pid % 2) * 1_000_000),
        start_ticks: 5,
        ..Process::default()
    }
}

/// A small board that serves a model.
fn board(at: u32) -> Sample {
    let busy = 30.0 + (at * 7 % 50) as f32;
    let core = |cpu: u32| Core {
        cpu,
        load: load((busy + cpu as f32 * 20.0) % 100.0),
        frequency_hz: Some(2_400_000_000 - u64::from(cpu) * 300_000_000),
    };
    let stalls = |percent: f32| {
        let some = Stall { average_10_s_percent: percent, percent };
        Some(Stalls { some, full: Stall::default() })
    };
    let mut sample =
        Sample { time_unix_ms: 45_296_000, interval_seconds: 1.0, ..Sample::default() };
    sample.host = Host {
        name: "kitchen".to_owned(),
        kernel: "6.12.20".to_owned(),
        processor: "Raspberry Pi 5 Model B".to_owned(),
        uptime_seconds: 93_784,
    };
    sample.cpu.total = load(busy);
    sample.cpu.cores = (0..4).map(core).collect();
    sample.cpu.load_average = [1.25, 0.75, 0.5];
    sample.memory.total_bytes = 8 << 30;
    sample.memory.available_bytes = 3 << 30;
    sample.memory.cached_bytes = 1 << 30;
    sample.memory.dirty_bytes = 3 << 20;
    sample.memory.swap_total_bytes = 1 << 30;
    sample.memory.swap_used_bytes = 100 << 20;
    sample.memory.limit = Some(Limit { limit_bytes: 6 << 30, used_bytes: 4 << 30 });
    (sample.pressure.cpu, sample.pressure.memory) = (stalls(4.5), stalls(0.25));
    sample.pressure.io = stalls(6.0);
    sample.disks = vec![Disk {
        name: "mmcblk0".to_owned(),
        read_bytes_per_second: 1_200_000 * u64::from(at % 5),
        write_bytes_per_second: 90_000,
        busy_percent: 12.5,
        ..Disk::default()
    }];
    sample.networks = vec![Network {
        name: "eth0".to_owned(),
        receive_bytes_per_second: 3_000 * u64::from(at % 3),
        send_bytes_per_second: 45_000,
        ..Network::default()
    }];
    sample.power.watts = Some(7.5 + (at % 4) as f32);
    sample.power.source = Some("PMIC rails, the rails of the module".to_owned());
    sample.power.rails = vec![Rail { name: "VDD_CORE".to_owned(), watts: 3.25 }];
    sample.power.battery =
        Some(Battery { charge_percent: Some(81.0), status: "discharging".to_owned() });
    let hottest = Temperature { name: "cpu-thermal".to_owned(), celsius: 71.5 };
    sample.heat.hottest = Some(hottest.clone());
    sample.heat.temperatures = vec![hottest];
    sample.heat.left_celsius = Some(8.5);
    sample.heat.limit = Some("passive".to_owned());
    sample.heat.is_throttled = Some(false);
    sample.heat.fans_rpm = vec![2400];
    sample.served = Some(Served {
        address: "http://127.0.0.1:8080".to_owned(),
        status: "ok".to_owned(),
        models: vec![
            Model { name: "spare".to_owned(), ..Model::default() },
            Model {
                name: "smollm2".to_owned(),
                is_loaded: true,
                memory_bytes: 200 << 20,
                running: 2,
                waiting: 3,
                tokens_per_second: 31.5 + (at % 9) as f32,
                prompt_tokens_per_second: 210.0,
                cached_percent: Some(40.0),
                kv_percent: 62.5,
                first_token_ms: Some(180.0),
                joules_per_token: Some(0.24),
                ..Model::default()
            },
        ],
        ..Served::default()
    });
    sample.tasks = Tasks { processes: 6, running: 2, blocked: 0, threads: 20 };
    sample.processes = vec![
        process(1, 0, "/sbin/init", 0.0),
        process(41, 1, "/usr/bin/rushlight serve smollm2 --threads 4", 301.5),
        process(57, 1, "/usr/sbin/sshd -D", 0.0),
        process(203, 57, "-bash", 0.4),
        process(310, 203, "dd if=/dev/zero of=naïve bs=1M", 42.0),
        Process { is_kernel: true, command: String::new(), ..process(12, 2, "kworker/0:1", 0.2) },
    ];
    sample.processes.sort_by_key(|process| process.pid);
    let lack = |what: &str, reason: &str, detail: &str| Lack {
        what: what.to_owned(),
        reason: reason.to_owned(),
        detail: detail.to_owned(),
    };
    sample.absent = vec![lack("accelerators", "not_found", "no GPU, NPU or TPU")];
    sample
}

/// A server with 128 threads and 8 GPUs, hot and short of memory.
fn server(at: u32) -> Sample {
    let mut sample = board(at);
    let core = |cpu: u32| Core { cpu, load: load((cpu * 37 % 100) as f32), frequency_hz: None };
    sample.cpu.cores = (0..128).map(core).collect();
    sample.memory.total_bytes = 512 << 30;
    sample.memory.available_bytes = 12 << 30;
    sample.memory.limit = None;
    let gpu = |n: u32| Accelerator {
        kind: "gpu".to_owned(),
        name: "NVIDIA H100 80GB HBM3".to_owned(),
        busy_percent: (n != 7).then_some((n * 14) as f32),
        memory_used_bytes: Some(u64::from(n) * (9 << 30)),
        memory_total_bytes: Some(80 << 30),
        watts: Some(120.0 + 70.0 * n as f32),
        celsius: Some(40.0 + 6.0 * n as f32),
        frequency_hz: Some(1_980_000_000),
        throttled_by: (n == 6).then(|| vec!["power cap".to_owned()]),
        absent: match n {
            7 => vec![Lack {
                what: "busy".to_owned(),
                reason: "permission".to_owned(),
                detail: "only root may ask".to_owned(),
            }],
            _ => Vec::new(),
        },
    };
    sample.accelerators = (0..8).map(gpu).collect();
    sample.heat.left_celsius = Some(2.0);
    sample.heat.is_throttled = Some(true);
    sample.heat.because = vec!["package-0".to_owned()];
    sample.processes = (1..400)
        .map(|pid| Process {
            gpu_percent: (pid % 50 == 0).then_some(pid as f32 / 5.0),
            gpu_memory_bytes: (pid % 50 == 0).then_some(5 << 30),
            ..process(
                pid * 3,
                pid / 2 * 3,
                &format!("/opt/app/worker --number {pid}"),
                (pid % 90) as f32,
            )
        })
        .collect();
    sample.tasks = Tasks { processes: 399, running: 90, blocked: 1, threads: 2000 };
    sample.absent.clear();
    sample
}

/// A machine that tells nothing.
fn dark() -> Sample {
    Sampler::dark()
}

struct Sampler;

impl Sampler {
    fn dark() -> Sample {
        let dir = tempfile::tempdir().unwrap();
        let mut sampler = crate::sample::Sampler::new(rushlight_host::probe::Tree::new(dir.path()));
        let mut sample = sampler
            .sample(std::time::Instant::now(), std::time::SystemTime::UNIX_EPOCH, None)
            .clone();
        sample.own = Default::default();
        sample
    }
}

fn app(look: Look, samples: impl Iterator<Item = Sample>) -> App {
    let users = HashMap::from([(1000, "baker".to_owned())]);
    let mut app = App::new(look, Alarms::new(false), users, 1000);
    for sample in samples {
        app.update(&sample);
    }
    app
}

fn text(app: &mut App, width: u16, height: u16) -> String {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    app.draw(&mut buffer, area);
    let mut text = String::new();
    for y in 0..height {
        let line: String =
            (0..width).map(|x| buffer.cell((x, y)).unwrap().symbol().to_owned()).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn compare(name: &str, text: &str) {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.txt"));
    if std::env::var_os("RUSHLIGHT_GOLDEN").is_some_and(|value| value == "write") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        return;
    }
    let want = fs::read_to_string(&path).unwrap_or_default();
    assert!(want == text, "{name}: expected\n{want}\nfound\n{text}");
}

const ASCII: Look = Look { is_ascii: true, is_plain: true };
const BLOCKS: Look = Look { is_ascii: false, is_plain: false };

#[test]
fn screens_are_as_they_were() {
    for (width, height) in [(80, 24), (120, 40), (200, 60), (40, 12), (20, 5)] {
        let mut board = app(BLOCKS, (0..40).map(board));
        compare(&format!("board-{width}x{height}"), &text(&mut board, width, height));
        let mut server = app(BLOCKS, (0..40).map(server));
        compare(&format!("server-{width}x{height}"), &text(&mut server, width, height));
    }
    compare("board-ascii", &text(&mut app(ASCII, (0..40).map(board)), 80, 24));
    compare("dark", &text(&mut app(BLOCKS, std::iter::once(dark())), 80, 24));
    let mut help = app(BLOCKS, std::iter::once(board(0)));
    help.key(Key::Char('?'));
    compare("help", &text(&mut help, 80, 24));
    let mut tree = app(BLOCKS, std::iter::once(board(0)));
    tree.key(Key::Char('t'));
    compare("tree", &text(&mut tree, 100, 24));
}

#[test]
fn ascii_is_ascii() {
    for (width, height) in [(80, 24), (200, 60), (30, 9)] {
        let mut app = app(ASCII, (0..40).map(server));
        for keys in ["", "t", "?", "x", "/ä", ""] {
            for key in keys.chars() {
                app.key(Key::Char(key));
            }
            let text = text(&mut app, width, height);
            assert!(text.is_ascii(), "{text}");
        }
    }
}

#[test]
fn no_size_is_too_small_or_too_large() {
    let samples: [fn(u32) -> Sample; 3] = [board, server, |_| dark()];
    for of in samples {
        let mut app = app(BLOCKS, (0..3).map(of));
        for width in (0..60).chain([79, 80, 149, 150, 300]) {
            for height in (0..40).chain([100]) {
                text(&mut app, width, height);
            }
            app.key(Key::Char('t'));
            app.key(Key::Down);
            app.key(Key::PageDown);
        }
    }
}

#[test]
fn what_a_recording_claims_is_shown_without_steering_the_terminal() {
    let mut odd = server(0);
    odd.host.name = "a\u{1b}[2Jb\nc".to_owned();
    odd.processes[3].command = "x\u{1b}]0;title\u{7}y \u{202e} z".to_owned();
    odd.processes[3].cpu_percent = f32::MAX;
    odd.cpu.total.busy_percent = f32::NAN;
    odd.cpu.cores[5].load.busy_percent = -1e30;
    odd.memory.available_bytes = u64::MAX;
    odd.memory.swap_in_bytes_per_second = u64::MAX;
    odd.memory.swap_out_bytes_per_second = u64::MAX;
    odd.power.watts = Some(f32::INFINITY);
    odd.time_unix_ms = u64::MAX;
    odd.host.uptime_seconds = u64::MAX;
    odd.disks[0].read_bytes_per_second = u64::MAX;
    odd.disks[0].write_bytes_per_second = u64::MAX;
    odd.networks[0].receive_bytes_per_second = u64::MAX;
    let mut app = app(BLOCKS, std::iter::once(odd));
    let shown = text(&mut app, 200, 60);
    assert!(!shown.contains(['\u{1b}', '\u{7}']), "{shown}");
}

#[test]
fn a_process_is_chosen_asked_about_and_stopped() {
    let mut app = app(BLOCKS, std::iter::once(board(0)));
    let press = |app: &mut App, key| assert_eq!(app.key(key), Action::None);
    press(&mut app, Key::Char('k'));
    assert!(text(&mut app, 80, 24).contains("choose a process first"));
    press(&mut app, Key::Down);
    assert_eq!(app.chosen, Some((41, 5)), "the first in the order of CPU");
    press(&mut app, Key::Char('k'));
    assert!(text(&mut app, 80, 24).contains("ask to end (SIGTERM) 41 `rushlight`? y yes"));
    press(&mut app, Key::Char('n'));
    press(&mut app, Key::Char('k'));
    let stop = |is_kill| {
        Action::Stop(Stop { pid: 41, start_ticks: 5, name: "rushlight".to_owned(), is_kill })
    };
    assert_eq!(app.key(Key::Char('y')), stop(false));
    press(&mut app, Key::Char('k'));
    assert_eq!(app.key(Key::Char('y')), stop(true));
    // The choice stays with the process while others pass it.
    let mut next = board(1);
    next.processes.iter_mut().for_each(|process| process.cpu_percent = 0.0);
    app.update(&next);
    assert_eq!(app.chosen, Some((41, 5)));
    next.processes.retain(|process| process.pid != 41);
    app.update(&next);
    assert!(app.chosen.is_some_and(|(pid, _)| pid != 41));
}

#[test]
fn others_are_not_stopped() {
    let mut sample = board(0);
    for process in &mut sample.processes {
        process.user = 7;
    }
    let mut app = app(BLOCKS, std::iter::once(sample));
    let mut asked = Vec::new();
    for _ in 0..6 {
        app.key(Key::Down);
        app.key(Key::Char('k'));
        if let Mode::Confirm(stop) = &app.mode {
            asked.push(stop.pid);
        }
        app.key(Key::Char('n'));
    }
    assert_eq!(asked, [41], "only the rushlight");
    app.set_playing(Playing::default());
    app.key(Key::Home);
    app.key(Key::Char('k'));
    assert_eq!(app.mode, Mode::Processes, "a recording has no processes");
}

#[test]
fn keys_order_filter_fold_and_pause() {
    let mut app = app(BLOCKS, std::iter::once(board(0)));
    let first = |app: &App| app.process(0).unwrap().pid;
    app.key(Key::Char('m'));
    assert_eq!(first(&app), 310);
    app.key(Key::Char('n'));
    assert_eq!(first(&app), 1);
    app.key(Key::Char('r'));
    assert_eq!(first(&app), 310);
    for key in
        [Key::Char('/'), Key::Char('s'), Key::Char('s'), Key::Char('x'), Key::Backspace, Key::Enter]
    {
        app.key(key);
    }
    assert_eq!((app.rows.len(), first(&app)), (1, 57));
    assert_eq!(app.key(Key::Char('q')), Action::Quit);
    app.key(Key::Escape);
    assert_eq!(app.rows.len(), 6);
    app.key(Key::Char('1'));
    assert!(!text(&mut app, 80, 24).contains(" CPU "));
    app.key(Key::Char('0'));
    assert!(text(&mut app, 80, 24).contains(" CPU "));
    app.key(Key::Char(' '));
    let mut next = board(1);
    next.host.name = "elsewhere".to_owned();
    app.update(&next);
    assert!(text(&mut app, 80, 24).contains("paused") && app.sample.host.name == "kitchen");
    assert_eq!(app.key(Key::Left), Action::None);
    app.set_playing(Playing { at: 3, of: 9, speed: 2.0, damaged: 1 });
    assert_eq!(app.key(Key::Left), Action::Seek(-10));
    assert_eq!(app.key(Key::Char('+')), Action::Speed(4.0));
    assert!(text(&mut app, 80, 24).contains("replay 4/9 x2, 1 line damaged"));
    assert_eq!(app.key(Key::Control('c')), Action::Quit);
}

#[test]
fn another_place_of_a_recording_is_shown_while_it_is_paused() {
    let mut app = app(BLOCKS, std::iter::once(board(0)));
    app.key(Key::Char(' '));
    let mut next = board(1);
    next.host.name = "elsewhere".to_owned();
    app.jump(&next);
    let shown = text(&mut app, 80, 24);
    assert!(shown.contains("elsewhere") && shown.contains("paused"), "{shown}");
}

#[test]
fn a_full_disk_is_told_and_stays_marked() {
    let mut app = app(BLOCKS, std::iter::once(board(0)));
    app.set_recording("day.jsonl");
    let failure = || Some("`day.jsonl` cannot be written: no space".to_owned());
    app.set_written(failure());
    let shown = text(&mut app, 80, 24);
    assert!(shown.contains("CANNOT WRITE day.jsonl") && shown.contains("no space"), "{shown}");
    // What else is said is not hidden by it, sample after sample.
    app.say("7 was asked to end");
    app.set_written(failure());
    assert!(text(&mut app, 80, 24).contains("7 was asked to end"));
    app.set_written(None);
    let shown = text(&mut app, 80, 24);
    assert!(shown.contains("records day.jsonl") && shown.contains("goes on"), "{shown}");
}

#[test]
fn what_a_silent_driver_said_last_is_marked() {
    let mut sample = server(0);
    for what in ["accelerators", "power", "heat"] {
        let (reason, detail) = (Sample::STALE.to_owned(), "no answer for 12 s".to_owned());
        sample.absent.push(Lack { what: what.to_owned(), reason, detail });
    }
    let mut app = app(BLOCKS, std::iter::once(sample.clone()));
    let shown = text(&mut app, 120, 40);
    assert!(shown.contains("Accelerators ") && shown.contains("98 %"), "{shown}");
    assert_eq!(shown.matches("no answer for 12 s").count(), 2, "{shown}");
    // A curve has a gap there.
    assert!(app.history.watts.last(1).all(f32::is_nan));
    assert!(app.history.accelerators[1].last(1).all(f32::is_nan));
}

#[test]
fn a_long_name_of_a_model_leaves_room_for_its_queue() {
    let mut sample = board(0);
    for model in &mut sample.served.as_mut().unwrap().models {
        model.name = "SmolLM2-135M-Instruct.Q4_1-of-somebody".to_owned();
    }
    for (width, height) in [(80, 24), (50, 60), (64, 60)] {
        let shown = text(&mut app(BLOCKS, std::iter::once(sample.clone())), width, height);
        assert!(shown.contains("2 run · 3 wait"), "{width}: {shown}");
        assert!(shown.contains("SmolLM2"), "{width}: {shown}");
        // What does not fit is left out as a whole.
        assert!(!shown.contains("prompts 21 ") && !shown.contains("first 18 "), "{shown}");
    }
}

#[test]
fn questions_and_filters_are_whole_where_there_is_little_room() {
    let mut app = app(BLOCKS, std::iter::once(board(0)));
    app.key(Key::Down);
    app.key(Key::Char('k'));
    for (width, want) in [
        (80, "(SIGTERM) 41 `rushlight`? y yes"),
        (40, "SIGTERM 41 `rushlight`? y/n"),
        (20, "41? y/n"),
    ] {
        let shown = text(&mut app, width, 10);
        assert!(shown.contains(want), "{width}: {shown}");
    }
    app.key(Key::Char('n'));
    app.key(Key::Char('/'));
    for letter in "日本[]*\\%0123456789 to the end".chars() {
        app.key(Key::Char(letter));
    }
    assert!(text(&mut app, 30, 10).contains("to the end_"));
    app.key(Key::Escape);
    app.key(Key::Char('/'));
    for letter in "日本語".chars() {
        app.key(Key::Char(letter));
    }
    // Wide letters take two columns: what is right of them is not pushed out.
    assert!(text(&mut app, 80, 24).contains("`: 0 of 6\n"), "{}", text(&mut app, 80, 24));
}

#[test]
fn all_of_the_help_can_be_read_on_a_small_screen() {
    for (width, height) in [(40, 10), (80, 12), (30, 5)] {
        let mut app = app(BLOCKS, std::iter::once(board(0)));
        app.key(Key::Char('?'));
        let mut read = String::new();
        for _ in 0..100 {
            read.push_str(&text(&mut app, width, height));
            app.key(Key::Down);
        }
        for want in ["choose a process", "end it at once", "Ctrl-L", "by the server's sensor"] {
            let words = |word: &str| read.contains(word);
            assert!(want.split(' ').all(words), "{width}: {want} is not in {read}");
        }
        assert!(read.contains("up down more"));
        app.key(Key::Escape);
        assert!(text(&mut app, width, height).contains("PID"));
    }
}
