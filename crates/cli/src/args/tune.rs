//! The command line of `tune`.

use clap::Args as ClapArgs;

use super::Load;
use crate::tune::Objective;

#[derive(Debug, ClapArgs)]
pub(crate) struct Tune {
    /// The model. A setting that a flag gives is not searched.
    #[command(flatten)]
    pub(crate) load: Load,
    /// Seconds that it may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) budget: u64,
    /// What is wanted.
    #[arg(long, value_enum, default_value = "speed", value_name = "WHAT")]
    pub(crate) objective: Objective,
    /// Leaves out settings that take more watts on average while they run; needs a power sensor.
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) watts: Option<f64>,
    /// Lets the cache be q8_0 where that is faster: it rounds keys and values. Else it is only taken
    /// where `--memory` leaves no room for f16.
    #[arg(long, conflicts_with = "kv")]
    pub(crate) choose_kv: bool,
    /// Measures every combination too, however long it takes, and says how the choice compares.
    #[arg(long)]
    pub(crate) exhaustive: bool,
    /// Keeps no profile: only prints.
    #[arg(long)]
    pub(crate) no_save: bool,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(n) if f64::is_finite(n) && n > 0.0 => Ok(n),
        _ => Err(format!("`{text}` is not a number above 0")),
    }
}
