//! Disks and network interfaces.

use ratatui_core::text::Line;

use super::super::look::{bytes, percent, plain, span};
use super::{View, curve, lack};

pub(super) fn lines(view: &View<'_>, width: usize) -> Vec<Line<'static>> {
    let (sample, history) = (view.sample, view.history);
    let rate = |count: u64| format!("{:>5}/s", bytes(count));
    let [read, write] = sample.disk_bytes_per_second();
    let [receive, send] = sample.network_bytes_per_second();
    let mut lines = Vec::new();
    if sample.disks.is_empty() {
        lines.push(lack(view, "disks", "no disk"));
    } else {
        lines.push(curve(view, "read", &rate(read), &history.disk_read, None, width));
        lines.push(curve(view, "write", &rate(write), &history.disk_write, None, width));
    }
    lines.push(curve(view, "in", &rate(receive), &history.receive, None, width));
    lines.push(curve(view, "out", &rate(send), &history.send, None, width));
    let mut disks: Vec<_> = sample.disks.iter().collect();
    disks.sort_by(|a, b| b.busy_percent.total_cmp(&a.busy_percent));
    for disk in disks {
        let name = view.look.text(&disk.name);
        let busy = disk.busy_percent;
        let (read, write) = (disk.read_bytes_per_second, disk.write_bytes_per_second);
        lines.push(Line::from(vec![
            plain(format!("{name:<10.10} {} {} ", rate(read), rate(write))),
            span(format!("{:>4} % busy", percent(busy)), view.look.level(busy)),
        ]));
    }
    let mut networks: Vec<_> = sample.networks.iter().collect();
    networks.sort_by_key(|one| {
        std::cmp::Reverse(one.receive_bytes_per_second.saturating_add(one.send_bytes_per_second))
    });
    for network in networks {
        let name = view.look.text(&network.name);
        let (receive, send) = (network.receive_bytes_per_second, network.send_bytes_per_second);
        let mut line = vec![plain(format!("{name:<10.10} {} {}", rate(receive), rate(send)))];
        if network.errors > 0 {
            line.push(span(format!(" {} errors", network.errors), view.look.warning()));
        }
        lines.push(Line::from(line));
    }
    lines
}
