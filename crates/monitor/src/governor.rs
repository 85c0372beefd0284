//! The governor: a controller that holds a limit of watts and heat with the least loss of tokens.

mod quiet;

pub use quiet::QuietHours;
