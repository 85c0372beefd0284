//! The governor: a controller that holds a limit of watts and heat with the least loss of tokens.
//!
//! Once a second or so it is shown what was read ([`Observed`]) and says how the server is to run
//! ([`Decision`]). It moves along a [`Ladder`] of settings, from full speed down; each move is an
//! [`Event`] with its reason. Nothing but [`Senses`] reads a clock or a file.
//!
//! Every limit becomes a **budget**: a share, from 0 to 1, of what the processor may spend above
//! idling. The least budget counts.
//!
//! - *Heat*: a proportional-integral controller on the temperature as its slope foretells it
//!   (`heat`), much as the kernel's power allocator turns a temperature into watts.
//! - *Watts*: what a setting draws is foretold from what settings have drawn so far (`watts`).
//! - *Quiet hours* and *battery* lower the watts, or cap the budget where no watts are limited.
//! - *A sensor that is missing, stands still or talks nonsense* (`sensor`) caps the budget at
//!   [`SAFE_SHARE`]: a limit that was asked for is never answered with full speed in the dark.
//!
//! Of the settings within the budget the one that writes most tokens is taken (`choose`): with a
//! limit on watts that is the one with the most tokens per joule.
//!
//! How far the limit may be passed is stated: [`OVERSHOOT_CELSIUS`] and [`OVERSHOOT_WATTS_SHARE`]. The
//! tests hold the governor to both over many seeds of simulated devices ([`simulate`](crate::simulate)).

mod battery;
mod budget;
mod choose;
mod control;
mod event;
mod heat;
mod ladder;
mod limits;
mod measured;
mod observed;
mod pace;
mod quiet;
mod senses;
mod sensor;
mod watts;
mod writing;

pub use battery::BatteryPolicy;
pub use control::{Decision, Governor, OVERSHOOT_CELSIUS, OVERSHOOT_WATTS_SHARE, SAFE_SHARE};
pub use event::Event;
pub use ladder::{Batch, Ladder, Position, Rung, Setting, Shape};
pub use limits::Limits;
pub use observed::{Battery, Load, Observed, Phase};
pub use quiet::QuietHours;
pub use senses::Senses;
