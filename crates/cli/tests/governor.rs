//! A server that is held to a limit of heat, on a machine whose files a test changes.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rushlight_testkit::made_up::write_entries;
use rushlight_testkit::tiny;
use serde_json::Value;

const TEMPERATURE: &str = "sys/class/thermal/thermal_zone0/temp";
const CLOCK: &str = "sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq";

/// A machine of files, and a model.
struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_entries(
            "sys/class/thermal/thermal_zone0/type = cpu-thermal\n\
             sys/class/thermal/thermal_zone0/temp = 45000\n\
             sys/devices/system/cpu/cpufreq/policy0/cpuinfo_min_freq = 600000\n\
             sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq = 2400000\n",
            dir.path(),
        );
        tiny::write_gguf(&tiny::case("llama2"), &dir.path().join("tiny.gguf"));
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// At once, as the kernel does: a reader never finds the file empty.
    fn set(&self, name: &str, text: &str) {
        fs::write(self.path("new"), text).unwrap();
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    fn clock(&self) -> String {
        fs::read_to_string(self.path(CLOCK)).unwrap().trim().to_owned()
    }

    fn command(&self, args: &[&str]) -> Command {
        self.command_of(self.path("tiny.gguf").to_str().unwrap(), args)
    }

    fn command_of(&self, model: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rushlight"));
        command.args(["serve", "--address", "127.0.0.1:0", "--no-pin", "--threads", "2"]);
        command.arg("--root").arg(self.dir.path()).arg(model).args(args);
        command.arg("--clocks-journal").arg(self.path("journal"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }
}

/// A server that runs, ended when it is dropped.
struct Served {
    child: Child,
    address: String,
    said: Arc<Mutex<String>>,
}

impl Served {
    fn start(machine: &Machine, args: &[&str]) -> Self {
        Self::spawn(machine.command(args), &machine.path("no-store"))
    }

    fn spawn(mut command: Command, store: &Path) -> Self {
        let mut child = command.env("RUSHLIGHT_STORE", store).spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (lines, heard) = (BufReader::new(child.stderr.take().unwrap()).lines(), said.clone());
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| *heard.lock().unwrap() += &(line + "\n"));
        });
        let address = until("it says where it is", || {
            let said = said.lock().unwrap();
            let (_, rest) = said.split_once("http://")?;
            Some(rest.split(['\n', ',', ' ']).next()?.to_owned())
        });
        let served = Self { child, address, said };
        until("it is ready", || served.get("/readyz").starts_with("HTTP/1.1 200").then_some(()));
        served
    }

    fn send(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "{text}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn get(&self, path: &str) -> String {
        let host = &self.address;
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"))
    }

    fn ask(&self) -> String {
        let body = r#"{"prompt":"abc","max_tokens":20,"ignore_eos":true}"#;
        let (host, length) = (&self.address, body.len());
        self.send(&format!(
            "POST /v1/completions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        ))
    }

    fn health(&self) -> Value {
        let answer = self.get("/health");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// What `/health` tells of the governor once `holds`.
    fn governor(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        until(what, || Some(self.health()["governor"].clone()).filter(&holds))
    }

    fn signal(&mut self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        self.child.wait().unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn until<T>(what: &str, mut holds: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = holds() {
            return found;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "not in a minute: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn step(governor: &Value) -> u64 {
    governor["step"].as_u64().unwrap()
}

#[test]
fn a_hot_machine_is_slowed_and_a_cool_one_is_not() {
    let machine = Machine::new();
    let server = Served::start(&machine, &["--max-celsius", "70"]);
    let governor = server.governor("it has looked", |governor| !governor["celsius"].is_null());
    assert_eq!(step(&governor), 0);
    assert_eq!((&governor["limit_celsius"], &governor["celsius"]), (&70.0.into(), &45.0.into()));
    assert_eq!(governor["celsius_source"], "cpu-thermal");
    assert_eq!(governor["rung"], "full");

    // It gets hotter than it may.
    machine.set(TEMPERATURE, "71500\n");
    let governor = server.governor("it is slowed", |governor| step(governor) > 5);
    assert!(
        governor["limited_by"].as_str().unwrap().contains("the limit is 70.0 °C"),
        "{governor}"
    );
    let health = server.health();
    assert_eq!(health["status"], "degraded");
    let told = health["degradations"].to_string();
    assert!(told.contains("the speed: "), "{told}");
    assert!(server.ask().starts_with("HTTP/1.1 200"));
    let metrics = server.get("/metrics");
    assert!(metrics.contains("rushlight_governor_reading{of=\"celsius\"} 71.5"), "{metrics}");
    assert!(metrics.contains("rushlight_governor_steps_total{way=\"slower\"} "), "{metrics}");

    // Its sensor breaks: it stays slow, and says why.
    machine.set(TEMPERATURE, "hot\n");
    let broken = |governor: &Value| governor["faults"].to_string().contains("temperature");
    let governor = server.governor("the sensor is not believed", broken);
    assert!(step(&governor) > 0, "{governor}");

    // All is well again.
    machine.set(TEMPERATURE, "45000\n");
    server.governor("it is at full speed again", |governor| step(governor) == 0);
    assert_eq!(server.health()["governor"]["faults"].to_string(), "[]");
    let said = server.said.lock().unwrap();
    for line in
        ["governor: at most 70 °C of `cpu-thermal`", "governor: slower: ", "governor: faster: "]
    {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn clocks_are_put_back_at_the_end_and_after_a_crash() {
    let machine = Machine::new();
    let args = ["--max-celsius", "70", "--set-clocks"];
    let lowered = || (machine.clock() != "2400000").then_some(());
    let mut server = Served::start(&machine, &args);
    assert_eq!(machine.clock(), "2400000");
    machine.set(TEMPERATURE, "71500\n");
    until("clocks are lowered", lowered);
    assert!(machine.path("journal").exists());
    server.signal("-TERM");
    assert_eq!(machine.clock(), "2400000");
    assert!(!machine.path("journal").exists());

    let mut server = Served::start(&machine, &args);
    until("clocks are lowered again", lowered);
    server.signal("-KILL");
    assert_ne!(machine.clock(), "2400000");
    machine.set(TEMPERATURE, "45000\n");
    let server = Served::start(&machine, &args);
    assert_eq!(machine.clock(), "2400000");
    drop(server);
}

#[test]
fn clocks_alone_need_no_limit() {
    let machine = Machine::new();
    let mut server = Served::start(&machine, &["--set-clocks"]);
    until("it tells", || {
        server
            .said
            .lock()
            .unwrap()
            .contains("governor: clocks as the work needs them")
            .then_some(())
    });
    let governor = server.governor("it runs", |governor| governor["rung"] == "full");
    assert_eq!((step(&governor), &governor["limited_by"]), (0, &Value::Null));
    assert!(server.ask().starts_with("HTTP/1.1 200"));
    server.signal("-TERM");
    assert_eq!(machine.clock(), "2400000");
    assert!(!machine.path("journal").exists());
}

#[test]
fn the_kernel_holds_the_watts_too_and_lowers_clocks_where_it_shows_none() {
    let machine = Machine::new();
    fs::remove_dir_all(machine.path("sys/devices/system/cpu/cpufreq")).unwrap();
    write_entries(
        "sys/class/powercap/intel-rapl:0/name = package-0\n\
         sys/class/powercap/intel-rapl:0/enabled = 1\n\
         sys/class/powercap/intel-rapl:0/energy_uj = 1000000\n\
         sys/class/powercap/intel-rapl:0/max_energy_range_uj = 262143328850\n\
         sys/class/powercap/intel-rapl:0/constraint_0_name = long_term\n\
         sys/class/powercap/intel-rapl:0/constraint_0_power_limit_uw = 28000000\n",
        machine.dir.path(),
    );
    let limit = || {
        let path = machine.path("sys/class/powercap/intel-rapl:0/constraint_0_power_limit_uw");
        // It may be written just now.
        fs::read_to_string(path).unwrap().trim().parse::<u64>().unwrap_or(0)
    };
    let mut server = Served::start(&machine, &["--watts", "9", "--set-clocks"]);
    assert_eq!(limit(), 28_000_000, "nobody works");
    // As much above the limit as is promised.
    std::thread::scope(|scope| {
        let asks = scope.spawn(|| (0..20).for_each(|_| drop(server.ask())));
        until("the kernel holds it", || (limit() == 9_540_000 || asks.is_finished()).then_some(()));
        assert!(!asks.is_finished(), "it was held while there was work");
    });
    // What is left is that of the ladder's clocks.
    until("it is held no more", || (limit() != 9_540_000).then_some(()));
    let said = server.said.lock().unwrap().clone();
    assert!(
        said.contains("by the power that processors may draw, the kernel holds processors"),
        "{said}"
    );
    server.signal("-TERM");
    assert_eq!((limit(), machine.path("journal").exists()), (28_000_000, false));

    // The ladder's clocks are the processor's power.
    let mut server = Served::start(&machine, &["--max-celsius", "70", "--set-clocks"]);
    machine.set(TEMPERATURE, "71500\n");
    server.governor("it slows down", |governor| step(governor) > 0);
    until("the processor may draw less", || (1..28_000_000).contains(&limit()).then_some(()));
    server.signal("-TERM");
    assert_eq!(limit(), 28_000_000);
}

#[test]
fn the_store_s_smaller_variant_answers_when_nothing_else_is_left() {
    let machine = Machine::new();
    let store = machine.path("store");
    let rushlight = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rushlight"));
        let output = command.args(args).env("RUSHLIGHT_STORE", &store).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    tiny::write_gguf_q8_0(&tiny::case("llama2"), &machine.path("tiny-q8_0.gguf"));
    for (file, name) in [("tiny.gguf", "tiny:1m-f32"), ("tiny-q8_0.gguf", "tiny:1m-q8_0")] {
        let file = machine.path(file);
        rushlight(&["import", file.to_str().unwrap(), "--name", name, "--no-prepare"]);
    }
    let command = machine.command_of("tiny:1m-f32", &["--max-celsius", "70"]);
    let server = Served::spawn(command, &store);
    until("it tells", || {
        let said = server.said.lock().unwrap();
        said.contains("governor: `tiny:1m-q8_0` answers when nothing else is left").then_some(())
    });
    let answers = |who: &str| server.ask().contains(&format!("\"model\":\"tiny:1m-{who}\""));
    assert!(answers("f32"));
    // Nothing helps.
    machine.set(TEMPERATURE, "95000\n");
    until("the variant answers", || answers("q8_0").then_some(()));
    let told = server.health()["degradations"].to_string();
    assert!(told.contains("the smallest model"), "{told}");
    machine.set(TEMPERATURE, "45000\n");
    until("the model itself answers", || answers("f32").then_some(()));
    drop(server);

    // A name that clients use for the model stays its own, and so does what is not to be.
    for args in [["--alias", "tiny:1m-q8_0"], ["--smaller", "off"]] {
        let all = [&["--max-celsius", "70"], &args[..]].concat();
        let server = Served::spawn(machine.command_of("tiny:1m-f32", &all), &store);
        let said = server.said.lock().unwrap();
        assert!(!said.contains("answers when nothing else is left"), "{args:?}: {said}");
    }
}

#[test]
fn a_limit_without_a_sensor_does_not_start() {
    let machine = Machine::new();
    fs::remove_dir_all(machine.path("sys/class")).unwrap();
    let cases: [(&[&str], &str); 5] = [
        (&["--max-celsius", "70"], "a limit on heat is asked for, and nothing measures it"),
        (&["--watts", "7"], "a limit on watts is asked for, and nothing measures them"),
        (&["--battery", "30"], "a limit on the battery is asked for, and there is no battery"),
        (&["--smaller", "x"], "`--smaller` is for a limit"),
        (&["--quiet-hours", "22:00"], "has no `-` between two times"),
    ];
    for (args, want) in cases {
        let output = machine.command(args).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(want), "{args:?}: {said}");
        let is_hinted =
            said.contains("hint: ") || said.contains("say one") || said.contains("expected `22:00");
        assert!(is_hinted, "{args:?}: {said}");
    }
}
