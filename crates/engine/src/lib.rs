//! Runs a model: sessions, KV cache, batching, scheduling, sampling, speculation, embedding.
//!
//! ```no_run
//! use std::sync::Arc;
//! use rushlight_engine::{Engine, EngineOptions, GenerateOptions, Session};
//! use rushlight_model::Model;
//! use rushlight_text::EncodeOptions;
//!
//! let model = Arc::new(Model::open("model.gguf".as_ref())?);
//! let prompt = model.tokenizer()?.encode("Once upon a time", EncodeOptions::default())?;
//! let mut engine = Engine::new(model, &EngineOptions::default())?;
//! let mut session = Session::new(&mut engine);
//! let answer = session.generate(&mut engine, &prompt, &GenerateOptions::default(), |text| {
//!     print!("{text}");
//!     true
//! })?;
//! println!("\n{:.1} tokens/s", answer.decode_rate().unwrap_or_default());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod batch;
mod cache;
mod embed;
mod engine;
mod error;
mod forward;
mod machine;
mod memory;
mod options;
mod prefixes;
mod random;
mod sample;
mod schedule;
mod session;
mod speculate;
mod stop;
mod thinking;

pub use batch::Batch;
pub use cache::{CacheType, Sequence};
pub use embed::{EmbedEvent, EmbedOptions, EmbedRequest, EmbedSink, EmbedText};
pub use engine::Engine;
pub use error::{Error, ErrorKind};
pub use memory::Plan;
pub use options::{Activations, EngineOptions};
pub use sample::{Choice, Sampler, SamplerOptions, top_log_probabilities};
pub use schedule::{Counts, Event, Pace, Request, Scheduler, SchedulerOptions, Sink, Spent};
pub use session::{Answer, Finish, GenerateOptions, Session};
pub use speculate::{DraftModel, Drafting, Speculation};
pub use thinking::Thinking;
