//! Which files of a directory, a repository or a package make up a model.

use std::collections::BTreeMap;

use crate::oci::media;
use crate::shard::Shard;
use crate::{Error, ErrorKind, FilePath, error::Result};

/// What kind of files a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// One GGUF file, or the parts of a split one.
    Gguf,
    /// A Hugging Face directory: safetensors with `config.json` and its companions.
    HfDirectory,
}

impl Kind {
    /// As the ModelPack configuration calls the format.
    pub(crate) fn format(self) -> &'static str {
        match self {
            Kind::Gguf => "gguf",
            Kind::HfDirectory => "safetensors",
        }
    }
}

/// The files of one model.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) kind: Kind,
    /// Weights first, in order.
    pub(crate) files: Vec<Selected>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Selected {
    /// As the list calls it.
    pub(crate) listed: String,
    /// Its path inside the model.
    pub(crate) path: FilePath,
    pub(crate) media_type: &'static str,
}

/// The most files a list may have. The largest repositories have a few thousand.
pub(crate) const MAX_LISTED: usize = 50_000;

/// Companions of safetensors that matter to a run or to its user.
const COMPANIONS: [&str; 16] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "preprocessor_config.json",
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
];

/// Chooses from the listed names (relative, with `/`). `wanted` is a file's name or a part of it
/// that tells a quantisation, such as `Q4_K_M`.
pub(crate) fn select(names: &[&str], wanted: Option<&str>, place: &str) -> Result<Selection> {
    if names.len() > MAX_LISTED {
        let what = format!("{} files are listed, expected at most {MAX_LISTED}", names.len());
        return Err(Error::new(ErrorKind::Refused, what).at(place));
    }
    let groups = gguf_groups(names);
    if !groups.is_empty() {
        return gguf(&groups, wanted, place);
    }
    directory(names, wanted, place)
}

/// Key: what the parts of one model share. Value: the listed names by part.
type Groups<'a> = BTreeMap<String, BTreeMap<u32, &'a str>>;

fn gguf_groups<'a>(names: &[&'a str]) -> Groups<'a> {
    let mut groups = Groups::new();
    for name in names.iter().filter(|name| name.to_ascii_lowercase().ends_with(".gguf")) {
        let base = name.rsplit('/').next().unwrap_or(name).to_lowercase();
        // Vision projectors and importance matrices belong to a model but are none.
        if base.starts_with("mmproj") || base.contains("imatrix") {
            continue;
        }
        match Shard::of(name) {
            Some(shard) => groups
                .entry(format!("{} in {} parts", shard.stem, shard.count))
                .or_default()
                .insert(shard.index, *name),
            None => groups.entry((*name).to_owned()).or_default().insert(1, *name),
        };
    }
    groups
}

fn gguf(groups: &Groups<'_>, wanted: Option<&str>, place: &str) -> Result<Selection> {
    let fits = |parts: &BTreeMap<u32, &str>| match wanted {
        None => true,
        Some(wanted) => parts.values().any(|name| {
            let base = name.rsplit('/').next().unwrap_or(name);
            *name == wanted || base == wanted || has_word(base, wanted)
        }),
    };
    let mut fitting: Vec<_> = groups.values().filter(|parts| fits(parts)).collect();
    if fitting.len() > 1 && wanted.is_none() {
        // The usual middle between size and quality, where there is a choice.
        fitting.retain(|parts| parts.values().all(|name| has_word(name, "Q4_K_M")));
    }
    let parts = match &*fitting {
        [parts] => parts,
        other => {
            let mut names: Vec<_> = groups.keys().map(String::as_str).take(20).collect();
            if groups.len() > names.len() {
                names.push("…");
            }
            let (kind, what) = match (wanted, other.len()) {
                (Some(wanted), 0) => {
                    (ErrorKind::NotFound, format!("no GGUF file fits `{}`", wanted.escape_debug()))
                }
                (Some(wanted), n) => {
                    (ErrorKind::Ambiguous, format!("{n} files fit `{}`", wanted.escape_debug()))
                }
                (None, _) => (ErrorKind::Ambiguous, format!("{} GGUF models", groups.len())),
            };
            return Err(Error::new(kind, what)
                .at(place)
                .advise(format!("name one of: {}", names.join(", "))));
        }
    };
    let count = parts.values().next().and_then(|name| Shard::of(name)).map_or(1, |s| s.count);
    if let Some(missing) = (1..=count).find(|index| !parts.contains_key(index)) {
        let first = parts.values().next().copied().unwrap_or_default();
        let what = format!("part {missing} of {count} of `{first}` is not there");
        return Err(Error::new(ErrorKind::NotFound, what).at(place));
    }
    let files = parts.values().map(|name| {
        let base = name.rsplit('/').next().unwrap_or(name);
        selected(name, base, media::WEIGHT)
    });
    Ok(Selection { kind: Kind::Gguf, files: files.collect::<Result<_>>()? })
}

/// Whether `text` has `word` between separators, in any case.
fn has_word(text: &str, word: &str) -> bool {
    let (text, word) = (text.to_lowercase(), word.to_lowercase());
    let edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    !word.is_empty()
        && text.match_indices(&word).any(|(at, _)| {
            let (before, behind) = (text.get(..at), text.get(at + word.len()..));
            edge(before.and_then(|s| s.chars().next_back()))
                && edge(behind.and_then(|s| s.chars().next()))
        })
}

fn directory(names: &[&str], wanted: Option<&str>, place: &str) -> Result<Selection> {
    let parent = |name: &str| name.rsplit_once('/').map_or("", |(dir, _)| dir).to_owned();
    let mut roots: Vec<String> = names
        .iter()
        .filter(|name| name.rsplit('/').next() == Some("config.json"))
        .map(|name| parent(name))
        .filter(|dir| names.iter().any(|n| n.ends_with(".safetensors") && parent(n) == *dir))
        .collect();
    roots.sort_by_key(|dir| (dir.split('/').count(), dir.len()));
    let not_found = |what: &str| {
        Error::new(ErrorKind::NotFound, what.to_owned())
            .at(place)
            .advise("a model is a `.gguf` file, or `*.safetensors` beside `config.json`")
    };
    if let Some(wanted) = wanted {
        let what = format!("no GGUF file fits `{}`", wanted.escape_debug());
        return Err(not_found(&what));
    }
    let root = roots.first().ok_or_else(|| not_found("no model is in there"))?;
    let inside = |name: &&str| {
        let path = if root.is_empty() {
            name
        } else {
            name.strip_prefix(root.as_str())?.strip_prefix('/')?
        };
        Some((name.to_string(), path.to_owned()))
    };
    let mut files = Vec::new();
    for (listed, path) in names.iter().filter_map(inside) {
        let top = !path.contains('/');
        let upper = path.to_uppercase();
        let media_type = if top && path.ends_with(".safetensors") {
            media::WEIGHT
        } else if (top && path.ends_with(".safetensors.index.json")) || COMPANIONS.contains(&&*path)
        {
            media::WEIGHT_CONFIG
        } else if top
            && ["README", "LICENSE", "LICENCE", "NOTICE"].iter().any(|w| upper.starts_with(w))
        {
            media::DOC
        } else {
            continue;
        };
        files.push(selected(&listed, &path, media_type)?);
    }
    let rank = |media_type| match media_type {
        media::WEIGHT => 0,
        media::WEIGHT_CONFIG => 1,
        _ => 2,
    };
    files.sort_by(|a, b| (rank(a.media_type), &a.path).cmp(&(rank(b.media_type), &b.path)));
    files.dedup_by(|a, b| a.path == b.path);
    Ok(Selection { kind: Kind::HfDirectory, files })
}

fn selected(listed: &str, path: &str, media_type: &'static str) -> Result<Selected> {
    Ok(Selected { listed: listed.to_owned(), path: path.parse()?, media_type })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(selection: &Selection) -> Vec<&str> {
        selection.files.iter().map(|file| file.path.as_str()).collect()
    }

    #[test]
    fn choices() {
        let repository = [
            "README.md",
            "m.Q2_K.gguf",
            "m.Q4_K_M.gguf",
            "m.IQ4_K_M.gguf",
            "mmproj-m.gguf",
            "big/m.Q8_0-00001-of-00002.gguf",
            "big/m.Q8_0-00002-of-00002.gguf",
        ];
        for (listed, wanted, expected) in [
            (&repository[..], None, Ok(vec!["m.Q4_K_M.gguf"])),
            (&repository, Some("q2_k"), Ok(vec!["m.Q2_K.gguf"])),
            (&repository, Some("m.Q2_K.gguf"), Ok(vec!["m.Q2_K.gguf"])),
            (
                &repository,
                Some("Q8_0"),
                Ok(vec!["m.Q8_0-00001-of-00002.gguf", "m.Q8_0-00002-of-00002.gguf"]),
            ),
            (&repository, Some("Q6_K"), Err(ErrorKind::NotFound)),
            (&repository, Some(""), Err(ErrorKind::NotFound)),
            (&["p/a.gguf", "p/__init__.py"], None, Ok(vec!["a.gguf"])),
            (&["a.gguf", "b.gguf"], None, Err(ErrorKind::Ambiguous)),
            (&["a-00002-of-00002.gguf"], None, Err(ErrorKind::NotFound)),
            (&["a.py"], None, Err(ErrorKind::NotFound)),
            (&["model.safetensors"], None, Err(ErrorKind::NotFound)),
            (&["../\u{1b}.gguf"], None, Err(ErrorKind::Syntax)),
            (&[], None, Err(ErrorKind::NotFound)),
        ] {
            let found = select(listed, wanted, "x");
            let found = found.as_ref().map(names).map_err(Error::kind);
            assert_eq!(found, expected, "{listed:?} {wanted:?}");
        }
    }

    #[test]
    fn a_directory_takes_what_it_needs() {
        let listed = [
            "pkg/m/config.json",
            "pkg/m/model-00002-of-00002.safetensors",
            "pkg/m/run.py",
            "pkg/m/model-00001-of-00002.safetensors",
            "pkg/m/model.safetensors.index.json",
            "pkg/m/tokenizer.json",
            "pkg/m/pytorch_model.bin",
            "pkg/m/LICENSE",
            "pkg/x.json",
            "pkg/m/1_Pooling/config.json",
            "pkg/m/onnx/model.safetensors",
            "pkg/m/onnx/config.json",
        ];
        let selection = select(&listed, None, "x").unwrap();
        assert_eq!(selection.kind, Kind::HfDirectory);
        assert_eq!(
            names(&selection),
            [
                "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors",
                "1_Pooling/config.json",
                "config.json",
                "model.safetensors.index.json",
                "tokenizer.json",
                "LICENSE",
            ]
        );
        assert_eq!(selection.files[3].listed, "pkg/m/config.json");
    }
}
