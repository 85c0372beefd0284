//! Engines that are measured: some are kept, as far as memory holds them.
//!
//! All that is open counts: weights in each layout, and of each engine the cache and what passes work
//! with. What was not used for longest goes before one is started that would not fit beside it.

use anyhow::Context as _;
use rushlight_engine::{Engine, EngineOptions, ErrorKind, Plan, Sequence};
use rushlight_host::Cores;
use rushlight_kernels::PAGE;

use super::super::shelf::{self, Shelf};
use super::super::{Machine, Point, Setting, Task, USERS};
use super::{Sizes, warm};
use crate::args::{CoreSet, KvType, Load};
use crate::load;

/// Engines that are kept at once, at most.
const MOST: usize = 6;

/// What an engine is made of.
#[derive(Clone, Copy, PartialEq)]
struct Made {
    machine: Machine,
    cores: Cores,
    kv: KvType,
    chunk: usize,
}

/// Positions that an engine has.
#[derive(Clone, Copy)]
struct Room {
    /// Of a sequence.
    context: usize,
    /// Of all.
    positions: usize,
}

impl Room {
    /// What a task needs alone.
    fn of(task: Task, sizes: Sizes) -> Self {
        let Sizes { prompt, long, answer, deep } = sizes;
        let context = 16
            + match task {
                Task::Prompt | Task::Answer => prompt + 2 * answer,
                Task::LongPrompt => long,
                Task::DeepAnswer => deep + 2 * answer,
                Task::Users(_) => PAGE,
            };
        let positions = match task {
            // Answers at once are short, and each has pages of its own.
            Task::Users(count) => (count + 1) * 2 * PAGE,
            _ => context.next_multiple_of(PAGE),
        };
        Self { context, positions }
    }

    /// What all tasks need, with an answer that stays while others run.
    fn of_all(sizes: Sizes) -> Self {
        let Sizes { prompt, long, answer, deep } = sizes;
        let context = long.max(prompt).max(deep).max(PAGE) + 2 * answer + 16;
        let users = USERS.into_iter().max().unwrap_or(1);
        Self { context, positions: context + Self::of(Task::Users(users), sizes).positions }
    }

    fn holds(self, other: Self) -> bool {
        self.context >= other.context && self.positions >= other.positions
    }
}

/// An engine that is ready.
pub(super) struct Running {
    made: Made,
    room: Room,
    place: usize,
    pub(super) engine: Engine,
    /// A sequence to which answers are appended, and how many positions it has before.
    pub(super) answer: Option<(Sequence, usize)>,
}

impl Running {
    /// Forgets the answer.
    pub(super) fn end_answer(&mut self) {
        if let Some((sequence, _)) = self.answer.take() {
            self.engine.end(sequence);
        }
    }
}

/// Engines of one model.
pub(super) struct Engines {
    load: Load,
    shelf: Shelf,
    /// The one that was used last comes last.
    all: Vec<Running>,
    /// Of all cores, of fast and of slow ones.
    most_threads: [usize; 3],
    /// Rows of a pass where a point does not say how many.
    chunk: usize,
}

impl Engines {
    pub(super) fn new(load: &Load, shelf: Shelf, most_threads: [usize; 3], chunk: usize) -> Self {
        Self { load: load.clone(), shelf, all: Vec::new(), most_threads, chunk }
    }

    pub(super) fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Ends all.
    pub(super) fn clear(&mut self) {
        self.all.clear();
    }

    /// The engine for a point; `None` if there is no memory for it.
    pub(super) fn of(
        &mut self,
        point: &Point,
        sizes: Sizes,
    ) -> anyhow::Result<Option<&mut Running>> {
        let &Point { task, machine, cores, kv, .. } = point;
        let chunk = point.chunk.unwrap_or(self.chunk);
        let made = Made { machine, cores, kv, chunk };
        let (needs, most) = (Room::of(task, sizes), Room::of_all(sizes));
        let fits = |running: &Running| {
            // Where a point does not say, any size of chunks will do.
            let chunk = point.chunk.unwrap_or(running.made.chunk);
            running.made == Made { chunk, ..made } && running.room.holds(needs)
        };
        let found = self.all.iter().position(fits);
        if let Some(at) = found {
            let running = self.all.remove(at);
            self.all.push(running);
        } else {
            // One with less room is of no use any more.
            self.all.retain(|running| running.made != made);
            if self.all.len() >= MOST {
                self.all.remove(0);
            }
            let Some(running) = self.start(made, needs, most)? else { return Ok(None) };
            self.all.push(running);
        }
        let Some(running) = self.all.last_mut() else { return Ok(None) };
        if !running.room.holds(most) && !matches!(task, Task::Answer | Task::DeepAnswer) {
            // There is no room for it beside others.
            running.end_answer();
        }
        Ok(Some(running))
    }

    /// Starts an engine with the most room that is there, else with what is needed, for which others go.
    fn start(&mut self, made: Made, needs: Room, most: Room) -> anyhow::Result<Option<Running>> {
        let Some(place) = self.shelf.place(&made.machine) else { return Ok(None) };
        let memory = load::memory_bytes(&self.load);
        if !self.make_room(self.shelf.missing_bytes(place), place, memory) {
            return Ok(None);
        }
        let model = self.shelf.open(place)?;
        for (room, others_go) in [(most, false), (needs, false), (needs, true)] {
            let mut options = self.options(made)?;
            options.memory_bytes = Some(memory);
            options.context = Some(room.context.min(self.shelf.context()));
            options.positions = Some(room.positions);
            let bytes = work_bytes(&Plan::of(&model, &options));
            let fits = match others_go {
                true => self.make_room(bytes, place, memory),
                false => self.taken_bytes() + bytes <= memory,
            };
            if !fits {
                continue;
            }
            let mut engine = match Engine::new(model.clone(), &options) {
                Ok(engine) => engine,
                Err(error) if error.kind() == ErrorKind::Memory => continue,
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot run `{}`", self.load.model));
                }
            };
            warm(&mut engine)?;
            return Ok(Some(Running { made, room, place, engine, answer: None }));
        }
        Ok(None)
    }

    /// What is taken, in bytes.
    fn taken_bytes(&self) -> u64 {
        let engines = self.all.iter().map(|running| work_bytes(running.engine.plan()));
        Plan::PROCESS_BYTES + self.shelf.open_bytes() + engines.sum::<u64>()
    }

    /// Lets others go until there is room for so many bytes more in so much memory: first weights that no
    /// engine has, but for those that are wanted, then engines. False if that is not enough.
    fn make_room(&mut self, bytes: u64, wanted: usize, memory: u64) -> bool {
        while self.taken_bytes() + bytes > memory {
            let used = |place: &usize| self.all.iter().any(|running| running.place == *place);
            let unused = self.shelf.opened().find(|place| *place != wanted && !used(place));
            if let Some(place) = unused {
                self.shelf.close(place);
            } else if self.all.is_empty() {
                return false;
            } else {
                self.all.remove(0);
            }
        }
        true
    }

    fn options(&self, made: Made) -> anyhow::Result<EngineOptions> {
        let Made { machine, cores, kv, chunk } = made;
        let [all, fast, slow] = self.most_threads;
        let threads = match cores {
            Cores::Fast => fast,
            Cores::Slow => slow,
            _ => all,
        };
        let decode_threads = threads;
        load::options(&self.flags(&Setting { machine, cores, threads, decode_threads, kv, chunk }))
    }

    /// The flags with which a setting runs.
    fn flags(&self, setting: &Setting) -> Load {
        Load {
            threads: Some(setting.threads),
            decode_threads: Some(setting.decode_threads),
            cores: Some(match setting.cores {
                Cores::Fast => CoreSet::Fast,
                Cores::Slow => CoreSet::Slow,
                _ => CoreSet::All,
            }),
            kv: Some(setting.kv),
            chunk: Some(setting.chunk),
            kernels: Some(setting.machine.kernels.to_owned()),
            prepare: Some(shelf::prepare(setting.machine.weights)),
            ..self.load.clone()
        }
    }
}

/// What an engine takes beside the weights, in bytes.
fn work_bytes(plan: &Plan) -> u64 {
    plan.cache_bytes + plan.buffers_bytes
}
