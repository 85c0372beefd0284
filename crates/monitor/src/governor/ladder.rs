//! The ladder: which settings there are, from full speed down.
//!
//! Its order is what is lost first costs least:
//!
//! 1. **Clocks**, where the kernel lets us set them: power falls with the square of the voltage,
//!    speed with the clock. Nothing else saves energy for each operation.
//! 2. **Threads**, down to half: writing is bound by memory, which half of the cores nearly
//!    saturate, so that tokens per joule rise.
//! 3. **Core class**: efficient cores do the same operation for a third of the energy or less.
//! 4. **Threads** further down, where there are no efficient cores.
//! 5. **Chunk**: smaller pieces of prompts. Weights are read again for each piece, which costs a
//!    little; shorter passes make pauses finer, and nobody waits long behind a prompt.
//! 6. **Duty**: pauses between passes. Speed falls as power does, and the power of an idle device is
//!    paid for fewer tokens. From here on requests of low priority stand behind all others. Short
//!    pauses also fill the gaps between the rungs above, where one would be too much and the next is
//!    less than could be.
//! 7. **Draft**: no guessing. Guesses that are right save passes, so this usually loses tokens per
//!    joule; it is here because it makes passes lighter when all else is spent.
//! 8. **Variant**: a smaller variant of the model. It costs quality, which no one asked for.
//! 9. **Queue**: fewer requests are taken; those of low priority are refused first.
//!
//! Each position has the power and the speed that are expected of it, as shares of full speed's;
//! what is measured replaces them.

/// What a device and a server can do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Shape {
    /// Threads at full speed, on the fastest cores.
    pub threads: usize,
    /// Efficient cores that could take over, if there are any: how many, and the speed of one as a
    /// share of a fast one's.
    pub efficient: Option<(usize, f64)>,
    /// Rows of a prompt in one pass at full speed.
    pub chunk: usize,
    /// Clocks that may be set below the highest, as shares of it, falling.
    pub clocks: Vec<f64>,
    /// Whether tokens are guessed.
    pub drafts: bool,
    /// Sizes of smaller variants of the model, as shares of it, falling.
    pub variants: Vec<f64>,
}

impl Shape {
    /// So many threads on cores of one class.
    pub fn new(threads: usize, chunk: usize) -> Self {
        Self {
            threads: threads.max(1),
            efficient: None,
            chunk: chunk.max(1),
            clocks: Vec::new(),
            drafts: false,
            variants: Vec::new(),
        }
    }
}

/// What a position changes, beside all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rung {
    /// Nothing: full speed.
    Full,
    /// A lower clock.
    Clocks,
    /// Fewer threads.
    Threads,
    /// Efficient cores.
    Class,
    /// Smaller pieces of prompts.
    Chunk,
    /// Pauses between passes.
    Duty,
    /// No guessing.
    Draft,
    /// A smaller variant of the model.
    Variant,
    /// Fewer requests.
    Queue,
}

impl Rung {
    /// As metrics and `/health` call it.
    pub fn name(self) -> &'static str {
        match self {
            Rung::Full => "full",
            Rung::Clocks => "clocks",
            Rung::Threads => "threads",
            Rung::Class => "class",
            Rung::Chunk => "chunk",
            Rung::Duty => "duty",
            Rung::Draft => "draft",
            Rung::Variant => "variant",
            Rung::Queue => "queue",
        }
    }

    /// Whether it costs nothing but speed.
    pub(super) fn costs_speed_alone(self) -> bool {
        !matches!(self, Rung::Variant | Rung::Queue)
    }
}

/// What becomes of requests of low priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Batch {
    /// They run beside all others.
    Beside,
    /// They run while no other request runs or waits.
    Behind,
    /// New ones are refused, and those that wait run while no other does.
    Refused,
}

/// How the server is to run.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Setting {
    /// Worker threads.
    pub threads: usize,
    /// Whether they run on efficient cores.
    pub is_efficient: bool,
    /// The highest clock, as a share of what it is without us.
    pub clock: f64,
    /// Rows of a prompt in one pass.
    pub chunk: usize,
    /// Share of the time in which passes run, above 0; the rest is paused.
    pub duty: f64,
    /// Whether tokens may be guessed.
    pub drafts: bool,
    /// Which variant of the model answers: 0 is the one that was asked for.
    pub variant: usize,
    /// What becomes of requests of low priority.
    pub batch: Batch,
    /// Share of the places in the queue that are still given.
    pub queue: f64,
}

/// One setting of the ladder.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Position {
    /// The setting.
    pub setting: Setting,
    /// What it changes beside the position before.
    pub rung: Rung,
    /// What it is called, for people.
    pub name: String,
    /// The power expected above idling, as a share of full speed's.
    pub power: f64,
    /// The tokens per second expected, as a share of full speed's.
    pub speed: f64,
    /// Which of the settings without pauses it is, from 0.
    pub(super) base: usize,
}

/// Settings from full speed down.
#[derive(Clone, Debug, PartialEq)]
pub struct Ladder(Vec<Position>);

/// Shares of the time in which passes run.
const DUTIES: [f64; 8] = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2];

/// Shares of the queue, and of the time, of the last positions.
const QUEUES: [(f64, f64); 2] = [(0.5, 0.1), (0.25, 0.05)];

/// Speed falls slower than threads do: writing is bound by memory. Between 1, which is arithmetic
/// alone, and 0.
const SPEED_EXPONENT: f64 = 0.7;

impl Ladder {
    /// The ladder of a device.
    pub fn new(shape: &Shape) -> Self {
        let full = Setting {
            threads: shape.threads,
            is_efficient: false,
            clock: 1.0,
            chunk: shape.chunk,
            duty: 1.0,
            drafts: shape.drafts,
            variant: 0,
            batch: Batch::Beside,
            queue: 1.0,
        };
        let name = format!("full speed, {}", threads(shape.threads));
        let first =
            Position { setting: full, rung: Rung::Full, name, power: 1.0, speed: 1.0, base: 0 };
        let mut ladder = Self(vec![first]);
        ladder.clocks(shape);
        ladder.threads(shape);
        ladder.chunks(shape);
        ladder.fill();
        ladder.duties();
        ladder.rest(shape);
        ladder
    }

    /// All positions, full speed first; never empty.
    pub fn positions(&self) -> &[Position] {
        &self.0
    }

    /// The last one.
    pub fn bottom(&self) -> usize {
        self.0.len() - 1
    }

    /// A position; the last one if there are not as many.
    pub fn at(&self, index: usize) -> &Position {
        &self.0[index.min(self.bottom())]
    }

    /// One more position, which `change` makes of the last one.
    fn push(&mut self, rung: Rung, name: String, change: impl FnOnce(&mut Position)) {
        let mut position = self.0[self.bottom()].clone();
        (position.rung, position.name) = (rung, name);
        if rung != Rung::Duty {
            position.base += 1;
        }
        change(&mut position);
        self.0.push(position);
    }

    fn clocks(&mut self, shape: &Shape) {
        for &clock in &shape.clocks {
            self.push(Rung::Clocks, format!("clocks at {:.0} %", clock * 100.0), |p| {
                p.setting.clock = clock;
                // The voltage falls about half as far as the clock does.
                p.power = clock * (0.5 + 0.5 * clock).powi(2);
                p.speed = clock.powf(SPEED_EXPONENT);
            });
        }
    }

    fn threads(&mut self, shape: &Shape) {
        let all = shape.threads;
        let (power, speed) = (self.0[self.bottom()].power, self.0[self.bottom()].speed);
        let fewest = if shape.efficient.is_some() { all.div_ceil(2) } else { 1 };
        for fewer in steps_down(all, fewest) {
            self.push(Rung::Threads, threads(fewer), |p| {
                let share = fewer as f64 / all as f64;
                p.setting.threads = fewer;
                (p.power, p.speed) = (power * share, speed * share.powf(SPEED_EXPONENT));
            });
        }
        let Some((cores, core_speed)) = shape.efficient else { return };
        for fewer in std::iter::once(cores).chain(steps_down(cores, 1)) {
            self.push(Rung::Class, format!("{} on efficient cores", threads(fewer)), |p| {
                let share = core_speed * fewer as f64 / all as f64;
                (p.setting.threads, p.setting.is_efficient) = (fewer, true);
                // A core's power goes with the square of its speed.
                p.power = power * share * core_speed;
                p.speed = speed * share.powf(SPEED_EXPONENT);
            });
        }
    }

    fn chunks(&mut self, shape: &Shape) {
        for part in [2, 4] {
            let chunk = (shape.chunk / part).max(1);
            if chunk < self.0[self.bottom()].setting.chunk {
                self.push(Rung::Chunk, format!("prompts in pieces of {chunk}"), |p| {
                    p.setting.chunk = chunk;
                    p.power *= 0.98;
                    p.speed *= 0.96;
                });
            }
        }
    }

    /// Puts short pauses where two settings are far apart.
    fn fill(&mut self) {
        let mut all: Vec<Position> = Vec::with_capacity(self.0.len());
        for position in std::mem::take(&mut self.0) {
            if let Some(before) = all.last().cloned() {
                let is_between =
                    |p: &Position| p.power > position.power && p.speed > position.speed;
                all.extend(DUTIES.map(|duty| before.paused(duty)).into_iter().filter(is_between));
            }
            all.push(position);
        }
        self.0 = all;
    }

    fn duties(&mut self) {
        let last = self.0[self.bottom()].clone();
        self.0.extend(DUTIES.map(|duty| {
            let mut position = last.paused(duty);
            (position.rung, position.setting.batch) = (Rung::Duty, Batch::Behind);
            position
        }));
    }

    fn rest(&mut self, shape: &Shape) {
        if shape.drafts {
            self.push(Rung::Draft, "no guessed tokens".to_owned(), |p| {
                p.setting.drafts = false;
                p.power *= 0.9;
                p.speed *= 0.8;
            });
        }
        for (index, size) in shape.variants.iter().enumerate() {
            let name = format!("a model of {:.0} % of the size", size * 100.0);
            self.push(Rung::Variant, name, |p| {
                p.setting.variant = index + 1;
                p.power *= 0.9;
                p.speed /= size.clamp(0.1, 1.0);
            });
        }
        let (power, speed) = (self.0[self.bottom()].power, self.0[self.bottom()].speed);
        let before = self.0[self.bottom()].setting.duty;
        let model = if shape.variants.is_empty() { "" } else { "the smallest model, " };
        for (queue, duty) in QUEUES {
            let name = format!("{model}{:.0} % of the queue, none of low priority", queue * 100.0);
            self.push(Rung::Queue, name, |p| {
                (p.setting.batch, p.setting.queue, p.setting.duty) = (Batch::Refused, queue, duty);
                (p.power, p.speed) = (power * duty / before, speed * duty / before);
            });
        }
    }
}

impl Position {
    /// The same with pauses.
    fn paused(&self, duty: f64) -> Self {
        let mut position = self.clone();
        position.name = format!("{}, {:.0} % of the time", self.name, duty * 100.0);
        position.setting.duty = duty;
        (position.power, position.speed) = (self.power * duty, self.speed * duty);
        position
    }
}

/// Fewer and fewer threads, a quarter less each time.
fn steps_down(all: usize, fewest: usize) -> impl Iterator<Item = usize> {
    let less = |n: &usize| n - (n / 4).max(1);
    std::iter::successors(Some(all), move |n| (*n > fewest).then(|| less(n).max(fewest))).skip(1)
}

fn threads(n: usize) -> String {
    if n == 1 { "1 thread".to_owned() } else { format!("{n} threads") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes() -> Vec<Shape> {
        let plain = Shape::new(4, 512);
        let big_little = Shape { efficient: Some((4, 0.4)), ..Shape::new(4, 512) };
        let all = Shape {
            clocks: vec![0.8, 0.6],
            drafts: true,
            variants: vec![0.5],
            ..Shape::new(64, 512)
        };
        vec![plain, big_little, all, Shape::new(0, 0)]
    }

    #[test]
    fn rungs_come_in_their_order_and_power_falls() {
        for shape in shapes() {
            let ladder = Ladder::new(&shape);
            let positions = ladder.positions();
            assert_eq!(positions[0].rung, Rung::Full);
            for two in positions.windows(2) {
                assert!(two[0].power > two[1].power, "{:?}", two);
                assert!(two[1].rung as usize >= two[0].rung as usize, "{:?}", two);
                assert!(two[1].setting.batch >= two[0].setting.batch);
                assert_ne!(two[0].setting, two[1].setting);
                assert_ne!(two[0].name, two[1].name);
            }
            for position in positions {
                let setting = position.setting;
                assert!(setting.threads >= 1 && setting.chunk >= 1);
                assert!(setting.duty > 0.0 && setting.duty <= 1.0);
                assert!(position.power > 0.0 && position.speed > 0.0);
            }
            assert!(positions[ladder.bottom()].power < 0.08, "the bottom is nearly idle");
            assert!(positions.len() <= 60, "{}", positions.len());
        }
    }

    #[test]
    fn no_gap_is_wide() {
        for shape in shapes() {
            let ladder = Ladder::new(&shape);
            for two in ladder.positions().windows(2).filter(|two| two[1].rung != Rung::Queue) {
                // What draws far less may as well be hardly slower.
                let is_near = two[1].power > two[0].power * 0.6;
                assert!(is_near || two[1].speed > two[0].speed * 0.9, "{two:?}");
            }
        }
    }

    #[test]
    fn efficient_cores_come_before_pauses() {
        let ladder = Ladder::new(&shapes()[1]);
        let first = |rung| ladder.positions().iter().position(|p| p.rung == rung).unwrap();
        assert!(first(Rung::Class) < first(Rung::Chunk) && first(Rung::Chunk) < first(Rung::Duty));
        let last_fast = &ladder.positions()[first(Rung::Class) - 1];
        assert_eq!((last_fast.setting.threads, last_fast.setting.is_efficient), (2, false));
    }
}
