//! What the governor is shown.

/// What was read since the last step. Sensors are not trusted: anything may be absent or absurd.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Observed {
    /// Local time, in minutes after midnight.
    pub local_minute: u16,
    /// Watts that the device drew on average since the last step, measured.
    pub watts: Option<f64>,
    /// Degrees Celsius of the sensor that the limit is about.
    pub celsius: Option<f64>,
    /// Degrees Celsius at which the kernel itself would slow the processor.
    pub trip_celsius: Option<f64>,
    /// The battery, if there is one.
    pub battery: Option<Battery>,
    /// What the server does.
    pub load: Load,
}

/// A battery.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Battery {
    /// Whether it feeds the device now.
    pub feeds: bool,
    /// Per cent of its charge, if it tells.
    pub percent: Option<f64>,
}

/// What the server does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Share of the time since the last step in which there was something to do, from 0 to 1; pauses
    /// that the governor ordered count as such time.
    pub busy: f64,
    /// Share of that time in which passes ran, pauses not counted, if it is known. Else it is what the
    /// setting says: of a whole minute that is so, of a second only where passes are short.
    pub running: Option<f64>,
    /// What it was mostly busy with.
    pub phase: Phase,
    /// Tokens read and written per second since the last step.
    pub tokens_per_second: f64,
    /// Tokens and seconds of the passes that ended since the last step, if all of them did nothing but
    /// write.
    pub wrote: Option<(f64, f64)>,
    /// Answers that were written at once.
    pub users: usize,
    /// Requests that wait.
    pub queued: usize,
    /// Whether somebody waits for an answer now: a request of no low priority.
    pub is_interactive: bool,
}

/// What the processor is busy with: reading is bound by arithmetic, writing by memory, so that the
/// same setting draws other watts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Prompts are read.
    Prompts,
    /// Answers are written.
    Answers,
    /// Both, or unknown.
    #[default]
    Mixed,
}
