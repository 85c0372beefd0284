//! The kernel's throttling.

use super::Device;

/// Takes clock steps away above a trip point, one a period, and gives them back below.
#[derive(Clone, Debug)]
pub(super) struct StepWise {
    /// Steps that are taken away.
    pub(super) state: usize,
    most: usize,
    last: f64,
    next: f64,
}

impl StepWise {
    pub(super) fn new(device: &Device) -> Self {
        Self { state: 0, most: device.fast.clocks.len() - 1, last: 0.0, next: 0.0 }
    }

    /// Looks at the chip, if it is time.
    pub(super) fn look(&mut self, seconds: f64, celsius: f64, trip: f64, device: &Device) {
        if seconds < self.next {
            return;
        }
        self.next = seconds + device.polling;
        if celsius >= trip && celsius >= self.last {
            self.state = (self.state + 1).min(self.most);
        } else if celsius < trip - device.hysteresis && celsius < self.last
            || celsius < trip - 2.0 * device.hysteresis
        {
            self.state = self.state.saturating_sub(1);
        }
        self.last = celsius;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::devices;

    #[test]
    fn steps_go_and_come() {
        let device = &devices()[0];
        let mut kernel = StepWise::new(device);
        let mut look = |n: usize, celsius| {
            kernel.look(n as f64, celsius, 80.0, device);
            kernel.state
        };
        assert_eq!([look(0, 79.0), look(1, 80.0), look(2, 81.0), look(3, 80.5)], [0, 1, 2, 2]);
        assert_eq!([look(4, 78.0), look(5, 74.0), look(6, 73.0)], [2, 1, 0]);
    }
}
