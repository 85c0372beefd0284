//! A line of the key file: a digest, and what its key may do.
//!
//! ```text
//! sha256:2bb8… name=camera scopes=generate,read rpm=60 tpm=100000 expires=2027-01-01  # of the hall
//! ```
//!
//! A line whose words all lack `=` says no more than its digest: that is how notes were written before
//! there were settings. In a line with settings, notes stand after `#`. What looks like a setting and is
//! none is an error, since to leave it would allow more than somebody meant.

use std::num::NonZeroU32;

use super::scope::Scope;
use crate::fields::cut;
use crate::time::seconds_of_date;

/// The settings there are.
const NAMES: [&str; 6] = ["name", "scopes", "rpm", "tpm", "expires", "priority"];

/// A key's name is no longer.
const LONGEST_NAME: usize = 64;

/// What a key may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// What logs call it.
    pub(crate) name: Option<String>,
    /// What it is for; `None` is everything.
    pub(crate) scopes: Option<Vec<Scope>>,
    /// Requests in a minute.
    pub(crate) requests: Option<NonZeroU32>,
    /// Tokens in a minute.
    pub(crate) tokens: Option<NonZeroU32>,
    /// When it opens nothing any more, in seconds since 1970.
    pub(crate) expires: Option<u64>,
    /// The priority of its requests, at most.
    pub(crate) priority: Option<i32>,
}

/// Parses a line; `None` where there is nothing on it.
///
/// # Errors
/// What is wrong with it, without anything that may be secret.
pub(super) fn parse(line: &str) -> Result<Option<([u8; 32], Settings)>, String> {
    let line = line.split('#').next().unwrap_or_default();
    let mut words = line.split_whitespace();
    let Some(first) = words.next() else { return Ok(None) };
    let digits = first.strip_prefix("sha256:").unwrap_or(first);
    let digest = digest(digits).ok_or("no SHA-256 digest")?;
    let words: Vec<&str> = words.collect();
    let mut settings = Settings::default();
    if words.iter().any(|word| word.contains('=')) {
        let mut seen = Vec::new();
        for word in words {
            let (name, value) = word.split_once('=').ok_or_else(|| {
                format!("`{}` is no setting; what is for people comes after `#`", cut(word))
            })?;
            if seen.contains(&name) {
                return Err(format!("`{}` is there twice", cut(name)));
            }
            seen.push(name);
            settings.set(name, value)?;
        }
    } else if let Some(name) = words.iter().find_map(|word| {
        let (name, _) = word.split_once(':')?;
        NAMES.contains(&name).then_some(name)
    }) {
        return Err(format!("`{name}:` is no setting, expected `{name}=…`"));
    }
    Ok(Some((digest, settings)))
}

impl Settings {
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "name" => self.name = Some(name_of(value)?),
            "scopes" => {
                let scopes: Result<_, _> = value.split(',').map(scope).collect();
                self.scopes = Some(scopes?);
            }
            "rpm" => self.requests = Some(number(name, value, "a number from 1 on")?),
            "tpm" => self.tokens = Some(number(name, value, "a number from 1 on")?),
            "priority" => self.priority = Some(number(name, value, "a whole number")?),
            "expires" => {
                let expected = "expected a day such as `2027-01-01`";
                let seconds = seconds_of_date(value);
                self.expires =
                    Some(seconds.ok_or_else(|| {
                        format!("`expires` cannot be `{}`, {expected}", cut(value))
                    })?);
            }
            _ => {
                let expected = NAMES.map(|name| format!("`{name}`")).join(", ");
                return Err(format!("`{}` is no setting, expected {expected}", cut(name)));
            }
        }
        Ok(())
    }
}

fn number<T: std::str::FromStr>(name: &str, value: &str, expected: &str) -> Result<T, String> {
    let wrong = |_| format!("`{name}` cannot be `{}`, expected {expected}", cut(value));
    value.parse().map_err(wrong)
}

fn name_of(value: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if value.is_empty() || value.len() > LONGEST_NAME || !value.chars().all(plain) {
        return Err(format!(
            "`name` cannot be `{}`, expected 1 to {LONGEST_NAME} letters, digits, `.`, `_` or `-`",
            cut(value)
        ));
    }
    Ok(value.to_owned())
}

fn scope(word: &str) -> Result<Scope, String> {
    Scope::ALL.into_iter().find(|scope| scope.name() == word).ok_or_else(|| {
        let expected = Scope::ALL.map(|scope| format!("`{}`", scope.name())).join(", ");
        format!("there is no scope `{}`, expected {expected}", cut(word))
    })
}

fn digest(digits: &str) -> Option<[u8; 32]> {
    let digits = digits.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |d: u8| char::from(d).to_digit(16);
        *byte = (digit(*pair.first()?)? * 16 + digit(*pair.last()?)?) as u8;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings() {
        let digest = "00".repeat(32);
        let full =
            "name=hall-1 scopes=generate,read rpm=60 tpm=1000 expires=2027-01-01 priority=-2";
        let (_, found) = parse(&format!("{digest} {full} # of the hall = ours")).unwrap().unwrap();
        let want = Settings {
            name: Some("hall-1".to_owned()),
            scopes: Some(vec![Scope::Generate, Scope::Read]),
            requests: NonZeroU32::new(60),
            tokens: NonZeroU32::new(1000),
            // By `date -u -d 2027-01-01 +%s`.
            expires: Some(1_798_761_600),
            priority: Some(-2),
        };
        assert_eq!(found, want);
        for plain in ["", " of the camera", " # scopes=none", " a:b name of it"] {
            let (_, found) = parse(&format!("{digest}{plain}")).unwrap().unwrap();
            assert_eq!(found, Settings::default(), "{plain}");
        }
    }

    #[test]
    fn what_looks_like_a_setting_and_is_none_is_an_error() {
        let cases = [
            ("scope=read", "`scope` is no setting"),
            ("scopes=", "no scope ``"),
            ("scopes=read,", "no scope ``"),
            ("scopes=read, embed", "no scope ``"),
            ("scopes=Read", "no scope `Read`"),
            ("scopes = read", "`scopes` is no setting"),
            ("scopes: read", "expected `scopes=…`"),
            ("scopes:read", "expected `scopes=…`"),
            ("rpm=1 of the hall", "comes after `#`"),
            ("rpm=0", "from 1 on"),
            ("rpm=-1", "from 1 on"),
            ("tpm=1e6", "from 1 on"),
            ("tpm=99999999999", "from 1 on"),
            ("rpm=1 rpm=2", "twice"),
            ("expires=2027-02-29", "expected a day"),
            ("expires=2027", "expected a day"),
            ("priority=high", "a whole number"),
            ("name=", "expected 1 to 64"),
            ("name=a/b", "expected 1 to 64"),
            ("=read", "`` is no setting"),
        ];
        let digest = "00".repeat(32);
        let mut failures = Vec::new();
        for (words, want) in cases {
            match parse(&format!("{digest} {words}")) {
                Err(found) if found.contains(want) => {}
                found => failures.push(format!("{words}: {found:?}, expected {want}")),
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }
}
