//! Which tokens end a generation.

use crate::vocab::{TokenKind, Vocab};

/// Texts that end a generation in whatever vocabulary they are tokens: the ends of turn, message
/// and text of the published families, and the padding and repository marks of code models.
///
/// Source: llama.cpp `src/llama-vocab.cpp`, `special_eog_ids`, which finds them by text too. Those
/// that look like markup rather than like marks count only where the file says that they are no
/// text: Qwen and Gemma write `</s>` in HTML.
const NAMES: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
    "<|fim_pad|>",
    "<fim-pad>",
    "<fim_pad>",
    "<|fim_repo|>",
    "<|repo_name|>",
    "<fim-repo>",
    "<REPO>",
    "<reponame>",
    "<|file_sep|>",
];

/// Texts that steer a model though files forget to say so: the starts of turn and the parts of
/// fill-in-the-middle prompts.
const CONTROL: &[&str] = &[
    "<|fim_prefix|>",
    "<fim-prefix>",
    "<fim_prefix>",
    "<｜fim▁begin｜>",
    "<|code_prefix|>",
    "<|fim_suffix|>",
    "<fim-suffix>",
    "<fim_suffix>",
    "<｜fim▁hole｜>",
    "<|code_suffix|>",
    "<|fim_middle|>",
    "<fim-middle>",
    "<fim_middle>",
    "<｜fim▁end｜>",
    "<|code_middle|>",
];

/// The ids that end a generation, ascending: `named` by the file, and those found by their text,
/// which become control tokens.
pub(crate) fn find(vocab: &mut Vocab, named: impl IntoIterator<Item = u32>) -> Vec<u32> {
    for name in CONTROL {
        if let Some(id) = vocab.find(name.as_bytes()) {
            vocab.make_control(id);
        }
    }
    let mut ends: Vec<u32> = named.into_iter().collect();
    let has_no_kinds = vocab.kinds().iter().all(|kind| *kind == TokenKind::Normal);
    let find = |name: &str| vocab.find(name.as_bytes());
    // Where a vocabulary has its own pair of ends, `<|end|>` closes a part of an answer only
    // (OpenAI Harmony, Solar), and `</s>` is text beside Gemma 4's ends.
    let calls = find("<|call|>").or(find("<|calls|>")).is_some();
    let parts = calls && (find("<|return|>").or(find("<|flush|>"))).is_some();
    let plain_s = find("<|tool_response>").is_some();
    for name in NAMES {
        if (parts && *name == "<|end|>") || (plain_s && *name == "</s>") {
            continue;
        }
        let Some(id) = vocab.find(name.as_bytes()) else { continue };
        let is_mark = name.contains(['|', '\u{ff5c}']) || name.starts_with("<end_of_");
        if is_mark || has_no_kinds || vocab.kind(id) != Some(TokenKind::Normal) {
            vocab.make_control(id);
            ends.push(id);
        }
    }
    ends.sort_unstable();
    ends.dedup();
    ends
}
