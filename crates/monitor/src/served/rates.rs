//! Counters of a server that become rates.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::Value;

use super::exposition::Values;
use crate::sample::{Model, Served};

/// Models of a server, at most.
const MOST_MODELS: usize = 256;
/// Characters of what a server says, at most.
const MOST_TEXT: usize = 160;

/// What was last told of each model.
#[derive(Debug, Default)]
pub(super) struct Rates {
    last: Option<Instant>,
    counters: HashMap<String, Counters>,
}

/// Counters since the server's start.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    tokens: f64,
    prompt_tokens: f64,
    cached_tokens: f64,
    first_seconds: f64,
    first_count: f64,
    joules: Option<f64>,
}

impl Rates {
    /// What `/health` and `/metrics` say at `now`; `None` if they are not a rushlight's.
    pub(super) fn served(
        &mut self,
        address: &str,
        health: &str,
        metrics: &str,
        now: Instant,
    ) -> Option<Served> {
        let health: Value = serde_json::from_str(health).ok()?;
        let status = health.get("status")?.as_str()?;
        let values = Values::read(metrics);
        let seconds = self.last.map_or(0.0, |last| now.duration_since(last).as_secs_f64());
        self.last = Some(now);
        let before = std::mem::take(&mut self.counters);
        let models = health.get("models").and_then(Value::as_array)?;
        let models = models.iter().take(MOST_MODELS).filter_map(|told| {
            let name = told.get("model")?.as_str()?;
            let counters = Counters::read(&values, name);
            let model = model(name, told, &values, before.get(name), &counters, seconds);
            self.counters.insert(name.to_owned(), counters);
            Some(model)
        });
        let models = models.collect();
        let word = |name: &str| health.get(name).and_then(Value::as_str).map(text);
        let told = health.get("degradations").and_then(Value::as_array).into_iter().flatten();
        let degraded_by = told.filter_map(|told| {
            let word = |name: &str| told.get(name).and_then(Value::as_str);
            Some(text(&format!("{}: {}", word("what")?, word("reason")?)))
        });
        Some(Served {
            address: address.to_owned(),
            status: text(status),
            degraded_by: degraded_by.take(8).collect(),
            version: word("version").unwrap_or_default(),
            uptime_seconds: health.get("uptime_seconds").and_then(Value::as_u64).unwrap_or(0),
            watts: values.get("power_watts", "").map(|watts| watts as f32),
            governor: governor(health.get("governor")),
            models,
        })
    }
}

/// What a governor says of its step, if there is one.
fn governor(told: Option<&Value>) -> Option<String> {
    let told = told?;
    let setting = told.get("setting")?.as_str()?;
    let why = told.get("limited_by").and_then(Value::as_str);
    Some(text(&why.map_or_else(|| setting.to_owned(), |why| format!("{setting}: {why}"))))
}

impl Counters {
    fn read(values: &Values<'_>, model: &str) -> Self {
        let get = |name: &str| values.get(name, model).unwrap_or(0.0).max(0.0);
        Self {
            tokens: get("generation_tokens_total"),
            prompt_tokens: get("prompt_tokens_total"),
            cached_tokens: get("prompt_tokens_cached_total"),
            first_seconds: get("time_to_first_token_seconds_sum"),
            first_count: get("time_to_first_token_seconds_count"),
            joules: values.get("energy_joules_total", model),
        }
    }
}

fn model(
    name: &str,
    told: &Value,
    values: &Values<'_>,
    before: Option<&Counters>,
    now: &Counters,
    seconds: f64,
) -> Model {
    let get = |name_of: &str| values.get(name_of, name);
    let share = |part: Option<f64>, all: Option<f64>| {
        let (part, all) = (part?, all.filter(|all| *all > 0.0)?);
        Some(hundredth(part / all * 100.0))
    };
    // A server that was started again counts from the beginning.
    let more =
        |of: fn(&Counters) -> f64| before.map_or(0.0, |before| (of(now) - of(before)).max(0.0));
    let rate = |count: f64| if seconds > 0.0 { hundredth(count / seconds) } else { 0.0 };
    let tokens = more(|counters| counters.tokens);
    let read = more(|counters| counters.prompt_tokens) - more(|counters| counters.cached_tokens);
    let firsts = more(|counters| counters.first_count);
    let first_ms = more(|counters| counters.first_seconds) / firsts * 1e3;
    let joules = before.and_then(|before| Some((now.joules? - before.joules?).max(0.0)));
    let count = |name: &str| {
        // A count is no fraction.
        told.get(name).and_then(Value::as_u64).unwrap_or(0)
    };
    Model {
        name: text(name),
        is_loaded: get("model_loaded").map_or_else(
            || !told.get("memory_bytes").unwrap_or(&Value::Null).is_null(),
            |loaded| loaded > 0.0,
        ),
        memory_bytes: count("memory_bytes"),
        running: count("running"),
        waiting: count("queued"),
        tokens_per_second: rate(tokens),
        prompt_tokens_per_second: rate(read.max(0.0)),
        cached_percent: share(get("prompt_tokens_cached_total"), get("prompt_tokens_total")),
        kv_percent: get("kv_cache_usage_perc").map_or(0.0, |share| hundredth(share * 100.0)),
        first_token_ms: (firsts > 0.0).then(|| hundredth(first_ms)),
        accepted_percent: share(
            get("spec_decode_num_accepted_tokens_total"),
            get("spec_decode_num_draft_tokens_total"),
        ),
        joules_per_token: joules
            .filter(|_| tokens > 0.0)
            .map(|joules| ((joules / tokens * 1e4).round() / 1e4) as f32),
        tokens: now.tokens as u64,
    }
}

fn hundredth(value: f64) -> f32 {
    ((value * 100.0).round() / 100.0) as f32
}

/// A text of a server as it may be shown.
fn text(text: &str) -> String {
    crate::sample::shown(text, MOST_TEXT)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn metrics(tokens: u32, firsts: f64, joules: f64) -> String {
        format!(
            "rushlight_generation_tokens_total{{model=\"m\"}} {tokens}\n\
             rushlight_prompt_tokens_total{{model=\"m\"}} {}\n\
             rushlight_prompt_tokens_cached_total{{model=\"m\"}} 50\n\
             rushlight_time_to_first_token_seconds_sum{{model=\"m\"}} {firsts}\n\
             rushlight_time_to_first_token_seconds_count{{model=\"m\"}} {}\n\
             rushlight_kv_cache_usage_perc{{model=\"m\"}} 0.25\n\
             rushlight_model_loaded{{model=\"m\"}} 1\n\
             rushlight_energy_joules_total{{model=\"m\",source=\"RAPL\"}} {joules}\n\
             rushlight_power_watts{{source=\"RAPL\"}} 12.5\n",
            tokens * 2,
            firsts * 10.0,
        )
    }

    #[test]
    fn counters_become_rates() {
        let health = r#"{"status": "degraded", "uptime_seconds": 9, "version": "0.1.0",
            "degradations": [{"what": "threads", "reason": "few\u001b[2J"}],
            "models": [{"model": "m", "running": 2, "queued": 3, "memory_bytes": 77},
                       {"model": "gone", "memory_bytes": null}, {"odd": 1}]}"#;
        let mut rates = Rates::default();
        let begin = Instant::now();
        let first = rates.served("a", health, &metrics(100, 1.0, 10.0), begin).unwrap();
        assert_eq!((first.models.len(), first.models[0].tokens_per_second), (2, 0.0));
        assert_eq!(first.models[0].joules_per_token, None);
        let later = begin + Duration::from_secs(2);
        let second = rates.served("a", health, &metrics(150, 2.0, 20.0), later).unwrap();
        let model = &second.models[0];
        assert_eq!((model.tokens_per_second, model.prompt_tokens_per_second), (25.0, 50.0));
        assert_eq!((model.running, model.waiting, model.memory_bytes), (2, 3, 77));
        assert_eq!((model.kv_percent, model.first_token_ms), (25.0, Some(100.0)));
        assert_eq!(model.cached_percent, Some(16.67));
        assert_eq!(model.joules_per_token, Some(0.2));
        assert!(model.is_loaded && !second.models[1].is_loaded);
        assert_eq!(second.watts, Some(12.5));
        assert_eq!(second.degraded_by, ["threads: few?[2J"]);
        // It was started again.
        let third =
            rates.served("a", health, &metrics(5, 0.0, 0.0), later + Duration::from_secs(1));
        assert_eq!(third.unwrap().models[0].tokens_per_second, 0.0);
    }

    #[test]
    fn what_is_no_rushlight_is_none() {
        let mut rates = Rates::default();
        for health in ["", "<html>", "{}", r#"{"status": "ok"}"#, r#"{"status": 5, "models": []}"#]
        {
            assert_eq!(rates.served("a", health, "", Instant::now()), None, "{health}");
        }
    }
}
