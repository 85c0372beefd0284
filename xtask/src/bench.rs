//! `cargo xtask bench`: the release build's own bench on the test model.

use crate::run::{cargo, run};
use crate::setup::model;
use anyhow::Result;

/// Passes `arguments` on to `rushlight bench MODEL`.
pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    let model = model::model()?;
    run(cargo()
        .args(["run", "--quiet", "--release", "--bin", "rushlight", "--", "bench"])
        .arg(model)
        .args(arguments))
}
