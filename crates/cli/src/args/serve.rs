//! The command line of `serve`.

use std::path::PathBuf;

use clap::builder::ArgPredicate;
use clap::{Arg, Args as ClapArgs};

use super::{Estimate, Load, Lora, Speculate, lora};

#[derive(Debug, ClapArgs)]
#[command(mut_arg("model", unless_listed))]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) load: Load,
    /// Further models, which are loaded when a client asks for them and let go when nobody has for a
    /// while, or when another one needs the room.
    #[arg(value_name = "MORE", index = 2)]
    pub(crate) more: Vec<String>,
    /// A file that says which models there are, each with settings of its own: see `docs/models.md`.
    /// What it does not say is as the flags have it.
    #[arg(long, value_name = "FILE")]
    pub(crate) models: Option<PathBuf>,
    /// Loads all models at the start and keeps them, not only MODEL.
    #[arg(long)]
    pub(crate) pin: bool,
    /// Minutes in which nobody asks for a model before it is let go, if it is not pinned; 0 is for
    /// good.
    #[arg(long, value_name = "MINUTES", default_value_t = 15)]
    pub(crate) idle: u64,
    /// What clients call MODEL [default: MODEL, of a file its name].
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Another name that clients may use for MODEL; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) alias: Vec<String>,
    /// Answers that are written at once, at most; fewer than `--chunk` less 16.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least_one)]
    pub(crate) parallel: usize,
    /// Positions of the cache that all requests and what is kept of earlier ones share, at least the
    /// context [default: four contexts, if a quarter of the memory holds them].
    #[arg(long, value_name = "N")]
    pub(crate) cache: Option<usize>,
    /// Serves MODEL with a low-rank adapter too, a GGUF file or a directory of PEFT, under a name of
    /// its own and SCALE times [default: 1]; may be given several times.
    #[arg(long, value_name = "NAME=PATH[:SCALE]", value_parser = named_lora)]
    pub(crate) lora: Vec<(String, Lora)>,
    /// Keeps what MODEL read in this file across restarts. It holds the texts of requests as tokens, for
    /// your user alone.
    #[arg(long, value_name = "FILE")]
    pub(crate) keep: Option<PathBuf>,
    /// The size of that file, at most, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 1024, requires = "keep",
          value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    pub(crate) keep_size: u64,
    /// Whether tokens are guessed, from earlier text, and checked several at a time.
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub(crate) speculate: Speculate,
    #[command(flatten)]
    pub(crate) estimate: Estimate,
    /// A smaller model of the same vocabulary that guesses too.
    #[arg(long, value_name = "MODEL")]
    pub(crate) draft: Option<String>,
    /// Requests that wait, at most; others are told to come again.
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub(crate) queue: usize,
    #[command(flatten)]
    pub(crate) listen: Listen,
}

/// Where a server listens and who may use it.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Listening")]
pub(crate) struct Listen {
    /// `IP:PORT`, or `unix:PATH` for a socket. What others can reach needs `--api-keys` or
    /// `--client-ca`. Where systemd hands over a socket, that one is it.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) address: String,
    /// A file with the SHA-256 of an API key on each line, which clients send as a bearer token.
    #[arg(long, value_name = "FILE")]
    pub(crate) api_keys: Option<PathBuf>,
    /// Speaks TLS with the certificate of this PEM file, which is read again when it changes, as are
    /// the key, the authorities and the API keys.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key, which not everyone may read.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Lets in only clients with a certificate of one of these authorities.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) client_ca: Option<PathBuf>,
    /// A name by which clients may reach the server, beside those of loopback; may be given several
    /// times.
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_host: Vec<String>,
    /// An origin, such as `https://example.org`, whose web pages may use the server; may be given
    /// several times.
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) allow_origin: Vec<String>,
    /// Size of a request, at most, in KiB.
    #[arg(long, value_name = "KIB", default_value_t = 8192)]
    pub(crate) max_body: usize,
    /// Sends traces to the OpenTelemetry collector at this address, by OTLP over HTTP: routes, models,
    /// numbers and times, nothing of texts.
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub(crate) otlp: Option<String>,
    /// Seconds that an answer may take, at most [default: any].
    #[arg(long, value_name = "SECONDS")]
    pub(crate) answer_timeout: Option<u64>,
    /// A line on standard error for each request: method, route, status, time and the name of its key;
    /// nothing of its text.
    #[arg(long)]
    pub(crate) log_requests: bool,
    /// Seconds that answers may go on when the server is told to end.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) grace: u64,
}

fn named_lora(text: &str) -> Result<(String, Lora), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() => Ok((name.to_owned(), lora(path)?)),
        _ => Err(format!("`{text}` is no name with a path, such as legal=legal.gguf")),
    }
}

/// MODEL is needed where no file says which models there are.
fn unless_listed(model: Arg) -> Arg {
    let listed = ArgPredicate::IsPresent;
    // Positions are counted anew where an argument is changed.
    let model = model.index(1);
    model.required(false).required_unless_present("models").default_value_if("models", listed, "")
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("`{text}` is not a number from 1 on")),
        Ok(n) => Ok(n),
    }
}
