//! The screen of a recording.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use rushlight_monitor::alarm::Alarms;
use rushlight_monitor::record::Replay;
use rushlight_monitor::sample::Sample;
use rushlight_monitor::screen::{Action, App, Playing};

use super::screen::Painter;
use super::signals::{Event, Signals};
use super::terminal::{Terminal, size};
use super::{alarms, app, look};
use crate::args::Monitor;

/// Samples before a place that are read for curves and alarms when it is gone to.
const BEFORE: usize = 120;

pub(super) fn playback(args: &Monitor, path: &Path) -> anyhow::Result<ExitCode> {
    let mut player = Player::open(path, app(args, look(args))?, args.speed)?;
    let mut signals = Signals::install()?;
    let terminal = Terminal::take()?;
    let mut painter = Painter::new();
    let mut next = Instant::now() + player.pause();
    loop {
        terminal.write(&painter.paint(&mut player.app, size()))?;
        match signals.wait(next, true)? {
            Event::End => return Ok(ExitCode::SUCCESS),
            Event::Resized => painter.forget(),
            Event::Time => {
                next = Instant::now() + player.pause();
                player.step()?;
            }
            Event::Keys(keys) => {
                for key in keys {
                    match player.app.key(key) {
                        Action::Quit => return Ok(ExitCode::SUCCESS),
                        Action::Redraw => painter.forget(),
                        Action::Speed(speed) => {
                            player.set_speed(speed);
                            next = Instant::now() + player.pause();
                        }
                        Action::Seek(by) => {
                            player.seek(by, alarms(args)?)?;
                            next = Instant::now() + player.pause();
                        }
                        Action::None | Action::Stop(_) => {}
                    }
                }
            }
        }
    }
}

/// A recording, and where it is.
#[derive(Debug)]
struct Player {
    replay: Replay,
    app: App,
    playing: Playing,
}

impl Player {
    fn open(path: &Path, app: App, speed: f64) -> anyhow::Result<Self> {
        let replay = Replay::open(path)?;
        if replay.is_empty() {
            bail!("`{}` has no samples", path.display());
        }
        let playing = Playing { at: 0, of: replay.len(), speed, damaged: 0 };
        let mut player = Self { replay, app, playing };
        player.show(0, App::jump)?;
        Ok(player)
    }

    /// The time from sample to sample.
    fn pause(&self) -> Duration {
        // Faster than a screen can be drawn is of no use.
        Duration::from_secs_f64((self.replay.interval_seconds() / self.playing.speed).max(0.02))
    }

    fn set_speed(&mut self, speed: f64) {
        self.playing.speed = speed;
        self.app.set_playing(self.playing);
    }

    /// Shows the next sample, unless it is paused.
    fn step(&mut self) -> anyhow::Result<()> {
        match self.playing.at + 1 {
            _ if self.app.is_paused() => {}
            at if at < self.playing.of => self.show(at, App::update)?,
            _ => self.app.say("the end of the recording"),
        }
        Ok(())
    }

    /// Goes so many samples on, or back, paused or not. `alarms` are those of the new place.
    fn seek(&mut self, by: i64, alarms: Alarms) -> anyhow::Result<()> {
        let by = isize::try_from(by).unwrap_or(0);
        let to = self.playing.at.saturating_add_signed(by).min(self.playing.of - 1);
        self.app.forget(alarms);
        self.playing.damaged = 0;
        for at in to.saturating_sub(BEFORE)..=to {
            self.show(at, App::jump)?;
        }
        Ok(())
    }

    /// Takes a sample; one that is damaged is counted, and the last one stays.
    fn show(&mut self, at: usize, take: fn(&mut App, &Sample)) -> anyhow::Result<()> {
        self.playing.at = at;
        match self.replay.get(at)? {
            Some(sample) => take(&mut self.app, &sample),
            None => self.playing.damaged += 1,
        }
        self.app.set_playing(self.playing);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rushlight_monitor::record::Recorder;
    use rushlight_monitor::screen::{Key, Look};

    use super::super::screen::text;
    use super::*;

    #[test]
    fn a_paused_recording_shows_the_place_that_is_gone_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r");
        let mut recorder = Recorder::create(&path, 1.0, 1 << 20).unwrap();
        for at in 0..40 {
            let mut sample = Sample { time_unix_ms: at * 1000, ..Sample::default() };
            sample.host.name = format!("host-{at}-");
            recorder.write(&sample).unwrap();
        }
        let look = Look { is_ascii: true, is_plain: true };
        let app = App::new(look, Alarms::new(false), HashMap::new(), 0);
        let mut player = Player::open(&path, app, 1.0).unwrap();
        player.app.key(Key::Char(' '));
        player.step().unwrap();
        let shows = |player: &mut Player, at: usize| {
            let shown = text(&mut player.app, 100, 24).join("\n");
            let (host, place) = (format!("host-{at}-"), format!("replay {}/40", at + 1));
            assert!(shown.contains(&host) && shown.contains(&place), "{at}: {shown}");
            assert!(shown.contains("paused"), "{shown}");
        };
        shows(&mut player, 0);
        for (key, at) in [(Key::Right, 10), (Key::Right, 20), (Key::Left, 10), (Key::Left, 0)] {
            let Action::Seek(by) = player.app.key(key) else { panic!("{key:?} does not seek") };
            player.seek(by, Alarms::new(false)).unwrap();
            shows(&mut player, at);
        }
        player.seek(1000, Alarms::new(false)).unwrap();
        shows(&mut player, 39);
    }
}
