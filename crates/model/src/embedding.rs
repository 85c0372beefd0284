//! What a model's files say about its use as an embedder or a reranker.
//!
//! A GGUF file has `{arch}.pooling_type` (llama.cpp's `enum llama_pooling_type`) and, for decoders
//! that rank, `tokenizer.chat_template.rerank` and `{arch}.classifier.output_labels`; a directory
//! has the modules of sentence-transformers (`modules.json`, `1_Pooling/config.json`).

use std::path::{Component, Path};

use rushlight_formats::{Gguf, HfConfig};

use crate::checkpoint::read_small as read;
use crate::{Arch, Dims, Error, ErrorKind, Weights};

/// Which of a text's hidden states become its vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pooling {
    /// The mean of all.
    Mean,
    /// The first token's.
    Cls,
    /// The last token's.
    Last,
}

impl Pooling {
    /// The name in machine-readable output.
    pub fn name(self) -> &'static str {
        match self {
            Pooling::Mean => "mean",
            Pooling::Cls => "cls",
            Pooling::Last => "last",
        }
    }
}

/// What a file says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Embedding {
    /// How vectors are made; `None` where the file leaves that open.
    pub(crate) pooling: Option<Pooling>,
    /// Whether it gives scores rather than vectors; `None` where its tensors say so.
    pub(crate) ranks: Option<bool>,
    /// What the rows of its classifier stand for.
    labels: Vec<String>,
    /// The prompt of a decoder that ranks, with `{query}` and `{document}`.
    pub(crate) template: Option<String>,
}

impl Embedding {
    pub(crate) fn from_gguf(arch: &Arch, gguf: &Gguf<'_>) -> Result<Self, Error> {
        let key = format!("{}.pooling_type", arch.name);
        let (pooling, ranks) = match gguf.u32(&key)? {
            // None: of every token a vector, which is for the reader to pool.
            None | Some(0) => (None, None),
            Some(1) => (Some(Pooling::Mean), Some(false)),
            Some(2) => (Some(Pooling::Cls), Some(false)),
            Some(3) => (Some(Pooling::Last), Some(false)),
            Some(4) => (None, Some(true)),
            Some(other) => {
                return Err(Error::dims(format!("`{key}` is `{other}`, expected `0` to `4`")));
            }
        };
        let labels = gguf.strings(&format!("{}.classifier.output_labels", arch.name))?;
        let labels = labels.into_iter().flatten().map(str::to_owned).collect();
        let template = gguf.str("tokenizer.chat_template.rerank")?.map(str::to_owned);
        Ok(Self { pooling, ranks, labels, template })
    }

    /// Reads the modules of sentence-transformers, where a directory has them.
    pub(crate) fn from_directory(dir: &Path, dims: &Dims) -> Result<Self, Error> {
        let path = dir.join("modules.json");
        let Some(bytes) = read(&path)? else { return Ok(Self::default()) };
        let mut out = Self::default();
        for module in HfConfig::parse_list(&bytes).map_err(|e| Error::from(e).at(&path))? {
            let at = |e| Error::from(e).at(&path);
            let kind = module.need_str("type").map_err(at)?;
            match kind.rsplit('.').next().unwrap_or(kind) {
                // Every API here gives normalised vectors, whether the model does so itself or not.
                "Transformer" | "Normalize" => {}
                "Pooling" => {
                    let inner = Path::new(module.need_str("path").map_err(at)?);
                    if !inner.components().all(|part| matches!(part, Component::Normal(_))) {
                        return Err(Error::new(
                            ErrorKind::Format,
                            format!("path `{}`, expected one inside the model", inner.display()),
                        )
                        .at(&path));
                    }
                    let path = dir.join(inner).join("config.json");
                    out.pooling = Some(pooling(&path, dims).map_err(|e| e.at(&path))?);
                }
                _ => {
                    return Err(Error::new(
                        ErrorKind::Architecture,
                        format!(
                            "module `{kind}`, expected `Transformer`, `Pooling` or `Normalize`"
                        ),
                    )
                    .at(&path));
                }
            }
        }
        Ok(out)
    }

    /// Checks it against the tensors, and settles whether the model ranks.
    pub(crate) fn settle(mut self, arch: &Arch, weights: &mut Weights) -> Result<Self, Error> {
        if self.ranks == Some(false) {
            weights.classifier = None;
        }
        self.ranks = Some(match &weights.classifier {
            None if self.ranks == Some(true) => {
                return Err(Error::tensor(format!(
                    "`{}.pooling_type` is `4`, so the model ranks, but tensor `cls.output.weight` \
                     is missing",
                    arch.name
                )));
            }
            None => false,
            Some(classifier) => {
                let rows = classifier.output.weight.rows();
                let is_yes_no = self.labels == ["yes", "no"];
                if rows != 1 && !(rows == 2 && is_yes_no) {
                    return Err(Error::tensor(format!(
                        "a classifier of `{rows}` labels, expected one, or `yes` and `no`"
                    ))
                    .with_hint("a reranker gives one score to a query and a document"));
                }
                if arch.bidirectional && classifier.dense.is_none() {
                    return Err(Error::tensor("a classifier without a pooler (`cls.weight`)"));
                }
                true
            }
        });
        Ok(self)
    }
}

/// The file of a `Pooling` module.
fn pooling(path: &Path, dims: &Dims) -> Result<Pooling, Error> {
    let bytes = read(path)?.ok_or_else(|| Error::new(ErrorKind::Read, "there is no such file"))?;
    let config = HfConfig::parse(&bytes)?;
    if let Some(width) = config.u64("word_embedding_dimension")?
        && width != dims.d as u64
    {
        return Err(Error::dims(format!(
            "`word_embedding_dimension` is `{width}`, expected the width of the model, `{}`",
            dims.d
        )));
    }
    let mut modes: Vec<&str> = config.str("pooling_mode")?.into_iter().collect();
    for key in config.keys() {
        if let Some(mode) = key.strip_prefix("pooling_mode_")
            && config.bool(key)? == Some(true)
        {
            modes.push(mode);
        }
    }
    match *modes.as_slice() {
        ["mean" | "mean_tokens"] => Ok(Pooling::Mean),
        ["cls" | "cls_token"] => Ok(Pooling::Cls),
        ["lasttoken"] => Ok(Pooling::Last),
        _ => Err(Error::new(
            ErrorKind::Architecture,
            format!(
                "pooling by `{}`, expected `mean`, `cls` or `lasttoken`",
                modes.join("` and `")
            ),
        )),
    }
}
