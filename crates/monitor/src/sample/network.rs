//! What network interfaces did (proc_pid_net(5)).

use rushlight_host::probe::Absent;

use super::files::Files;
use super::rate::{counted, per_second, shown};
use super::{Network, Sample};

/// Interfaces, at most; a host of containers has hundreds.
const MOST: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct NetworkState {
    last: Vec<(String, u64, u64)>,
}

impl NetworkState {
    pub(super) fn read(&mut self, files: &mut Files, sample: &mut Sample, seconds: f64) {
        let text = match files.text("proc/net/dev") {
            Ok(text) => text,
            Err(error) => {
                sample.networks.clear();
                sample.lacks("networks", &Absent::from_io(&error));
                return;
            }
        };
        let before = std::mem::take(&mut self.last);
        sample.networks.clear();
        for (at, (name, counts)) in text.lines().filter_map(parse).take(MOST).enumerate() {
            let [received, receive_errors, receive_drops, sent, send_errors, send_drops] = counts;
            // Most often they are in the order that they were in.
            let same = before.get(at).filter(|before| before.0 == name);
            let same = same.or_else(|| before.iter().find(|before| before.0 == name));
            let rate = |before: Option<u64>, now: u64| {
                per_second(before.map_or(0, |before| counted(before, now)), seconds)
            };
            let errors = [receive_errors, receive_drops, send_errors, send_drops];
            sample.networks.push(Network {
                name: shown(name, 32),
                receive_bytes_per_second: rate(same.map(|before| before.1), received),
                send_bytes_per_second: rate(same.map(|before| before.2), sent),
                errors: errors.iter().fold(0, |sum, more| sum.saturating_add(*more)),
                received_bytes: received,
                sent_bytes: sent,
            });
            self.last.push((name.to_owned(), received, sent));
        }
    }
}

/// `name: bytes packets errors dropped fifo frame compressed multicast`, and the same for what was
/// sent.
fn parse(line: &str) -> Option<(&str, [u64; 6])> {
    let (name, rest) = line.split_once(':')?;
    let mut words = rest.split_ascii_whitespace();
    let mut number = |skip: usize| words.nth(skip)?.parse().ok();
    let received = [number(0)?, number(1)?, number(0)?];
    let sent = [number(4)?, number(1)?, number(0)?];
    let [a, b, c] = received;
    let [d, e, f] = sent;
    Some((name.trim(), [a, b, c, d, e, f]))
}
