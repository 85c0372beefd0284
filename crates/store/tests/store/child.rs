//! Processes that pull: this test program itself, started again for one test.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use rushlight_store::Source;

use crate::models::store;

const DIR: &str = "STORE_TEST_DIR";
const SOURCE: &str = "STORE_TEST_SOURCE";
const PYTHON: &str = "STORE_TEST_PYTHON";

/// Starts a process that pulls `source` into the store in `dir`.
pub(crate) fn pull(dir: &Path, source: &str, python: Option<&Path>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child::in_the_child", "--exact", "--quiet"]);
    command.env(DIR, dir).env(SOURCE, source).stdout(Stdio::null());
    if let Some(python) = python {
        command.env(PYTHON, python);
    }
    command.spawn().unwrap()
}

/// The work of the child; started by hand it has none.
#[test]
fn in_the_child() {
    let (Ok(dir), Ok(source)) = (std::env::var(DIR), std::env::var(SOURCE)) else { return };
    let mut store = store(Path::new(&dir));
    if let Ok(python) = std::env::var(PYTHON) {
        let mut settings = rushlight_store::Settings::default();
        settings.python = python.into();
        store = store.with_settings(settings);
    }
    store.pull(&Source::parse(&source).unwrap(), None, &()).unwrap();
}

/// Waits until `done`, at most ten seconds.
#[track_caller]
pub(crate) fn wait_for(what: &str, done: impl Fn() -> bool) {
    for _ in 0..1000 {
        if done() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{what} did not happen in ten seconds");
}
