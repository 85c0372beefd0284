//! The limits of `serve` on watts and heat.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use rushlight_monitor::governor::{BatteryPolicy, Limits, QuietHours};

/// What may be drawn, and how hot the device may get.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Watts and heat")]
pub(crate) struct Govern {
    /// Watts that may be drawn on average, of what the meter measures; `doctor` says which that is. See
    /// `docs/governor.md`.
    #[arg(long, value_name = "WATTS", value_parser = positive)]
    pub(crate) watts: Option<f64>,
    /// Degrees Celsius of the hottest place that computes.
    #[arg(long, value_name = "DEGREES", value_parser = degrees)]
    pub(crate) max_celsius: Option<f64>,
    /// Hours of local time, such as `22:00-06:00=5`, in which so many watts may be drawn; without watts
    /// half of `--watts`, or half the power of full speed. May be given several times.
    #[arg(long, value_name = "FROM-TO[=WATTS]", value_parser = hours)]
    pub(crate) quiet_hours: Vec<QuietHours>,
    /// While a battery with less charge than this feeds the device, so many watts may be drawn, or half.
    #[arg(long, value_name = "PERCENT[=WATTS]", value_parser = battery)]
    pub(crate) battery: Option<BatteryPolicy>,
    /// Lowers the highest clocks of the machine's processors too, which saves the most: for a limit, and
    /// without one while answers are written, as far as they come no slower. Where processors have limits
    /// of power (powercap) these hold the watts while there is work. Needs the right to set them, and puts
    /// them back at the end.
    #[arg(long)]
    pub(crate) set_clocks: bool,
    /// A smaller variant of MODEL, which answers when a limit leaves nothing else; `off` for none
    /// [default: one of the store, if there is one].
    #[arg(long, value_name = "MODEL")]
    pub(crate) smaller: Option<String>,
    /// Where this is noted, to be put back by the next server after a crash.
    #[arg(long, value_name = "FILE", default_value = "/run/rushlight-clocks", hide = true)]
    pub(crate) clocks_journal: PathBuf,
    /// Reads sensors below DIR, for tests.
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    pub(crate) root: PathBuf,
}

impl Govern {
    /// What is to be held.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            watts: self.watts,
            max_celsius: self.max_celsius,
            quiet: self.quiet_hours.clone(),
            battery: self.battery,
        }
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if n.is_finite() && n > 0.0 => Ok(n),
        _ => Err(format!("`{text}` is not a number above 0")),
    }
}

fn degrees(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if (20.0..=125.0).contains(&n) => Ok(n),
        _ => Err(format!("`{text}` is not a number of degrees from 20 to 125")),
    }
}

fn hours(text: &str) -> Result<QuietHours, String> {
    text.parse().map_err(told)
}

fn battery(text: &str) -> Result<BatteryPolicy, String> {
    text.parse().map_err(told)
}

fn told(error: rushlight_monitor::Error) -> String {
    match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}
