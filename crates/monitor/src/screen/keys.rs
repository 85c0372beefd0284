//! What keys do.

use super::rows::Sort;
use super::{Action, App, Mode, Stop};

/// Characters of a filter, at most.
const MOST_FILTER: usize = 64;
/// Rows that a page moves at least.
const LEAST_PAGE: usize = 1;

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A letter.
    Char(char),
    /// Ctrl and a letter.
    Control(char),
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Arrow left.
    Left,
    /// Arrow right.
    Right,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the beginning.
    Home,
    /// To the end.
    End,
    /// Return.
    Enter,
    /// Escape.
    Escape,
    /// Backspace.
    Backspace,
}

impl App {
    /// Takes a key and says what is to be done.
    pub fn key(&mut self, key: Key) -> Action {
        // It was there to be read, and the foot says what keys do.
        self.message = None;
        match (key, self.mode.clone()) {
            (Key::Control('c'), _) => Action::Quit,
            (Key::Control('l'), _) => Action::Redraw,
            (key, Mode::Confirm(stop)) => self.confirm(key, stop),
            (key, Mode::Filter) => self.edit(key),
            (key, Mode::Help) => self.read_help(key),
            (key, Mode::Processes) => self.command(key),
        }
    }

    fn read_help(&mut self, key: Key) -> Action {
        let page = self.page.max(LEAST_PAGE);
        match key {
            Key::Up => self.help_row = self.help_row.saturating_sub(1),
            // Drawing it knows where it ends.
            Key::Down => self.help_row += 1,
            Key::PageUp => self.help_row = self.help_row.saturating_sub(page),
            Key::PageDown => self.help_row += page,
            _ => (self.mode, self.help_row) = (Mode::Processes, 0),
        }
        Action::None
    }

    fn command(&mut self, key: Key) -> Action {
        let page = self.page.max(LEAST_PAGE);
        let row = self.chosen.map(|_| self.chosen_row);
        match key {
            Key::Char('q') => return Action::Quit,
            Key::Char('?' | 'h') => self.mode = Mode::Help,
            Key::Char('/') => self.mode = Mode::Filter,
            Key::Char('s') => {
                let at = Sort::ALL.iter().position(|sort| *sort == self.sort).unwrap_or(0);
                let next = Sort::ALL.get((at + 1) % Sort::ALL.len());
                self.order(next.copied().unwrap_or(Sort::Cpu));
            }
            Key::Char('c') => self.order(Sort::Cpu),
            Key::Char('m') => self.order(Sort::Memory),
            Key::Char('i') => self.order(Sort::Io),
            Key::Char('g') => self.order(Sort::Gpu),
            Key::Char('n') => self.order(Sort::Pid),
            Key::Char('r') => {
                self.is_reversed = !self.is_reversed;
                self.arrange();
            }
            Key::Char('t') => {
                self.is_tree = !self.is_tree;
                self.arrange();
            }
            Key::Char('k') => self.ask(),
            Key::Char(' ') => self.is_paused = !self.is_paused,
            Key::Char('0') => self.folded = [false; 6],
            Key::Char(digit @ '1'..='6') => {
                let at = digit.to_digit(10).unwrap_or(1) as usize - 1;
                if let Some(is_folded) = self.folded.get_mut(at) {
                    *is_folded = !*is_folded;
                }
            }
            Key::Up => self.choose(row.map_or(0, |row| row.saturating_sub(1))),
            Key::Down => self.choose(row.map_or(0, |row| row + 1)),
            Key::PageUp => self.choose(row.map_or(0, |row| row.saturating_sub(page))),
            Key::PageDown => self.choose(row.map_or(page, |row| row + page)),
            Key::Home => self.choose(0),
            Key::End => self.choose(usize::MAX),
            Key::Escape => {
                if self.chosen.take().is_none() && !self.filter.is_empty() {
                    self.filter.clear();
                    self.arrange();
                }
                self.first_row = 0;
            }
            Key::Left if self.playing.is_some() => return Action::Seek(-10),
            Key::Right if self.playing.is_some() => return Action::Seek(10),
            Key::Char('+') => return self.speed(2.0),
            Key::Char('-') => return self.speed(0.5),
            _ => {}
        }
        Action::None
    }

    fn speed(&self, times: f64) -> Action {
        let playing = self.playing.map(|playing| playing.speed * times);
        playing.map_or(Action::None, |speed| Action::Speed(speed.clamp(0.125, 64.0)))
    }

    fn order(&mut self, sort: Sort) {
        self.sort = sort;
        self.arrange();
    }

    fn edit(&mut self, key: Key) -> Action {
        match key {
            Key::Enter => self.mode = Mode::Processes,
            Key::Escape => {
                self.filter.clear();
                self.mode = Mode::Processes;
            }
            Key::Backspace => {
                self.filter.pop();
            }
            Key::Char(letter) if self.filter.chars().count() < MOST_FILTER => {
                self.filter.push(letter);
            }
            Key::Down | Key::Up => {
                self.mode = Mode::Processes;
                return self.command(key);
            }
            _ => {}
        }
        self.first_row = 0;
        self.arrange();
        Action::None
    }

    /// Asks whether the chosen process is to be stopped, if this user may.
    fn ask(&mut self) {
        if self.playing.is_some() {
            return self.say("this is a recording: its processes are not here");
        }
        let Some(process) = self.chosen.and_then(|_| self.process(self.chosen_row)) else {
            return self.say("choose a process first, with up and down");
        };
        let is_ours = process.user == self.own_user || process.is_rushlight;
        let problem = match process {
            process if process.is_kernel => Some("is the kernel's own"),
            process if process.pid == 1 => Some("is the first one: without it the machine stops"),
            process if process.pid == std::process::id() => Some("is this one: q quits"),
            _ if !is_ours => Some("is neither a rushlight nor this user's"),
            _ => None,
        };
        if let Some(problem) = problem {
            return self.say(format!("{} `{}` {problem}", process.pid, process.name));
        }
        let is_kill = self.asked.contains(&(process.pid, process.start_ticks));
        self.mode = Mode::Confirm(Stop {
            pid: process.pid,
            start_ticks: process.start_ticks,
            name: process.name.clone(),
            is_kill,
        });
    }

    fn confirm(&mut self, key: Key, stop: Stop) -> Action {
        self.mode = Mode::Processes;
        if key != Key::Char('y') {
            return Action::None;
        }
        let which = (stop.pid, stop.start_ticks);
        if !self.asked.contains(&which) {
            self.asked.push(which);
        }
        Action::Stop(stop)
    }
}
