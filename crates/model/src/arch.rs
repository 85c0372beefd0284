//! The architectures: one row of data each.
//!
//! A row says only what neither the file's metadata nor the presence of a tensor says. Facts are
//! those of the reference implementations in transformers (`modeling_*.py`) and of llama.cpp
//! (`src/models/*.cpp`, `llama_model_rope_type`).

pub use rushlight_kernels::Pairing;

/// How a layer's input and output are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NormKind {
    /// Divided by the root of the mean square.
    Rms,
    /// Mean removed, divided by the standard deviation.
    Layer,
}

/// The non-linearity of the feed-forward part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activation {
    /// `x * sigmoid(x)`.
    Silu,
    /// The tanh approximation of the Gaussian error linear unit.
    GeluTanh,
    /// The exact Gaussian error linear unit.
    Gelu,
}

/// Which layers differ from the others, where the file does not say so itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pattern {
    /// None: a window, if there is one, holds for every layer.
    Uniform,
    /// The last of every `n` layers sees everything, the others a window.
    LastOfIsGlobal(usize),
    /// The last of every `n` layers has no rotary embedding.
    LastOfHasNoRope(usize),
}

/// One architecture.
#[derive(Debug)]
pub struct Arch {
    /// The name in GGUF (`general.architecture`).
    pub name: &'static str,
    /// The names in `config.json` (`model_type`).
    pub hf: &'static [&'static str],
    /// The norm of all parts.
    pub norm: NormKind,
    /// The pairing of a GGUF file; checkpoints of transformers always pair halves.
    pub pairing: Pairing,
    /// The feed-forward non-linearity.
    pub activation: Activation,
    /// Layers that differ.
    pub pattern: Pattern,
    /// Whether embeddings are multiplied by the square root of the width.
    pub scaled_embedding: bool,
    /// Whether a token sees later ones: an embedder, not a generator.
    pub bidirectional: bool,
}

const LLAMA: Arch = Arch {
    name: "llama",
    hf: &["llama", "mistral", "mixtral"],
    norm: NormKind::Rms,
    pairing: Pairing::Adjacent,
    activation: Activation::Silu,
    pattern: Pattern::Uniform,
    scaled_embedding: false,
    bidirectional: false,
};
const QWEN2: Arch = Arch { name: "qwen2", hf: &["qwen2"], pairing: Pairing::Halves, ..LLAMA };
const GPT2: Arch = Arch {
    name: "gpt2",
    hf: &["gpt2"],
    norm: NormKind::Layer,
    activation: Activation::GeluTanh,
    ..QWEN2
};
const GEMMA2: Arch = Arch {
    name: "gemma2",
    hf: &["gemma2"],
    activation: Activation::GeluTanh,
    pattern: Pattern::LastOfIsGlobal(2),
    scaled_embedding: true,
    ..QWEN2
};

/// Every architecture that runs.
pub static ARCHS: [Arch; 13] = [
    LLAMA,
    QWEN2,
    Arch { name: "qwen3", hf: &["qwen3"], ..QWEN2 },
    Arch { name: "qwen3moe", hf: &["qwen3_moe"], ..QWEN2 },
    GEMMA2,
    Arch {
        name: "gemma3",
        hf: &["gemma3_text", "gemma3"],
        pattern: Pattern::LastOfIsGlobal(6),
        ..GEMMA2
    },
    Arch { name: "phi3", hf: &["phi3"], ..QWEN2 },
    Arch { name: "smollm3", hf: &["smollm3"], pattern: Pattern::LastOfHasNoRope(4), ..LLAMA },
    Arch { name: "olmo2", hf: &["olmo2"], ..QWEN2 },
    Arch { name: "granite", hf: &["granite"], ..LLAMA },
    GPT2,
    Arch { name: "starcoder2", hf: &["starcoder2"], ..GPT2 },
    Arch { name: "bert", hf: &["bert"], activation: Activation::Gelu, bidirectional: true, ..GPT2 },
];

impl Arch {
    /// The row of a GGUF `general.architecture`.
    pub fn by_name(name: &str) -> Option<&'static Arch> {
        ARCHS.iter().find(|arch| arch.name == name)
    }

    /// The row of a `model_type` in `config.json`.
    pub fn by_model_type(name: &str) -> Option<&'static Arch> {
        ARCHS.iter().find(|arch| arch.hf.contains(&name))
    }
}
