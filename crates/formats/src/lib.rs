//! Model files as checked views: GGUF, safetensors, config.
//!
//! The parsers take the bytes of a file, usually mapped, and prove what they hand out: every
//! count, length, offset and name is checked against the bytes that are there before anything
//! depends on it. A file that lies is an [`Error`] that names the place, what was found and what
//! was expected; never a panic, and never an allocation that the file's own size does not bound.
//!
//! ```
//! # fn main() -> Result<(), rushlight_formats::Error> {
//! let mut file = b"GGUF".to_vec();
//! file.extend(3u32.to_le_bytes()); // version
//! file.extend(0u64.to_le_bytes()); // tensors
//! file.extend(0u64.to_le_bytes()); // keys
//! let gguf = rushlight_formats::Gguf::parse(&file)?;
//! assert_eq!(gguf.version(), 3);
//! assert_eq!(gguf.u32("llama.block_count")?, None);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]

mod error;
mod getters;
pub mod gguf;
mod hf_config;
mod json;
mod safetensors;
mod tensor;
mod tensor_type;

pub use error::{Error, ErrorKind};
pub use gguf::Gguf;
pub use hf_config::HfConfig;
pub use safetensors::{Index, SafeTensors};
pub use tensor::{Shape, TensorInfo};
pub use tensor_type::TensorType;
