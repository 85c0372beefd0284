//! Models by digest in an OCI image layout on disk.
//!
//! A model is a manifest (CNCF ModelPack media types) that names its files by SHA-256; `index.json`
//! gives manifests human names such as `smollm2:135m-instruct-q4_1`. Models come from files and
//! directories ([`Store::import`]), and from `https:`, `hf:` and `pypi:` sources
//! ([`Store::pull`]); [`Store::resolve`] turns what a user typed into files to map. What looks whole
//! is whole, whatever was killed whenever.
//!
//! ```
//! use rushlight_store::{ErrorKind, Name, Source, Store};
//!
//! let dir = std::env::temp_dir().join("rushlight-doc-example-of-a-store");
//! let store = Store::open(&dir)?;
//! assert_eq!(store.list()?, []);
//! assert_eq!(store.show("smollm2:135m").unwrap_err().kind(), ErrorKind::NotFound);
//!
//! let name = Name::from_file_name("SmolLM2-135M-Instruct.Q4_1.gguf");
//! assert_eq!(name.to_string(), "smollm2:135m-instruct-q4_1");
//! assert!(Source::parse("hf:../etc").is_err());
//! # Ok::<(), rushlight_store::Error>(())
//! ```

#![forbid(unsafe_code)]

mod add;
mod digest;
mod error;
mod file_path;
mod import;
mod layout;
mod name;
pub mod oci;
mod prepared;
mod progress;
mod prune;
mod pull;
mod resolve;
mod select;
mod settings;
mod shard;
mod source;
mod stage;
mod store;
mod verify;

pub use add::{Added, AddedFile};
pub use digest::Digest;
pub use error::{Error, ErrorKind};
pub use file_path::FilePath;
pub use name::Name;
pub use oci::{Descriptor, Manifest, ModelConfig};
pub use progress::{Event, Phase, Progress};
pub use prune::Pruned;
pub use resolve::Resolved;
pub use select::Kind;
pub use settings::Settings;
pub use source::Source;
pub use stage::Means;
pub use store::{Entry, Model, ModelFile, Removed, Store};
pub use verify::{Fault, Verified};
