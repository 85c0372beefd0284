//! Inventory and readings: what is there, how it feels, and why what is absent is absent.
//!
//! Everything is read through a [`Tree`], below a root that a test may choose, and comes as a
//! [`Reading`]: a value with its unit and source, or a reason why there is none. Files of a tree are
//! not trusted: they may be missing, unreadable, absurd, or go while they are read.

pub mod accelerators;
mod board;
pub mod cpu;
pub mod heat;
pub mod hwmon;
pub mod memory;
pub mod nvml;
pub mod power;
mod reading;
pub mod security;
pub mod software;
mod tree;

pub use reading::{Absent, Reading, Reason, Unit};
pub(crate) use software::is_first_pid_namespace;
pub use tree::Tree;
pub(crate) use tree::read_text;
