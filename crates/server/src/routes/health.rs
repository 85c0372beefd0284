//! How the server is.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use rushlight_engine::{Counts, Drafting};
use serde_json::{Value, json};

use crate::app::App;
use crate::models::Entry;
use crate::worker::{Degradation, Handle};
use crate::{body, metrics};

/// How the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Status {
    /// All is as it should be.
    Good,
    /// It answers, but something is not as it should be.
    Degraded,
    /// A model that is to be there is not there yet.
    Loading,
    /// A pass takes longer than any should.
    Stuck,
    /// The engine of a model that is to be there has ended, or is being ended.
    Failed,
}

impl Status {
    /// The worst of all models: one that is loaded when somebody asks is only degraded when it cannot
    /// be.
    fn of(app: &App) -> Self {
        let all = app.models.entries().iter().map(|entry| Status::of_model(app, entry));
        let worst = all.max().unwrap_or(Status::Failed);
        match app.guard.degradations().is_empty() {
            true => worst,
            false => worst.max(Status::Degraded),
        }
    }

    fn of_model(app: &App, entry: &Entry) -> Self {
        let pinned = entry.model.pinned;
        if entry.failure().is_some() {
            return if pinned { Status::Failed } else { Status::Degraded };
        }
        let Some(handle) = entry.handle() else {
            return if pinned { Status::Loading } else { Status::Good };
        };
        if handle.step_time().is_some_and(|time| time > app.options.step_limit) {
            return Status::Stuck;
        }
        match handle.served() {
            Err(_) => Status::Loading,
            Ok(served) if served.degradations.is_empty() && handle.noted().is_none() => {
                Status::Good
            }
            Ok(_) => Status::Degraded,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Status::Loading => "loading",
            Status::Good => "ok",
            Status::Degraded => "degraded",
            Status::Stuck => "stuck",
            Status::Failed => "failed",
        }
    }

    fn answers(self) -> bool {
        matches!(self, Status::Good | Status::Degraded)
    }

    /// Whether a new process could not be better.
    fn lives(self) -> bool {
        self.answers() || self == Status::Loading
    }
}

/// Whether requests can be answered.
pub(crate) fn answers(app: &App) -> bool {
    Status::of(app).answers()
}

/// Whether a new process could not be better.
pub(crate) fn lives(app: &App) -> bool {
    Status::of(app).lives()
}

/// 200 unless the process should be ended and started again.
pub(super) async fn live(State(app): State<Arc<App>>) -> Response {
    let status = Status::of(&app);
    short(status, status.lives())
}

/// 200 while requests can be answered.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Response {
    let status = Status::of(&app);
    short(status, status.answers())
}

fn short(status: Status, good: bool) -> Response {
    body::json(code(good), &json!({ "status": status.name() }))
}

fn code(good: bool) -> StatusCode {
    if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// Everything that is known. What is said of one model alone is said of the first one, and of each
/// in `models`.
pub(super) async fn health(State(app): State<Arc<App>>) -> Response {
    let status = Status::of(&app);
    let models: Vec<Value> =
        app.models.entries().iter().map(|entry| of_model(&app, entry)).collect();
    let mut value = of_model(&app, app.models.first());
    value["status"] = json!(status.name());
    value["backend"] = json!("cpu");
    value["memory_budget_bytes"] = json!(app.models.budget());
    value["uptime_seconds"] = json!(app.started.elapsed().as_secs());
    value["version"] = json!(env!("CARGO_PKG_VERSION"));
    if let Some(list) = value["degradations"].as_array_mut() {
        list.extend(app.guard.degradations().iter().map(told));
    }
    value["energy"] = app.metrics.energy().to_json();
    value["models"] = json!(models);
    if let Some((sent, dropped, failure)) = app.tracer.as_ref().map(|tracer| tracer.state()) {
        value["traces"] = json!({ "sent": sent, "dropped": dropped, "failure": failure });
    }
    body::json(code(status.answers()), &value)
}

/// Everything that is known of a model.
fn of_model(app: &App, entry: &Entry) -> Value {
    let handle = entry.handle();
    let counts = handle.as_ref().map(Handle::counts).unwrap_or_default();
    let served = entry.served();
    let noted = handle.as_ref().and_then(Handle::noted);
    let started = served.iter().flat_map(|served| served.degradations.clone());
    let degradations: Vec<Value> = started.chain(noted).map(|d| told(&d)).collect();
    let served = served.as_ref();
    json!({
        "status": Status::of_model(app, entry).name(),
        "model": entry.model.name,
        "stage": entry.stage().name(),
        "adapters": entry.model.adapters,
        "pinned": entry.model.pinned,
        "priority": entry.model.priority,
        "unloads_in_seconds":
            entry.goes().map(|at| at.saturating_duration_since(Instant::now()).as_secs()),
        "memory_bytes": served.map(|s| s.bytes),
        "kernels": served.map(|s| s.kernels),
        "threads": served.map(|s| s.threads),
        "weights": served.map(|s| s.model.weights_from().name()),
        "context": served.map(|s| s.context),
        "running": counts.running,
        "queued": counts.queued,
        "cache": {
            "pages": counts.pages,
            "pages_used": counts.pages_used,
            "pages_cached": counts.pages_cached,
        },
        "speculation": speculation(&counts),
        "degradations": degradations,
        "failure": entry.failure(),
        "step_seconds": handle.and_then(|h| h.step_time()).map(|time| time.as_secs_f64()),
    })
}

fn told(degradation: &Degradation) -> Value {
    json!({ "what": degradation.what, "reason": degradation.reason })
}

/// What is guessed, and whether a draft model does: that it rests, as it would not pay, is no fault.
fn speculation(counts: &Counts) -> Value {
    let share = |right: u64, of: u64| (of > 0).then(|| right as f64 / of as f64);
    let draft = counts.drafting.map(|drafting| {
        let state = match drafting {
            Drafting::Asked => "asked",
            Drafting::Resting => "resting",
            _ => "failed",
        };
        json!({
            "state": state,
            "passes": counts.draft_passes,
            "drafted_tokens": counts.model_drafted_tokens,
            "acceptance": share(counts.model_accepted_tokens, counts.model_drafted_tokens),
        })
    });
    json!({
        "drafted_tokens": counts.drafted_tokens,
        "acceptance": share(counts.accepted_tokens, counts.drafted_tokens),
        "draft_model": draft,
    })
}

/// For Prometheus.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    for entry in app.models.entries() {
        let now = entry.handle().map(|handle| (handle.counts(), entry.bytes()));
        entry.metrics.set_now(now);
    }
    app.metrics.set_power();
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], app.metrics.text()).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use rushlight_engine::{Engine, EngineOptions, Event, GenerateOptions, Request, Sink};
    use rushlight_model::Model;
    use rushlight_testkit::tiny;

    use super::*;
    use crate::guard::Guard;
    use crate::metrics::Metrics;
    use crate::models::{Models, ServedModel};
    use crate::options::ServerOptions;
    use crate::worker::{Ask, Loaded};

    /// Does something when it hears of an answer.
    struct When<F>(F);

    impl<F: FnMut() + Send> Sink for When<F> {
        fn event(&mut self, _: Event<'_>) -> bool {
            (self.0)();
            false
        }
    }

    /// A request that does something on the engine's thread.
    fn when(what: impl FnMut() + Send + 'static) -> Request {
        Request::new(vec![1, 2, 3], GenerateOptions::default(), Box::new(When(what)))
    }

    fn start() -> Arc<App> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tiny.gguf");
        tiny::write_gguf(&tiny::case("llama2"), &file);
        let step_limit = Duration::from_millis(20);
        let options = ServerOptions { step_limit, ..ServerOptions::default() };
        let metrics = Arc::new(Metrics::new(crate::energy::Accounts::new(None)));
        let load = move || {
            let mut options = EngineOptions::default();
            options.threads = Some(1);
            Ok(Loaded::new(Engine::new(Arc::new(Model::open(&file)?), &options)?))
        };
        let models = vec![ServedModel::new("tiny", load)];
        let models = Models::new(models, &options, &metrics).unwrap();
        let guard = Guard::new(&options).unwrap();
        let app = Arc::new(App::new(options, guard, models.clone(), metrics, None));
        crate::runtime().unwrap().block_on(models.load_pinned()).unwrap();
        wait(&app, Status::Degraded);
        app
    }

    fn handle(app: &App) -> Handle {
        app.models.first().handle().unwrap()
    }

    fn wait(app: &App, status: Status) {
        let begin = Instant::now();
        while Status::of(app) != status {
            assert!(begin.elapsed() < Duration::from_secs(60), "it is {:?}", Status::of(app));
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Statuses of `/livez`, `/readyz` and `/health`.
    async fn codes(app: &Arc<App>) -> [u16; 3] {
        let all = [
            live(State(app.clone())).await,
            ready(State(app.clone())).await,
            health(State(app.clone())).await,
        ];
        all.map(|response| response.status().as_u16())
    }

    #[test]
    fn a_pass_that_takes_too_long_is_told_while_it_lasts() {
        let app = start();
        let (release, held) = mpsc::channel::<()>();
        handle(&app).send(when(move || held.recv().unwrap_or_default()));
        wait(&app, Status::Stuck);
        crate::runtime().unwrap().block_on(async {
            assert_eq!(codes(&app).await, [503; 3]);
            drop(release);
            wait(&app, Status::Degraded);
            assert_eq!(codes(&app).await, [200; 3]);
        });
    }

    #[test]
    fn an_engine_that_panics_is_told_and_so_are_those_who_wait() {
        let app = start();
        let ask = Ask {
            prompt: vec![1, 2, 3],
            options: GenerateOptions::default(),
            priority: 0,
            deadline: None,
            likeliest: 0,
            constraint: None,
            thinking: None,
            shown: Vec::new(),
        };
        let (release, held) = mpsc::channel::<()>();
        handle(&app).send(when(move || {
            held.recv().unwrap_or_default();
            panic!("a bug");
        }));
        let answers = handle(&app).ask(vec![ask.clone()], None).unwrap();
        drop(release);
        crate::runtime().unwrap().block_on(async {
            let failure = answers.collect().await.unwrap_err().to_json();
            assert_eq!(failure["error"]["code"], "engine_failed");
            wait(&app, Status::Failed);
            assert_eq!(codes(&app).await, [503; 3]);
            let refused = handle(&app).ask(vec![ask], None).unwrap_err().to_json();
            assert_eq!(refused["error"]["code"], "engine_failed");
        });
        assert!(app.models.first().failure().unwrap().contains("a bug"));
    }
}
