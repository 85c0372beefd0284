//! The vocabulary of a GGUF file as the parts that the tokenizer is made from.

use rushlight_formats::Gguf;
use rushlight_text::{VocabKind, VocabParts};

pub(crate) fn parts<'a>(gguf: &Gguf<'a>) -> Result<VocabParts<'a>, Box<dyn std::error::Error>> {
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let id = |name: &str| gguf.u32(&key(name));
    let flag = |name: &str| gguf.bool(&key(name));
    let strings = |name: &str| -> Result<Vec<&'a str>, rushlight_formats::Error> {
        Ok(gguf.strings(&key(name))?.unwrap_or_default())
    };
    Ok(VocabParts {
        kind: VocabKind::from_ggml(gguf.need_str(&key("model"))?)?,
        tokens: strings("tokens")?,
        scores: gguf.f32s(&key("scores"))?.into_iter().flatten().collect(),
        token_types: gguf.i32s(&key("token_type"))?.into_iter().flatten().collect(),
        merges: strings("merges")?,
        pre: gguf.str(&key("pre"))?,
        bos: id("bos_token_id")?,
        eos: id("eos_token_id")?,
        eot: id("eot_token_id")?,
        eom: id("eom_token_id")?,
        unk: id("unknown_token_id")?,
        sep: id("seperator_token_id")?,
        pad: id("padding_token_id")?,
        cls: id("cls_token_id")?,
        mask: id("mask_token_id")?,
        add_bos: flag("add_bos_token")?,
        add_eos: flag("add_eos_token")?,
        add_space_prefix: flag("add_space_prefix")?,
        remove_extra_whitespaces: flag("remove_extra_whitespaces")?,
        lowercase: None,
        strip_accents: None,
    })
}
