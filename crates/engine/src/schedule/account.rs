//! What passes take of energy, shared by rows among those whose tokens they run.

use super::Scheduler;
use super::texts::Part;

/// Energy that was spent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// All of it, in joules.
    pub joules: f64,
    /// What a machine at rest would not have taken in the same time, in joules, where that is known.
    pub above_idle_joules: Option<f64>,
}

impl Spent {
    /// This part of it.
    #[must_use]
    pub fn part(self, share: f64) -> Self {
        Self {
            joules: self.joules * share,
            above_idle_joules: self.above_idle_joules.map(|joules| joules * share),
        }
    }

    /// Both together; what is not known of one is not known of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let above = self.above_idle_joules.zip(other.above_idle_joules);
        Self { joules: self.joules + other.joules, above_idle_joules: above.map(|(a, b)| a + b) }
    }
}

/// Says what was spent since it was last asked; `None` where it cannot.
type Ask = Box<dyn FnMut() -> Option<Spent> + Send>;

/// Who says what was spent.
#[derive(Default)]
pub(super) struct Meter(Option<Ask>);

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Meter").field(&self.0.is_some()).finish()
    }
}

/// What a request has spent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    spent: Option<Spent>,
    /// Whether some of it is not known.
    broken: bool,
}

impl Account {
    fn add(&mut self, spent: Option<Spent>) {
        match spent {
            Some(more) => self.spent = Some(self.spent.map_or(more, |spent| spent.plus(more))),
            None => self.broken = true,
        }
    }

    /// All that it has spent, if all of it is known.
    pub(super) fn spent(&self) -> Option<Spent> {
        self.spent.filter(|_| !self.broken)
    }
}

impl Scheduler {
    /// Has `ask` say after each pass what was spent since it was last asked. Requests are told their
    /// share when they end: that of their rows in each pass, which each row counts alike, the tokens
    /// of prompts, of answers and of guesses.
    pub fn set_meter(&mut self, ask: impl FnMut() -> Option<Spent> + Send + 'static) {
        self.meter = Meter(Some(Box::new(ask)));
    }

    /// Shares what a pass took among those who have so many rows in it.
    pub(super) fn share_energy(&mut self, answers: &[usize], parts: &[Part]) {
        let Meter(Some(ask)) = &mut self.meter else { return };
        let spent = ask();
        let texts: usize = parts.iter().map(Part::rows).sum();
        let all = (answers.iter().sum::<usize>() + texts).max(1) as f64;
        let share = |rows: usize| spent.map(|spent| spent.part(rows as f64 / all));
        for (active, rows) in self.running.iter_mut().zip(answers).filter(|(_, rows)| **rows > 0) {
            active.account().add(share(*rows));
        }
        for part in parts {
            let embedding = self.embeddings.iter_mut().find(|e| e.arrival() == part.arrival());
            if let Some(embedding) = embedding {
                embedding.account().add(share(part.rows()));
            }
        }
    }
}
