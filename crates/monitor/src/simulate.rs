//! Devices that are computed: heat, power and work, to try the governor on.
//!
//! A device is a chip on a heat sink in air of some temperature, with cores that draw more the faster
//! they run and the warmer they are, memory that delivers so many bytes a second, and a kernel that
//! lowers clocks above a trip point. A load brings requests, which the device answers as a server
//! would. [`run`] plays one with the other, under no governor, the kernel's, or ours.
//!
//! What the model is made of, and from where:
//!
//! - **Heat**: two heat capacities and two resistances in a row (chip and spreader; heat sink and
//!   board), the usual compact model of electronics cooling; `T' = (P - (T - T_next) / R) / C`.
//! - **Power of a core**: `C V² f` while it switches, and leakage, which rises exponentially with
//!   temperature and with voltage; both are textbook CMOS (Rabaey, *Digital Integrated Circuits*, 5.5).
//!   The kernel's energy model and its power allocator use the same form
//!   (`Documentation/power/energy-model.rst`, `Documentation/driver-api/thermal/power_allocator.rst`).
//! - **The kernel's throttling**: `step_wise`, as `Documentation/driver-api/thermal/sysfs-api.rst` and
//!   `drivers/thermal/gov_step_wise.c` describe it: each period above the trip point with a rising
//!   trend takes one clock step away, below it less the hysteresis one comes back.
//! - **Work**: reading a prompt takes arithmetic, writing takes the bytes of the weights once for each
//!   pass; each pass takes the longer of the two (the roofline model, Williams and others 2009).
//!
//! The numbers of a device are *like* those of a board of that kind; each says what it is set by
//! ([`Device`]). They are no measurement of one.

mod devices;
mod engine;
mod kernel;
mod load;
mod play;
mod power;
mod random;
mod thermal;

pub use devices::{CoreClass, Device, Memory, devices};
pub use load::{Job, Load, loads};
pub use play::{Outcome, Policy, Scenario, Trace, run};
pub use random::Random;
pub use thermal::Thermal;
