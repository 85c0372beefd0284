//! What is asked for.

use std::path::PathBuf;

/// Measures this server beside others with the same file.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "cargo xtask bench-serve")]
pub(super) struct Options {
    /// Another server: a folder with `llama-server`, or that program.
    #[arg(long, value_name = "NAME=PATH", value_parser = crate::bench::options::pair)]
    pub(super) peer: Vec<(String, String)>,
    /// More arguments of that server.
    #[arg(long, value_name = "NAME=FLAGS", value_parser = crate::bench::options::pair)]
    pub(super) peer_flags: Vec<(String, String)>,
    /// Our program [default: a release build of this repository].
    #[arg(long, value_name = "FILE")]
    pub(super) program: Option<PathBuf>,
    /// More arguments of our `serve`.
    #[arg(long, value_name = "FLAGS", default_value = "--prepare memory")]
    pub(super) flags: String,
    /// A GGUF file [default: the test model].
    #[arg(long, value_name = "FILE")]
    pub(super) model: Option<PathBuf>,
    /// Threads of each server.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(super) threads: usize,
    /// Users at once.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,4,16,64")]
    pub(super) users: Vec<usize>,
    /// Words of each user's prompt and tokens of the answer; a word is about a token, and the
    /// chat's template adds its own.
    #[arg(long, value_name = "WORDS:TOKENS", value_delimiter = ',', value_parser = chat,
        default_value = "50:64,6:128")]
    pub(super) chats: Vec<(usize, usize)>,
    /// Words of the long prompts; 0 leaves them out.
    #[arg(long, value_name = "N", default_value_t = 1960)]
    pub(super) long: usize,
    /// Times that every server has its turn.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(super) rounds: usize,
    /// Where everything goes as JSON.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Where the tables go, which are printed anyway.
    #[arg(long, value_name = "FILE")]
    pub(super) markdown: Option<PathBuf>,
}

fn chat(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once(':').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    parts.filter(|(_, tokens)| *tokens > 1).ok_or_else(|| "expected WORDS:TOKENS".to_owned())
}

#[cfg(test)]
mod tests {
    use super::Options;
    use clap::Parser;

    #[test]
    fn chats_are_pairs() {
        let chats = |text: &str| Options::try_parse_from(text.split(' ')).map(|o| o.chats);
        assert_eq!(chats("x").unwrap(), [(50, 64), (6, 128)]);
        assert_eq!(chats("x --chats 1:2,3:4").unwrap(), [(1, 2), (3, 4)]);
        for wrong in ["x --chats 1", "x --chats 1:1", "x --chats a:2"] {
            assert!(chats(wrong).is_err(), "{wrong}");
        }
    }
}
