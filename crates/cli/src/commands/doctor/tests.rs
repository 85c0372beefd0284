//! Damaged machines: whatever is in the files, nothing panics, waits or runs on.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rushlight_testkit::made_up::{tree_names, write_tree};
use rushlight_testkit::tiny::weights::splitmix64;

use super::*;

/// Damaged trees that are read, all machines together.
const ROUNDS: usize = 10_000;
/// Files that are damaged at the same time, at most: after so many a tree is made whole again.
const AT_ONCE: usize = 24;
/// How long the reading of one tree may take on a busy machine; most take a few milliseconds.
const LIMIT: Duration = Duration::from_secs(5);

#[test]
fn no_damage_makes_it_panic_or_wait() {
    let names = tree_names();
    let each = ROUNDS.div_ceil(names.len());
    let slowest = std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let share = names.len().div_ceil(threads);
        let workers = names
            .chunks(share)
            .map(|names| scope.spawn(move || names.iter().map(|name| damage(name, each)).max()));
        let workers: Vec<_> = workers.collect();
        workers.into_iter().filter_map(|worker| worker.join().unwrap()).max()
    });
    let (took, what) = slowest.unwrap();
    assert!(took < LIMIT, "{took:?} after {what}");
}

/// Reads the tree `name`, each time with another file damaged; gives the longest time with what was
/// damaged last.
fn damage(name: &str, rounds: usize) -> (Duration, String) {
    let root = folder();
    write_tree(name, root.path());
    let mut files = Vec::new();
    list(root.path(), &mut files);
    files.sort();
    let seed = name.bytes().fold(7, |seed, byte| splitmix64(seed, u64::from(byte)));
    let mut draws = 0_u64..;
    let mut draw = |below: usize| -> usize {
        let number = splitmix64(seed, draws.next().unwrap());
        usize::try_from(number % below as u64).unwrap()
    };
    let mut broken: Vec<(PathBuf, Before)> = Vec::new();
    let mut slowest = (Duration::ZERO, String::new());
    for round in 0..rounds {
        if broken.len() > draw(AT_ONCE) {
            broken.drain(..).rev().for_each(|(path, before)| before.put_back(&path));
        }
        let path = &files[draw(files.len())];
        let what = format!("{name} round {round}: {}", path.display());
        broken.push((path.clone(), Before::of(path)));
        breaks(path, draw(KINDS), &mut draw);
        let began = Instant::now();
        let groups = look(&Tree::new(root.path()), &Doctor::default());
        assert_eq!(groups.len(), PARTS.len());
        let page = render::page(&groups, "", Style { colour: false, unicode: round % 2 == 0 });
        let long = page.lines().find(|line| line.chars().count() > 80);
        assert_eq!(long, None, "{what}");
        assert!(page.chars().all(|c| c == '\n' || !c.is_control()), "{what}");
        if round % 8 == 0 {
            let json = to_json(&groups).to_string();
            assert!(serde_json::from_str::<Value>(&json).is_ok(), "{what}");
        }
        slowest = slowest.max((began.elapsed(), what));
    }
    slowest
}

/// What was at a path.
enum Before {
    File(Vec<u8>),
    Link(PathBuf),
}

impl Before {
    fn of(path: &Path) -> Self {
        match fs::read_link(path) {
            Ok(target) => Self::Link(target),
            // It may be damaged already, and be a folder or nothing.
            Err(_) => Self::File(fs::read(path).unwrap_or_default()),
        }
    }

    fn put_back(self, path: &Path) {
        remove(path);
        match self {
            Self::File(bytes) => fs::write(path, bytes).unwrap(),
            Self::Link(target) => symlink(target, path).unwrap(),
        }
    }
}

/// Kinds of damage.
const KINDS: usize = 12;

fn breaks(path: &Path, kind: usize, draw: &mut impl FnMut(usize) -> usize) {
    // What a link points to may be without end.
    let before = if path.is_symlink() { Vec::new() } else { fs::read(path).unwrap_or_default() };
    remove(path);
    let words = [
        "18446744073709551616",
        "18446744073709551615",
        "-9223372036854775809",
        "-1",
        "1e999",
        "nan",
        "0-4095",
        "4095-0,0",
        "inf kB",
        "[",
        "=",
        ":",
        "0x",
        "\u{202e}",
        "max",
        "unlimited",
        "99999999999999999999999999999999999999999999",
    ];
    match kind {
        0 => {}
        1 => fs::create_dir(path).unwrap(),
        2 => symlink(path, path).unwrap(),
        3 => symlink(".", path).unwrap(),
        4 => symlink("/dev/zero", path).unwrap(),
        5 => fs::write(path, &before[..before.len() / 2]).unwrap(),
        6 => {
            let junk: Vec<u8> = (0..draw(300)).map(|_| u8::try_from(draw(256)).unwrap()).collect();
            fs::write(path, junk).unwrap();
        }
        7 | 8 => fs::write(path, words[draw(words.len())]).unwrap(),
        // A number in the text becomes another word.
        9 | 10 => {
            let text = String::from_utf8_lossy(&before).into_owned();
            let numbers: Vec<&str> =
                text.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty()).collect();
            let word = if numbers.is_empty() { "" } else { numbers[draw(numbers.len())] };
            let other = words[draw(words.len())];
            fs::write(path, text.replacen(word, other, 1 + draw(9))).unwrap();
        }
        _ => {
            let long = before.repeat(if before.len() < 2000 { 50 } else { 2 });
            fs::write(path, long).unwrap();
        }
    }
}

fn remove(path: &Path) {
    // It may be a file, a link, an empty folder or nothing.
    let _ = fs::remove_file(path);
    let _ = fs::remove_dir(path);
}

/// All files and links below a folder.
fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => list(&entry.path(), files),
            false => files.push(entry.path()),
        }
    }
}

/// A folder in memory, where there is such a place.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}
