//! What `doctor` says of made-up machines, held against what was read and found good before.
//!
//! `UPDATE=1 cargo test -p rushlight --test doctor` writes it anew.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rushlight_testkit::made_up::{tree_names, write_entries, write_tree};
use serde_json::Value;

fn doctor(root: &Path, locale: &str, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rushlight"))
        .args(["doctor", "--root"])
        .arg(root)
        .args(args)
        .env("LC_ALL", locale)
        .output()
        .unwrap()
}

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/doctor").join(file)
}

/// Compares with a golden file, or writes it.
fn compare(file: &str, found: &str, failures: &mut Vec<String>) {
    let path = golden(file);
    if std::env::var_os("UPDATE").is_some_and(|update| update == "1") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, found).unwrap();
        return;
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    if wanted != found {
        let differ = wanted.lines().zip(found.lines()).find(|(a, b)| a != b);
        failures.push(format!("{file}: {differ:?}\n{found}"));
    }
}

#[test]
fn every_machine_is_told_as_it_was() {
    let mut failures = Vec::new();
    for name in tree_names() {
        let dir = tempfile::tempdir().unwrap();
        write_tree(&name, dir.path());
        let text = doctor(dir.path(), "C.UTF-8", &[]);
        let json = doctor(dir.path(), "C.UTF-8", &["--json"]);
        assert!(text.stderr.is_empty() && json.stderr.is_empty(), "{name}: {text:?}");
        assert_eq!(text.status, json.status, "{name}");
        let page = String::from_utf8(text.stdout).unwrap();
        let status = text.status.code().unwrap();
        compare(&format!("{name}.txt"), &format!("{page}\nexit status {status}\n"), &mut failures);
        let value: Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!(value["schema"], "rushlight.doctor/1", "{name}");
        assert_eq!(value["can_serve"], status == 0, "{name}");
        let told = String::from_utf8(json.stdout).unwrap();
        let told = told.replace(env!("CARGO_PKG_VERSION"), "VERSION");
        assert!(!told.contains(dir.path().to_str().unwrap()), "{name}: a source names the root");
        compare(&format!("{name}.json"), &told, &mut failures);
        let plain = doctor(dir.path(), "C", &[]).stdout;
        assert!(plain.is_ascii(), "{name}: {}", String::from_utf8_lossy(&plain));
        for page in [page.as_str(), std::str::from_utf8(&plain).unwrap()] {
            let long: Vec<_> = page.lines().filter(|line| line.chars().count() > 80).collect();
            assert!(long.is_empty(), "{name}: {long:?}");
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn parts_are_shown_alone() {
    let dir = tempfile::tempdir().unwrap();
    write_tree("x86-server", dir.path());
    for (flags, wanted) in [
        (&["--security"][..], &["security"][..]),
        (&["--containers"], &["containers"]),
        (&["--security", "--containers"], &["containers", "security"]),
    ] {
        let json = doctor(dir.path(), "C", &[flags, &["--json"]].concat());
        let value: Value = serde_json::from_slice(&json.stdout).unwrap();
        let names: Vec<_> = value["groups"].as_object().unwrap().keys().collect();
        assert_eq!(names, wanted, "{flags:?}");
    }
}

#[test]
fn the_exit_status_says_whether_it_can_serve() {
    let meminfo =
        |kib: u32| format!("proc/meminfo <<\nMemTotal: {kib} kB\nMemAvailable: {kib} kB\n.\n");
    let x86 = "proc/sys/kernel/arch = x86_64\nproc/cpuinfo = flags : avx2 fma f16c\n";
    let cases = [
        (meminfo(200_000) + x86, 0, "The machine can serve."),
        (meminfo(100_000) + x86, 1, "but even SmolLM2-135M in Q4_1 needs"),
        (
            meminfo(200_000) + "proc/sys/kernel/arch = armv7l\nproc/cpuinfo = Features : neon\n",
            1,
            "There is no build for the architecture `armv7l`.",
        ),
        (
            meminfo(200_000) + "proc/sys/kernel/arch = x86_64\nproc/cpuinfo = flags : sse2\n",
            0,
            "plain path",
        ),
    ];
    for (entries, status, sentence) in cases {
        let dir = tempfile::tempdir().unwrap();
        write_entries(&(entries + "proc/sys/kernel/osrelease = 6.12.0\n"), dir.path());
        let output = doctor(dir.path(), "C", &[]);
        // Lines are broken at spaces.
        let words = String::from_utf8_lossy(&output.stdout)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert_eq!(output.status.code(), Some(status), "{words}");
        assert!(words.contains(sentence), "{words}");
    }
    let dir = tempfile::tempdir().unwrap();
    for (root, wanted) in
        [(dir.path(), "neither `proc` nor `sys`"), (Path::new("/no/such"), "cannot find")]
    {
        let output = doctor(root, "C", &[]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && stderr.contains(wanted), "{output:?}");
    }
}

#[test]
fn this_machine_has_a_processor_and_memory() {
    let output = doctor(Path::new("/"), "C", &["--json"]);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(value["groups"]["memory"]["found"]["total"]["value"].as_u64().unwrap() > 0);
    let row = value["groups"]["cpu"]["found"]["kernels"].as_str().unwrap();
    let features = &value["groups"]["cpu"]["found"]["kernel_features"]["value"];
    assert!(row == "scalar" || !features.as_array().unwrap().is_empty(), "{features}");
}
