//! A tokenizer from what GGUF metadata carries.

use super::{PairPiece, Roles, Spelling, Tokenizer};
use crate::added::{Added, AddedToken};
use crate::bpe::{self, Bpe, Merges, Units};
use crate::ends;
use crate::error::{Error, ErrorKind};
use crate::fallback::Fallback;
use crate::model::Model;
use crate::normalize::{Normalizer, Prepend};
use crate::parts::{VocabKind, VocabParts};
use crate::split::finder::Finder;
use crate::split::{Splitter, presets};
use crate::spm::Spm;
use crate::vocab::{SPACE, TokenKind, Vocab, VocabBuilder};
use crate::wordpiece::{self, WordPiece};

impl Tokenizer {
    /// A tokenizer from the metadata of a GGUF file. What the file does not say is as llama.cpp
    /// has it for the kind.
    ///
    /// # Errors
    /// `Vocabulary` when the parts contradict each other, `Unsupported` for a pre-tokenizer that
    /// is not known.
    pub fn from_parts(parts: VocabParts<'_>) -> Result<Self, Error> {
        check_lengths(&parts)?;
        let mut vocab = vocab(&parts)?;
        let roles = roles(&parts)?;
        let named = [roles.eos, roles.eot, roles.eom].into_iter().flatten();
        let ends = ends::find(&mut vocab, named);
        let added = Added::new(added(&vocab, roles.unk))?;
        let kind = match parts.kind {
            VocabKind::Bpe => bpe(&parts, roles.unk)?,
            VocabKind::Spm => spm(&parts, &vocab, roles.unk)?,
            VocabKind::WordPiece => wordpiece(&parts, &vocab, roles.unk),
        };
        let before = if parts.add_bos.unwrap_or(kind.add_bos) { roles.bos } else { None };
        let after = match parts.kind {
            VocabKind::WordPiece => roles.sep,
            _ if parts.add_eos.unwrap_or(false) => roles.eos,
            _ => None,
        };
        let pair = match parts.kind {
            VocabKind::WordPiece => PairPiece::bert(before, roles.sep),
            _ => PairPiece::roberta(before, roles.eos),
        };
        Ok(Self {
            vocab,
            spelling: kind.spelling,
            added,
            normalizers: kind.normalizers,
            added_normalized: Added::default(),
            splitter: kind.splitter,
            model: kind.model,
            roles,
            before: before.into_iter().collect(),
            after: after.into_iter().collect(),
            pair,
            ends,
        })
    }
}

/// What differs from kind to kind.
struct Kind {
    model: Model,
    spelling: Spelling,
    normalizers: Vec<Normalizer>,
    splitter: Splitter,
    add_bos: bool,
}

fn bpe(parts: &VocabParts<'_>, unknown: Option<u32>) -> Result<Kind, Error> {
    let name = parts.pre.unwrap_or("default");
    let preset = presets::find(name).ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            format!("pre-tokenizer `{name}` (`tokenizer.ggml.pre`) is unknown"),
        )
    })?;
    let units = Units::Bytes { unknown };
    let mut merges = Merges::with_capacity(parts.merges.len());
    for (index, merge) in parts.merges.iter().enumerate() {
        let (left, right) = bpe::sides(merge).ok_or_else(|| {
            Error::new(
                ErrorKind::Vocabulary,
                format!("merge `{index}` is `{merge}`, expected two texts with a space between"),
            )
        })?;
        merges.push_spelt(left, right);
    }
    let bpe = Bpe::new(units, preset.ignore_merges, merges);
    Ok(Kind {
        model: Model::Bpe(bpe),
        spelling: Spelling::Bytes,
        normalizers: Vec::new(),
        splitter: Splitter::new(preset.stages.iter().map(|rule| rule.stage()).collect()),
        add_bos: preset.add_bos,
    })
}

fn spm(parts: &VocabParts<'_>, vocab: &Vocab, unknown: Option<u32>) -> Result<Kind, Error> {
    let fallback = Fallback::bytes(vocab, unknown, false);
    let prefixes = parts.add_space_prefix.unwrap_or(true);
    let mut normalizers =
        vec![Normalizer::Replace(Finder::Literal(" ".to_owned()), SPACE.to_owned())];
    if prefixes {
        normalizers.push(Normalizer::Prepend(Prepend {
            text: SPACE.to_owned(),
            unless_there: false,
            first_only: false,
        }));
    }
    Ok(Kind {
        model: Model::Spm(Spm::new(vocab, &parts.scores, fallback)?),
        spelling: Spelling::Spaces { drops_first: prefixes },
        normalizers,
        splitter: Splitter::default(),
        add_bos: true,
    })
}

fn wordpiece(parts: &VocabParts<'_>, vocab: &Vocab, unknown: Option<u32>) -> Kind {
    let lowercase = parts.lowercase.unwrap_or(true);
    let strip_accents = parts.strip_accents.unwrap_or(lowercase);
    let longest = wordpiece::LONGEST_WORD;
    let mut stages = vec![wordpiece::han_stage()];
    stages.extend(wordpiece::bert_stages());
    Kind {
        model: Model::WordPiece(WordPiece::new(vocab, unknown, longest)),
        spelling: Spelling::Spaces { drops_first: true },
        normalizers: wordpiece::bert_normalizers(true, strip_accents, lowercase),
        splitter: Splitter::new(stages),
        add_bos: true,
    }
}

fn check_lengths(parts: &VocabParts<'_>) -> Result<(), Error> {
    let tokens = parts.tokens.len();
    if tokens == 0 {
        return Err(Error::new(ErrorKind::Vocabulary, "the vocabulary has no tokens"));
    }
    for (name, found) in [("scores", parts.scores.len()), ("token types", parts.token_types.len())]
    {
        if found != 0 && found < tokens {
            return Err(Error::new(
                ErrorKind::Vocabulary,
                format!("`{found}` {name} for `{tokens}` tokens, expected one each"),
            ));
        }
    }
    Ok(())
}

fn vocab(parts: &VocabParts<'_>) -> Result<Vocab, Error> {
    let bytes = parts.tokens.iter().map(|token| token.len()).sum();
    let mut vocab = VocabBuilder::with_capacity(parts.tokens.len(), bytes);
    let mut types = parts.token_types.iter();
    for token in &parts.tokens {
        let kind = types.next().map_or(TokenKind::Normal, |&number| TokenKind::from_ggml(number));
        let is_spelt =
            parts.kind == VocabKind::Bpe && matches!(kind, TokenKind::Normal | TokenKind::Unused);
        vocab.push(kind, |arena| {
            if is_spelt {
                bpe::spell(token, arena);
            } else {
                arena.extend_from_slice(token.as_bytes());
            }
        })?;
    }
    Ok(vocab.build())
}

/// The ids with a role: what the file names, else the kind's default where the vocabulary has it.
///
/// An id past the vocabulary is the file's error, unlike one of the defaults.
fn roles(parts: &VocabParts<'_>) -> Result<Roles, Error> {
    let tokens = parts.tokens.len();
    let role = |name: &str, named: Option<u32>, default: Option<u32>| match named {
        Some(id) if (id as usize) < tokens => Ok(Some(id)),
        Some(id) => Err(Error::new(
            ErrorKind::Vocabulary,
            format!("{name} is token `{id}`, expected one of the `{tokens}` of the vocabulary"),
        )),
        None => Ok(default.filter(|&id| (id as usize) < tokens)),
    };
    // Source: llama.cpp `llama_vocab::impl::load`; its default of 11 for byte-level BPE is
    // Falcon's and no other's, so it is left out.
    let defaults = match parts.kind {
        VocabKind::Bpe => Roles::default(),
        VocabKind::Spm => Roles { bos: Some(1), eos: Some(2), unk: Some(0), ..Roles::default() },
        VocabKind::WordPiece => Roles {
            bos: parts.cls.or(Some(101)),
            unk: Some(100),
            sep: Some(102),
            pad: Some(0),
            mask: Some(103),
            ..Roles::default()
        },
    };
    Ok(Roles {
        bos: role("bos", parts.bos, defaults.bos)?,
        eos: role("eos", parts.eos, defaults.eos)?,
        unk: role("unk", parts.unk, defaults.unk)?,
        sep: role("sep", parts.sep, defaults.sep)?,
        pad: role("pad", parts.pad, defaults.pad)?,
        cls: role("cls", parts.cls, defaults.cls)?,
        mask: role("mask", parts.mask, defaults.mask)?,
        eot: role("eot", parts.eot, None)?,
        eom: role("eom", parts.eom, None)?,
    })
}

/// The tokens that are looked for before anything else.
fn added(vocab: &Vocab, unknown: Option<u32>) -> Vec<AddedToken> {
    (0u32..)
        .zip(vocab.kinds())
        .filter_map(|(id, kind)| {
            let special = match kind {
                TokenKind::Control | TokenKind::Unknown => true,
                TokenKind::UserDefined => false,
                TokenKind::Normal | TokenKind::Unused | TokenKind::Byte => return None,
            };
            let text = String::from_utf8(vocab.bytes(id)?.to_vec()).ok()?;
            Some(AddedToken::new(id, text, special || Some(id) == unknown))
        })
        .collect()
}
