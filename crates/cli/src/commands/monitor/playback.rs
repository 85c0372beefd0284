//! The screen of a recording.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use rushlight_monitor::record::Replay;
use rushlight_monitor::screen::{Action, App, Playing};

use super::screen::Painter;
use super::signals::{Event, Signals};
use super::terminal::{Terminal, size};
use super::{alarms, app, look};
use crate::args::Monitor;

/// Samples before a place that are read for curves and alarms when it is gone to.
const BEFORE: usize = 120;

pub(super) fn playback(args: &Monitor, path: &Path) -> anyhow::Result<ExitCode> {
    let mut replay = Replay::open(path)?;
    if replay.is_empty() {
        bail!("`{}` has no samples", path.display());
    }
    let mut app = app(args, look(args))?;
    let mut playing = Playing { at: 0, of: replay.len(), speed: args.speed, damaged: 0 };
    show(&mut app, &mut replay, &mut playing, 0)?;
    let mut signals = Signals::install()?;
    let terminal = Terminal::take()?;
    let mut painter = Painter::new();
    let mut next = Instant::now() + pause(&replay, playing.speed);
    loop {
        terminal.write(&painter.paint(&mut app, size()))?;
        match signals.wait(next, true)? {
            Event::End => return Ok(ExitCode::SUCCESS),
            Event::Resized => painter.forget(),
            Event::Time => {
                next = Instant::now() + pause(&replay, playing.speed);
                if app.is_paused() {
                    continue;
                }
                match playing.at + 1 {
                    at if at < playing.of => show(&mut app, &mut replay, &mut playing, at)?,
                    _ => app.say("the end of the recording"),
                }
            }
            Event::Keys(keys) => {
                for key in keys {
                    match app.key(key) {
                        Action::Quit => return Ok(ExitCode::SUCCESS),
                        Action::Redraw => painter.forget(),
                        Action::Speed(speed) => {
                            playing.speed = speed;
                            app.set_playing(playing);
                            next = Instant::now() + pause(&replay, speed);
                        }
                        Action::Seek(by) => {
                            let by = isize::try_from(by).unwrap_or(0);
                            let at = playing.at.saturating_add_signed(by).min(playing.of - 1);
                            app.forget(alarms(args)?);
                            playing.damaged = 0;
                            for at in at.saturating_sub(BEFORE)..=at {
                                show(&mut app, &mut replay, &mut playing, at)?;
                            }
                        }
                        Action::None | Action::Stop(_) => {}
                    }
                }
            }
        }
    }
}

/// Shows a sample; one that is damaged is counted, and the last one stays.
fn show(
    app: &mut App,
    replay: &mut Replay,
    playing: &mut Playing,
    at: usize,
) -> anyhow::Result<()> {
    playing.at = at;
    match replay.get(at)? {
        Some(sample) => app.update(&sample),
        None => playing.damaged += 1,
    }
    app.set_playing(*playing);
    Ok(())
}

fn pause(replay: &Replay, speed: f64) -> Duration {
    // Faster than a screen can be drawn is of no use.
    Duration::from_secs_f64((replay.interval_seconds() / speed).max(0.02))
}
