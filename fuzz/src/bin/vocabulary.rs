//! A vocabulary out of GGUF metadata: it is refused, or encodes any text to ids that it has, of
//! which a user's text never spells a control token.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use rushlight_text::{
    DecodeOptions, EncodeOptions, StreamDecoder, Tokenizer, VocabKind, VocabParts,
};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    model: Model,
    tokens: Vec<&'a str>,
    scores: Vec<f32>,
    token_types: Vec<i8>,
    merges: Vec<&'a str>,
    pre: Pre,
    roles: [Option<u8>; 9],
    flags: [Option<bool>; 6],
    text: &'a str,
}

#[derive(Arbitrary, Debug)]
enum Model {
    Bpe,
    Spm,
    WordPiece,
}

#[derive(Arbitrary, Debug)]
enum Pre {
    Gpt2,
    Llama,
    Qwen2,
    DeepSeek,
    Tekken,
    Gpt4o,
    SmolLm,
    None,
}

fuzz_target!(|input: Input<'_>| {
    let Ok(tokenizer) = Tokenizer::from_parts(parts(&input)) else { return };
    let size = tokenizer.vocab_size();
    for (special, parse_special) in [(false, false), (true, true)] {
        let options = EncodeOptions { special, parse_special };
        let ids = tokenizer.encode(input.text, options).expect("no pattern out of a file");
        for &id in &ids {
            assert!((id as usize) < size, "{id} of {size}");
            // The unknown token may be one, and stands for what the vocabulary cannot spell.
            let allowed = parse_special || tokenizer.unk() == Some(id);
            assert!(allowed || !tokenizer.is_control(id), "{id} is a control token");
        }
        tokenizer.decode(&ids, DecodeOptions { skip_special: parse_special });
        let mut stream = StreamDecoder::new();
        for id in ids {
            stream.push(&tokenizer, id);
        }
        stream.finish();
    }
    for id in 0..size as u32 + 2 {
        tokenizer.token_text(id);
        tokenizer.token_bytes(id);
    }
});

fn parts<'a>(input: &Input<'a>) -> VocabParts<'a> {
    let [bos, eos, eot, eom, unk, sep, pad, cls, mask] = input.roles.map(|id| id.map(u32::from));
    let [add_bos, add_eos, add_space_prefix, remove_extra_whitespaces, lowercase, strip_accents] =
        input.flags;
    VocabParts {
        kind: match input.model {
            Model::Bpe => VocabKind::Bpe,
            Model::Spm => VocabKind::Spm,
            Model::WordPiece => VocabKind::WordPiece,
        },
        tokens: input.tokens.clone(),
        scores: input.scores.clone(),
        token_types: input.token_types.iter().map(|&ty| ty.into()).collect(),
        merges: input.merges.clone(),
        pre: match input.pre {
            Pre::Gpt2 => Some("gpt-2"),
            Pre::Llama => Some("llama-bpe"),
            Pre::Qwen2 => Some("qwen2"),
            Pre::DeepSeek => Some("deepseek-llm"),
            Pre::Tekken => Some("tekken"),
            Pre::Gpt4o => Some("gpt-4o"),
            Pre::SmolLm => Some("smollm"),
            Pre::None => None,
        },
        bos,
        eos,
        eot,
        eom,
        unk,
        sep,
        pad,
        cls,
        mask,
        add_bos,
        add_eos,
        add_space_prefix,
        remove_extra_whitespaces,
        lowercase,
        strip_accents,
    }
}
