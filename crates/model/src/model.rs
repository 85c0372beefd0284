//! One loaded model.

use std::path::Path;
use std::sync::Arc;

use rushlight_text::{Builtin, ChatTemplate, EncodeOptions, EncodedPair, Tokenizer};

use crate::checkpoint::{Checkpoint, read_directory, read_gguf};
use crate::embedding::Embedding;
use crate::{
    Arch, Dims, Error, ErrorKind, PanelSource, Pooling, Weights, WeightsFrom, panels, shares,
};

/// A model: what it is, how big it is, its weights (mapped from the files), its tokenizer.
pub struct Model {
    arch: &'static Arch,
    dims: Dims,
    weights: Weights,
    tokenizer: Option<Arc<Tokenizer>>,
    template: Option<String>,
    embedding: Embedding,
    name: Option<String>,
    license: Option<String>,
    file_bytes: u64,
}

impl Model {
    /// Opens a GGUF file (any shard of a split one) or a Hugging Face directory.
    ///
    /// # Errors
    /// If a file cannot be read, breaks its format, or describes a model that cannot run here.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let Checkpoint {
            arch,
            dims,
            weights,
            tokenizer,
            template,
            embedding,
            name,
            license,
            bytes,
        } = if path.is_dir() { read_directory(path)? } else { read_gguf(path)? };
        let file_bytes = bytes;
        let tokenizer = tokenizer.map(Arc::new);
        Ok(Self { arch, dims, weights, tokenizer, template, embedding, name, license, file_bytes })
    }

    /// Its architecture's row.
    pub fn arch(&self) -> &'static Arch {
        self.arch
    }

    /// Its dimensions.
    pub fn dims(&self) -> &Dims {
        &self.dims
    }

    /// Its weights.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The tensors that can be multiplied as panels.
    pub fn panel_sources(&self) -> &[PanelSource] {
        &self.weights.panel_sources
    }

    /// Makes panels of the tensors that `takes` names in memory of their own, on all processors.
    pub fn pack_panels(&self, takes: impl Fn(&PanelSource) -> bool) {
        let sources: Vec<_> = self.panel_sources().iter().filter(|s| takes(s)).collect();
        panels::pack_in_memory(&sources, shares::all_processors());
    }

    /// What its products read: panels, where one tensor has them.
    pub fn weights_from(&self) -> WeightsFrom {
        let mut all = self.panel_sources().iter().map(PanelSource::from);
        all.find(|from| *from != WeightsFrom::File).unwrap_or(WeightsFrom::File)
    }

    /// Its tokenizer.
    ///
    /// # Errors
    /// If the checkpoint has none.
    pub fn tokenizer(&self) -> Result<&Arc<Tokenizer>, Error> {
        self.tokenizer.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Tokenizer, "the model has no tokenizer").with_hint(
                "a Hugging Face directory needs `tokenizer.json`, a GGUF file `tokenizer.ggml.*`",
            )
        })
    }

    /// Its chat template; a built-in one that fits the vocabulary when the file has none.
    ///
    /// # Errors
    /// If the file's template cannot be compiled, or there is no tokenizer.
    pub fn chat_template(&self) -> Result<ChatTemplate, Error> {
        match &self.template {
            Some(source) => ChatTemplate::new(source).map_err(|e| {
                Error::new(ErrorKind::Tokenizer, "the chat template is broken")
                    .because(e)
                    .with_hint("`--raw` sends the prompt as it is")
            }),
            None => Ok(ChatTemplate::builtin(Builtin::of(self.tokenizer()?))),
        }
    }

    /// Whether the file brings a chat template, as models that follow instructions do.
    pub fn has_chat_template(&self) -> bool {
        self.template.is_some()
    }

    /// How a text's hidden states become its vector: as the file says, else by the mean where every
    /// token sees the whole text and by the last one where it sees what stands before it.
    pub fn pooling(&self) -> Pooling {
        match (self.ranks(), self.arch.bidirectional) {
            (true, true) => Pooling::Cls,
            (true, false) => Pooling::Last,
            (false, true) => self.embedding.pooling.unwrap_or(Pooling::Mean),
            (false, false) => self.embedding.pooling.unwrap_or(Pooling::Last),
        }
    }

    /// Whether it is made to turn texts into vectors: the file says how, or it cannot write.
    pub fn embeds(&self) -> bool {
        !self.ranks() && (self.arch.bidirectional || self.embedding.pooling.is_some())
    }

    /// Whether it scores pairs of texts: a cross-encoder.
    pub fn ranks(&self) -> bool {
        self.embedding.ranks == Some(true)
    }

    /// Whether it writes text.
    pub fn writes(&self) -> bool {
        !self.embeds() && !self.ranks()
    }

    /// A query and a document as one text, as a model that ranks reads them: by the prompt that the
    /// file brings, else as the tokenizer puts two texts together.
    ///
    /// # Errors
    /// If there is no tokenizer, or it does not get through a text.
    pub fn encode_pair(&self, query: &str, document: &str) -> Result<EncodedPair, Error> {
        let tokenizer = self.tokenizer()?;
        let pair = match &self.embedding.template {
            None => {
                let options = EncodeOptions { special: true, parse_special: false };
                tokenizer.encode_pair(query, document, options)
            }
            Some(template) => {
                let (query, document) = (tokenizer.shield(query), tokenizer.shield(document));
                let prompt = filled(template, &query, &document);
                let options = EncodeOptions { special: false, parse_special: true };
                tokenizer.encode(&prompt, options).map(|ids| {
                    let segments = vec![0; ids.len()];
                    EncodedPair { ids, segments }
                })
            }
        };
        pair.map_err(|e| {
            Error::new(ErrorKind::Tokenizer, "the texts cannot be turned into tokens").because(e)
        })
    }

    /// The name that the file gives.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The licence that the file names.
    pub fn license(&self) -> Option<&str> {
        self.license.as_deref()
    }

    /// Bytes of its weight files.
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }
}

/// A prompt with its places filled in one go, so that a query cannot name the document.
fn filled(template: &str, query: &str, document: &str) -> String {
    let mut parts = template.split("{query}").map(|part| part.replace("{document}", document));
    let mut out = parts.next().unwrap_or_default();
    for part in parts {
        out += query;
        out += &part;
    }
    out
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("arch", &self.arch.name).field("dims", &self.dims).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::filled;

    #[test]
    fn what_is_filled_in_is_not_filled_again() {
        let template = "<{document}> for <{query}> or {query}, {other}";
        let found = filled(template, "{document}", "d{query}");
        assert_eq!(found, "<d{query}> for <{document}> or {document}, {other}");
        assert_eq!(filled("none", "a", "b"), "none");
    }
}
