//! A tokenizer from Hugging Face's `tokenizer.json` and `tokenizer_config.json`.

mod components;
mod config;
mod file;
mod processor;
mod vocabulary;

use std::borrow::Cow;

use serde_json::Value;

use crate::added::{Added, AddedToken};
use crate::bpe::{Bpe, Merges, Units};
use crate::ends;
use crate::error::{Error, ErrorKind};
use crate::fallback::Fallback;
use crate::model::Model;
use crate::normalize;
use crate::split::Splitter;
use crate::tokenizer::{Roles, Spelling, Tokenizer};
use crate::vocab::Vocab;
use crate::wordpiece::{self, WordPiece};
use components::Steps;
use config::Config;
use file::{File, ModelFile};
use processor::Frame;

impl Tokenizer {
    /// A tokenizer from the text of `tokenizer.json` and, where there is one, of
    /// `tokenizer_config.json`, which names the tokens with a role.
    ///
    /// Models: BPE, in the byte alphabet or with U+2581 for spaces and byte tokens, and WordPiece.
    ///
    /// # Errors
    /// `Json` when a file is not what its format says, `Unsupported` for a component that is not
    /// known, `Vocabulary` when ids contradict each other, `Pattern` when one does not compile.
    pub fn from_json(tokenizer: &[u8], config: Option<&[u8]>) -> Result<Self, Error> {
        let file = File::parse(tokenizer)?;
        let config = config.map(Config::parse).transpose()?.unwrap_or_default();
        let steps = Steps::from_file(&file)?;
        let kind = kind(&file.model)?;
        let spelling = spelling(&file, kind, steps.is_byte_level)?;
        let mut vocab = vocabulary::build(&file, kind, spelling)?;

        let unknown = file.model.unk_token.as_deref().and_then(|text| vocab.find(text.as_bytes()));
        let model = match kind {
            ModelKind::Bpe => Model::Bpe(bpe(&file.model, &vocab, spelling, unknown)?),
            ModelKind::WordPiece => {
                let longest =
                    file.model.max_input_chars_per_word.unwrap_or(wordpiece::LONGEST_WORD);
                Model::WordPiece(WordPiece::new(&vocab, unknown, longest))
            }
        };

        let frame = Frame::from_file(file.post_processor.as_ref(), &vocab)?;
        let roles = roles(&config, &frame, &vocab, unknown);
        let named = [roles.eos, roles.eot, roles.eom].into_iter().flatten();
        let ends = ends::find(&mut vocab, named);
        let Frame { before, after, pair } = frame.with_config(&config, &roles);
        let (added, added_normalized) = added(&file, &vocab, &steps)?;
        Ok(Self {
            vocab,
            spelling,
            added,
            normalizers: steps.normalizers,
            added_normalized,
            splitter: Splitter::new(steps.stages),
            model,
            roles,
            before,
            after,
            pair,
            ends,
        })
    }
}

/// The models that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ModelKind {
    Bpe,
    WordPiece,
}

fn kind(model: &ModelFile<'_>) -> Result<ModelKind, Error> {
    match model.kind.as_deref() {
        Some("BPE") => Ok(ModelKind::Bpe),
        // Files of before 2020 do not name the model.
        None if !model.merges.is_empty() => Ok(ModelKind::Bpe),
        Some("WordPiece") => Ok(ModelKind::WordPiece),
        other => Err(unsupported("model", other.unwrap_or("none"), "`BPE` or `WordPiece`")),
    }
}

pub(crate) fn unsupported(what: &str, found: &str, expected: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("`tokenizer.json`: {what} is `{found}`, expected {expected}"),
    )
}

/// How tokens are spelt, as far as the decoder tells.
fn spelling(file: &File<'_>, kind: ModelKind, is_byte_level: bool) -> Result<Spelling, Error> {
    let decoder = components::decoder(file.decoder.as_ref())?;
    Ok(if is_byte_level || decoder.is_byte_level {
        Spelling::Bytes
    } else if kind == ModelKind::WordPiece {
        Spelling::Spaces { drops_first: true }
    } else if decoder.has_spaces {
        Spelling::Spaces { drops_first: decoder.drops_first }
    } else {
        Spelling::Plain
    })
}

fn bpe(
    model: &ModelFile<'_>,
    vocab: &Vocab,
    spelling: Spelling,
    unknown: Option<u32>,
) -> Result<Bpe, Error> {
    for (name, affix) in [
        ("continuing_subword_prefix", &model.continuing_subword_prefix),
        ("end_of_word_suffix", &model.end_of_word_suffix),
    ] {
        if let Some(affix) = affix.as_deref().filter(|affix| !affix.is_empty()) {
            return Err(unsupported(&format!("`model.{name}`"), affix, "none"));
        }
    }
    let units = match spelling {
        Spelling::Bytes => Units::Bytes { unknown },
        _ if model.byte_fallback => {
            Units::Characters { fallback: Fallback::bytes(vocab, unknown, model.fuse_unk) }
        }
        _ => Units::Characters { fallback: Fallback::unknown(unknown, model.fuse_unk) },
    };
    let mut merges = Merges::with_capacity(model.merges.len());
    for merge in &model.merges {
        if spelling == Spelling::Bytes {
            merges.push_spelt(&merge.left, &merge.right);
        } else {
            merges.push(&merge.left, &merge.right);
        }
    }
    Ok(Bpe::new(units, model.ignore_merges, merges))
}

/// The tokens with a role: by the configuration, else where the frame puts them.
fn roles(config: &Config, frame: &Frame, vocab: &Vocab, unknown: Option<u32>) -> Roles {
    let find = |text: &Option<String>| vocab.find(text.as_deref()?.as_bytes());
    let named = |text: &str| vocab.find(text.as_bytes());
    Roles {
        bos: find(&config.bos_token).or(frame.before.first().copied()),
        eos: find(&config.eos_token),
        unk: find(&config.unk_token).or(unknown),
        sep: find(&config.sep_token).or(named("[SEP]")),
        pad: find(&config.pad_token).or(named("[PAD]")),
        cls: find(&config.cls_token).or(named("[CLS]")),
        mask: find(&config.mask_token).or(named("[MASK]")),
        eot: find(&config.eot_token),
        eom: None,
    }
}

/// The added tokens that are looked for before normalisation, and those after it.
fn added(file: &File<'_>, vocab: &Vocab, steps: &Steps) -> Result<(Added, Added), Error> {
    let mut raw = Vec::new();
    let mut normalized = Vec::new();
    for token in &file.added_tokens {
        let is_special =
            token.special || vocab.kind(token.id).is_some_and(|kind| kind.is_special());
        // Special tokens are what templates write, which no normalizer changes.
        let is_normalized = token.normalized && !is_special && !steps.normalizers.is_empty();
        let text = if is_normalized {
            normalize::apply(&steps.normalizers, &token.content, false)?
        } else {
            Cow::Borrowed(token.content.as_ref())
        };
        let added = AddedToken {
            id: token.id,
            text: text.into_owned(),
            special: is_special,
            strips_left: token.lstrip,
            strips_right: token.rstrip,
            single_word: token.single_word,
        };
        if is_normalized { &mut normalized } else { &mut raw }.push(added);
    }
    Ok((Added::new(raw)?, Added::new(normalized)?))
}

/// The `type` of a component.
pub(crate) fn type_of(component: &Value) -> &str {
    component.get("type").and_then(Value::as_str).unwrap_or("none")
}
