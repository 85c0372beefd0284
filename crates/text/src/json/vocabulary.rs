//! The tokens of `tokenizer.json` in the order of their ids.

use super::file::File;
use super::{ModelKind, type_of};
use crate::bpe;
use crate::error::{Error, ErrorKind};
use crate::fallback;
use crate::tokenizer::Spelling;
use crate::vocab::{SPACE, TokenKind, Vocab, VocabBuilder};

/// What a slot of the vocabulary holds.
#[derive(Clone, Copy)]
struct Slot<'f> {
    text: &'f str,
    kind: TokenKind,
}

/// Puts every token where its id says. Ids without a token stay empty; there may be as many of
/// those as tokens, and some.
pub(super) fn build(file: &File<'_>, kind: ModelKind, spelling: Spelling) -> Result<Vocab, Error> {
    let vocab = &file.model.vocab.0;
    let entries = vocab.len() + file.added_tokens.len();
    let most = entries.saturating_mul(2).saturating_add(4096);
    let ids = vocab.iter().map(|(_, id)| *id).chain(file.added_tokens.iter().map(|token| token.id));
    let size = match ids.max() {
        None => return Err(Error::new(ErrorKind::Vocabulary, "`tokenizer.json` has no tokens")),
        Some(id) if id as usize >= most => {
            return Err(Error::new(
                ErrorKind::Vocabulary,
                format!(
                    "`tokenizer.json`: id `{id}` among `{entries}` tokens, expected < `{most}`"
                ),
            ));
        }
        Some(id) => id as usize + 1,
    };

    let has_byte_tokens = file.model.byte_fallback || spelling_has_bytes(file);
    let mut slots: Vec<Option<Slot<'_>>> = vec![None; size];
    for (text, id) in vocab {
        let kind = match () {
            () if has_byte_tokens && fallback::byte_of(text.as_bytes()).is_some() => {
                TokenKind::Byte
            }
            () if file.model.unk_token.as_deref() == Some(text) => TokenKind::Unknown,
            () => TokenKind::Normal,
        };
        put(&mut slots, *id, Slot { text, kind })?;
    }
    for token in &file.added_tokens {
        let kind = if token.special { TokenKind::Control } else { TokenKind::UserDefined };
        put(&mut slots, token.id, Slot { text: &token.content, kind })?;
    }

    let bytes = slots.iter().flatten().map(|slot| slot.text.len() + SPACE.len()).sum();
    let mut out = VocabBuilder::with_capacity(size, bytes);
    let prefix = file.model.continuing_subword_prefix.as_deref().unwrap_or("##");
    for slot in slots {
        let Slot { text, kind: token } = slot.unwrap_or(Slot { text: "", kind: TokenKind::Unused });
        out.push(token, |arena| match (token, kind, spelling) {
            (TokenKind::Normal, ModelKind::WordPiece, _) => match text.strip_prefix(prefix) {
                Some(rest) => arena.extend_from_slice(rest.as_bytes()),
                None => arena.extend([SPACE, text].concat().bytes()),
            },
            (TokenKind::Normal, ModelKind::Bpe, Spelling::Bytes) => bpe::spell(text, arena),
            _ => arena.extend_from_slice(text.as_bytes()),
        })?;
    }
    Ok(out.build())
}

/// Fills a slot, which may hold the same text already.
fn put<'f>(slots: &mut [Option<Slot<'f>>], id: u32, new: Slot<'f>) -> Result<(), Error> {
    let Some(slot) = slots.get_mut(id as usize) else { return Ok(()) };
    if let Some(old) = slot
        && old.text != new.text
    {
        return Err(Error::new(
            ErrorKind::Vocabulary,
            format!("`tokenizer.json`: id `{id}` is both `{}` and `{}`", old.text, new.text),
        ));
    }
    *slot = Some(new);
    Ok(())
}

/// Whether the decoder turns `<0xNN>` into bytes.
fn spelling_has_bytes(file: &File<'_>) -> bool {
    file.decoder
        .as_ref()
        .and_then(|decoder| decoder.get("decoders"))
        .and_then(serde_json::Value::as_array)
        .is_some_and(|steps| steps.iter().any(|step| type_of(step) == "ByteFallback"))
}
