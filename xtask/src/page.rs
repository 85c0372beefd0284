//! `cargo xtask page`: the chat page in a browser, as a person uses it.
//!
//! Two servers answer, one of which wants a key; `testkit/page/page.mjs` types, clicks and looks.
//! Pictures of what it saw are in `target/page`.

use crate::run::run;
use crate::serving::{self, Served};
use crate::setup;
use anyhow::{Context, Result, bail};
use clap::Parser;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The key that the second server wants.
const KEY: &str = "a-key-of-the-test";

/// Uses the chat page in a browser.
#[derive(Clone, Debug, Parser)]
#[command(name = "cargo xtask page")]
struct Options {
    /// Our program [default: a release build of this repository].
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

/// Runs as `arguments` say; an error when a check failed.
pub(crate) fn page(arguments: &[String]) -> Result<()> {
    let program = "cargo xtask page".to_owned();
    let options = match Options::try_parse_from([&program].into_iter().chain(arguments)) {
        Ok(options) => options,
        Err(error) if error.use_stderr() => bail!("{error}"),
        Err(help) => return Ok(help.print()?),
    };
    let browser = setup::browser::browser()?;
    let model = setup::model::model()?;
    let program = serving::program(options.program.as_deref())?;
    let folder = Path::new("target/page");
    fs::create_dir_all(folder).with_context(|| format!("`{}`", folder.display()))?;
    let keys = folder.join("keys");
    let digest: String = Sha256::digest(KEY).iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(&keys, digest + "\n").with_context(|| format!("`{}`", keys.display()))?;
    let start = |name: &str, flags: &[&str]| {
        let flags: Vec<_> = ["--no-pin"].iter().chain(flags).map(|&flag| flag.to_owned()).collect();
        Served::ours(&program, &model, &flags, &folder.join(format!("{name}.log")))
    };
    let open = start("open", &[])?;
    let keyed = start("keyed", &["--api-keys", &keys.display().to_string()])?;
    run(Command::new("node")
        .arg("testkit/page/page.mjs")
        .args([&open, &keyed].map(|served| format!("http://{}/", served.address)))
        .arg(KEY)
        .arg(folder)
        .env("RUSHLIGHT_TEST_BROWSER", browser))
}
