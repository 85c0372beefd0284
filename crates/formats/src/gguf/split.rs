//! A model in several GGUF files: `NAME-00001-of-00003.gguf` and the keys `split.*`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::Gguf;
use crate::error::{Error, ErrorKind, quoted};

/// The most files of one model that are accepted.
const MAX_SHARDS: usize = 4096;

/// Which part of a model a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// Which of the files this is, from 0.
    pub index: usize,
    /// How many files the model has, at least 2.
    pub count: usize,
    /// How many tensors all files have together, when the file says so.
    pub tensors: Option<usize>,
}

impl Split {
    /// Reads the keys `split.*`; `None` in a file that is a model of its own.
    pub(super) fn read(gguf: &Gguf<'_>) -> Result<Option<Split>, Error> {
        let number = |key| Ok(gguf.u32(key)?.map(|number| number as usize));
        let Some(count) = number("split.count")?.filter(|&count| count > 1) else {
            return Ok(None);
        };
        if count > MAX_SHARDS {
            return Err(Error::new(
                ErrorKind::Limit,
                "key `split.count`",
                format!("`{count}`"),
                format!("at most `{MAX_SHARDS}`"),
            ));
        }
        let index = number("split.no")?;
        let Some(index) = index.filter(|&index| index < count) else {
            return Err(Error::new(
                ErrorKind::Value,
                "key `split.no`",
                index.map_or("nothing".to_owned(), |index| format!("`{index}`")),
                format!("a number below the `{count}` of `split.count`"),
            ));
        };
        Ok(Some(Split { index, count, tensors: number("split.tensors.count")? }))
    }
}

/// The paths of all files of the model that `path` belongs to, in order; `path` alone when its
/// name is not that of a shard. Any shard's path will do. Nothing is read.
///
/// # Errors
/// The name has a number of zero, beyond the count, or a count beyond what is accepted.
pub fn split_paths(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some((prefix, number, count)) = shard_name(name) else {
        return Ok(vec![path.to_owned()]);
    };
    let refused = |kind, found: String, expected: String| {
        Err(Error::new(kind, format!("file name {}", quoted(name)), found, expected))
    };
    if count > MAX_SHARDS {
        return refused(
            ErrorKind::Limit,
            format!("`{count}` files"),
            format!("at most `{MAX_SHARDS}`"),
        );
    }
    if !(1..=count).contains(&number) {
        return refused(
            ErrorKind::Name,
            format!("the number `{number}`"),
            format!("a number from `1` to the count `{count}`"),
        );
    }
    let shard = |number| path.with_file_name(format!("{prefix}-{number:05}-of-{count:05}.gguf"));
    Ok((1..=count).map(shard).collect())
}

/// Proves that these files, in this order, are one whole model: each says that it is the one
/// expected at its place, no tensor is in two, and none is missing as far as the files tell.
///
/// # Errors
/// A file is missing, in another's place, or of another model.
pub fn check_shards(shards: &[Gguf<'_>]) -> Result<(), Error> {
    let mut names = HashSet::new();
    for (index, shard) in shards.iter().enumerate() {
        let place = format!("file `{}` of `{}`", index + 1, shards.len());
        let expected = (index, shards.len());
        let found = shard.split().map_or((0, 1), |split| (split.index, split.count));
        if found != expected {
            return Err(Error::new(
                ErrorKind::Missing,
                place,
                format!("part `{}` of `{}`", found.0 + 1, found.1),
                format!("part `{}` of `{}`", expected.0 + 1, expected.1),
            ));
        }
        for tensor in shard.tensors() {
            if !names.insert(tensor.name) {
                return Err(Error::new(
                    ErrorKind::Duplicate,
                    place,
                    format!("tensor {} again", quoted(tensor.name)),
                    "each tensor in one file",
                ));
            }
        }
    }
    let announced = shards.iter().filter_map(|shard| shard.split()?.tensors);
    for tensors in announced {
        if tensors != names.len() {
            return Err(Error::new(
                ErrorKind::Missing,
                "key `split.tensors.count`",
                format!("`{tensors}`"),
                format!("the `{}` tensors that the files have together", names.len()),
            )
            .with_hint("the files are of different models or versions; fetch them again"));
        }
    }
    Ok(())
}

/// `NAME-00002-of-00003.gguf` as `NAME`, 2, 3.
fn shard_name(name: &str) -> Option<(&str, usize, usize)> {
    let (rest, count) = name.strip_suffix(".gguf")?.rsplit_once("-of-")?;
    let (prefix, number) = rest.rsplit_once('-')?;
    let five_digits = |text: &str| {
        let whole = text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
        whole.then(|| text.parse::<usize>().ok()).flatten()
    };
    Some((prefix, five_digits(number)?, five_digits(count)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_shard_names_all() {
        let all = ["a/m-00001-of-00003.gguf", "a/m-00002-of-00003.gguf", "a/m-00003-of-00003.gguf"];
        for path in all {
            let paths = split_paths(Path::new(path)).unwrap();
            assert_eq!(paths, all.map(PathBuf::from), "{path}");
        }
        for alone in ["m.gguf", "m-1-of-3.gguf", "m-00001-of-00003.bin", "m-0000١-of-00003.gguf"] {
            assert_eq!(split_paths(Path::new(alone)).unwrap(), [PathBuf::from(alone)]);
        }
        for (name, kind) in [
            ("m-00004-of-00003.gguf", ErrorKind::Name),
            ("m-00000-of-00003.gguf", ErrorKind::Name),
            ("m-00001-of-00000.gguf", ErrorKind::Name),
            ("m-00001-of-99999.gguf", ErrorKind::Limit),
        ] {
            assert_eq!(split_paths(Path::new(name)).unwrap_err().kind(), kind, "{name}");
        }
    }
}
