//! What is told of a governor.

use serde_json::{Value, json};

use crate::schema::Kind::{List, OrNull, Text};
use crate::schema::{COUNT, Object, REAL, needed};
use crate::worker::Degradation;

/// Where a governor is, and why, for `/health` and `/metrics`.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Governed {
    /// The step of its ladder; 0 is full speed.
    pub step: usize,
    /// The kind of step, such as `threads`.
    pub rung: &'static str,
    /// How the engines run, in words.
    pub setting: String,
    /// What limits the speed, while anything does.
    pub limited_by: Option<String>,
    /// Sensors that are not believed, and why.
    pub faults: Vec<String>,
    /// The limit of watts that was asked for.
    pub limit_watts: Option<f64>,
    /// The limit of heat that was asked for, in °C.
    pub limit_celsius: Option<f64>,
    /// Watts, the last time.
    pub watts: Option<f64>,
    /// What measures them.
    pub watts_source: Option<String>,
    /// °C, the last time.
    pub celsius: Option<f64>,
    /// What measures them.
    pub celsius_source: Option<String>,
}

impl Governed {
    pub(super) fn degradations(&self) -> Vec<Degradation> {
        let slow = (self.step > 0).then(|| {
            let why = self.limited_by.clone().unwrap_or_else(|| "a limit".to_owned());
            Degradation::new(format!("the speed: {}", self.setting), why)
        });
        let sensors = self.faults.iter().map(|why| Degradation::new("a sensor of a limit", why));
        slow.into_iter().chain(sensors).collect()
    }

    pub(crate) fn to_json(&self, moves: [u64; 2]) -> Value {
        let [slower, faster] = moves;
        json!({
            "step": self.step,
            "rung": self.rung,
            "setting": self.setting,
            "limited_by": self.limited_by,
            "faults": self.faults,
            "steps_slower": slower,
            "steps_faster": faster,
            "limit_watts": self.limit_watts,
            "watts": self.watts,
            "watts_source": self.watts_source,
            "limit_celsius": self.limit_celsius,
            "celsius": self.celsius,
            "celsius_source": self.celsius_source,
        })
    }
}

/// [`Governed::to_json`].
pub(crate) static GOVERNOR: Object = Object {
    name: "Governor",
    fields: &[&[
        needed("step", COUNT, "Of its ladder; 0 is full speed."),
        needed("rung", Text, "The kind of step."),
        needed("setting", Text, "How engines run."),
        needed("limited_by", OrNull(&Text), "What limits the speed."),
        needed("faults", List(&Text), "Sensors that are not believed."),
        needed("steps_slower", COUNT, "So far."),
        needed("steps_faster", COUNT, "So far."),
        needed("limit_watts", OrNull(&REAL), ""),
        needed("watts", OrNull(&REAL), "The last time."),
        needed("watts_source", OrNull(&Text), ""),
        needed("limit_celsius", OrNull(&REAL), ""),
        needed("celsius", OrNull(&REAL), "The last time."),
        needed("celsius_source", OrNull(&Text), ""),
    ]],
};
