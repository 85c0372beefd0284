//! `cargo xtask ci`: the steps in order, the cheap ones first.

use crate::report::Report;
use crate::run::{cargo, run};
use crate::{aarch64, deny, fuzz, layers, setup, sizes, test};
use anyhow::Result;

/// A step of CI: its name, which is also the task's, and what it does.
type Step = (&'static str, fn() -> Result<()>);

const STEPS: [Step; 10] = [
    ("setup", setup::setup),
    ("fmt", fmt),
    ("layers", layers::layers),
    ("sizes", sizes::sizes),
    ("clippy", clippy),
    ("doc", doc),
    ("deny", deny::deny),
    ("fuzz", fuzz::short),
    ("aarch64", aarch64::aarch64),
    ("test", test::test),
];

/// Every step; the first failure ends it.
pub(crate) fn ci() -> Result<()> {
    let mut report = Report::new();
    for (name, step) in STEPS {
        report.step(name, step)?;
    }
    report.print();
    eprintln!("everything passed");
    Ok(())
}

pub(crate) fn fmt() -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    if fuzz::exists() {
        run(cargo().args(["fmt", "--manifest-path", fuzz::MANIFEST, "--check"]))?;
    }
    Ok(())
}

pub(crate) fn clippy() -> Result<()> {
    run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

pub(crate) fn doc() -> Result<()> {
    run(cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}
