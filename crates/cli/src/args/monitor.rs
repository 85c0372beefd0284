//! The arguments of `monitor`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args as ClapArgs;

/// What `monitor` watches and where it goes.
#[derive(Debug, ClapArgs)]
pub(crate) struct Monitor {
    /// Seconds from sample to sample.
    #[arg(long, short = 'n', value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) interval: f64,
    /// The rushlight server whose models are shown: `http://HOST:PORT`, `https://…` or `unix:PATH`
    /// [default: http://127.0.0.1:8080, if one answers there].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) server: Option<String>,
    /// Watches no server.
    #[arg(long, conflicts_with = "server")]
    pub(crate) no_server: bool,
    /// A file with the key for the server's `/health` and `/metrics`.
    #[arg(long, value_name = "FILE")]
    pub(crate) server_key_file: Option<PathBuf>,
    /// Changes when something is an alarm, or switches it off by `NAME=off`; names: heat, throttled,
    /// memory, stall, swap, disk, server; may be given several times.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) alarm: Vec<String>,
    /// Takes two samples, prints the second and ends.
    #[arg(long)]
    pub(crate) once: bool,
    /// Prints JSON.
    #[arg(long, requires = "once")]
    pub(crate) json: bool,
    /// Writes samples to a file, after those that are there.
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// How long a recording becomes, in MiB, before it is renamed to FILE.1 and a new one is begun.
    #[arg(long, value_name = "MIB", default_value_t = 64, requires = "record")]
    pub(crate) record_size: u64,
    /// Shows a recording.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["record", "once", "export", "otlp", "server"])]
    pub(crate) replay: Option<PathBuf>,
    /// How many times as fast a recording is shown.
    #[arg(long, value_name = "N", default_value = "1", requires = "replay", value_parser = speed)]
    pub(crate) speed: f64,
    /// Answers Prometheus at this address instead of showing a screen.
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:9464", conflicts_with = "once")]
    pub(crate) export: Option<SocketAddr>,
    /// A file with a key that Prometheus must have; without one only this machine may ask.
    #[arg(long, value_name = "FILE", requires = "export")]
    pub(crate) export_key_file: Option<PathBuf>,
    /// Sends metrics to a collector by OTLP over HTTP instead of showing a screen, such as
    /// `http://127.0.0.1:4318`.
    #[arg(long, value_name = "URL", conflicts_with = "once")]
    pub(crate) otlp: Option<String>,
    /// Letters of ASCII only [default: where the locale or the console has no others].
    #[arg(long)]
    pub(crate) ascii: bool,
    /// Reads `proc` and `sys` below this directory instead of this machine's.
    #[arg(long, value_name = "DIR", hide = true)]
    pub(crate) root: Option<PathBuf>,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
    seconds.ok_or_else(|| format!("`{text}` is not a number of seconds from 0.1 to 3600"))
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed| (0.125..=64.0).contains(speed));
    speed.ok_or_else(|| format!("`{text}` is not a number from 0.125 to 64"))
}
