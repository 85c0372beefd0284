//! A chip on a heat sink in air.

/// Two heat capacities and two resistances in a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Thermal {
    /// From the chip to the heat sink, in kelvin per watt.
    pub chip_resistance: f64,
    /// Of the chip and what is bonded to it, in joules per kelvin.
    pub chip_capacity: f64,
    /// From the heat sink to the air, in kelvin per watt.
    pub sink_resistance: f64,
    /// Of the heat sink and the board, in joules per kelvin.
    pub sink_capacity: f64,
}

/// Temperatures of the two, in °C.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Temperatures {
    pub(super) chip: f64,
    pub(super) sink: f64,
}

impl Thermal {
    /// What the temperatures are after so many seconds of so many watts, which must be far fewer than
    /// the time constants.
    pub(super) fn step(
        &self,
        at: Temperatures,
        watts: f64,
        air: f64,
        seconds: f64,
    ) -> Temperatures {
        let to_sink = (at.chip - at.sink) / self.chip_resistance;
        let to_air = (at.sink - air) / self.sink_resistance;
        Temperatures {
            chip: at.chip + (watts - to_sink) / self.chip_capacity * seconds,
            sink: at.sink + (to_sink - to_air) / self.sink_capacity * seconds,
        }
    }

    /// What they become under so many watts for good.
    pub(super) fn settled(&self, watts: f64, air: f64) -> Temperatures {
        let sink = air + watts * self.sink_resistance;
        Temperatures { sink, chip: sink + watts * self.chip_resistance }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_power_settles_where_ohms_law_says_and_as_fast_as_the_capacity_says() {
        let thermal = Thermal {
            chip_resistance: 2.0,
            chip_capacity: 5.0,
            sink_resistance: 6.0,
            sink_capacity: 50.0,
        };
        let (air, watts) = (25.0, 8.0);
        let mut at = Temperatures { chip: air, sink: air };
        let mut energy_out = 0.0;
        for _ in 0..50_000 {
            energy_out += (at.sink - air) / thermal.sink_resistance * 0.1;
            at = thermal.step(at, watts, air, 0.1);
        }
        let settled = thermal.settled(watts, air);
        assert_eq!(settled, Temperatures { sink: 73.0, chip: 89.0 });
        assert!((at.chip - settled.chip).abs() < 1e-3 && (at.sink - settled.sink).abs() < 1e-3);
        // What came in is outside or stored: nothing is made or lost.
        let stored = (at.chip - air) * 5.0 + (at.sink - air) * 50.0;
        assert!((watts * 5000.0 - energy_out - stored).abs() < 1e-6 * watts * 5000.0);
    }
}
