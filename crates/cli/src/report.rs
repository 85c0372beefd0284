//! What goes to standard error: errors with their causes and hints, figures.

use std::error::Error;

/// Prints the chain of causes, then a hint if one of them has one.
pub(crate) fn error(error: &anyhow::Error) {
    chain("error", error);
}

/// As [`error`] where the program goes on in another way, which `what` says.
pub(crate) fn note(what: &str, error: &anyhow::Error) {
    chain(&format!("note: {what}"), error);
}

fn chain(what: &str, error: &anyhow::Error) {
    eprintln!("{what}: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  caused by: {cause}");
    }
    if let Some(hint) = error.chain().find_map(hint) {
        eprintln!("hint: {hint}");
    }
}

/// The hint of any of our crates' errors.
fn hint<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a str> {
    if let Some(e) = error.downcast_ref::<rushlight_model::Error>() {
        return e.hint();
    }
    if let Some(e) = error.downcast_ref::<rushlight_engine::Error>() {
        return e.hint();
    }
    if let Some(e) = error.downcast_ref::<rushlight_formats::Error>() {
        return e.hint();
    }
    if let Some(e) = error.downcast_ref::<rushlight_host::Error>() {
        return e.hint();
    }
    if let Some(e) = error.downcast_ref::<rushlight_store::Error>() {
        return e.hint();
    }
    if let Some(e) = error.downcast_ref::<rushlight_text::Error>() {
        return e.hint();
    }
    if let Some(e) = error.downcast_ref::<rushlight_server::Error>() {
        return e.hint();
    }
    if let Some(e) = error.downcast_ref::<rushlight_monitor::Error>() {
        return e.hint();
    }
    None
}

/// Bytes in a unit that a person reads.
pub(crate) fn size(bytes: u64) -> String {
    let mib = bytes as f64 / (1 << 20) as f64;
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ if mib < 1024.0 => format!("{mib:.1} MiB"),
        _ => format!("{:.2} GiB", mib / 1024.0),
    }
}
