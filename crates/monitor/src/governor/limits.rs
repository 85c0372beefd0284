//! What may be spent, and when.

use super::{BatteryPolicy, Observed, QuietHours};

/// Share of what may be spent otherwise, in quiet hours and on a low battery that have no watts of
/// their own.
const LESS: f64 = 0.5;

/// What may be spent, and how hot the device may get.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Watts on average, of whatever the meter measures.
    pub watts: Option<f64>,
    /// Degrees Celsius.
    pub max_celsius: Option<f64>,
    /// Hours in which less may be spent.
    pub quiet: Vec<QuietHours>,
    /// What holds while a low battery feeds the device.
    pub battery: Option<BatteryPolicy>,
}

/// What holds now.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Now {
    /// The least of the watts that hold, and why.
    pub(super) watts: Option<(f64, String)>,
    /// The least share of full speed's power where no watts say it, and why.
    pub(super) share: Option<(f64, String)>,
    /// Degrees Celsius.
    pub(super) celsius: Option<f64>,
}

impl Limits {
    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a meter of watts is needed at some time.
    pub fn needs_watts(&self) -> bool {
        self.watts.is_some()
            || self.quiet.iter().any(|quiet| quiet.watts.is_some())
            || self.battery.is_some_and(|battery| battery.watts.is_some())
    }

    pub(super) fn now(&self, observed: &Observed) -> Now {
        let mut now = Now { celsius: self.max_celsius, ..Now::default() };
        if let Some(watts) = self.watts {
            now.watts = Some((watts, format!("the limit is {watts} W")));
        }
        for quiet in self.quiet.iter().filter(|quiet| quiet.contains(observed.local_minute)) {
            self.lower(&mut now, quiet.watts, "quiet hours");
        }
        if let Some(policy) = self.battery.filter(|policy| policy.applies(observed.battery)) {
            let why = match observed.battery.and_then(|battery| battery.percent) {
                Some(percent) => format!("the battery is at {percent:.0} %"),
                None => "the battery does not tell its charge".to_owned(),
            };
            self.lower(&mut now, policy.watts, &why);
        }
        now
    }

    fn lower(&self, now: &mut Now, watts: Option<f64>, why: &str) {
        match watts.or(self.watts.map(|watts| watts * LESS)) {
            Some(watts) if now.watts.as_ref().is_none_or(|(least, _)| watts < *least) => {
                now.watts = Some((watts, format!("{why}: the limit is {watts} W")));
            }
            Some(_) => {}
            None => now.share = Some((LESS, format!("{why}: half the power of full speed"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::governor::Battery;

    #[test]
    fn the_least_limit_holds() {
        let limits = Limits {
            watts: Some(10.0),
            max_celsius: Some(70.0),
            quiet: vec!["22:00-06:00=6".parse().unwrap()],
            battery: Some("30=4".parse().unwrap()),
        };
        let low = Some(Battery { feeds: true, percent: Some(20.0) });
        let cases = [(12 * 60, None, 10.0), (23 * 60, None, 6.0), (23 * 60, low, 4.0)];
        for (local_minute, battery, watts) in cases {
            let now = limits.now(&Observed { local_minute, battery, ..Observed::default() });
            assert_eq!(
                now.watts.map(|(watts, _)| watts),
                Some(watts),
                "{local_minute} {battery:?}"
            );
            assert_eq!(now.share, None);
            assert_eq!(now.celsius, Some(70.0));
        }
        // A window with more than the limit does not lift it.
        let generous = Limits { quiet: vec!["00:00-23:59=60".parse().unwrap()], ..limits };
        let now = generous.now(&Observed::default());
        assert_eq!(now.watts.map(|(watts, _)| watts), Some(10.0));
    }

    #[test]
    fn without_watts_the_share_is_halved() {
        let limits = Limits { quiet: vec!["22:00-06:00".parse().unwrap()], ..Limits::default() };
        assert!(!limits.needs_watts());
        let at = |local_minute| limits.now(&Observed { local_minute, ..Observed::default() });
        assert_eq!(at(12 * 60), Now::default());
        assert_eq!(at(0).share.map(|(share, _)| share), Some(0.5));
    }
}
