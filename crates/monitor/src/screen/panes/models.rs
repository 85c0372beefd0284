//! The models that a rushlight server serves.

use ratatui_core::text::{Line, Span};

use super::super::look::{bytes, percent, plain, short, span};
use super::{View, curve, joined};
use crate::sample::Model;

/// Letters of a name that are always there.
const LEAST_NAME: usize = 8;

pub(super) fn title(view: &View<'_>) -> String {
    match &view.sample.served {
        Some(served) => view.look.text(&served.status),
        None => String::new(),
    }
}

pub(super) fn lines(view: &View<'_>, width: usize) -> Vec<Line<'static>> {
    let look = view.look;
    let Some(served) = &view.sample.served else {
        let text = match view.sample.lack("served") {
            Some(lack) => short(&lack.reason, &lack.detail),
            None => "no server is watched".to_owned(),
        };
        return vec![Line::from(span(look.text(&text), look.faint()))];
    };
    let mut lines = Vec::new();
    let rate: f32 = served.models.iter().map(|model| model.tokens_per_second).sum();
    let text = format!("{rate:>6.1}/s");
    lines.push(curve(view, "tokens", &text, &view.history.tokens, None, width));
    let mut models: Vec<&Model> = served.models.iter().collect();
    // Those that do something first, the rest in the server's order.
    models.sort_by_key(|model| (model.running == 0 && model.waiting == 0, !model.is_loaded));
    for model in models {
        lines.extend(of(view, model, width));
    }
    for reason in &served.degraded_by {
        lines.push(Line::from(span(look.text(reason), look.warning())));
    }
    if let Some(governor) = &served.governor {
        lines.push(Line::from(plain(format!("governor: {}", look.text(governor)))));
    }
    lines.push(Line::from(span(look.text(&served.address), look.faint())));
    lines
}

/// A model in two lines: how busy it is, and what else is known, as far as there is room.
fn of(view: &View<'_>, model: &Model, width: usize) -> Vec<Line<'static>> {
    let look = view.look;
    let name = look.text(&model.name);
    if !model.is_loaded {
        return vec![joined(view, vec![plain(name), span("not loaded", look.faint())])];
    }
    let waiting = match model.waiting {
        0 => plain("0 wait"),
        count => span(format!("{count} wait"), look.warning()),
    };
    let mut first = vec![
        plain(format!("{:.1} tok/s", model.tokens_per_second)),
        plain(format!("{} run", model.running)),
        waiting,
    ];
    // Of a long name there is as much as leaves room for what the model does.
    let used: usize = first.iter().map(|part| part.width() + view.look.dot().chars().count()).sum();
    let room = width.saturating_sub(used).max(LEAST_NAME);
    first.insert(0, span(shortened(&name, room), look.strong()));
    let mut second =
        vec![span(format!("KV {} %", percent(model.kv_percent)), look.level(model.kv_percent))];
    let prompts = model.prompt_tokens_per_second;
    let parts = [
        model.joules_per_token.map(|joules| format!("{joules:.2} J/token")),
        model.first_token_ms.map(|ms| format!("first {ms:.0} ms")),
        Some(bytes(model.memory_bytes)),
        (prompts > 0.0).then(|| format!("prompts {prompts:.0}/s")),
        model.cached_percent.map(|share| format!("cached {} %", percent(share))),
        model.accepted_percent.map(|share| format!("guessed {} %", percent(share))),
    ];
    second.extend(parts.into_iter().flatten().map(plain));
    vec![joined(view, first), joined(view, fitting(view, second, width))]
}

/// The first `room` letters of a name, with a mark if that is not all.
fn shortened(name: &str, room: usize) -> String {
    match name.chars().count() {
        count if count <= room => name.to_owned(),
        _ => name.chars().take(room.saturating_sub(1)).chain(['~']).collect(),
    }
}

/// The parts of a line that have room in it as a whole: half a number says something else.
fn fitting(view: &View<'_>, mut parts: Vec<Span<'static>>, width: usize) -> Vec<Span<'static>> {
    let dot = view.look.dot().chars().count();
    let mut used = 0;
    let fits = |part: &Span<'_>| {
        used += part.width() + if used > 0 { dot } else { 0 };
        used <= width
    };
    let kept = parts.iter().map(fits).take_while(|fits| *fits).count();
    parts.truncate(kept);
    parts
}
