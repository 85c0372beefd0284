//! Watches a device while it serves, and holds it to a limit of watts and heat.
//!
//! Control is pure: what is read and the time are handed in, and what to do comes out, so that
//! tests can run hours in a moment.
//!
//! ```
//! use rushlight_monitor::governor::QuietHours;
//!
//! let hours: QuietHours = "22:00-06:00=5".parse()?;
//! assert!(hours.contains(23 * 60));
//! assert!(!hours.contains(12 * 60));
//! assert_eq!(hours.watts, Some(5.0));
//! # Ok::<(), rushlight_monitor::Error>(())
//! ```

pub mod alarm;
mod error;
pub mod export;
pub mod governor;
pub mod history;
mod http;
pub mod record;
pub mod sample;
pub mod screen;
pub mod served;
pub mod simulate;
pub mod stop;

pub use error::{Error, ErrorKind};
