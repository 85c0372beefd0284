//! The names people give to models: `smollm2:135m-instruct-q4_1`.

use std::fmt;
use std::str::FromStr;

use crate::{Error, ErrorKind};

/// A model's name: a repository and a tag, as OCI registries write them.
///
/// The repository is lower-case words of letters and digits joined by `.`, `_`, `-` or `/`, the tag
/// up to 128 of letters, digits, `.`, `_`, `-`. Without a tag it is `latest`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    repository: String,
    tag: String,
}

/// Words that begin a source, not a name.
const SCHEMES: [&str; 5] = ["hf", "pypi", "http", "https", "sha256"];

impl Name {
    /// The part before the colon.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The part behind the colon.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// A name for a model file called `file`: the part before the parameter count is the
    /// repository, the rest the tag. `SmolLM2-135M-Instruct.Q4_1.gguf` is
    /// `smollm2:135m-instruct-q4_1`, a name without a count gets the tag `latest`.
    pub fn from_file_name(file: &str) -> Self {
        let lower = file.to_lowercase();
        let stem = lower.strip_suffix(".gguf").unwrap_or(&lower);
        let stem =
            crate::shard::Shard::of(&format!("{stem}.gguf")).map_or(stem, |s| s.stem_len(stem));
        let plain: String = stem
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' })
            .collect();
        let plain = point_before_letter(&plain);
        let words: Vec<&str> = plain.split(['-', '_']).collect();
        let count = words.iter().skip(1).position(|word| is_parameter_count(word));
        let (repository, tag) = match count {
            // `position` counts behind the first word.
            Some(at) => {
                let len = words.iter().take(at + 1).map(|word| word.len() + 1).sum::<usize>();
                (plain.get(..len - 1).unwrap_or_default(), plain.get(len..).unwrap_or_default())
            }
            None => (&*plain, "latest"),
        };
        let repository = join(repository);
        let repository = if repository.is_empty() || SCHEMES.contains(&&*repository) {
            format!("model-{repository}").trim_end_matches('-').to_owned()
        } else {
            repository
        };
        Self { repository: clip(&repository), tag: clip(&join(tag)) }
    }

    /// The same name with `suffix` behind the tag.
    pub(crate) fn with_suffix(&self, suffix: &str) -> Self {
        let room = 128 - suffix.len().min(64) - 1;
        let tag = self.tag.get(..room).unwrap_or(&self.tag);
        Self { repository: self.repository.clone(), tag: format!("{tag}-{suffix}") }
    }
}

/// `135m`, `0.5b`, `8x7b`, `1.7b`, with something behind the number that is a scale.
fn is_parameter_count(word: &str) -> bool {
    let Some(digits) = word.strip_suffix(['k', 'm', 'b', 't']) else { return false };
    digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.ends_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || c == '.' || c == 'x')
}

/// `instruct.q4_1` becomes `instruct-q4_1`, `0.5b` stays.
fn point_before_letter(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let letter = chars.peek().is_some_and(|next| !next.is_ascii_digit());
        out.push(if c == '.' && letter { '-' } else { c });
    }
    out
}

/// Single separators between words, none at the ends.
fn join(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let separator = matches!(c, '.' | '_' | '-');
        if !(separator && (out.is_empty() || out.ends_with(['.', '_', '-']))) {
            out.push(c);
        }
    }
    out.trim_end_matches(['.', '_', '-']).to_owned()
}

fn clip(text: &str) -> String {
    let text = if text.is_empty() { "latest" } else { text };
    // Only ASCII gets here.
    text.get(..100).unwrap_or(text).trim_end_matches(['.', '_', '-']).to_owned()
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let fail = |expected: &str| {
            let shown: String = text.chars().take(80).collect();
            Err(Error::new(
                ErrorKind::Syntax,
                format!("`{}` is no model name: expected {expected}", shown.escape_debug()),
            )
            .advise("a name looks like `smollm2:135m-instruct-q4_1`"))
        };
        let (repository, tag) = text.split_once(':').unwrap_or((text, "latest"));
        if repository.is_empty() || repository.len() > 200 {
            return fail("1 to 200 characters before the colon");
        }
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        for part in repository.split('/') {
            let inner = part.split(['.', '_', '-']);
            if !part.chars().all(|c| word(c) || "._-".contains(c))
                || inner.clone().any(str::is_empty)
            {
                return fail("lower-case letters and digits joined by `.`, `_`, `-` or `/`");
            }
        }
        if SCHEMES.contains(&repository) {
            return fail("something other than the name of a kind of source");
        }
        let first = tag.chars().next();
        if tag.len() > 128
            || !first.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
            || !tag.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        {
            return fail("a tag of 1 to 128 letters, digits, `.`, `_`, `-`");
        }
        Ok(Self { repository: repository.to_owned(), tag: tag.to_owned() })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files() {
        for (file, expected) in [
            ("SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2:135m-instruct-q4_1"),
            ("gemma-3-270m-q4_k_m.gguf", "gemma-3:270m-q4_k_m"),
            ("qwen2.5-coder-0.5b-instruct-q4_k_m.gguf", "qwen2.5-coder:0.5b-instruct-q4_k_m"),
            ("Mixtral-8x7B-v0.1.Q2_K-00001-of-00003.gguf", "mixtral:8x7b-v0.1-q2_k"),
            ("tiny-1m.Q8_0.gguf", "tiny:1m-q8_0"),
            ("minilm-fp16-safetensors", "minilm-fp16-safetensors:latest"),
            ("model.gguf", "model:latest"),
            ("7B.gguf", "7b:latest"),
            ("..--.gguf", "model:latest"),
            ("hf.gguf", "model-hf:latest"),
            ("Ünïcode modèl (1).gguf", "n-code-mod-l-1:latest"),
        ] {
            let name = Name::from_file_name(file);
            assert_eq!(name.to_string(), expected, "{file}");
            assert_eq!(name.to_string().parse::<Name>().unwrap(), name);
        }
        let long = Name::from_file_name(&"x-".repeat(500));
        assert_eq!(long.to_string().parse::<Name>().unwrap(), long);
    }

    #[test]
    fn strict() {
        for good in ["a", "a:b", "library/smollm2:135m", "a.b_c-d:_X.1"] {
            good.parse::<Name>().unwrap();
        }
        assert_eq!("a".parse::<Name>().unwrap().to_string(), "a:latest");
        for bad in [
            "",
            ":",
            ":x",
            "a:",
            "A",
            "a b",
            "../a",
            "a/../b",
            "/a",
            "a/",
            "a//b",
            "a:b:c",
            "a:b/c",
            "a:.x",
            "-a",
            "a-",
            "a\0",
            "a\n",
            "hf:x",
            "pypi:llm",
            "https:x",
            "é",
            "sha256:ab",
        ] {
            let error = bad.parse::<Name>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Syntax, "{bad:?}");
        }
    }
}
