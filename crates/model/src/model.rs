//! One loaded model.

use std::path::Path;
use std::sync::Arc;

use rushlight_text::{Builtin, ChatTemplate, Tokenizer};

use crate::checkpoint::{Checkpoint, read_directory, read_gguf};
use crate::{Arch, Dims, Error, ErrorKind, PanelSource, Weights, WeightsFrom, panels, shares};

/// A model: what it is, how big it is, its weights (mapped from the files), its tokenizer.
pub struct Model {
    arch: &'static Arch,
    dims: Dims,
    weights: Weights,
    tokenizer: Option<Arc<Tokenizer>>,
    template: Option<String>,
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
        let Checkpoint { arch, dims, weights, tokenizer, template, name, license, bytes } =
            if path.is_dir() { read_directory(path)? } else { read_gguf(path)? };
        let file_bytes = bytes;
        let tokenizer = tokenizer.map(Arc::new);
        Ok(Self { arch, dims, weights, tokenizer, template, name, license, file_bytes })
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

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("arch", &self.arch.name).field("dims", &self.dims).finish()
    }
}
