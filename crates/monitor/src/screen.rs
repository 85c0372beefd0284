//! The screen: panes of the machine and its models above a table of processes.
//!
//! It knows no terminal. [`App::draw`] fills a buffer, [`App::key`] takes a key and says what is to be
//! done; whoever owns the terminal does both, and the same runs in tests.

mod draw;
mod help;
mod keys;
mod layout;
mod look;
mod panes;
mod rows;
mod table;

use std::collections::HashMap;

use crate::alarm::Alarms;
use crate::history::History;
use crate::sample::{Process, Sample};
pub use keys::Key;
pub use look::Look;
use rows::{Row, Sort};

/// Samples for which a message stays.
const MESSAGE_SAMPLES: u32 = 5;

/// What is to be done after a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Nothing but to draw again.
    None,
    /// End.
    Quit,
    /// Draw everything anew, as something else may have written on the terminal.
    Redraw,
    /// Stop a process.
    Stop(Stop),
    /// In a recording: so many samples on, or back.
    Seek(i64),
    /// In a recording: so many times as fast.
    Speed(f64),
}

/// A process that is to be stopped, which the user has confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Its number.
    pub pid: u32,
    /// When it started, so that another one with this number is not stopped.
    pub start_ticks: u64,
    /// Its name.
    pub name: String,
    /// Whether it gets no chance to end by itself.
    pub is_kill: bool,
}

/// Where a recording is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Playing {
    /// The sample that is shown, from 0.
    pub at: usize,
    /// All samples.
    pub of: usize,
    /// How many times as fast as it was.
    pub speed: f64,
    /// Lines that could not be read.
    pub damaged: usize,
}

/// What the keys are for.
#[derive(Clone, Debug, PartialEq)]
enum Mode {
    Processes,
    /// A filter is written.
    Filter,
    /// Whether a process is to be stopped.
    Confirm(Stop),
    Help,
}

/// What is shown and how.
#[derive(Debug)]
pub struct App {
    look: Look,
    sample: Sample,
    history: History,
    alarms: Alarms,
    users: HashMap<u32, String>,
    own_user: u32,
    mode: Mode,
    sort: Sort,
    is_reversed: bool,
    is_tree: bool,
    filter: String,
    /// Panes that are folded, in the order of their keys.
    folded: [bool; 6],
    rows: Vec<Row>,
    /// The process that is chosen, by number and start.
    chosen: Option<(u32, u64)>,
    /// Its row, which the next one takes if it ends.
    chosen_row: usize,
    first_row: usize,
    /// Rows that the last drawing had room for.
    page: usize,
    /// The line of help that is shown first.
    help_row: usize,
    is_paused: bool,
    asked: Vec<(u32, u64)>,
    message: Option<(String, u32)>,
    playing: Option<Playing>,
    recording: Option<String>,
    /// Whether the last sample could not be written.
    is_unwritten: bool,
}

impl App {
    /// One for a terminal that has `look`, and a user with the number `own_user`. `users` are names of
    /// users.
    pub fn new(look: Look, alarms: Alarms, users: HashMap<u32, String>, own_user: u32) -> Self {
        Self {
            look,
            sample: Sample::default(),
            history: History::default(),
            alarms,
            users,
            own_user,
            mode: Mode::Processes,
            sort: Sort::Cpu,
            is_reversed: false,
            is_tree: false,
            filter: String::new(),
            folded: [false; 6],
            rows: Vec::new(),
            chosen: None,
            chosen_row: 0,
            first_row: 0,
            page: 0,
            help_row: 0,
            is_paused: false,
            asked: Vec::new(),
            message: None,
            playing: None,
            recording: None,
            is_unwritten: false,
        }
    }

    /// Takes the next sample. While it is paused the screen stays, but curves and alarms go on.
    pub fn update(&mut self, sample: &Sample) {
        self.history.push(sample);
        self.alarms.update(sample);
        if let Some((_, left)) = &mut self.message {
            *left = left.saturating_sub(1);
        }
        self.message.take_if(|(_, left)| *left == 0);
        if !self.is_paused {
            self.show(sample);
        }
    }

    /// Takes a sample of another place in a recording, which is shown even while it is paused.
    pub fn jump(&mut self, sample: &Sample) {
        self.update(sample);
        if self.is_paused {
            self.show(sample);
        }
    }

    fn show(&mut self, sample: &Sample) {
        self.sample.clone_from(sample);
        self.arrange();
    }

    /// Forgets curves and alarms, as what follows is of another time.
    pub fn forget(&mut self, alarms: Alarms) {
        self.history = History::default();
        self.alarms = alarms;
    }

    /// Says something to the user.
    pub fn say(&mut self, text: impl Into<String>) {
        self.message = Some((text.into(), MESSAGE_SAMPLES));
    }

    /// That a recording is shown, and where it is.
    pub fn set_playing(&mut self, playing: Playing) {
        self.playing = Some(playing);
    }

    /// That samples are written to a file of this name.
    pub fn set_recording(&mut self, name: impl Into<String>) {
        self.recording = Some(name.into());
    }

    /// Whether the last sample was written to it, and why not. It is said once, and a mark stays.
    pub fn set_written(&mut self, failure: Option<String>) {
        let was_unwritten = std::mem::replace(&mut self.is_unwritten, failure.is_some());
        match failure {
            Some(failure) if !was_unwritten => self.say(failure),
            None if was_unwritten => self.say("the recording goes on"),
            _ => {}
        }
    }

    /// Whether the user paused it.
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Puts the processes in order again.
    fn arrange(&mut self) {
        self.rows = rows::arrange(
            &self.sample.processes,
            self.sort,
            self.is_reversed,
            self.is_tree,
            &self.filter,
        );
        if let Some(chosen) = self.chosen {
            let is_chosen = |row: &Row| {
                let process = self.sample.processes.get(row.process);
                process.is_some_and(|process| (process.pid, process.start_ticks) == chosen)
            };
            match self.rows.iter().position(is_chosen) {
                Some(row) => self.chosen_row = row,
                None => self.choose(self.chosen_row),
            }
        }
    }

    /// Chooses a row, or the last if there are not as many.
    fn choose(&mut self, row: usize) {
        self.chosen_row = row.min(self.rows.len().saturating_sub(1));
        let process = self.process(self.chosen_row);
        self.chosen = process.map(|process| (process.pid, process.start_ticks));
    }

    fn process(&self, row: usize) -> Option<&Process> {
        self.sample.processes.get(self.rows.get(row)?.process)
    }
}

#[cfg(test)]
mod tests;
