//! What passes and drafts cost, from what they took.

/// Rows of a pass at most.
pub(super) const MOST_ROWS: usize = 32;
/// A row's share of a pass of one before it was measured: little, so that it is measured.
const HOPED_ROW: f64 = 0.25;
/// A draft's share of a pass of one before it was measured.
const HOPED_DRAFT: f64 = 0.3;

/// A moving average of seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Average(Option<f64>);

impl Average {
    /// Takes a measurement. Time is lost to other programs but never won, so that what took less
    /// counts for more, and what took far more counts as twice the average.
    fn observe(&mut self, seconds: f64) {
        self.0 = Some(self.0.map_or(seconds, |average| {
            let weight = if seconds < average { 0.5 } else { 0.2 };
            average + weight * (seconds.min(2.0 * average) - average)
        }));
    }
}

/// Whether a cost is what was measured or, where that is less, what was hoped for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outlook {
    Measured,
    Hopeful,
}

/// What passes of each number of rows and drafts took. Costs are told in passes of one row.
#[derive(Clone, Debug)]
pub(super) struct Costs {
    /// By rows less one.
    passes: [Average; MOST_ROWS],
    /// One token of the draft model.
    draft: Average,
    /// One token that the draft model was behind.
    behind: Average,
}

impl Default for Costs {
    fn default() -> Self {
        let none = Average::default();
        Self { passes: [none; MOST_ROWS], draft: none, behind: none }
    }
}

impl Costs {
    /// Seconds of a pass of one row, once it was measured.
    pub(super) fn single(&self) -> Option<f64> {
        self.passes[0].0
    }

    pub(super) fn observe_pass(&mut self, rows: usize, seconds: f64) {
        if let Some(average) = self.passes.get_mut(rows.wrapping_sub(1)) {
            average.observe(seconds);
        }
    }

    pub(super) fn observe_draft(&mut self, tokens: usize, seconds: f64) {
        if tokens > 0 {
            self.draft.observe(seconds / tokens as f64);
        }
    }

    pub(super) fn observe_behind(&mut self, tokens: usize, seconds: f64) {
        if tokens > 0 {
            self.behind.observe(seconds / tokens as f64);
        }
    }

    /// Rows of a pass that may be tried: twice those of the longest that was measured, so that a
    /// machine where rows cost far more than hoped shows it cheaply.
    pub(super) fn most_rows(&self) -> usize {
        2 * self.passes.iter().rposition(|pass| pass.0.is_some()).map_or(0, |at| at + 1)
    }

    /// A pass of `rows`, between or beyond those that were measured on a straight line.
    pub(super) fn pass(&self, rows: usize, outlook: Outlook) -> f64 {
        let Some(single) = self.single() else { return 1.0 };
        let measured = |i: usize| self.passes[i].0.map(|s| (i as f64, s / single));
        let at = rows.clamp(1, MOST_ROWS) - 1;
        let (low, below) = (0..=at).rev().find_map(measured).unwrap_or((0.0, 1.0));
        let slope = match (at..MOST_ROWS).find_map(measured) {
            Some((high, above)) if high > low => (above - below) / (high - low),
            _ if low > 0.0 => (below - 1.0) / low,
            _ => HOPED_ROW,
        };
        let cost = below + slope * (at as f64 - low);
        match outlook {
            Outlook::Measured => cost,
            Outlook::Hopeful => cost.min(1.0 + HOPED_ROW * at as f64),
        }
    }

    /// Drafting `tokens` with the draft model, which has missed `behind`: those it is hoped to run
    /// for all that come after.
    pub(super) fn draft(&self, tokens: usize, behind: usize, outlook: Outlook) -> f64 {
        let Some(single) = self.single() else { return 0.0 };
        let draft = self.draft.0.map_or(HOPED_DRAFT, |s| s / single);
        let missed = behind as f64 * self.behind.0.map_or(0.0, |s| s / single);
        match outlook {
            Outlook::Measured => tokens as f64 * draft + missed,
            Outlook::Hopeful => tokens as f64 * draft.min(HOPED_DRAFT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_lies_on_a_line() {
        let mut costs = Costs::default();
        assert_eq!(costs.most_rows(), 0);
        costs.observe_pass(1, 2.0);
        assert_eq!(costs.most_rows(), 2);
        let pass = |c: &Costs, rows| c.pass(rows, Outlook::Measured);
        assert_eq!((pass(&costs, 1), pass(&costs, 5)), (1.0, 2.0));
        costs.observe_pass(5, 8.0);
        assert_eq!((pass(&costs, 3), pass(&costs, 5), pass(&costs, 9)), (2.5, 4.0, 7.0));
        assert_eq!(costs.pass(5, Outlook::Hopeful), 2.0);
        costs.observe_pass(MOST_ROWS + 1, 1.0);
        assert_eq!(pass(&costs, 9), 7.0);
    }

    #[test]
    fn an_average_follows_and_forgives_an_outlier() {
        let mut average = Average::default();
        (0..20).for_each(|_| average.observe(1.0));
        average.observe(100.0);
        assert!(average.0.is_some_and(|s| s < 1.25));
        (0..40).for_each(|_| average.observe(3.0));
        assert!(average.0.is_some_and(|s| s > 2.9));
    }
}
