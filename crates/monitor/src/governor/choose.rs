//! Which of the positions within the budget is taken.

use super::Ladder;

/// How much faster a position must be to be taken in place of one that draws less.
const BETTER: f64 = 1.03;

/// The position to be in: of those that cost nothing but speed the fastest that `fits`, and of the
/// others the first that does; the last one if none does.
pub(super) fn choose(
    ladder: &Ladder,
    fits: impl Fn(usize) -> bool,
    speed: impl Fn(usize) -> f64,
) -> usize {
    let positions = ladder.positions();
    let fitting = |alone: bool| {
        let all = positions.iter().enumerate();
        all.filter(move |(_, p)| p.rung.costs_speed_alone() == alone)
            .map(|(index, _)| index)
            .filter(|index| fits(*index))
    };
    let mut best: Option<(usize, f64)> = None;
    // From the one that draws least up: more must be worth it.
    let mut all: Vec<usize> = fitting(true).collect();
    all.reverse();
    for index in all {
        let speed = speed(index);
        if best.is_none_or(|(_, best)| speed > best * BETTER) {
            best = Some((index, speed));
        }
    }
    let best = best.map(|(index, _)| index);
    best.or_else(|| fitting(false).next()).unwrap_or(ladder.bottom())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::governor::{Rung, Shape};

    #[test]
    fn speed_counts_then_power_then_quality() {
        let ladder = Ladder::new(&Shape { variants: vec![0.5], ..Shape::new(4, 512) });
        let expected = |index: usize| ladder.at(index).speed;
        assert_eq!(choose(&ladder, |_| true, expected), 0);
        assert_eq!(choose(&ladder, |index| index >= 3, expected), 3);
        assert_eq!(choose(&ladder, |_| false, expected), ladder.bottom());
        // Two threads were measured to write as many tokens as four: they draw less.
        let measured = |index: usize| if index == 2 { 1.0 } else { expected(index) };
        assert_eq!(choose(&ladder, |_| true, measured), 2);
        // A smaller model is faster, and is taken only where nothing else fits.
        let variant = ladder.positions().iter().position(|p| p.rung == Rung::Variant).unwrap();
        assert!(expected(variant) > expected(variant - 1));
        assert_eq!(choose(&ladder, |index| index >= variant - 1, expected), variant - 1);
        assert_eq!(choose(&ladder, |index| index >= variant, expected), variant);
    }
}
