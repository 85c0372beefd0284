//! Alarms: something is beyond a threshold for a while, and stays an alarm until it is well on this
//! side of it again.

use crate::error::{Error, ErrorKind};
use crate::sample::Sample;

/// What may be an alarm.
#[derive(Debug)]
struct Rule {
    name: &'static str,
    /// What is told of it, after which the value stands.
    what: &'static str,
    unit: &'static str,
    /// Whether more is worse.
    is_above: bool,
    threshold: f64,
    /// How far on this side of the threshold it must be to end.
    margin: f64,
    /// How long it must be beyond.
    after_seconds: f64,
    measure: fn(&Sample) -> Option<f64>,
}

/// All rules. The thresholds are ours: late enough to be rare, early enough to do something.
const RULES: [Rule; 7] = [
    Rule {
        name: "heat",
        what: "degrees left to the limit",
        unit: "°C",
        is_above: false,
        threshold: 5.0,
        margin: 5.0,
        after_seconds: 5.0,
        measure: |sample| {
            let left = sample.heat.left_celsius.filter(|_| sample.stale("heat").is_none());
            left.map(f64::from)
        },
    },
    Rule {
        name: "throttled",
        what: "slowed down by heat or supply",
        unit: "",
        is_above: true,
        threshold: 0.5,
        margin: 0.0,
        after_seconds: 2.0,
        measure: throttled,
    },
    Rule {
        name: "memory",
        what: "memory left",
        unit: "%",
        is_above: false,
        threshold: 5.0,
        margin: 3.0,
        after_seconds: 5.0,
        measure: memory_left,
    },
    Rule {
        name: "stall",
        what: "everything waits for memory",
        unit: "% of the time",
        is_above: true,
        threshold: 10.0,
        margin: 5.0,
        after_seconds: 3.0,
        measure: |sample| {
            let stalls = sample.pressure.memory.as_ref()?;
            Some(f64::from(stalls.full.average_10_s_percent))
        },
    },
    Rule {
        name: "swap",
        what: "swaps",
        unit: "MB/s",
        is_above: true,
        threshold: 10.0,
        margin: 8.0,
        after_seconds: 10.0,
        measure: |sample| {
            let memory = &sample.memory;
            let bytes = memory.swap_in_bytes_per_second as f64;
            Some((bytes + memory.swap_out_bytes_per_second as f64) / 1e6)
        },
    },
    Rule {
        name: "disk",
        what: "room left on the fullest disk",
        unit: "%",
        is_above: false,
        threshold: 5.0,
        margin: 2.0,
        after_seconds: 0.0,
        measure: |sample| {
            // As df(1) counts: some of the size may be for root or for nothing.
            let all = sample.filesystems.iter();
            let all = all.map(|one| (one.free_bytes as f64, one.used_bytes as f64));
            let left = all.filter(|(free, used)| free + used > 0.0);
            left.map(|(free, used)| free / (free + used) * 100.0).min_by(f64::total_cmp)
        },
    },
    Rule {
        name: "server",
        what: "the server does not answer requests",
        unit: "",
        is_above: true,
        threshold: 0.5,
        margin: 0.0,
        after_seconds: 3.0,
        measure: |sample| match &sample.served {
            Some(served) => {
                Some(f64::from(u8::from(!matches!(served.status.as_str(), "ok" | "degraded"))))
            }
            None => sample.lack("served").map(|_| 1.0),
        },
    },
];

fn throttled(sample: &Sample) -> Option<f64> {
    let accelerators = sample.accelerators.iter().filter_map(|one| one.throttled_by.as_ref());
    let accelerators = accelerators.map(|by| !by.is_empty());
    let all = accelerators.chain(sample.heat.is_throttled);
    all.reduce(|a, b| a || b).map(|is| f64::from(u8::from(is)))
}

fn memory_left(sample: &Sample) -> Option<f64> {
    let memory = &sample.memory;
    let machine = (memory.available_bytes as f64, memory.total_bytes as f64);
    let limit = memory.limit.as_ref().map(|limit| {
        (limit.limit_bytes.saturating_sub(limit.used_bytes) as f64, limit.limit_bytes as f64)
    });
    let shares = [Some(machine), limit].into_iter().flatten().filter(|(_, all)| *all > 0.0);
    shares.map(|(left, all)| left / all * 100.0).min_by(f64::total_cmp)
}

/// Watches samples for what is beyond its threshold.
#[derive(Debug)]
pub struct Alarms {
    all: Vec<State>,
    /// Whether a server has answered, or was asked for: without one its absence is no alarm.
    expects_server: bool,
}

#[derive(Debug)]
struct State {
    rule: &'static Rule,
    /// `None` is off.
    threshold: Option<f64>,
    beyond_seconds: f64,
    value: f64,
    /// For how long it has been an alarm.
    on_seconds: Option<f64>,
}

/// An alarm that is on.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    /// Its name, as in `--alarm NAME=VALUE`.
    pub name: &'static str,
    /// What is wrong, with the value.
    pub text: String,
    /// For how long it has been on.
    pub seconds: f64,
}

impl Alarms {
    /// All with the thresholds that they have by themselves. Unless `expects_server`, a server must
    /// have answered before its absence is an alarm.
    pub fn new(expects_server: bool) -> Self {
        let state = |rule: &'static Rule| State {
            rule,
            threshold: Some(rule.threshold),
            beyond_seconds: 0.0,
            value: 0.0,
            on_seconds: None,
        };
        Self { all: RULES.iter().map(state).collect(), expects_server }
    }

    /// Changes one by `NAME=VALUE` or `NAME=off`.
    ///
    /// # Errors
    /// If there is no such alarm, or that is no number.
    pub fn set(&mut self, text: &str) -> Result<(), Error> {
        let wrong = |message: String| {
            let names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
            let hint = format!("expected NAME=VALUE or NAME=off; names: {}", names.join(", "));
            Error::new(ErrorKind::Alarm, message).with_hint(hint)
        };
        let (name, value) =
            text.split_once('=').ok_or_else(|| wrong(format!("`{text}` has no `=`")))?;
        let state = self.all.iter_mut().find(|state| state.rule.name == name);
        let state = state.ok_or_else(|| wrong(format!("there is no alarm `{name}`")))?;
        state.threshold = match value {
            "off" => None,
            _ => match value.parse::<f64>() {
                Ok(value) if value.is_finite() => Some(value),
                _ => return Err(wrong(format!("`{value}` is not a number"))),
            },
        };
        Ok(())
    }

    /// Takes the next sample.
    pub fn update(&mut self, sample: &Sample) {
        self.expects_server |= sample.served.is_some();
        for state in &mut self.all {
            let is_known = state.rule.name != "server" || self.expects_server;
            let value = (state.rule.measure)(sample).filter(|_| is_known);
            state.update(value, sample.interval_seconds.max(0.0));
        }
    }

    /// Those that are on.
    pub fn on(&self) -> impl Iterator<Item = Alarm> + '_ {
        self.all.iter().filter_map(State::alarm)
    }
}

impl State {
    fn update(&mut self, value: Option<f64>, seconds: f64) {
        let Some(threshold) = self.threshold else { return };
        if let Some(on) = &mut self.on_seconds {
            *on += seconds;
        }
        // What is not known any more is not over.
        let Some(value) = value else {
            self.beyond_seconds = 0.0;
            return;
        };
        self.value = value;
        let beyond = if self.rule.is_above { value - threshold } else { threshold - value };
        if beyond > 0.0 {
            self.beyond_seconds += seconds;
            if self.beyond_seconds >= self.rule.after_seconds && self.on_seconds.is_none() {
                self.on_seconds = Some(0.0);
            }
        } else {
            self.beyond_seconds = 0.0;
            if beyond < -self.rule.margin || self.rule.margin == 0.0 {
                self.on_seconds = None;
            }
        }
    }

    fn alarm(&self) -> Option<Alarm> {
        let Rule { name, what, unit, .. } = *self.rule;
        let text = match unit {
            "" => what.to_owned(),
            unit => format!("{what}: {:.1} {unit}", self.value),
        };
        self.on_seconds.map(|seconds| Alarm { name, text, seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Filesystem, Lack, Served};

    fn left(celsius: f32, seconds: f64) -> Sample {
        let mut sample = Sample { interval_seconds: seconds, ..Sample::default() };
        sample.heat.left_celsius = Some(celsius);
        sample
    }

    fn names(alarms: &Alarms) -> Vec<&'static str> {
        alarms.on().map(|alarm| alarm.name).collect()
    }

    #[test]
    fn one_begins_after_a_while_and_ends_with_a_margin() {
        let mut alarms = Alarms::new(false);
        for _ in 0..4 {
            alarms.update(&left(3.0, 1.0));
        }
        assert!(names(&alarms).is_empty(), "not long enough");
        alarms.update(&left(6.0, 1.0));
        for _ in 0..4 {
            alarms.update(&left(3.0, 1.0));
        }
        assert!(names(&alarms).is_empty(), "the time begins anew");
        alarms.update(&left(3.0, 1.0));
        assert_eq!(names(&alarms), ["heat"]);
        alarms.update(&left(9.0, 1.0));
        assert_eq!(names(&alarms), ["heat"], "within the margin");
        alarms.update(&Sample { interval_seconds: 1.0, ..Sample::default() });
        assert_eq!(names(&alarms), ["heat"], "unknown is not over");
        assert_eq!(alarms.on().next().unwrap().seconds, 2.0);
        alarms.update(&left(11.0, 1.0));
        assert!(names(&alarms).is_empty());
    }

    #[test]
    fn thresholds_may_be_set() {
        let mut alarms = Alarms::new(false);
        alarms.set("heat=20").unwrap();
        alarms.update(&left(15.0, 10.0));
        assert_eq!(alarms.on().next().unwrap().text, "degrees left to the limit: 15.0 °C");
        let mut alarms = Alarms::new(false);
        alarms.set("heat=off").unwrap();
        alarms.update(&left(-5.0, 10.0));
        assert!(names(&alarms).is_empty());
        for text in ["heat", "heat=", "heat=nan", "cold=5", "=5"] {
            let error = alarms.set(text).unwrap_err();
            assert!(error.hint().unwrap().contains("throttled"), "{text}");
        }
    }

    #[test]
    fn a_server_is_missed_only_if_there_was_one() {
        let gone = || Sample {
            interval_seconds: 10.0,
            absent: vec![Lack { what: "served".to_owned(), ..Lack::default() }],
            ..Sample::default()
        };
        let with = |status: &str| Sample {
            interval_seconds: 10.0,
            served: Some(Served { status: status.to_owned(), ..Served::default() }),
            ..Sample::default()
        };
        let mut alarms = Alarms::new(false);
        alarms.update(&gone());
        assert!(names(&alarms).is_empty());
        alarms.update(&with("degraded"));
        assert!(names(&alarms).is_empty());
        alarms.update(&with("loading"));
        assert_eq!(names(&alarms), ["server"]);
        alarms.update(&with("ok"));
        assert!(names(&alarms).is_empty());
        alarms.update(&gone());
        assert_eq!(names(&alarms), ["server"]);
        let mut alarms = Alarms::new(true);
        alarms.update(&gone());
        assert_eq!(names(&alarms), ["server"]);
    }

    #[test]
    fn the_fullest_disk_and_the_tightest_memory_count() {
        let mut sample = Sample { interval_seconds: 10.0, ..Sample::default() };
        let disk = |free_bytes| Filesystem { used_bytes: 96, free_bytes, ..Filesystem::default() };
        sample.filesystems = vec![disk(50), disk(4), Filesystem::default()];
        sample.memory.total_bytes = 1000;
        sample.memory.available_bytes = 900;
        sample.memory.limit = Some(crate::sample::Limit { limit_bytes: 100, used_bytes: 97 });
        let mut alarms = Alarms::new(false);
        alarms.update(&sample);
        assert_eq!(names(&alarms), ["memory", "disk"]);
    }
}
