//! What passes and drafts cost, from what they took.

/// Rows of a pass whose cost is kept. Longer ones cost in proportion to their rows.
pub(super) const MOST_ROWS: usize = 32;
/// Rows of guesses in one pass, at most.
pub(crate) const MOST_GUESSES: usize = MOST_ROWS - 1;
/// A row's share of a pass of one before it was measured: little, so that it is measured.
const HOPED_ROW: f64 = 0.25;
/// A draft's share of a pass of one before it was measured.
const HOPED_DRAFT: f64 = 0.3;
/// The share of a token that the draft model was behind, before one was measured.
const HOPED_BEHIND: f64 = HOPED_DRAFT / 8.0;
/// Passes with drafts after which one without keeps the measure of what they save.
const LONGEST_STREAK: usize = 48;

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

/// What passes of each number of rows took.
#[derive(Clone, Copy, Debug, Default)]
struct Passes([Average; MOST_ROWS]);

impl Passes {
    fn observe(&mut self, rows: usize, seconds: f64) {
        if let Some(average) = self.0.get_mut(rows.wrapping_sub(1)) {
            average.observe(seconds);
        }
    }

    fn measured(&self, rows: usize) -> Option<f64> {
        self.0.get(rows.wrapping_sub(1))?.0
    }

    /// Rows of the longest that was measured.
    fn longest(&self) -> usize {
        self.0.iter().rposition(|pass| pass.0.is_some()).map_or(0, |at| at + 1)
    }

    /// Seconds of a pass of one row: where that was not measured, what the shortest pass hopes.
    fn single(&self) -> Option<f64> {
        let (rows, seconds) = self.0.iter().enumerate().find_map(|(i, s)| Some((i, s.0?)))?;
        Some(seconds / (1.0 + HOPED_ROW * rows as f64))
    }

    /// Seconds of a pass of `rows`, between or beyond those that were measured on a straight line;
    /// longer than all that are measured in proportion to its rows.
    fn seconds(&self, rows: usize) -> Option<f64> {
        let single = self.single()?;
        let at = rows.clamp(1, MOST_ROWS) - 1;
        let point = |i: usize| self.0[i].0.map(|s| (i as f64, s));
        let (low, below) = (0..=at).rev().find_map(point).unwrap_or((0.0, single));
        let slope = match (at..MOST_ROWS).find_map(point) {
            Some((high, above)) if high > low => (above - below) / (high - low),
            _ if low > 0.0 => (below - single) / low,
            _ => HOPED_ROW * single,
        };
        let seconds = below + slope * (at as f64 - low);
        Some(seconds * (rows as f64 / MOST_ROWS as f64).max(1.0))
    }
}

/// What passes and drafts took. Costs are told in passes without drafts.
#[derive(Clone, Debug, Default)]
pub(super) struct Costs {
    passes: Passes,
    /// Passes of the draft model.
    drafting: Passes,
    /// One token that the draft model was behind.
    behind: Average,
    /// Passes with drafts since the last without.
    streak: usize,
}

impl Costs {
    /// Whether it is known what a pass takes without drafts, and was not long ago.
    pub(super) fn are_known(&self, pass: Pass) -> bool {
        let known = match pass.reads {
            true => self.passes.single().is_some(),
            false => pass.rows > MOST_ROWS || self.passes.measured(pass.rows).is_some(),
        };
        known && self.streak < LONGEST_STREAK
    }

    /// Whether any pass was measured.
    pub(super) fn are_begun(&self) -> bool {
        self.passes.single().is_some()
    }

    /// A pass with so many `drafts` took so long, `drafting` included. Gives by how much that was
    /// more than a pass without them, in such passes.
    pub(super) fn observe(&mut self, pass: Pass, drafts: usize, took: Took) -> f64 {
        // What prompts cost is another matter.
        if !pass.reads {
            self.passes.observe(pass.rows + drafts, took.pass);
        }
        self.streak = if drafts == 0 && took.drafting == 0.0 { 0 } else { self.streak + 1 };
        if pass.reads {
            let drafting = self.passes.seconds(pass.rows).map_or(0.0, |s| took.drafting / s);
            return self.pass(pass.rows, drafts, Outlook::Measured) - 1.0 + drafting;
        }
        let base = self.passes.seconds(pass.rows);
        base.map_or(0.0, |base| (took.pass + took.drafting) / base - 1.0)
    }

    pub(super) fn observe_draft(&mut self, rows: usize, seconds: f64) {
        self.drafting.observe(rows, seconds);
    }

    pub(super) fn observe_behind(&mut self, tokens: usize, seconds: f64) {
        if tokens > 0 {
            self.behind.observe(seconds / tokens as f64);
        }
    }

    /// Drafts that may be tried beside so many rows: to twice those of the longest pass that was
    /// measured, so that a machine where rows cost far more than hoped shows it cheaply.
    pub(super) fn most_drafts(&self, rows: usize) -> usize {
        match rows > MOST_ROWS {
            true => MOST_ROWS,
            false => (2 * self.passes.longest()).saturating_sub(rows),
        }
    }

    /// A pass of `rows` and `drafts`.
    pub(super) fn pass(&self, rows: usize, drafts: usize, outlook: Outlook) -> f64 {
        let (Some(base), Some(all), Some(single)) =
            (self.passes.seconds(rows), self.passes.seconds(rows + drafts), self.passes.single())
        else {
            return 1.0;
        };
        match outlook {
            Outlook::Measured => all / base,
            Outlook::Hopeful => (all / base).min(1.0 + HOPED_ROW * drafts as f64 * single / base),
        }
    }

    /// A pass of the draft model of `rows`, beside one of the model of `beside` rows.
    pub(super) fn draft(&self, rows: usize, beside: usize, outlook: Outlook) -> f64 {
        let (Some(base), Some(single)) = (self.passes.seconds(beside), self.passes.single()) else {
            return 0.0;
        };
        let hoped = HOPED_DRAFT * (1.0 + HOPED_ROW * rows.saturating_sub(1) as f64) * single;
        let measured = self.drafting.seconds(rows).unwrap_or(hoped);
        match outlook {
            Outlook::Measured => measured / base,
            Outlook::Hopeful => measured.min(hoped) / base,
        }
    }

    /// Running `tokens` that the draft model has missed, beside a pass of so many rows.
    pub(super) fn missed(&self, tokens: usize, beside: usize) -> f64 {
        let (Some(base), Some(single)) = (self.passes.seconds(beside), self.passes.single()) else {
            return 0.0;
        };
        tokens as f64 * self.behind.0.unwrap_or(HOPED_BEHIND * single) / base
    }
}

/// A pass before drafts are added to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pass {
    /// Its rows.
    pub(crate) rows: usize,
    /// The answers for which it computes a token.
    pub(crate) answers: usize,
    /// Whether it reads of a prompt too.
    pub(crate) reads: bool,
    /// Drafts that it has room for.
    pub(crate) room: usize,
}

impl Pass {
    /// A pass for one answer, with room for so many guesses.
    pub(super) fn alone(room: usize) -> Self {
        Self { rows: 1, answers: 1, reads: false, room }
    }

    /// A pass of so many rows for so many answers before guesses are added, in an engine that
    /// computes `exact` rows as it would each alone, and `chunk` at most. A pass that is exact stays
    /// so unless it may be `wide`.
    pub(crate) fn new(
        (rows, answers): (usize, usize),
        reads: bool,
        (exact, chunk): (usize, usize),
        wide: bool,
    ) -> Self {
        let most = match rows {
            _ if rows <= exact && !wide => exact,
            _ if rows < MOST_ROWS => MOST_ROWS,
            _ => rows + MOST_GUESSES,
        };
        Self { rows, answers, reads, room: most.min(chunk).saturating_sub(rows) }
    }
}

/// Seconds that a pass took, and the draft model before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Took {
    pub(super) pass: f64,
    pub(super) drafting: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(rows: usize) -> Pass {
        Pass { rows, answers: rows, reads: false, room: MOST_ROWS }
    }

    fn observe(costs: &mut Costs, rows: usize, seconds: f64) {
        costs.observe(pass(rows), 0, Took { pass: seconds, drafting: 0.0 });
    }

    #[test]
    fn what_was_not_measured_lies_on_a_line() {
        let mut costs = Costs::default();
        assert_eq!((costs.most_drafts(1), costs.are_known(pass(1))), (0, false));
        observe(&mut costs, 1, 2.0);
        assert_eq!((costs.most_drafts(1), costs.are_known(pass(1))), (1, true));
        let cost = |c: &Costs, rows: usize| c.pass(1, rows - 1, Outlook::Measured);
        assert_eq!((cost(&costs, 1), cost(&costs, 5)), (1.0, 2.0));
        observe(&mut costs, 5, 8.0);
        assert_eq!((cost(&costs, 3), cost(&costs, 5), cost(&costs, 9)), (2.5, 4.0, 7.0));
        assert_eq!(costs.pass(1, 4, Outlook::Hopeful), 2.0);
        // Beside others: (9 rows, 14) to (5 rows, 8).
        assert_eq!(costs.pass(5, 4, Outlook::Measured), 14.0 / 8.0);
        assert_eq!(costs.most_drafts(4), 6);
        observe(&mut costs, MOST_ROWS + 1, 1.0);
        assert_eq!(cost(&costs, 9), 7.0);
        // Where rows are all that costs.
        assert_eq!(costs.pass(2 * MOST_ROWS, MOST_ROWS, Outlook::Measured), 1.5);
    }

    #[test]
    fn a_pass_of_one_row_need_not_be_measured() {
        let mut costs = Costs::default();
        observe(&mut costs, 5, 4.0);
        assert_eq!((costs.are_known(pass(5)), costs.are_known(pass(4))), (true, false));
        assert_eq!((costs.passes.single(), costs.passes.seconds(3)), (Some(2.0), Some(3.0)));
        // One that reads is not measured, but what it took is told.
        let reads = Pass { reads: true, ..pass(5) };
        assert!(costs.are_known(reads));
        let more = costs.observe(reads, 5, Took { pass: 100.0, drafting: 2.0 });
        assert_eq!((more, costs.passes.seconds(5)), (2.5 / 4.0 + 0.5, Some(4.0)));
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
