//! The path of a file inside a model: relative, plain, and never out of it.

use std::fmt;
use std::str::FromStr;

use crate::{Error, ErrorKind};

/// A relative path of at most four plain components, such as `model.safetensors` or
/// `1_Pooling/config.json`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePath(String);

impl FilePath {
    /// The path as it is written, with `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl FromStr for FilePath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let fail = |expected: &str| {
            let shown: String = text.chars().take(120).collect();
            Err(Error::new(
                ErrorKind::Syntax,
                format!(
                    "`{}` is no path inside a model: expected {expected}",
                    shown.escape_debug()
                ),
            ))
        };
        if text.split('/').count() > 4 {
            return fail("at most four components");
        }
        for part in text.split('/') {
            if part.is_empty() || part == "." || part == ".." {
                return fail("plain names joined by single `/`");
            }
            if part.len() > 255 || part.contains(['\\', ':']) || part.contains(char::is_control) {
                return fail("names of at most 255 bytes without control characters, `\\` and `:`");
            }
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out() {
        for good in ["a", "model.safetensors", "1_Pooling/config.json", "..a", "a b", "é"] {
            good.parse::<FilePath>().unwrap();
        }
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../x",
            "a/../../x",
            "a/",
            "a//b",
            "./a",
            ".",
            "a\\b",
            "C:x",
            "a\0b",
            "a\nb",
            "a/b/c/d/e",
            "\u{1b}[31m",
        ] {
            assert!(bad.parse::<FilePath>().is_err(), "{bad:?}");
        }
        assert!("x".repeat(256).parse::<FilePath>().is_err());
    }
}
