//! Development only: `cargo xtask ci` and its parts.
//!
//! Everything that CI runs is run by this program, so that what passes here passes there.

mod aarch64;
mod bench;
mod bench_serve;
mod ci;
mod deny;
mod fuzz;
mod layers;
mod page;
mod report;
mod run;
mod schemas;
mod serving;
mod setup;
mod sizes;
mod soak;
mod sources;
mod test;

use anyhow::{Result, bail};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask TASK...

  ci                            everything that CI runs, stopping at the first failure
  setup                         what the other tasks need: components, tools, the test model
  fmt clippy doc test deny      one step of ci
  layers                        crates depend downwards only and keep to what they may use
  sizes                         no file is over 500 lines without its tests
  aarch64                       the kernels for 64-bit ARM, under QEMU
  fuzz [TARGET...] [--seconds N]  every fuzz target or the named ones, 600 s each
  bench [--peer NAME=PATH]... [--model FILE...]  this engine beside others; `bench --help`
  bench-serve [--peer NAME=PATH]... [--model FILE]  this server beside others; `bench-serve --help`
  schemas --data DIR            answers to many JSON schemas, judged by another program
  soak [--minutes N]            a server among clients that misbehave, killed half way
  page                          the chat page in a browser";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match tasks(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn tasks(arguments: &[String]) -> Result<()> {
    std::env::set_current_dir(run::root())?;
    if arguments.is_empty() {
        bail!("no task was named\n{USAGE}");
    }
    for (index, task) in arguments.iter().enumerate() {
        let rest = &arguments[index + 1..];
        match task.as_str() {
            "ci" => ci::ci()?,
            "setup" => setup::setup()?,
            "fmt" => ci::fmt()?,
            "clippy" => ci::clippy()?,
            "doc" => ci::doc()?,
            "test" => test::test()?,
            "deny" => deny::deny()?,
            "layers" => layers::layers()?,
            "sizes" => sizes::sizes()?,
            "aarch64" => aarch64::aarch64()?,
            "fuzz" => return fuzz::command(rest),
            "bench" => return bench::bench(rest),
            "bench-serve" => return bench_serve::bench_serve(rest),
            "schemas" => return schemas::schemas(rest),
            "soak" => return soak::soak(rest),
            "page" => return page::page(rest),
            "help" | "--help" | "-h" => println!("{USAGE}"),
            other => bail!("there is no task `{other}`\n{USAGE}"),
        }
    }
    Ok(())
}
