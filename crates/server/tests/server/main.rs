//! A real server on loopback with a tiny real model.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

mod access;
mod chat;
mod completions;
mod health;
mod limits;
mod real;
mod support;
mod tokens;
