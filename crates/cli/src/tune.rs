//! Finds the settings with which this device runs a model best, by measuring them.
//!
//! [`Space`] says what there is to choose from. [`search`](search::search) decides what is measured and
//! what is best; it sees the machine only as a [`Device`], so that tests give it made-up ones.
//! [`Measuring`] is the real one.

mod exhaustive;
mod goal;
mod measuring;
mod race;
mod search;
mod setting;
mod shelf;
mod space;
mod table;

pub(crate) use exhaustive::{Whole, exhaustive};
pub(crate) use goal::{Goal, Objective};
pub(crate) use measuring::{Measuring, Sizes};
pub(crate) use race::{Candidate, Fate};
pub(crate) use search::{Found, Ranking, search};
pub(crate) use setting::{Backend, Machine, Point, Setting, Task, Weights};
pub(crate) use shelf::{Open, Shelf};
pub(crate) use space::{CHUNKS, Space, Team, USERS, teams};
pub(crate) use table::{Sample, Spread, Table};

use std::time::Duration;

/// What can be measured.
pub(crate) trait Device {
    /// Measures a point once; `None` if it cannot run.
    fn sample(&mut self, point: &Point) -> anyhow::Result<Option<Sample>>;

    /// Time since the search was asked for.
    fn elapsed(&self) -> Duration;

    /// The memory that a setting would take, in bytes.
    fn memory_bytes(&self, setting: &Setting) -> u64;
}

#[cfg(test)]
mod made_up;
