//! The last minutes of what is drawn as a curve.

use std::collections::VecDeque;

use crate::sample::Sample;

/// Samples that are kept: ten minutes at one a second.
const KEPT: usize = 600;
/// Accelerators with a curve.
const MOST_ACCELERATORS: usize = 64;

/// The last values of one thing; those that were absent are not a number.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    values: VecDeque<f32>,
}

impl Ring {
    fn push(&mut self, value: Option<f32>) {
        if self.values.len() >= KEPT {
            self.values.pop_front();
        }
        self.values.push_back(value.unwrap_or(f32::NAN));
    }

    /// The last `count` values, the newest at the end; fewer if there are not as many.
    pub fn last(&self, count: usize) -> impl Iterator<Item = f32> + '_ {
        self.values.iter().skip(self.values.len().saturating_sub(count)).copied()
    }
}

/// The last minutes.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Load of all processors in per cent.
    pub cpu: Ring,
    /// Memory that is not available, in per cent.
    pub memory: Ring,
    /// Bytes a second read from disks.
    pub disk_read: Ring,
    /// Bytes a second written to disks.
    pub disk_write: Ring,
    /// Bytes a second received.
    pub receive: Ring,
    /// Bytes a second sent.
    pub send: Ring,
    /// Watts.
    pub watts: Ring,
    /// Degrees of the hottest place.
    pub celsius: Ring,
    /// Tokens a second of all models.
    pub tokens: Ring,
    /// Load of each accelerator in per cent.
    pub accelerators: Vec<Ring>,
}

impl History {
    /// Keeps what `sample` says.
    pub fn push(&mut self, sample: &Sample) {
        let [read, write] = sample.disk_bytes_per_second();
        let [receive, send] = sample.network_bytes_per_second();
        self.cpu.push(Some(sample.cpu.total.busy_percent));
        self.memory.push(Some(sample.memory_used_percent()));
        self.disk_read.push(Some(read as f32));
        self.disk_write.push(Some(write as f32));
        self.receive.push(Some(receive as f32));
        self.send.push(Some(send as f32));
        // A value that is old is no part of a curve.
        let is_fresh = |what: &str| sample.stale(what).is_none();
        self.watts.push(sample.power.watts.filter(|_| is_fresh("power")));
        let hottest = sample.heat.hottest.as_ref().filter(|_| is_fresh("heat"));
        self.celsius.push(hottest.map(|hottest| hottest.celsius));
        let tokens = |served: &crate::sample::Served| {
            served.models.iter().map(|model| model.tokens_per_second).sum()
        };
        self.tokens.push(sample.served.as_ref().map(tokens));
        let count = sample.accelerators.len().min(MOST_ACCELERATORS);
        self.accelerators.resize_with(count, Ring::default);
        for (ring, accelerator) in self.accelerators.iter_mut().zip(&sample.accelerators) {
            ring.push(accelerator.busy_percent.filter(|_| is_fresh("accelerators")));
        }
    }
}

impl Sample {
    /// Bytes a second that were read from and written to disks; those of volumes and RAIDs are counted
    /// once, at the disks below.
    pub fn disk_bytes_per_second(&self) -> [u64; 2] {
        let disks = self.disks.iter().filter(|disk| !disk.is_made_of_others);
        disks.fold([0u64; 2], |[read, write], disk| {
            [
                read.saturating_add(disk.read_bytes_per_second),
                write.saturating_add(disk.write_bytes_per_second),
            ]
        })
    }

    /// Bytes a second that were received and sent by interfaces other than the loopback.
    pub fn network_bytes_per_second(&self) -> [u64; 2] {
        let networks = self.networks.iter().filter(|network| network.name != "lo");
        networks.fold([0u64; 2], |[receive, send], network| {
            [
                receive.saturating_add(network.receive_bytes_per_second),
                send.saturating_add(network.send_bytes_per_second),
            ]
        })
    }

    /// Memory that is not available, in per cent.
    pub fn memory_used_percent(&self) -> f32 {
        let total = self.memory.total_bytes as f32;
        let used = self.memory.total_bytes.saturating_sub(self.memory.available_bytes) as f32;
        if total > 0.0 { used / total * 100.0 } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_forgets_the_oldest() {
        let mut ring = Ring::default();
        for n in 0..KEPT + 5 {
            ring.push(Some(n as f32));
        }
        assert_eq!(ring.last(usize::MAX).count(), KEPT);
        assert_eq!(ring.last(2).collect::<Vec<_>>(), [603.0, 604.0]);
        ring.push(None);
        assert!(ring.last(1).next().is_some_and(f32::is_nan));
    }
}
