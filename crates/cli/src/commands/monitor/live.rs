//! The screen of this machine.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use rushlight_monitor::record::Recorder;
use rushlight_monitor::screen::Action;
use rushlight_monitor::stop::stop;

use super::screen::Painter;
use super::signals::{Event, Signals};
use super::terminal::{Terminal, size};
use super::{Source, app, look};
use crate::args::Monitor;

pub(super) fn live(
    args: &Monitor,
    mut source: Source,
    mut recorder: Option<Recorder>,
) -> anyhow::Result<ExitCode> {
    let mut app = app(args, look(args))?;
    if let Some(name) = args.record.as_ref().and_then(|path| path.file_name()) {
        app.set_recording(name.to_string_lossy());
    }
    let mut signals = Signals::install()?;
    let terminal = Terminal::take()?;
    let mut painter = Painter::new();
    let interval = Duration::from_secs_f64(args.interval);
    let mut next = Instant::now();
    // Without rates, the first one waits for the second only a moment.
    let mut is_first = true;
    loop {
        if Instant::now() >= next {
            let sample = source.sample();
            app.update(sample);
            if let Some(recorder) = &mut recorder {
                app.set_written(recorder.write(sample).err().map(|error| error.to_string()));
            }
            next += if is_first { interval.min(Duration::from_millis(300)) } else { interval };
            is_first = false;
            // After the machine slept there is nothing to catch up with.
            next = next.max(Instant::now());
        }
        terminal.write(&painter.paint(&mut app, size()))?;
        match signals.wait(next, true)? {
            Event::End => return Ok(ExitCode::SUCCESS),
            Event::Resized => painter.forget(),
            Event::Time => {}
            Event::Keys(keys) => {
                for key in keys {
                    match app.key(key) {
                        Action::Quit => return Ok(ExitCode::SUCCESS),
                        Action::Redraw => painter.forget(),
                        Action::Stop(which) => {
                            let told = match (stop(&which), which.is_kill) {
                                (Err(error), _) => error.to_string(),
                                (Ok(()), false) => {
                                    format!(
                                        "{} was asked to end; k again ends it at once",
                                        which.pid
                                    )
                                }
                                (Ok(()), true) => format!("{} was ended", which.pid),
                            };
                            app.say(told);
                        }
                        Action::None | Action::Seek(_) | Action::Speed(_) => {}
                    }
                }
            }
        }
    }
}
