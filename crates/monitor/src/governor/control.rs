//! The controller itself.

use std::time::Duration;

use super::budget::Budget;
use super::choose::choose;
use super::heat::Heat;
use super::limits::Now;
use super::measured::Measured;
use super::pace::Pace;
use super::sensor::{CELSIUS, Sensor, WATTS};
use super::watts::Draw;
use super::writing::{Second, Writing};
use super::{Batch, Event, Ladder, Limits, Load, Observed, Phase, Position, Setting};

/// How far above the limit of heat a device may come, in °C, where it can shed what the last position
/// of the ladder draws. As the tests hold it to on simulated devices.
pub const OVERSHOOT_CELSIUS: f64 = 1.5;

/// How far above the limit of watts the mean over ten seconds may be, as a share of the limit, where
/// the device idles below the limit. As the tests hold it to on simulated devices.
pub const OVERSHOOT_WATTS_SHARE: f64 = 0.06;

/// The share of full power that is allowed while the sensor of a limit is not believed.
pub const SAFE_SHARE: f64 = 0.2;

/// The share allowed under a limit of watts before anything was measured.
const FIRST_SHARE: f64 = 0.25;
/// Shares of the limit of watts that a position is expected to draw, at most, to be taken from a faster
/// one, and from a slower one.
const DOWN_TO: f64 = 0.97;
const UP_TO: f64 = 0.94;
/// The same with a budget's share; a position is kept while it is not this much above.
const KEPT_ABOVE: f64 = 0.02;
const UP_BELOW: f64 = 0.05;
/// Writing draws about so much of what reading does, above idle, where it is not measured.
const ANSWERS_TO_PROMPTS: f64 = 0.6;
/// The longest step that is one: after more the past is forgotten.
const LONGEST_STEP: f64 = 10.0;
/// A step with so much work in it tells what a position does.
const FULL_WORK: f64 = 0.9;

/// What the server is to do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Decision {
    /// The position of the ladder; 0 is full speed.
    pub position: usize,
    /// How to run. Its clock is that of the work that was seen last.
    pub setting: Setting,
    /// The clock while prompts are read, as a share of the highest: to be set as soon as one comes.
    pub reading_clock: f64,
    /// The watts that hold now, of limits, hours and battery.
    pub watts: Option<f64>,
    /// What limits the speed, while anything does.
    pub limited_by: Option<String>,
    /// Sensors that are not believed, and why.
    pub faults: Vec<String>,
    /// The move that was made, if one was.
    pub event: Option<Event>,
}

/// Holds a limit of watts and heat.
///
/// ```
/// use std::time::Duration;
/// use rushlight_monitor::governor::{Governor, Ladder, Limits, Load, Observed, Phase, Shape};
///
/// let limits = Limits { max_celsius: Some(70.0), ..Limits::default() };
/// let mut governor = Governor::new(limits, Ladder::new(&Shape::new(4, 512)));
/// let load = Load { busy: 1.0, phase: Phase::Answers, ..Load::default() };
/// let mut decision = None;
/// for second in 0..10 {
///     let observed = Observed { celsius: Some(72.0), load, ..Observed::default() };
///     decision = Some(governor.step(Duration::from_secs(second), &observed));
/// }
/// assert!(decision.is_some_and(|decision| decision.position > 0));
/// ```
#[derive(Clone, Debug)]
pub struct Governor {
    limits: Limits,
    ladder: Ladder,
    position: usize,
    last: Option<Duration>,
    holds: Now,
    celsius: Sensor,
    watts: Sensor,
    heat: Heat,
    draw: Draw,
    measured: Measured,
    pace: Pace,
    writing: Writing,
    /// Why it is where it is.
    limited_by: Option<String>,
}

impl Governor {
    /// A governor that has seen nothing yet.
    pub fn new(limits: Limits, ladder: Ladder) -> Self {
        let measured = Measured::new(&ladder);
        let writing = Writing::of(&ladder);
        Self {
            limits,
            ladder,
            position: 0,
            last: None,
            holds: Now::default(),
            celsius: Sensor::new(CELSIUS),
            watts: Sensor::new(WATTS),
            heat: Heat::new(),
            draw: Draw::default(),
            measured,
            pace: Pace::new(),
            writing,
            limited_by: None,
        }
    }

    /// Has another ladder from now on, as the engine is another one: at its first position that draws no
    /// more than the present one. What was learnt of heat and sensors stays.
    pub fn set_ladder(&mut self, ladder: Ladder) {
        let power = self.position().power;
        let fits = |position: &Position| position.power <= power;
        self.position = ladder.positions().iter().position(fits).unwrap_or(ladder.bottom());
        self.measured = Measured::new(&ladder);
        self.writing = Writing::of(&ladder);
        self.ladder = ladder;
    }

    /// Its ladder.
    pub fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    /// Its limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Where on the ladder it is.
    pub fn position(&self) -> &Position {
        self.ladder.at(self.position)
    }

    /// Takes what was read since the last step, and says how to go on. `now` is on any clock that
    /// only goes forward; steps are to be a second apart, or two.
    pub fn step(&mut self, now: Duration, observed: &Observed) -> Decision {
        let mut seconds = self.last.map_or(1.0, |last| now.saturating_sub(last).as_secs_f64());
        if seconds > LONGEST_STEP {
            self.heat.forget();
            seconds = 1.0;
        }
        self.last = Some(now);
        let holds = self.limits.now(observed);
        if holds != self.holds {
            self.pace.forget();
        }
        let budget = self.budget(now, seconds, observed, &holds);
        let watts = holds.watts.as_ref().map(|(watts, _)| *watts);
        self.holds = holds;
        let phase = phase(observed);
        let target = self.target(now, phase, &budget);
        let event = self.go(now, target, phase, &budget);
        let mut setting = self.position().setting;
        if self.position > 0 && observed.load.is_interactive {
            setting.batch = setting.batch.max(Batch::Behind);
        }
        let reading_clock = setting.clock;
        setting.clock = self.clock(&observed.load, reading_clock, event.is_some());
        let limited_by = self.limited_by.clone().filter(|_| self.position > 0);
        let (position, faults) = (self.position, budget.faults);
        Decision { position, setting, reading_clock, watts, limited_by, faults, event }
    }

    /// The clock for the work that was seen, no higher than `most`.
    fn clock(&mut self, load: &Load, most: f64, has_moved: bool) -> f64 {
        let is_writing = load.phase == Phase::Answers;
        let tells = is_writing && !has_moved && load.busy >= FULL_WORK;
        let second = load.wrote.filter(|_| tells).map(|(tokens, seconds)| Second {
            tokens: clean(tokens, f64::MAX),
            seconds: clean(seconds, LONGEST_STEP),
            users: load.users,
        });
        let clock = self.writing.step(second, most);
        if is_writing && load.busy > 0.0 { clock } else { most }
    }

    /// What the limits and the readings leave.
    fn budget(&mut self, now: Duration, seconds: f64, observed: &Observed, holds: &Now) -> Budget {
        let busy = clean(observed.load.busy, 1.0);
        // Of what full speed draws; the position's own share has its pauses in it.
        let running = match observed.load.running {
            Some(running) => clean(running, 1.0),
            None => busy * self.position().setting.duty,
        };
        let asked = running * self.position().power / self.position().setting.duty;
        let power = self.power(now, phase(observed), self.position);
        let mut budget = Budget {
            share: 1.0,
            share_why: String::new(),
            watts: holds.watts.clone(),
            is_urgent: false,
            faults: Vec::new(),
        };
        if let Some((share, why)) = &holds.share {
            budget.cap(*share, why.clone());
        }
        // It is followed where nothing is limited too: quiet hours may come.
        // Over pauses, which a reading is too slow to follow.
        let expected = busy * self.position().power;
        let watts = self.watts.take(now, observed.watts, expected);
        if let Ok((watts, true)) = watts {
            self.draw.learn(seconds, watts, asked, observed.load.phase);
            if busy >= FULL_WORK {
                let place = (observed.load.phase, self.ladder.at(self.position));
                let tokens = clean(observed.load.tokens_per_second, f64::MAX);
                let above = watts - self.draw.idle().unwrap_or(0.0);
                self.measured.note(now, seconds, place, (above, tokens), running);
            }
        }
        if budget.watts.is_some() {
            match watts {
                Ok((_, true)) => {}
                Ok((_, false)) => budget.cap(power, "no fresh watts".to_owned()),
                Err(why) => budget.distrust(format!("watts: {why}")),
            }
            if self.expect(now, Phase::Mixed, 0).is_none() {
                budget.cap(FIRST_SHARE, "what the device draws is not known yet".to_owned());
            }
        }
        if let Some(limit) = holds.celsius {
            match self.celsius.take(now, observed.celsius, expected) {
                Ok((celsius, is_fresh)) => {
                    let limits = (limit, observed.trip_celsius);
                    let allowed = self.heat.allow(now, seconds, celsius, limits, busy);
                    budget.heat(&allowed, celsius, power);
                    if !is_fresh {
                        budget.cap(power, "no fresh temperature".to_owned());
                    }
                }
                Err(why) => {
                    self.heat.forget();
                    budget.distrust(format!("temperature: {why}"));
                }
            }
        }
        budget
    }

    /// Watts that a position is expected to draw.
    fn expect(&self, now: Duration, phase: Phase, index: usize) -> Option<f64> {
        self.draw.expect(now, &self.measured, phase, self.ladder.at(index))
    }

    /// Whether a position stays within the budget, with so much room.
    fn fits(
        &self,
        (now, phase): (Duration, Phase),
        budget: &Budget,
        index: usize,
        room: (f64, f64),
    ) -> bool {
        let (watts_share, above) = room;
        let watts = budget.watts.as_ref().is_none_or(|(limit, _)| {
            // Before anything is known the share alone counts.
            self.expect(now, phase, index).is_none_or(|watts| watts <= limit * watts_share)
        });
        // What was measured by a sensor that is not believed now counts for nothing.
        let is_safe = budget.faults.is_empty() || self.ladder.at(index).power <= SAFE_SHARE;
        is_safe && watts && self.power(now, phase, index) <= budget.share + above
    }

    /// What a position draws above idle, as a share of what full speed draws while it reads prompts:
    /// as measured, or as expected of it.
    fn power(&self, now: Duration, phase: Phase, index: usize) -> f64 {
        let above = |phase, index| {
            let watts = self.expect(now, phase, index)? - self.draw.idle()?;
            Some(watts).filter(|watts| *watts > 0.0)
        };
        if let (Some(watts), Some(full)) = (above(phase, index), above(Phase::Prompts, 0)) {
            return (watts / full).min(1.0);
        }
        let prior = self.ladder.at(index).power;
        if phase == Phase::Answers { prior * ANSWERS_TO_PROMPTS } else { prior }
    }

    /// The position to be in.
    fn target(&self, now: Duration, phase: Phase, budget: &Budget) -> usize {
        if budget.share >= 1.0 && budget.watts.is_none() && self.holds.celsius.is_none() {
            return 0;
        }
        let at = (now, phase);
        let speed = |index: usize| self.speed(now, phase, index);
        let stays = self.fits(at, budget, self.position, (1.0, KEPT_ABOVE));
        match stays {
            true => {
                let fits = |index| {
                    let above = if budget.share < 1.0 { -UP_BELOW * budget.share } else { 0.0 };
                    index == self.position || self.fits(at, budget, index, (UP_TO, above))
                };
                choose(&self.ladder, fits, speed)
            }
            false => {
                // Nothing above the present position is taken where that is too much.
                let power = self.power(now, phase, self.position);
                let fits = |index: usize| {
                    self.power(now, phase, index) < power
                        && self.fits(at, budget, index, (DOWN_TO, 0.0))
                };
                choose(&self.ladder, fits, speed)
            }
        }
    }

    /// Tokens per second that a position is expected to bring, as a share of full speed's.
    fn speed(&self, now: Duration, phase: Phase, index: usize) -> f64 {
        let prior = self.ladder.at(index).speed;
        let found = |index| self.measured.get(now, phase, self.ladder.at(index));
        // What is measured is put to scale by the position that is in force.
        let (Some(there), Some(here)) = (found(index), found(self.position)) else { return prior };
        let here_prior = self.ladder.at(self.position).speed;
        if here.tokens_per_second <= 0.0 || there.tokens_per_second <= 0.0 {
            return prior;
        }
        let measured = there.tokens_per_second / here.tokens_per_second * here_prior;
        let weight = there.weight.min(here.weight);
        measured * weight + prior * (1.0 - weight)
    }

    /// Goes to a position if it is time.
    fn go(&mut self, now: Duration, target: usize, phase: Phase, budget: &Budget) -> Option<Event> {
        let from = self.position;
        let is_over = !self.fits((now, phase), budget, from, (1.0, KEPT_ABOVE));
        let is_wary = target < from && self.pace.is_wary();
        let target = match is_wary && !is_over {
            // The next step that fits: one between may have been measured to draw more.
            true => {
                let fits = |index: &usize| self.fits((now, phase), budget, *index, (UP_TO, 0.0));
                (target..from).rev().find(fits).unwrap_or(target)
            }
            false => target,
        };
        let may = if is_over {
            budget.is_urgent || self.pace.may_slow(now)
        } else {
            self.pace.may_quicken(now)
        };
        if target == from || !may {
            self.pace.kept(now);
            return None;
        }
        let why = match is_over {
            true => self.why(now, phase, budget),
            false => self.room(now, phase, target, budget),
        };
        self.limited_by = Some(why.clone());
        if is_over {
            self.pace.slowed(now, budget.faults.is_empty());
        } else {
            self.pace.quickened(now);
        }
        self.position = target;
        let setting = self.position().name.clone();
        Some(Event { time: now, from, to: target, setting, why })
    }

    /// Why the present position is too much.
    fn why(&self, now: Duration, phase: Phase, budget: &Budget) -> String {
        let too_much = self.power(now, phase, self.position) > budget.share + KEPT_ABOVE;
        match &budget.watts {
            Some((_, why)) if !too_much => match self.expect(now, phase, self.position) {
                Some(watts) => format!("about {watts:.1} W, {why}"),
                None => why.clone(),
            },
            _ => budget.share_why.clone(),
        }
    }

    /// Why another position may be taken.
    fn room(&self, now: Duration, phase: Phase, target: usize, budget: &Budget) -> String {
        if let Some((limit, _)) = &budget.watts
            && let Some(watts) = self.expect(now, phase, target)
        {
            return format!("about {watts:.1} W are expected, the limit is {limit} W");
        }
        match budget.share_why.is_empty() {
            true => "nothing is limited now".to_owned(),
            false => format!("there is room: {}", budget.share_why),
        }
    }
}

/// What positions are judged for: with nothing to do for what draws most, as a prompt comes first.
fn phase(observed: &Observed) -> Phase {
    if observed.load.busy > 0.05 { observed.load.phase } else { Phase::Mixed }
}

/// A number from 0 to `most`, whatever it was.
fn clean(value: f64, most: f64) -> f64 {
    if value.is_finite() { value.clamp(0.0, most) } else { most.min(1.0) }
}
