//! The one binary.
//!
//! Exit status: 0 when all went well, 1 when something failed, 2 when the command line is wrong,
//! 130 when Ctrl-C ended a single answer. A server that is told to end by a signal ends with 0.
#![forbid(unsafe_code)]

mod args;
mod commands;
mod energy;
mod interrupt;
mod load;
mod prepare;
mod progress;
mod prompt;
mod report;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

fn main() -> ExitCode {
    // They are read by all threads as long as the process lives.
    let args: &'static Args = Box::leak(Box::new(Args::parse()));
    let result = match &args.command {
        Command::Run(run) => commands::run::run(args, run),
        Command::Embed(embed) => commands::embed::embed(args, embed),
        Command::Serve(serve) => commands::serve::serve(args, serve),
        Command::Bench(bench) => commands::bench::bench(args, bench),
        Command::Perplexity(perplexity) => commands::perplexity::perplexity(args, perplexity),
        Command::Doctor(doctor) => commands::doctor::doctor(doctor),
        Command::Monitor(monitor) => commands::monitor::monitor(monitor),
        Command::Pull { source, name, no_prepare } => {
            commands::store::pull(args, source, name.as_deref(), *no_prepare)
        }
        Command::Import { path, name, no_prepare } => {
            commands::store::import(args, path, name.as_deref(), *no_prepare)
        }
        Command::List { json } => commands::store::list(args, *json),
        Command::Show(show) => commands::show::show(args, show),
        Command::Verify { model } => commands::store::verify(args, model.as_deref()),
        Command::Remove { model } => commands::store::remove(args, model),
        Command::Prune => commands::store::prune(args),
        Command::Completions { shell } => commands::completions(*shell),
        Command::Man { dir } => commands::man(dir.as_deref()),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            report::error(&error);
            ExitCode::FAILURE
        }
    }
}
