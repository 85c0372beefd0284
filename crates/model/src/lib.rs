//! Architectures as data, the tensor schema, checked and mapped weights.
//!
//! A model is a row of data ([`Arch`]), the numbers of its file ([`Dims`]) and the tensors that
//! are there ([`Weights`]); one block in the engine runs them all.
//!
//! ```no_run
//! let model = rushlight_model::Model::open("SmolLM2-135M-Instruct.Q4_1.gguf".as_ref())?;
//! println!("{} layers of width {}", model.dims().layers.len(), model.dims().d);
//! # Ok::<(), rushlight_model::Error>(())
//! ```
#![forbid(unsafe_code)]

mod adapter;
mod arch;
mod checkpoint;
mod dims;
mod embedding;
mod error;
mod model;
mod names;
mod panels;
mod prepared;
mod rope;
mod schema;
mod shares;
mod tensor;
mod weights;
mod work;

pub use adapter::{Adapter, AdapterFfn, AdapterFile, AdapterLayer, LowRank};
pub use arch::{ARCHS, Activation, Arch, NormKind, Pairing, Pattern};
pub use checkpoint::tokenizer as gguf_tokenizer;
pub use dims::{Dims, Experts, LayerKind, RopeUse};
pub use embedding::Pooling;
pub use error::{Error, ErrorKind};
pub use model::Model;
pub use panels::{PanelSource, WeightsFrom};
pub use prepared::{Made, Prepared, PreparedHeader};
pub use rope::{Rope, RopeTable, Scaling};
pub use schema::Schema;
pub use tensor::Matrix;
pub use weights::{Classifier, FeedForward, Ffn, Layer, Linear, Norm, Weights};
pub use work::Work;
