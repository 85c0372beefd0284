//! The roofline: speed over multiply-adds per byte, under what the machine allows.
//!
//! Both axes are logarithmic. The slope is the bandwidth, the flat line the int8 peak. A full point
//! is ours, a hollow one below or above it the best peer at the same work.

use super::figure::{Figure, Kind, Spread};
use super::markdown::short;
use super::peak::Peaks;
use super::{OURS, Run, count};
use std::fmt::Write as _;

/// The width of the picture and of a chart in it, the height of a chart, in pixels.
const WIDTH: f64 = 1100.0;
const PLOT: f64 = 700.0;
const HEIGHT: f64 = 420.0;
/// Around a chart.
const LEFT: f64 = 70.0;
const TOP: f64 = 56.0;
const BELOW: f64 = 56.0;
/// Between the lines of a list of labels.
const LINE: f64 = 14.0;

/// The colours, for a light and a dark page.
const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #1c2024 }
.title { font-weight: 600; font-size: 15px }
.page { fill: #ffffff }
.grid { stroke: #d8dde3; stroke-width: 1 }
.roof { stroke: #5b6570; stroke-width: 2; fill: none }
.float { stroke-dasharray: 6 4 }
.ours { fill: #b4530a; stroke: #b4530a; stroke-width: 2 }
.peer { fill: none; stroke: #0b62b8; stroke-width: 2 }
.lead { stroke: #9aa4ae; stroke-width: 0.75 }
@media (prefers-color-scheme: dark) {
text { fill: #e4e8ec }
.page { fill: #15181c }
.grid { stroke: #30363d }
.roof { stroke: #9aa4ae }
.ours { fill: #f5a04c; stroke: #f5a04c }
.peer { stroke: #6cb2f5 }
.lead { stroke: #5b6570 }
}";

/// Rates are drawn in thousand millions per second.
const GIGA: f64 = 1e9;

/// One figure's place: multiply-adds per byte, and G multiply-adds per second of ours and of the
/// best peer.
struct Point {
    label: String,
    x: f64,
    ours: f64,
    peer: Option<f64>,
}

/// One chart for each number of threads, below each other.
pub(super) fn draw(run: &Run) -> String {
    let mut charts = String::new();
    let mut top = 0.0;
    for (threads, peaks) in &run.peaks {
        let points: Vec<_> =
            run.figures.iter().filter(|f| f.threads == *threads).filter_map(point).collect();
        let Some((read, int8)) = peaks.read().zip(peaks.int8(&run.row)) else { continue };
        let title = format!("{}, {}", count(*threads), run.machine.processor);
        let chart = Chart::around(&points, read.median / GIGA, int8.median / GIGA, top);
        chart.draw(&title, peaks, &run.row, &points, &mut charts);
        top += HEIGHT + TOP + BELOW;
    }
    let height = top.max(LINE);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n\
         <title>Roofline of {}, commit {}</title>\n<style>\n{STYLE}\n</style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\"/>\n{charts}</svg>\n",
        escaped(&run.machine.processor),
        escaped(&run.machine.commit),
    )
}

/// The place of a figure at no depth with one sequence.
fn point(figure: &Figure) -> Option<Point> {
    let what = match figure.kind {
        Kind::Prefill { .. } => "prefill",
        Kind::Decode { depth: 0, .. } => "decode",
        _ => return None,
    };
    let work = figure.work?;
    let speed = |spread: Spread| spread.median * work.multiply_adds / GIGA;
    let file = figure.model.trim_end_matches(".gguf");
    let fraction = figure.fraction(OURS)?.median * 100.0;
    Some(Point {
        label: format!("{file} {what}, {fraction:.0} %"),
        x: work.multiply_adds / work.bytes,
        ours: speed(figure.ours()?),
        peer: figure.best_peer().map(|(_, spread)| speed(spread)),
    })
}

/// Powers of two of both axes, and where the chart begins.
struct Chart {
    x: (f64, f64),
    y: (f64, f64),
    top: f64,
}

impl Chart {
    /// Room for everything, in whole powers of two.
    fn around(points: &[Point], read: f64, int8: f64, top: f64) -> Self {
        let ridge = int8 / read;
        let xs = points.iter().map(|p| p.x).chain([ridge]);
        let speeds = points.iter().flat_map(|p| p.peer.into_iter().chain([p.ours]));
        let around = |values: &mut dyn Iterator<Item = f64>| {
            let (low, high) = values
                .filter(|value| value.is_finite() && *value > 0.0)
                .map(f64::log2)
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
            (low.floor() - 1.0, high.ceil() + 1.0)
        };
        Self { x: around(&mut { xs }), y: around(&mut { speeds.chain([int8]) }), top }
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + (value.log2() - self.x.0) / (self.x.1 - self.x.0) * (PLOT - LEFT)
    }

    fn y(&self, value: f64) -> f64 {
        let up = (value.log2() - self.y.0) / (self.y.1 - self.y.0);
        self.top + TOP + (1.0 - up) * HEIGHT
    }

    fn draw(&self, title: &str, peaks: &Peaks, row: &str, points: &[Point], out: &mut String) {
        let bottom = self.top + TOP + HEIGHT;
        text(out, LEFT, self.top + 22.0, "class=\"title\"", title);
        let key = "multiply-adds per second over multiply-adds per byte read; \
                   full: rushlight and its part of what the machine allows; hollow: the best peer";
        text(out, LEFT, self.top + 42.0, "", key);
        self.grid(out);
        let (left, right) = (self.x.0.exp2(), self.x.1.exp2());
        if let Some((read, int8)) = peaks.read().zip(peaks.int8(row)) {
            let (read, int8) = (read.median / GIGA, int8.median / GIGA);
            let begin = left.max(self.y.0.exp2() / read);
            let corners = [(begin, begin * read), (int8 / read, int8), (right, int8)];
            let corners = corners.map(|(x, y)| format!("{:.1},{:.1}", self.x(x), self.y(y)));
            let _ = writeln!(out, "<polyline class=\"roof\" points=\"{}\"/>", corners.join(" "));
            let label = format!("int8 {} G/s", short(int8));
            text(out, PLOT - 4.0, self.y(int8) - 6.0, "text-anchor=\"end\"", &label);
            let label = format!("read {} GB/s", short(read));
            let middle = (begin * int8 / read).sqrt();
            let (x, y) = (self.x(middle) - 8.0, self.y(middle * read) - 4.0);
            text(out, x, y, "text-anchor=\"end\"", &label);
        }
        if let Some(f32) = peaks.f32().map(|spread| spread.median / GIGA) {
            let y = self.y(f32);
            if y < bottom {
                line(out, "roof float", (LEFT, y), (PLOT, y));
                let label = format!("f32 {} G/s", short(f32));
                text(out, PLOT - 4.0, y - 6.0, "text-anchor=\"end\"", &label);
            }
        }
        self.points(points, out);
    }

    fn grid(&self, out: &mut String) {
        let (bottom, top) = (self.top + TOP + HEIGHT, self.top + TOP);
        let steps = |(low, high): (f64, f64)| {
            let step = if high - low > 9.0 { 2 } else { 1 };
            (low as i32..=high as i32).step_by(step).map(|power| f64::from(power).exp2())
        };
        for value in steps(self.x) {
            let x = self.x(value);
            line(out, "grid", (x, top), (x, bottom));
            text(out, x, bottom + 18.0, "text-anchor=\"middle\"", &plain(value));
        }
        for value in steps(self.y) {
            let y = self.y(value);
            line(out, "grid", (LEFT, y), (PLOT, y));
            let label = format!("{} G", plain(value));
            text(out, LEFT - 8.0, y + 4.0, "text-anchor=\"end\"", &label);
        }
        text(out, PLOT, bottom + 36.0, "text-anchor=\"end\"", "multiply-adds per byte");
    }

    /// The points, and a list of their labels beside the chart, in the order of their heights.
    fn points(&self, points: &[Point], out: &mut String) {
        let mut order: Vec<&Point> = points.iter().collect();
        order.sort_by(|a, b| b.ours.total_cmp(&a.ours));
        let heights: Vec<_> = order.iter().map(|point| self.y(point.ours)).collect();
        let places = apart(&heights, self.top + TOP, self.top + TOP + HEIGHT);
        for (point, place) in order.into_iter().zip(places) {
            let (x, y) = (self.x(point.x), self.y(point.ours));
            line(out, "lead", (x, y), (PLOT + 10.0, place));
            if let Some(peer) = point.peer.map(|peer| self.y(peer)) {
                line(out, "peer", (x, y), (x, peer));
                let _ = writeln!(
                    out,
                    "<circle class=\"peer\" cx=\"{x:.1}\" cy=\"{peer:.1}\" r=\"4\"/>"
                );
            }
            let _ = writeln!(out, "<circle class=\"ours\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>");
            text(out, PLOT + 14.0, place + 4.0, "", &point.label);
        }
    }
}

/// Heights for labels, rising, as near to `wanted` as lines that do not overlap can be.
fn apart(wanted: &[f64], low: f64, high: f64) -> Vec<f64> {
    let room = (high - low) / wanted.len().max(1) as f64;
    let line = LINE.min(room);
    let mut places = wanted.to_vec();
    let mut least = low;
    for place in &mut places {
        *place = place.max(least);
        least = *place + line;
    }
    let mut most = high;
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - line;
    }
    places
}

/// A power of two, whole if it can be.
fn plain(value: f64) -> String {
    if value < 1.0 { value.to_string() } else { format!("{value:.0}") }
}

fn line(out: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        out,
        "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn text(out: &mut String, x: f64, y: f64, more: &str, content: &str) {
    let content = escaped(content);
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" {more}>{content}</text>");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::{LINE, apart, draw};

    #[test]
    fn the_picture_has_its_points_and_roofs() {
        let mut run = run();
        run.machine.processor = "A & B <C>".to_owned();
        let svg = draw(&run);
        let count = |what: &str| svg.matches(what).count();
        // Prefill and decode at no depth, each with its peer.
        assert_eq!((count("<circle class=\"ours\""), count("<circle class=\"peer\"")), (2, 2));
        assert_eq!((count("<polyline"), count("class=\"roof float\"")), (1, 1));
        for wanted in [
            "tiny-Q4_0 prefill, 10 %",
            "tiny-Q4_0 decode, 75 %",
            "int8 900 G/s",
            "read 40.0 GB/s",
            "2 threads, A &amp; B &lt;C&gt;",
            "prefers-color-scheme: dark",
        ] {
            assert!(svg.contains(wanted), "{wanted} in {svg}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert_eq!(count("<text"), count("</text>"));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn a_run_without_figures_is_an_empty_picture() {
        let mut run = run();
        run.figures.clear();
        assert!(draw(&run).contains("<polyline"));
        run.peaks.clear();
        assert!(!draw(&run).contains("<polyline"));
    }

    #[test]
    fn labels_do_not_overlap() {
        let cases =
            [vec![], vec![50.0], vec![10.0, 11.0, 12.0, 300.0], vec![399.0; 9], vec![0.0; 60]];
        for wanted in cases {
            let found = apart(&wanted, 0.0, 400.0);
            let line = LINE.min(400.0 / wanted.len().max(1) as f64) - 1e-9;
            assert!(found.windows(2).all(|pair| pair[1] - pair[0] >= line), "{found:?}");
            assert!(found.iter().all(|place| (-1e-9..=400.0 + 1e-9).contains(place)), "{found:?}");
        }
    }
}
