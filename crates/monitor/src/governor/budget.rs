//! What the limits and the readings leave to be spent.

use super::control::SAFE_SHARE;
use super::heat::Allowed;

/// °C above the limit where the power is halved in each step, until it is not that much any more.
const OVER: f64 = 0.7;

/// What may be spent in this step.
pub(super) struct Budget {
    /// A share of full power, and why.
    pub(super) share: f64,
    pub(super) share_why: String,
    /// Watts, and why.
    pub(super) watts: Option<(f64, String)>,
    /// Whether a slower position cannot wait.
    pub(super) is_urgent: bool,
    pub(super) faults: Vec<String>,
}

impl Budget {
    /// Lowers the share.
    pub(super) fn cap(&mut self, share: f64, why: String) {
        if share < self.share || self.share_why.is_empty() {
            (self.share, self.share_why) = (share.min(self.share), why);
        }
    }

    /// A sensor of a limit is not believed.
    pub(super) fn distrust(&mut self, why: String) {
        self.is_urgent = true;
        self.cap(SAFE_SHARE, why.clone());
        self.faults.push(why);
    }

    pub(super) fn heat(&mut self, allowed: &Allowed, celsius: f64, power: f64) {
        let Allowed { share, limit, celsius: smooth, slope } = allowed;
        let why = format!("{smooth:.1} °C, {slope:+.2} °C/s, the limit is {limit:.1} °C");
        let is_over = celsius > limit + OVER;
        self.is_urgent |= is_over;
        self.cap(if is_over { share.min(power / 2.0) } else { *share }, why);
    }
}
