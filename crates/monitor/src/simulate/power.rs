//! What cores draw.

use super::CoreClass;

/// Share of a core's switching that goes on while it waits for memory.
const WAITING: f64 = 0.45;
/// Share of a core's switching that goes on while it has nothing to do, its clock being stopped most
/// of the time.
const IDLE: f64 = 0.03;
/// Growth of leakage for each °C: it doubles in about 35.
const LEAK_PER_CELSIUS: f64 = 0.02;

/// Watts of all cores of a class at a step of its clocks, of which `active` work for `run` of the time
/// and do arithmetic for `arithmetic` of that.
pub(super) fn watts(
    class: &CoreClass,
    clock: usize,
    (active, run, arithmetic): (usize, f64, f64),
    celsius: f64,
) -> f64 {
    let (gigahertz, volts) = class.clocks.get(clock).copied().unwrap_or_else(|| class.top());
    // nF times V² times GHz is watts.
    let switching = class.nanofarads * volts * volts * gigahertz;
    let working = arithmetic + (1.0 - arithmetic) * WAITING;
    let share = run * working + (1.0 - run) * IDLE;
    let (active, all) = (active.min(class.cores) as f64, class.cores as f64);
    let leaking = class.leak_watts * volts * (LEAK_PER_CELSIUS * (celsius - 25.0)).exp();
    switching * (active * share + (all - active) * IDLE) + leaking * all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::devices;

    #[test]
    fn power_rises_with_cores_clock_work_and_heat() {
        let class = &devices()[0].fast;
        let top = class.clocks.len() - 1;
        let full = watts(class, top, (4, 1.0, 1.0), 60.0);
        for less in [
            watts(class, top, (3, 1.0, 1.0), 60.0),
            watts(class, top - 1, (4, 1.0, 1.0), 60.0),
            watts(class, top, (4, 0.5, 1.0), 60.0),
            watts(class, top, (4, 1.0, 0.2), 60.0),
            watts(class, top, (4, 1.0, 1.0), 40.0),
        ] {
            assert!(less < full && less > 0.0, "{less} {full}");
        }
        // Voltage makes a lower clock save more than it loses.
        let low = watts(class, 0, (4, 1.0, 1.0), 60.0);
        assert!(low / full < 0.8 * class.clocks[0].0 / class.clocks[top].0);
    }
}
