//! Devices like ones that people have.

use super::Thermal;
use crate::governor::Shape;

/// Cores of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct CoreClass {
    /// How many.
    pub cores: usize,
    /// Clocks in GHz and the volts they need, rising: the steps of cpufreq.
    pub clocks: Vec<(f64, f64)>,
    /// Nanofarads that switch in each cycle of arithmetic.
    pub nanofarads: f64,
    /// Watts that leak at 25 °C and one volt.
    pub leak_watts: f64,
    /// Operations (a product and a sum are two) in each cycle.
    pub operations: f64,
    /// Bytes that one core can fetch in a second at its highest clock, in GB.
    pub gigabytes: f64,
}

/// Memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    /// GB that all cores together can fetch in a second.
    pub gigabytes: f64,
    /// Joules for each GB.
    pub joules: f64,
}

/// A device.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// What it is like.
    pub name: &'static str,
    /// The fastest cores.
    pub fast: CoreClass,
    /// Efficient ones.
    pub efficient: Option<CoreClass>,
    /// Memory.
    pub memory: Memory,
    /// Watts of everything else.
    pub board_watts: f64,
    /// Share of the other watts that warms the chip.
    pub board_heats: f64,
    /// How heat leaves.
    pub thermal: Thermal,
    /// °C at which the kernel begins to lower clocks.
    pub trip_celsius: f64,
    /// °C below it where it raises them again.
    pub hysteresis: f64,
    /// Seconds between two looks of the kernel.
    pub polling: f64,
    /// GB of a model's weights.
    pub model_gigabytes: f64,
    /// Billions of operations for each token.
    pub model_operations: f64,
    /// The limit of heat that fits it, in °C, for comparisons.
    pub limit_celsius: f64,
    /// The limit of watts that fits it, for comparisons.
    pub limit_watts: f64,
}

impl Device {
    /// What the governor knows of it.
    pub fn shape(&self) -> Shape {
        let mut shape = Shape::new(self.fast.cores, 512);
        shape.efficient = self.efficient.as_ref().map(|little| {
            let speed = |class: &CoreClass| class.operations * class.top().0;
            (little.cores, speed(little) / speed(&self.fast))
        });
        shape
    }
}

impl CoreClass {
    /// The highest clock and its volts.
    pub(super) fn top(&self) -> (f64, f64) {
        self.clocks.last().copied().unwrap_or((1.0, 1.0))
    }
}

/// Clocks from `from` to `to` GHz in steps of 0.2, with volts in a straight line between.
fn clocks((from, low): (f64, f64), (to, high): (f64, f64)) -> Vec<(f64, f64)> {
    let steps = ((to - from) / 0.2).round().max(1.0) as usize;
    let at = |step: usize| step as f64 / steps as f64;
    (0..=steps).map(|s| (from + (to - from) * at(s), low + (high - low) * at(s))).collect()
}

/// Like a Raspberry Pi 5 without a fan: 4 Cortex-A76 at 1.5 to 2.4 GHz; 3 W idle and 12 W under load
/// at the wall, throttling from 80 °C (geerlingguy/ai-benchmarks 7 and sbc-reviews 60 have such
/// figures); 17 GB/s of LPDDR4X on paper, 10 fetched. Resistances are set so that full load settles
/// above the trip point, as owners of boards without a cooler see.
fn pi() -> Device {
    Device {
        name: "like a Raspberry Pi 5",
        fast: CoreClass {
            cores: 4,
            clocks: clocks((1.5, 0.72), (2.4, 0.95)),
            nanofarads: 0.85,
            leak_watts: 0.10,
            operations: 14.0,
            gigabytes: 4.5,
        },
        efficient: None,
        memory: Memory { gigabytes: 10.0, joules: 0.08 },
        board_watts: 2.7,
        board_heats: 0.5,
        thermal: Thermal {
            chip_resistance: 1.8,
            chip_capacity: 4.0,
            sink_resistance: 6.5,
            sink_capacity: 60.0,
        },
        trip_celsius: 80.0,
        hysteresis: 5.0,
        polling: 0.25,
        model_gigabytes: 0.8,
        model_operations: 2.5,
        limit_celsius: 70.0,
        limit_watts: 7.0,
    }
}

/// Like a board with RK3588 and a small heat sink: 4 Cortex-A76 up to 2.4 GHz and 4 Cortex-A55 up to
/// 1.8 GHz; 2 W idle, some 12 W under load; 27 GB/s of LPDDR4X measured on such a board. The mainline
/// device tree has its passive trip point at 85 °C.
fn rk3588() -> Device {
    Device {
        name: "like an RK3588 board",
        fast: CoreClass {
            cores: 4,
            clocks: clocks((1.2, 0.68), (2.4, 1.0)),
            nanofarads: 0.80,
            leak_watts: 0.10,
            operations: 14.0,
            gigabytes: 7.0,
        },
        efficient: Some(CoreClass {
            cores: 4,
            clocks: clocks((1.0, 0.68), (1.8, 0.95)),
            nanofarads: 0.19,
            leak_watts: 0.02,
            operations: 7.0,
            gigabytes: 3.0,
        }),
        memory: Memory { gigabytes: 20.0, joules: 0.08 },
        board_watts: 1.8,
        board_heats: 0.5,
        thermal: Thermal {
            chip_resistance: 1.5,
            chip_capacity: 6.0,
            sink_resistance: 5.5,
            sink_capacity: 80.0,
        },
        trip_celsius: 85.0,
        hysteresis: 2.0,
        polling: 0.1,
        model_gigabytes: 0.8,
        model_operations: 2.5,
        limit_celsius: 70.0,
        limit_watts: 7.0,
    }
}

/// Like a Jetson Orin Nano whose cores, not its graphics processor, run the model, in a closed case: 6
/// Cortex-A78AE up to 1.7 GHz, 5 W idle, 15 W under load; 102 GB/s of LPDDR5 on paper, of which the
/// cores fetch 40.
fn orin() -> Device {
    Device {
        name: "like a Jetson Orin Nano",
        fast: CoreClass {
            cores: 6,
            clocks: clocks((0.7, 0.60), (1.7, 0.90)),
            nanofarads: 1.1,
            leak_watts: 0.12,
            operations: 16.0,
            gigabytes: 11.0,
        },
        efficient: None,
        memory: Memory { gigabytes: 40.0, joules: 0.06 },
        board_watts: 4.5,
        board_heats: 0.4,
        thermal: Thermal {
            chip_resistance: 0.9,
            chip_capacity: 12.0,
            sink_resistance: 4.2,
            sink_capacity: 220.0,
        },
        trip_celsius: 95.0,
        hysteresis: 3.0,
        polling: 1.0,
        model_gigabytes: 2.0,
        model_operations: 6.4,
        limit_celsius: 70.0,
        limit_watts: 10.0,
    }
}

/// The three devices of the tests and tables.
pub fn devices() -> [Device; 3] {
    [pi(), rk3588(), orin()]
}
