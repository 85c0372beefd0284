//! What is recorded can be replayed, as far as it is whole.

use std::fs;

use super::*;

fn sample(at: u64) -> Sample {
    let process = |pid: u32, cpu_percent: f32| Process {
        pid,
        cpu_percent,
        memory_bytes: 1 << 20,
        name: format!("p{pid}"),
        read_bytes_per_second: None,
        write_bytes_per_second: Some(5),
        ..Process::default()
    };
    let mut sample = Sample { time_unix_ms: at, interval_seconds: 1.0, ..Sample::default() };
    sample.cpu.total.busy_percent = 12.34;
    sample.power.watts = Some(5.5);
    sample.processes = (1..10).map(|pid| process(pid, pid as f32)).collect();
    sample
}

#[test]
fn a_recording_is_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r");
    let mut recorder = Recorder::create(&path, 0.5, 1 << 20).unwrap();
    for at in 0..5 {
        recorder.write(&sample(at)).unwrap();
    }
    drop(recorder);
    // It goes on where it was.
    Recorder::create(&path, 0.5, 1 << 20).unwrap().write(&sample(5)).unwrap();
    let mut replay = Replay::open(&path).unwrap();
    assert_eq!((replay.len(), replay.interval_seconds()), (6, 0.5));
    for at in [5, 0, 3] {
        assert_eq!(replay.get(at).unwrap(), Some(sample(at as u64)), "{at}");
    }
    assert_eq!(replay.get(6).unwrap(), None);
}

#[test]
fn what_a_crash_leaves_is_read_up_to_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r");
    let mut recorder = Recorder::create(&path, 1.0, 1 << 20).unwrap();
    for at in 0..3 {
        recorder.write(&sample(at)).unwrap();
    }
    let whole = fs::read(&path).unwrap();
    let mut damaged = whole[..whole.len() - 40].to_vec();
    damaged.extend(b"\n\xff\x00 no line of ours\n\n");
    fs::write(&path, &damaged).unwrap();
    Recorder::create(&path, 1.0, 1 << 20).unwrap().write(&sample(9)).unwrap();
    let mut replay = Replay::open(&path).unwrap();
    let times: Vec<_> =
        (0..replay.len()).map(|at| replay.get(at).unwrap().map(|s| s.time_unix_ms)).collect();
    assert_eq!(times, [Some(0), Some(1), None, None, Some(9)]);
}

#[test]
fn a_file_that_was_emptied_or_lost_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r");
    let mut recorder = Recorder::create(&path, 1.0, 8 << 10).unwrap();
    recorder.write(&sample(0)).unwrap();
    fs::write(&path, "").unwrap();
    recorder.write(&sample(1)).unwrap();
    let mut replay = Replay::open(&path).unwrap();
    assert_eq!((replay.len(), replay.get(0).unwrap()), (1, Some(sample(1))));
    fs::remove_file(&path).unwrap();
    for at in 2..20 {
        recorder.write(&sample(at)).unwrap();
    }
    let mut replay = Replay::open(&path).unwrap();
    let last = replay.len() - 1;
    assert_eq!(replay.get(last).unwrap(), Some(sample(19)));
}

#[test]
fn a_recording_does_not_grow_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r");
    let mut recorder = Recorder::create(&path, 1.0, 8 << 10).unwrap();
    for at in 0..50 {
        recorder.write(&sample(at)).unwrap();
    }
    let old = dir.path().join("r.1");
    for file in [&path, &old] {
        assert!(fs::metadata(file).unwrap().len() <= 8 << 10);
        let mut replay = Replay::open(file).unwrap();
        assert!(replay.get(0).unwrap().is_some());
    }
    let mut replay = Replay::open(&path).unwrap();
    let last = replay.len() - 1;
    assert_eq!(replay.get(last).unwrap().unwrap().time_unix_ms, 49);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn other_files_are_neither_written_to_nor_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r");
    for text in ["", "important\n", "{\"a\":1}\n", "{\"rushlight_monitor\":\"x\"}\n"] {
        fs::write(&path, text).unwrap();
        let error = Replay::open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Recording, "{text}");
    }
    fs::write(&path, "important\n").unwrap();
    assert!(Recorder::create(&path, 1.0, 1 << 20).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "important\n");
    fs::write(&path, "{\"rushlight_monitor\":99,\"version\":\"9.0.0\",\"interval_seconds\":1.0}\n")
        .unwrap();
    let error = Replay::open(&path).unwrap_err();
    assert!(error.to_string().contains("version 99") && error.hint().unwrap().contains("9.0.0"));
    assert!(Replay::open(dir.path()).is_err());
}

#[test]
fn damaged_recordings_are_no_trouble() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r");
    let mut recorder = Recorder::create(&path, 1.0, 1 << 20).unwrap();
    for at in 0..4 {
        recorder.write(&sample(at)).unwrap();
    }
    let whole = fs::read(&path).unwrap();
    let mut random = 88172645463325252u64;
    for _ in 0..300 {
        let mut bytes = whole.clone();
        for _ in 0..5 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let at = usize::try_from(random % bytes.len() as u64).unwrap();
            bytes[at] = (random >> 40) as u8;
        }
        fs::write(&path, &bytes).unwrap();
        let Ok(mut replay) = Replay::open(&path) else { continue };
        for at in 0..replay.len() {
            replay.get(at).unwrap();
        }
    }
}

#[test]
fn processes_that_do_most_are_kept() {
    let mut many = sample(0);
    many.processes = (1..1000)
        .map(|pid| Process {
            pid,
            cpu_percent: if pid % 100 == 0 { 1.0 } else { 0.0 },
            memory_bytes: u64::from(pid),
            is_rushlight: pid == 3,
            ..Process::default()
        })
        .collect();
    let kept: Vec<u32> = trimmed(&many).processes.iter().map(|process| process.pid).collect();
    assert!(kept.contains(&3) && kept.contains(&100) && kept.contains(&999), "{kept:?}");
    assert_eq!(kept.len(), 1 + 9 + 12);
    assert!(kept.is_sorted());
}
