//! The store as its users meet it: real files, real servers on loopback, real child processes.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

mod child;
mod hostile;
mod https;
mod hub;
mod import;
mod models;
mod package;
mod server;
