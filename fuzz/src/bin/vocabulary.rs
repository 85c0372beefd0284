//! A vocabulary that lies, as a GGUF file could carry it, and text through it.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use rushlight_text::{DecodeOptions, EncodeOptions, Tokenizer, VocabKind, VocabParts};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    kind: u8,
    tokens: Vec<&'a str>,
    scores: Vec<f32>,
    token_types: Vec<i8>,
    merges: Vec<&'a str>,
    pre: Option<&'a str>,
    ids: [Option<u32>; 9],
    flags: [Option<bool>; 4],
    text: &'a str,
}

fuzz_target!(|input: Input<'_>| {
    let kinds = [VocabKind::Bpe, VocabKind::Spm, VocabKind::WordPiece];
    let [bos, eos, eot, eom, unk, sep, pad, cls, mask] = input.ids;
    let [add_bos, add_eos, add_space_prefix, remove_extra_whitespaces] = input.flags;
    let parts = VocabParts {
        kind: kinds[usize::from(input.kind) % kinds.len()],
        tokens: input.tokens,
        scores: input.scores,
        token_types: input.token_types.into_iter().map(i32::from).collect(),
        merges: input.merges,
        pre: input.pre,
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
        ..VocabParts::default()
    };
    let Ok(tokenizer) = Tokenizer::from_parts(parts) else { return };
    for special in [false, true] {
        let options = EncodeOptions { special, parse_special: special };
        let Ok(ids) = tokenizer.encode(input.text, options) else { continue };
        let size = tokenizer.vocab_size();
        assert!(ids.iter().all(|id| (*id as usize) < size), "{ids:?} of {size}");
        let _ = tokenizer.decode(&ids, DecodeOptions { skip_special: special });
    }
    for id in 0..=tokenizer.vocab_size() as u32 {
        let _ = (tokenizer.token_bytes(id), tokenizer.token_text(id), tokenizer.is_end(id));
    }
});
