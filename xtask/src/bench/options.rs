//! What is asked for.

use super::figure::Kind;
use std::path::PathBuf;

/// Measures this engine beside others on the same files, and the machine itself.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "cargo xtask bench")]
pub(crate) struct Options {
    /// Another engine: a folder with `llama-bench` and perhaps `llama-batched-bench`, or that
    /// program.
    #[arg(long, value_name = "NAME=PATH", value_parser = pair)]
    pub(super) peer: Vec<(String, String)>,
    /// More arguments of that engine's `llama-bench`.
    #[arg(long, value_name = "NAME=FLAGS", value_parser = pair)]
    pub(super) peer_flags: Vec<(String, String)>,
    /// More arguments of that engine's `llama-batched-bench`.
    #[arg(long, value_name = "NAME=FLAGS", value_parser = pair)]
    pub(super) peer_batched_flags: Vec<(String, String)>,
    /// GGUF files [default: the test model].
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(super) model: Vec<PathBuf>,
    /// Numbers of threads.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,2")]
    pub(super) threads: Vec<usize>,
    /// Tokens of a prompt; 0 leaves prompts out.
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub(super) prefill: usize,
    /// Tokens of an answer; 0 leaves answers out.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(super) decode: usize,
    /// Positions before the answer.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "0,4096")]
    pub(super) depths: Vec<usize>,
    /// Answers at once, each after a prompt of its own; 0 leaves them out.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,4,16")]
    pub(super) sequences: Vec<usize>,
    /// Tokens of each of those prompts.
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub(super) sequence_prompt: usize,
    /// Times that every engine has its turn.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(super) rounds: usize,
    /// Measurements of prefill and decode in each turn; at a depth or of several sequences one.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(super) repeats: usize,
    /// Our kernels of this instruction set instead of the fastest.
    #[arg(long, value_name = "NAME")]
    pub(super) kernels: Option<String>,
    /// Our weights in the files' own layout, instead of made anew in memory for the kernels, as
    /// `llama-bench -rtr 1` and llama.cpp's buffer types do.
    #[arg(long)]
    pub(super) weights_as_stored: bool,
    /// Where everything goes as JSON.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Where the tables go, which are printed anyway.
    #[arg(long, value_name = "FILE")]
    pub(super) markdown: Option<PathBuf>,
    /// Where the roofline goes.
    #[arg(long, value_name = "FILE")]
    pub(super) svg: Option<PathBuf>,
    /// Bounds that must hold, as in `xtask/bench.toml`.
    #[arg(long, value_name = "FILE")]
    pub(super) thresholds: Option<PathBuf>,
}

impl Options {
    /// What is measured, in groups that an engine measures in one call.
    pub(super) fn groups(&self) -> Vec<Vec<Kind>> {
        let mut plain = Vec::new();
        let mut groups = Vec::new();
        if self.prefill > 0 {
            plain.push(Kind::Prefill { tokens: self.prefill });
        }
        if self.decode > 0 {
            let decode = |depth| Kind::Decode { tokens: self.decode, depth };
            plain.extend(self.depths.iter().filter(|d| **d == 0).map(|_| decode(0)).take(1));
            groups.extend(self.depths.iter().filter(|d| **d > 0).map(|depth| vec![decode(*depth)]));
            let sequences = self.sequences.iter().filter(|n| **n > 0).map(|&count| {
                Kind::Sequences { count, prompt: self.sequence_prompt, tokens: self.decode }
            });
            groups.push(sequences.collect());
        }
        groups.insert(0, plain);
        groups.retain(|group| !group.is_empty());
        groups
    }

    /// The words that `flags` has for the engine `name`.
    pub(crate) fn flags_of(flags: &[(String, String)], name: &str) -> Vec<String> {
        let of = flags.iter().filter(|(other, _)| other == name);
        of.flat_map(|(_, words)| words.split_whitespace().map(str::to_owned)).collect()
    }
}

pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Options};
    use clap::Parser;

    #[test]
    fn groups_are_calls() {
        let groups = |text: &str| Options::try_parse_from(text.split(' ')).unwrap().groups();
        let decode = |depth| Kind::Decode { tokens: 64, depth };
        let many = |count| Kind::Sequences { count, prompt: 128, tokens: 64 };
        let prefill = Kind::Prefill { tokens: 512 };
        let cases = [
            (
                "bench",
                vec![
                    vec![prefill, decode(0)],
                    vec![decode(4096)],
                    vec![many(1), many(4), many(16)],
                ],
            ),
            ("bench --depths 7 --sequences 0 --prefill 0", vec![vec![decode(7)]]),
            ("bench --decode 0", vec![vec![prefill]]),
        ];
        for (text, expected) in cases {
            assert_eq!(groups(text), expected, "{text}");
        }
    }

    #[test]
    fn flags_belong_to_their_engine() {
        let text = ["bench", "--peer", "a=/x", "--peer-flags", "a=-fa 1 -x=2"];
        let options = Options::try_parse_from(text).unwrap();
        assert_eq!(Options::flags_of(&options.peer_flags, "a"), ["-fa", "1", "-x=2"]);
        assert!(Options::flags_of(&options.peer_flags, "b").is_empty());
        assert!(Options::try_parse_from(["bench", "--peer", "a"]).is_err());
    }
}
