//! The names of the parts of a split GGUF: `model-00001-of-00003.gguf`.

/// The most parts of one model, as `formats` has it.
const MAX_PARTS: u32 = 4096;

/// What such a name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard<'a> {
    /// The common part before the number.
    pub(crate) stem: &'a str,
    /// From 1.
    pub(crate) index: u32,
    pub(crate) count: u32,
}

impl<'a> Shard<'a> {
    /// Reads a file name; `None` if it is not that of a part.
    pub(crate) fn of(name: &'a str) -> Option<Self> {
        let base = name.strip_suffix(".gguf")?;
        let (rest, count) = base.rsplit_once("-of-")?;
        let (stem, index) = rest.rsplit_once('-')?;
        let number = |digits: &str| {
            let five = digits.len() == 5 && digits.bytes().all(|b| b.is_ascii_digit());
            five.then(|| digits.parse::<u32>().ok()).flatten()
        };
        let (index, count) = (number(index)?, number(count)?);
        if count > MAX_PARTS {
            return None;
        }
        (1..=count).contains(&index).then_some(Self { stem, index, count })
    }

    /// The name of part `index` of the same model.
    pub(crate) fn sibling(&self, index: u32) -> String {
        format!("{}-{index:05}-of-{:05}.gguf", self.stem, self.count)
    }

    /// `text`, which begins with the stem, cut to it.
    pub(crate) fn stem_len<'t>(&self, text: &'t str) -> &'t str {
        text.get(..self.stem.len()).unwrap_or(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let shard = Shard::of("a-b-00002-of-00003.gguf").unwrap();
        assert_eq!((shard.stem, shard.index, shard.count), ("a-b", 2, 3));
        assert_eq!(shard.sibling(1), "a-b-00001-of-00003.gguf");
        for no in [
            "a.gguf",
            "a-00004-of-00003.gguf",
            "a-00000-of-00003.gguf",
            "a-00001-of-99999.gguf",
            "a-1-of-3.gguf",
            "a-00001-of-00003",
            "-of-.gguf",
            "a-+0001-of-00003.gguf",
        ] {
            assert_eq!(Shard::of(no), None, "{no}");
        }
    }
}
