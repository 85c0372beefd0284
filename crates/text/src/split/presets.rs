//! The pre-tokenizers that `tokenizer.ggml.pre` names.
//!
//! The patterns are those that the models' own `tokenizer.json` files give, in the regular form
//! of [`super`]; characters outside ASCII are escaped, because some of them (the Kelvin sign)
//! turn into others where text is normalised. Two read differently elsewhere: for `tekken` and
//! `gpt-4o` llama.cpp takes every letter outside ASCII as both upper and lower case, where the
//! models were trained with the Unicode categories used here.

use super::finder::Finder;
use super::{Behavior, OwnSpace, Stage};

/// What a name stands for.
pub(crate) struct Preset {
    /// The stages, as constructors: each tokenizer compiles its own.
    pub(crate) stages: &'static [Rule],
    /// A piece that is a token whole is that token, whatever the merges make of it.
    pub(crate) ignore_merges: bool,
    /// Whether text begins with BOS when the file does not say.
    pub(crate) add_bos: bool,
}

/// A [`Stage`] as data.
#[derive(Clone, Copy)]
pub(crate) enum Rule {
    /// Matches and gaps.
    Isolate(&'static str),
    /// [`Stage::Words`] of a pattern that ends in `|\s+`, with [`LINE_BREAKS`] or nothing of white
    /// space before.
    Words(&'static str),
    /// [`Stage::DigitGroups`].
    DigitGroups,
}

/// How patterns with their own runs of white space have them; [`BAILING`] takes one break a time.
const LINE_BREAKS: &str = r"|\s*[\r\n]";

impl Rule {
    pub(crate) fn stage(self) -> Stage {
        match self {
            Self::Isolate(pattern) => Stage::Split(Finder::preset(pattern), Behavior::Isolated),
            Self::Words(pattern) => {
                let breaks = pattern.contains(LINE_BREAKS);
                let own = if breaks { OwnSpace::LineBreaks } else { OwnSpace::None };
                Stage::Words(Finder::preset(pattern), own)
            }
            Self::DigitGroups => Stage::DigitGroups,
        }
    }
}

use Rule::{DigitGroups, Isolate, Words};

/// English contractions in either case.
macro_rules! contraction {
    () => {
        r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
    };
}

/// Words that begin a new piece where lower case turns to upper, with what `$after` adds.
macro_rules! cased_words {
    ($after:expr) => {
        concat!(
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
            $after,
            r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
            $after,
        )
    };
}

/// One ASCII punctuation character.
macro_rules! ascii_punctuation {
    () => {
        r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"##
    };
}

/// [`cased_words!`] without Han, which [`KIMI`] takes as runs.
macro_rules! cased_words_but_han {
    () => {
        concat!(
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*",
            r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+",
            contraction!(),
            r"?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+",
            r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*",
            contraction!(),
            r"?",
        )
    };
}

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+";
const LLAMA3: &str = concat!(
    contraction!(),
    r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+",
);
const QWEN2: &str = concat!(
    contraction!(),
    r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+",
);
const QWEN35: &str = concat!(
    contraction!(),
    r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+",
);
const GPT4O: &str = concat!(
    cased_words!(concat!(contraction!(), "?")),
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+",
);
const TEKKEN: &str = concat!(cased_words!(""), r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+");
const YOUTU: &str = concat!(
    cased_words!(concat!(contraction!(), "?")),
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+",
);
const YOUTU_EAST_ASIA: &str = concat!(
    r"[\x{ac00}-\x{d7a3}\x{3131}-\x{318e}]+|[\x{ff01}\x{2026}\x{201c}\x{201d}\x{2018}",
    r"\x{2019}\x{2014}\x{ff1a}\x{ff1b}\x{ff0c}\x{3001}-\x{303f}\x{fe30}-\x{fe4f}]+|[",
    r"\x{3105}-\x{312f}]+|[\x{4e00}-\x{9fa5}\x{3040}-\x{309f}\x{30a0}-\x{30ff}]+",
);
const KIMI: &str = concat!(
    r"\p{Han}+|",
    cased_words_but_han!(),
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+",
);
const DEEPSEEK_LETTERS: &str = concat!(
    r"\s?[A-Za-z\x{b5}\x{c0}-\x{d6}\x{d8}-\x{f6}\x{f8}-\x{1ba}\x{1bc}-\x{1bf}\x{1c4}-\x{293}",
    r"\x{295}-\x{2af}\x{370}-\x{373}\x{376}\x{377}\x{37b}-\x{37d}\x{37f}\x{386}\x{388}-\x{38a}",
    r"\x{38c}\x{38e}-\x{3a1}\x{3a3}-\x{3f5}\x{3f7}-\x{481}\x{48a}-\x{52f}\x{531}-\x{556}",
    r"\x{10a0}-\x{10c5}\x{13a0}-\x{13f5}\x{13f8}-\x{13fd}\x{1c90}-\x{1cba}\x{1cbd}-\x{1cbf}",
    r"\x{1d00}-\x{1d2b}\x{1d6b}-\x{1d77}\x{1d79}-\x{1d9a}\x{1e00}-\x{1f15}\x{1f18}-\x{1f1d}",
    r"\x{1f20}-\x{1f45}\x{1f48}-\x{1f4d}\x{1f50}-\x{1f57}\x{1f59}\x{1f5b}\x{1f5d}\x{1f5f}-\x{1f7d}",
    r"\x{1f80}-\x{1fb4}\x{1fb6}-\x{1fbc}\x{1fbe}\x{1fc2}-\x{1fc4}\x{1fc6}-\x{1fcc}\x{1fd0}-\x{1fd3}",
    r"\x{1fd6}-\x{1fdb}\x{1fe0}-\x{1fec}\x{1ff2}-\x{1ff4}\x{1ff6}-\x{1ffc}\x{2102}\x{2107}",
    r"\x{210a}-\x{2113}\x{2115}\x{2119}-\x{211d}\x{2124}\x{2126}\x{2128}\x{212a}-\x{212d}",
    r"\x{212f}-\x{2134}\x{2139}\x{213c}-\x{213f}\x{2145}-\x{2149}\x{214e}\x{2183}\x{2184}",
    r"\x{2c00}-\x{2c7b}\x{2c7e}-\x{2ce4}\x{2ceb}-\x{2cee}\x{2cf2}\x{2cf3}\x{a640}-\x{a66d}",
    r"\x{a680}-\x{a69b}\x{a722}-\x{a76f}\x{a771}-\x{a787}\x{a78b}-\x{a78e}\x{ab70}-\x{abbf}",
    r"\x{fb00}-\x{fb06}\x{fb13}-\x{fb17}\x{ff21}-\x{ff3a}\x{ff41}-\x{ff5a}\x{10400}-\x{1044f}",
    r"\x{104b0}-\x{104d3}\x{104d8}-\x{104fb}\x{10c80}-\x{10cb2}\x{10cc0}-\x{10cf2}",
    r"\x{118a0}-\x{118df}\x{1e900}-\x{1e943}]+",
);
const DEEPSEEK_PUNCTUATION: &str =
    r"\s?[!-/:-~\x{ff01}-\x{ff0f}\x{ff1a}-\x{ff5e}\x{2018}-\x{201f}\x{3000}-\x{3002}]+";
const DEEPSEEK_EAST_ASIA: &str = r"[\x{4e00}-\x{9fa5}\x{800}-\x{4e00}\x{ac00}-\x{d7ff}]+";
const DEEPSEEK3: &str = concat!(
    ascii_punctuation!(),
    r"[A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+",
);
const SPARK: &str = concat!(
    ascii_punctuation!(),
    r"[A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+|[\r\n]|\s+",
);
const HAN_AND_KANA: &str = r"[\x{4e00}-\x{9fa5}\x{3040}-\x{309f}\x{30a0}-\x{30ff}]+";
const AFMOE_EAST_ASIA: &str = concat!(
    r"[\x{4e00}-\x{9fff}\x{3400}-\x{4dbf}\x{f900}-\x{faff}\x{3040}-\x{309f}\x{30a0}-\x{30ff}",
    r"\x{ff65}-\x{ff9f}\x{2f00}-\x{2fdf}\x{e40}-\x{e7f}\x{e80}-\x{eff}\x{1780}-\x{17ff}",
    r"\x{1000}-\x{109f}\x{aa60}-\x{aa7f}\x{a9e0}-\x{a9ff}\x{ac00}-\x{d7af}\x{1100}-\x{11ff}]+",
);
const BLOOM: &str = r" ?[^(\s|.,!?\x{2026}\x{3002}\x{ff0c}\x{3001}\x{964}\x{6d4}\x{60c})]+";
const BAILING: &str = concat!(
    r"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])",
    r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+",
);
const SEED_CODER: &str = concat!(
    contraction!(),
    r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+",
);
const UFAKZEKA: &str = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+";
const EXAONE_MOE: &str = concat!(
    contraction!(),
    r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+",
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+",
);
const MINICPM5: &str = concat!(
    contraction!(),
    r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+",
);

const fn preset(stages: &'static [Rule]) -> Preset {
    Preset { stages, ignore_merges: false, add_bos: false }
}

/// Names and what they stand for. Where one pattern has many names they share a line.
const PRESETS: &[(&[&str], Preset)] = &[
    (
        &["default"],
        preset(&[
            Isolate(r"[\p{P}\$\+<=>\^~\|]+"),
            Words(GPT2),
            Isolate(r"\p{N}+"),
            Isolate("[0-9][0-9][0-9]"),
        ]),
    ),
    (
        &[
            "gpt-2",
            "phi-2",
            "jina-es",
            "jina-de",
            "jina-v1-en",
            "jina-v2-es",
            "jina-v2-de",
            "jina-v2-code",
            "roberta-bpe",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "modern-bert",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "granite-docling",
            "exaone4",
        ],
        preset(&[Words(GPT2)]),
    ),
    (
        &[
            "smollm",
            "starcoder",
            "refact",
            "command-r",
            "codeshell",
            "exaone",
            "minerva-7b",
            "mellum2",
        ],
        preset(&[Isolate(r"\p{N}"), Words(GPT2)]),
    ),
    (
        &[
            "llama3",
            "llama-v3",
            "llama-bpe",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
            "jina-v5-nano",
        ],
        Preset { stages: &[Words(LLAMA3)], ignore_merges: true, add_bos: true },
    ),
    (&["dbrx", "smaug-bpe", "chatglm-bpe"], preset(&[Words(LLAMA3)])),
    (&["glm4", "glm5"], Preset { stages: &[Words(LLAMA3)], ignore_merges: true, add_bos: false }),
    (
        &[
            "qwen2",
            "deepseek-r1-qwen",
            "kormo",
            "f2llmv2",
            "stablelm2",
            "hunyuan",
            "megrez",
            "solar-open",
            "grok-2",
        ],
        preset(&[Words(QWEN2)]),
    ),
    (&["qwen35"], preset(&[Words(QWEN35)])),
    (&["laguna"], preset(&[Isolate(r"[^\n]+|\n+"), Words(QWEN2)])),
    (&["ufakzeka"], preset(&[Words(UFAKZEKA)])),
    (&["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"], preset(&[Words(GPT4O)])),
    (
        &["granite-embed-multi-97m"],
        Preset { stages: &[Words(GPT4O)], ignore_merges: true, add_bos: false },
    ),
    (&["tiny_aya", "cohere2moe"], preset(&[DigitGroups, Words(GPT4O)])),
    (&["tekken"], Preset { stages: &[Words(TEKKEN)], ignore_merges: true, add_bos: true }),
    (
        &["youtu"],
        Preset {
            stages: &[Isolate(YOUTU_EAST_ASIA), Words(YOUTU)],
            ignore_merges: true,
            add_bos: false,
        },
    ),
    (&["kimi-k2"], preset(&[Words(KIMI)])),
    (
        &["deepseek-llm"],
        preset(&[
            Isolate(r"[\r\n]"),
            Isolate(DEEPSEEK_LETTERS),
            Isolate(DEEPSEEK_PUNCTUATION),
            Isolate(r"\s+$"),
            Isolate(DEEPSEEK_EAST_ASIA),
            Isolate(r"\p{N}+"),
        ]),
    ),
    (
        &["deepseek-coder"],
        preset(&[
            Isolate(r"[\r\n]"),
            Isolate(r"\s?\p{L}+"),
            Isolate(r"\s?\p{P}+"),
            Isolate(DEEPSEEK_EAST_ASIA),
            Isolate(r"\p{N}"),
        ]),
    ),
    (
        &["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"],
        preset(&[Isolate(r"\p{N}{1,3}"), Isolate(HAN_AND_KANA), Words(DEEPSEEK3)]),
    ),
    (
        &["spark2_5"],
        preset(&[Isolate(r"\p{N}{1,3}"), Isolate(HAN_AND_KANA), Words(SPARK), Isolate(r"\p{N}")]),
    ),
    (&["afmoe"], preset(&[DigitGroups, Isolate(AFMOE_EAST_ASIA), Words(DEEPSEEK3)])),
    (
        &["falcon"],
        preset(&[Isolate(r"[\p{P}\$\+<=>\^~\|`]+"), Words(GPT2), Isolate("[0-9][0-9][0-9]")]),
    ),
    (&["poro-chat", "bloom", "gpt3-finnish"], preset(&[Isolate(BLOOM)])),
    (&["viking"], preset(&[Isolate(BLOOM), Isolate(r"\p{N}")])),
    (&["superbpe"], preset(&[Isolate(r"\p{N}+"), DigitGroups])),
    (&["bailingmoe", "bailingmoe2", "llada-moe"], preset(&[Words(BAILING)])),
    (&["seed-coder"], preset(&[Words(SEED_CODER)])),
    (&["exaone-moe"], preset(&[Words(EXAONE_MOE)])),
    (
        &["minicpm5"],
        Preset {
            stages: &[Isolate(r"\p{N}{1,3}"), Words(MINICPM5)],
            ignore_merges: true,
            add_bos: false,
        },
    ),
];

/// GPT-2's own, which Hugging Face's `ByteLevel` applies.
pub(crate) fn gpt2() -> Stage {
    Words(GPT2).stage()
}

/// What `name` stands for.
pub(crate) fn find(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|(names, _)| names.contains(&name)).map(|(_, preset)| preset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::Splitter;

    /// Texts with every kind of character that patterns tell apart, in every neighbourhood.
    fn texts() -> Vec<String> {
        let atoms = [
            "a", "Z", "é", "Σ", "ǅ", "ʰ", "中", "あ", "한", "ก", "\u{301}", "1", "23", "٣", "½",
            "Ⅷ", "'", "'s", "'LL", "-", "!?", "。", "$", "€", "_", " ", "  ", "\t", "\n", "\r\n",
            "\u{a0}", "\u{3000}", "\u{2028}", "\u{85}", "🙂", "\u{200d}", "\0",
        ];
        let mut texts: Vec<String> = Vec::new();
        for a in atoms {
            for b in atoms {
                texts.push(format!("{a}{b}"));
                for c in atoms {
                    texts.push(format!("x {a}{b}{c}y"));
                }
            }
        }
        texts
    }

    /// The hand-made look-ahead against a backtracking engine that has it.
    #[test]
    fn words_are_those_of_the_full_pattern() {
        let texts = texts();
        let mut failures = Vec::new();
        for (names, preset) in PRESETS {
            for rule in preset.stages {
                let Words(pattern) = rule else { continue };
                let full = format!(r"{}|\s+(?!\S)|\s+", pattern.strip_suffix(r"|\s+").unwrap());
                let full = fancy_regex::Regex::new(&full).unwrap();
                let ours = Splitter::new(vec![rule.stage()]);
                for text in &texts {
                    let mut expected = Vec::new();
                    let mut done = 0;
                    for found in full.find_iter(text) {
                        let found = found.unwrap();
                        expected.push(&text[done..found.start()]);
                        expected.push(found.as_str());
                        done = found.end();
                    }
                    expected.push(&text[done..]);
                    expected.retain(|piece| !piece.is_empty());
                    let mut got = Vec::new();
                    ours.split(text, |piece| got.push(piece)).unwrap();
                    if got != expected {
                        failures.push(format!("{names:?} {text:?}: {got:?}, not {expected:?}"));
                    }
                }
            }
        }
        failures.truncate(20);
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }

    #[test]
    fn every_preset_cuts_and_loses_nothing() {
        let text = "Héllo  WORLD 1234567 ٣ 中文\r\n\n\t'ſ don't🙂\u{301} x ";
        let mut seen = std::collections::HashSet::new();
        for (names, preset) in PRESETS {
            assert!(names.iter().all(|name| seen.insert(*name)), "{names:?} come twice");
            let stages = preset.stages.iter().map(|rule| rule.stage()).collect();
            let mut pieces = Vec::new();
            Splitter::new(stages).split(text, |piece| pieces.push(piece)).unwrap();
            assert_eq!(pieces.concat(), text, "{names:?}");
            assert!(pieces.len() > 5, "{names:?}: {pieces:?}");
        }
        assert!(find("smollm").is_some() && find("Smollm").is_none());
    }
}
