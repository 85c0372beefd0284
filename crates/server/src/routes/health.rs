//! How the server is.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use rushlight_engine::{Counts, Drafting};
use serde_json::{Value, json};

use crate::app::App;
use crate::{body, metrics};

/// How the engine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    /// It is not there yet.
    Loading,
    /// All is as it should be.
    Good,
    /// It answers, but something is not as it should be.
    Degraded,
    /// A pass takes longer than any should.
    Stuck,
    /// It has ended, or is being ended.
    Failed,
}

impl Status {
    fn of(app: &App) -> Self {
        if app.engine.failure().is_some() {
            return Status::Failed;
        }
        if app.engine.step_time().is_some_and(|time| time > app.options.step_limit) {
            return Status::Stuck;
        }
        match app.engine.served() {
            Err(_) => Status::Loading,
            Ok(served) if served.degradations.is_empty() && app.engine.noted().is_none() => {
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

/// Everything that is known.
pub(super) async fn health(State(app): State<Arc<App>>) -> Response {
    let status = Status::of(&app);
    let counts = app.engine.counts();
    let served = app.engine.served().ok();
    let degradations: Vec<Value> = served
        .into_iter()
        .flat_map(|served| served.degradations.clone())
        .chain(app.engine.noted())
        .map(|d| json!({ "what": d.what, "reason": d.reason }))
        .collect();
    let value = json!({
        "status": status.name(),
        "model": app.options.model,
        "backend": "cpu",
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
        "failure": app.engine.failure(),
        "step_seconds": app.engine.step_time().map(|time| time.as_secs_f64()),
        "uptime_seconds": app.started.elapsed().as_secs(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    body::json(code(status.answers()), &value)
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
    let text = app.metrics.text(&app.engine.counts());
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
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
    use crate::options::ServerOptions;
    use crate::worker::{Ask, Loaded, Worker};

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

    fn start() -> (Arc<App>, Worker) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tiny.gguf");
        tiny::write_gguf(&tiny::case("llama2"), &file);
        let mut options = ServerOptions::new("tiny");
        options.step_limit = Duration::from_millis(20);
        let metrics = Arc::new(Metrics::new("tiny"));
        let load = move || {
            let mut options = EngineOptions::default();
            options.threads = Some(1);
            Ok(Loaded::new(Engine::new(Arc::new(Model::open(&file)?), &options)?))
        };
        let worker = Worker::start(Box::new(load), &options, metrics.clone()).unwrap();
        let guard = Guard::new(&options).unwrap();
        let app = Arc::new(App::new(options, guard, worker.handle().clone(), metrics));
        wait(&app, Status::Degraded);
        (app, worker)
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
        let (app, _worker) = start();
        let (release, held) = mpsc::channel::<()>();
        app.engine.send(when(move || held.recv().unwrap_or_default()));
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
        let (app, _worker) = start();
        let ask = Ask {
            prompt: vec![1, 2, 3],
            options: GenerateOptions::default(),
            priority: 0,
            deadline: None,
            likeliest: 0,
            constraint: None,
            shown: Vec::new(),
        };
        let (release, held) = mpsc::channel::<()>();
        app.engine.send(when(move || {
            held.recv().unwrap_or_default();
            panic!("a bug");
        }));
        let answers = app.engine.ask(vec![ask.clone()]).unwrap();
        drop(release);
        crate::runtime().unwrap().block_on(async {
            let failure = answers.collect().await.unwrap_err().to_json();
            assert_eq!(failure["error"]["code"], "engine_failed");
            wait(&app, Status::Failed);
            assert_eq!(codes(&app).await, [503; 3]);
            let refused = app.engine.ask(vec![ask]).unwrap_err().to_json();
            assert_eq!(refused["error"]["code"], "engine_failed");
        });
        assert!(app.engine.failure().unwrap().contains("a bug"));
    }
}
