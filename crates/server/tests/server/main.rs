//! A real server on loopback with a tiny real model.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

mod access;
mod anthropic;
mod chat;
mod completions;
mod constrained;
mod embeddings;
mod energy;
mod health;
mod keys;
mod limits;
mod models;
mod ollama;
mod openapi;
mod page;
mod real;
mod reasoning;
mod responses;
mod support;
mod tls;
mod tokens;
mod tools;
mod traces;
