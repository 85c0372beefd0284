//! The terminal while the screen has it: raw, with a page of its own, and as it was afterwards.

use std::io::{self, Write as _};
use std::sync::OnceLock;

use anyhow::{Context, bail};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// Another page, no cursor, no wrapping at the end of a line (xterm's ctlseqs; all terminals of the
/// last decades and the Linux console know them, or leave them).
const BEGIN: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?7l";
const END: &[u8] = b"\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";

/// How the terminal was before.
static BEFORE: OnceLock<Termios> = OnceLock::new();

/// The terminal, which is as it was when this is dropped, and when the thread that took it panics.
#[derive(Debug)]
pub(super) struct Terminal(());

impl Terminal {
    /// Takes the terminal.
    pub(super) fn take() -> anyhow::Result<Self> {
        let name = std::env::var("TERM").unwrap_or_default();
        if matches!(name.as_str(), "" | "dumb") {
            bail!("the terminal `{name}` cannot show a screen; `--once` prints one sample");
        }
        let stdin = io::stdin();
        let before = tcgetattr(&stdin).context("cannot ask the terminal how it is set")?;
        let mut raw = before.clone();
        raw.make_raw();
        // A second monitor of this process finds it as the first one did.
        BEFORE.get_or_init(|| before);
        let (default, own) = (std::panic::take_hook(), std::thread::current().id());
        std::panic::set_hook(Box::new(move |info| {
            // Another thread that ends, such as one that asks a device, does not end the screen.
            if std::thread::current().id() == own {
                restore();
                default(info);
            }
        }));
        tcsetattr(&stdin, OptionalActions::Drain, &raw).context("cannot set the terminal")?;
        let terminal = Self(());
        terminal.write(BEGIN)?;
        Ok(terminal)
    }

    /// Writes it at once.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

/// Puts the terminal back; if it is gone, there is nothing to put back.
fn restore() {
    let mut out = io::stdout().lock();
    let _ = out.write_all(END).and_then(|()| out.flush());
    if let Some(before) = BEFORE.get() {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
    }
}

/// Columns and lines of the terminal, or what terminals had once.
pub(super) fn size() -> (u16, u16) {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            // No screen has more, and the buffer must have an end.
            (size.ws_col.min(1000), size.ws_row.min(500))
        }
        _ => (80, 24),
    }
}
