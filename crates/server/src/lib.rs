//! HTTP: routes, streaming, limits, metrics.
//!
//! A [`Server`] listens on loopback or a Unix socket, answers the APIs of OpenAI,
//! Anthropic and Ollama, says how it is
//! (`/livez`, `/readyz`, `/health`) and what it did (`/metrics`). Each model's engine runs on a thread of
//! its own; everything else is cheap and shares one more.
//!
//! ```no_run
//! use std::sync::Arc;
//! use rushlight_engine::{Engine, EngineOptions};
//! use rushlight_model::Model;
//! use rushlight_server::{Loaded, ServedModel, Server, ServerOptions, runtime, terminated};
//!
//! let load = || {
//!     let model = Arc::new(Model::open("model.gguf".as_ref())?);
//!     Ok(Loaded::new(Engine::new(model, &EngineOptions::default())?))
//! };
//! runtime()?.block_on(async {
//!     let server = Server::bind(ServerOptions::default()).await?;
//!     println!("listening on {}", server.address());
//!     server.run(vec![ServedModel::new("smollm2", load)], terminated()).await
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | route | what it is |
//! |---|---|
//! | `POST /v1/chat/completions`, `POST /v1/completions` | OpenAI's, streamed or whole |
//! | `POST /v1/responses`, `GET`, `DELETE /v1/responses/{id}` | OpenAI's, with what was said before |
//! | `POST /v1/messages`, `POST /v1/messages/count_tokens` | Anthropic's, streamed or whole |
//! | `POST /api/generate`, `POST /api/chat`, `GET /api/tags`, … | Ollama's, streamed or whole |
//! | `GET /v1/models`, `GET /v1/models/{id}` | the models |
//! | `POST /tokenize`, `POST /detokenize` | llama.cpp's |
//! | `GET /openapi.json` | all of these, as OpenAPI 3.1 |
//! | `GET /` | a chat page, which also shows how the server is |
//! | `GET /livez` | 200 while the process is worth keeping |
//! | `GET /readyz` | 200 once the model has written a token |
//! | `GET /health` | what runs how, and what is not as it should be |
//! | `GET /metrics` | Prometheus' text format |

#![forbid(unsafe_code)]

mod answers;
mod anthropic;
mod app;
mod body;
mod caller;
mod calls;
mod dialect;
mod embeddings;
mod energy;
mod error;
mod failure;
mod fields;
mod fresh;
mod guard;
mod keys;
mod metrics;
mod models;
mod notify;
mod observe;
mod ollama;
mod openai;
mod openapi;
mod options;
mod page;
mod prompt;
mod reasoning;
mod routes;
mod schema;
mod server;
mod speech;
mod stream;
mod time;
mod tls;
mod tools;
mod trace;
mod worker;

pub use error::{Error, ErrorKind};
pub use models::ServedModel;
pub use notify::Notify;
pub use observe::{Notices, Observer, Seen};
pub use openapi::openapi;
pub use options::{Address, ServerOptions, Traces};
pub use rushlight_host::Activated;
pub use server::{Server, runtime, terminated};
pub use tls::TlsFiles;
pub use worker::{Degradation, Kept, Loaded};
