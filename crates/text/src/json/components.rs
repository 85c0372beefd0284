//! Normalizers, pre-tokenizers and decoders of `tokenizer.json`.

use serde_json::Value;

use super::file::File;
use super::{type_of, unsupported};
use crate::error::{Error, ErrorKind};
use crate::normalize::{Form, Normalizer, Prepend};
use crate::split::finder::Finder;
use crate::split::{Behavior, OwnSpace, Stage, presets};
use crate::vocab::SPACE;
use crate::wordpiece;

/// The most steps that a text goes through. Published files have at most six.
const MOST_STEPS: usize = 64;

/// What is done to a text before the model gets it.
#[derive(Default)]
pub(super) struct Steps {
    pub(super) normalizers: Vec<Normalizer>,
    pub(super) stages: Vec<Stage>,
    /// Whether the pre-tokenizer spells pieces in the byte alphabet.
    pub(super) is_byte_level: bool,
}

impl Steps {
    pub(super) fn from_file(file: &File<'_>) -> Result<Self, Error> {
        let mut steps = Self::default();
        for normalizer in flatten(file.normalizer.as_ref(), "normalizers")? {
            steps.normalizer(normalizer)?;
        }
        for pre_tokenizer in flatten(file.pre_tokenizer.as_ref(), "pretokenizers")? {
            steps.pre_tokenizer(pre_tokenizer)?;
        }
        Ok(steps)
    }

    fn normalizer(&mut self, normalizer: &Value) -> Result<(), Error> {
        let flag = |name: &str| normalizer.get(name).and_then(Value::as_bool);
        self.normalizers.push(match type_of(normalizer) {
            "NFC" => Normalizer::Form(Form::C),
            "NFD" => Normalizer::Form(Form::D),
            "NFKC" => Normalizer::Form(Form::Kc),
            "NFKD" => Normalizer::Form(Form::Kd),
            "Lowercase" => Normalizer::Lowercase,
            "StripAccents" => Normalizer::Replace(Finder::preset(r"\p{Mn}+"), String::new()),
            "Strip" => Normalizer::Strip {
                left: flag("strip_left").unwrap_or(true),
                right: flag("strip_right").unwrap_or(true),
            },
            "Replace" => {
                Normalizer::Replace(pattern(normalizer)?, string(normalizer, "content")?.to_owned())
            }
            "Prepend" => Normalizer::Prepend(Prepend {
                text: string(normalizer, "prepend")?.to_owned(),
                unless_there: false,
                first_only: false,
            }),
            "BertNormalizer" => {
                let lowercase = flag("lowercase").unwrap_or(true);
                self.normalizers.extend(wordpiece::bert_normalizers(
                    flag("clean_text").unwrap_or(true),
                    flag("strip_accents").unwrap_or(lowercase),
                    lowercase,
                ));
                if flag("handle_chinese_chars").unwrap_or(true) {
                    self.stages.push(wordpiece::han_stage());
                }
                return Ok(());
            }
            other => return Err(unsupported("normalizer", other, "one of the known ones")),
        });
        Ok(())
    }

    fn pre_tokenizer(&mut self, pre_tokenizer: &Value) -> Result<(), Error> {
        let flag = |name: &str| pre_tokenizer.get(name).and_then(Value::as_bool);
        match type_of(pre_tokenizer) {
            "ByteLevel" => {
                self.is_byte_level = true;
                if flag("add_prefix_space").unwrap_or(true) {
                    self.normalizers.push(prepend(" ", "always")?);
                }
                if flag("use_regex").unwrap_or(true) {
                    self.stages.push(presets::gpt2());
                }
            }
            "Split" => self.stages.push(split(pre_tokenizer)?),
            "Digits" => {
                let one = flag("individual_digits").unwrap_or(false);
                let digits = Finder::preset(if one { r"\p{N}" } else { r"\p{N}+" });
                self.stages.push(Stage::Split(digits, Behavior::Isolated));
            }
            "Metaspace" => self.metaspace(pre_tokenizer)?,
            "BertPreTokenizer" => self.stages.extend(wordpiece::bert_stages()),
            "WhitespaceSplit" => {
                self.stages.push(Stage::Split(Finder::preset(r"\s+"), Behavior::Removed));
            }
            "Whitespace" => {
                let words = Finder::preset(r"\w+|[^\w\s]+");
                self.stages.push(Stage::Split(words, Behavior::Kept));
            }
            "Punctuation" => {
                let behavior = pre_tokenizer.get("behavior").and_then(Value::as_str);
                let behavior = self::behavior(behavior.unwrap_or("Isolated"), false)?;
                self.stages.push(Stage::Split(wordpiece::punctuation(), behavior));
            }
            other => return Err(unsupported("pre-tokenizer", other, "one of the known ones")),
        }
        Ok(())
    }

    /// Spaces as U+2581, one before the text, and pieces that begin with them.
    fn metaspace(&mut self, metaspace: &Value) -> Result<(), Error> {
        let replacement = metaspace.get("replacement").and_then(Value::as_str).unwrap_or(SPACE);
        if replacement != SPACE {
            return Err(unsupported("`Metaspace.replacement`", replacement, "`\u{2581}`"));
        }
        let old = metaspace.get("add_prefix_space").and_then(Value::as_bool).unwrap_or(true);
        let scheme = metaspace.get("prepend_scheme").and_then(Value::as_str).unwrap_or(if old {
            "always"
        } else {
            "never"
        });
        let space = Finder::Literal(" ".to_owned());
        self.normalizers.push(Normalizer::Replace(space, SPACE.to_owned()));
        if scheme != "never" {
            self.normalizers.push(prepend(SPACE, scheme)?);
        }
        if metaspace.get("split").and_then(Value::as_bool).unwrap_or(true) {
            let space = Finder::Literal(SPACE.to_owned());
            self.stages.push(Stage::Split(space, Behavior::MergedWithNext));
        }
        Ok(())
    }
}

fn prepend(text: &str, scheme: &str) -> Result<Normalizer, Error> {
    let first_only = match scheme {
        "always" => false,
        "first" => true,
        other => {
            let expected = "`always`, `first` or `never`";
            return Err(unsupported("`prepend_scheme`", other, expected));
        }
    };
    Ok(Normalizer::Prepend(Prepend { text: text.to_owned(), unless_there: true, first_only }))
}

/// How the published patterns end that look ahead at a run of white space.
const WORDS_END: &str = r"|\s+(?!\S)|\s+";

/// A `Split`. Those that end in [`WORDS_END`] become [`Stage::Words`], which are linear.
fn split(split: &Value) -> Result<Stage, Error> {
    let invert = split.get("invert").and_then(Value::as_bool).unwrap_or(false);
    let behavior = behavior(string(split, "behavior")?, invert)?;
    let regex = split.get("pattern").and_then(|pattern| pattern.get("Regex")?.as_str());
    if behavior == Behavior::Isolated
        && let Some(others) = regex.and_then(|regex| regex.strip_suffix(WORDS_END))
        && let Ok(words @ Finder::Linear(_)) = Finder::from_file(&format!(r"{others}|\s+"))
    {
        let others = Finder::from_file(&format!(r"\A(?:{others})"))?;
        return Ok(Stage::Words(words, OwnSpace::Of(others)));
    }
    Ok(Stage::Split(pattern(split)?, behavior))
}

fn behavior(name: &str, invert: bool) -> Result<Behavior, Error> {
    Ok(match (name, invert) {
        ("Isolated", _) => Behavior::Isolated,
        ("Removed", false) => Behavior::Removed,
        ("Removed", true) => Behavior::Kept,
        ("MergedWithPrevious", false) => Behavior::MergedWithPrevious,
        ("MergedWithNext", false) => Behavior::MergedWithNext,
        ("Contiguous", false) => Behavior::Contiguous,
        _ => return Err(unsupported("behavior (inverted)", name, "`Isolated` or `Removed`")),
    })
}

/// `pattern`: a text or a regular expression.
fn pattern(component: &Value) -> Result<Finder, Error> {
    let pattern = component.get("pattern");
    let text = |name: &str| pattern.and_then(|pattern| pattern.get(name)?.as_str());
    match (text("String"), text("Regex")) {
        (Some(text), _) => Ok(Finder::Literal(text.to_owned())),
        (None, Some(regex)) => Finder::from_file(regex),
        (None, None) => Err(wrong(component, "pattern", "`String` or `Regex` with a text")),
    }
}

fn string<'v>(component: &'v Value, name: &str) -> Result<&'v str, Error> {
    component.get(name).and_then(Value::as_str).ok_or_else(|| wrong(component, name, "a text"))
}

fn wrong(component: &Value, name: &str, expected: &str) -> Error {
    let found = component.get(name).unwrap_or(&Value::Null);
    Error::new(
        ErrorKind::Json,
        format!(
            "`tokenizer.json`: `{name}` of `{}` is `{found}`, expected {expected}",
            type_of(component)
        ),
    )
}

/// The components of a sequence of sequences, in their order. None for an absent one.
fn flatten<'v>(component: Option<&'v Value>, list: &str) -> Result<Vec<&'v Value>, Error> {
    let mut flat = Vec::new();
    let mut waiting: Vec<&Value> = component.into_iter().collect();
    while let Some(component) = waiting.pop() {
        if type_of(component) == "Sequence" {
            let items = component.get(list).and_then(Value::as_array);
            waiting.extend(items.into_iter().flatten().rev());
        } else if !component.is_null() {
            flat.push(component);
        }
        if flat.len() > MOST_STEPS {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("`tokenizer.json`: over `{MOST_STEPS}` {list}"),
            ));
        }
    }
    Ok(flat)
}

/// What a decoder tells about the spelling of tokens.
#[derive(Default)]
pub(super) struct Decoder {
    pub(super) is_byte_level: bool,
    pub(super) has_spaces: bool,
    pub(super) drops_first: bool,
}

pub(super) fn decoder(decoder: Option<&Value>) -> Result<Decoder, Error> {
    let mut out = Decoder::default();
    for step in flatten(decoder, "decoders")? {
        match type_of(step) {
            "ByteLevel" => out.is_byte_level = true,
            "Replace" if string(step, "content")? == " " => out.has_spaces = true,
            "Metaspace" => {
                out.has_spaces = true;
                let scheme = step.get("prepend_scheme").and_then(Value::as_str);
                out.drops_first = scheme != Some("never");
            }
            "Strip" => out.drops_first = step.get("start").and_then(Value::as_u64) > Some(0),
            "WordPiece" | "ByteFallback" | "Fuse" => {}
            other => return Err(unsupported("decoder", other, "one of the known ones")),
        }
    }
    Ok(out)
}
