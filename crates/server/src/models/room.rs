//! Room for a model that is to be loaded.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Entry, Models};
use crate::metrics::Gone;
use crate::server::LAST;
use crate::worker::Worker;
use crate::{Error, ErrorKind};

/// How long the answers of models that are to go may take, at most.
const PATIENCE: Duration = Duration::from_secs(120);

impl Models {
    /// Lets models go until there is room for so many bytes more.
    ///
    /// Those that nobody uses go at once, whatever their priority is. Of those in use only models
    /// of no higher priority go, after their answers.
    pub(super) async fn make_room(&self, entry: &Entry, needs: u64) -> Result<(), Error> {
        if needs > self.budget {
            return Err(no_room(entry, needs, self.budget, "there are"));
        }
        let outcome = self.let_others_go(entry, needs).await;
        // There may be room although one that was to go has not gone yet.
        self.entries.iter().for_each(|entry| entry.stay());
        self.tell();
        outcome
    }

    async fn let_others_go(&self, entry: &Entry, needs: u64) -> Result<(), Error> {
        let until = Instant::now() + PATIENCE;
        loop {
            let mut changed = self.changed.subscribe();
            let taken = |staying: bool| -> u64 {
                let entries = self.entries.iter().filter(|e| !staying || !may_go(e, entry));
                entries.map(|entry| entry.bytes()).sum()
            };
            let ending = self.ending.load(Ordering::Acquire);
            let free = self.free(taken(false) + ending);
            if needs <= free {
                return Ok(());
            }
            // None goes in vain.
            let most = self.budget.saturating_sub(taken(true));
            let others = self.entries.iter().filter(|e| may_go(e, entry));
            let others = others.filter_map(|e| Some((e.standing()?, e)));
            let Some((standing, victim)) = others.min_by_key(|(standing, _)| *standing) else {
                // One that was let go may still end.
                if ending > 0 && timeout_at(until, changed.changed()).await.is_ok() {
                    continue;
                }
                return Err(no_room(entry, needs, free, "others leave"));
            };
            if needs > most {
                return Err(no_room(entry, needs, most, "others leave"));
            }
            victim.retire();
            if let Some(worker) = victim.take_unused() {
                self.let_go(victim, worker, Gone::Room).await;
            } else if standing.busy && timeout_at(until, changed.changed()).await.is_err() {
                return Err(no_room(entry, needs, free, "others are in use and leave"));
            }
        }
    }

    /// Bytes that another model may take beside those that are taken: of the budget, and of what the
    /// machine and the control groups of the process leave now.
    fn free(&self, taken: u64) -> u64 {
        let left = rushlight_host::memory(&self.options.machine).usable_bytes();
        self.budget.saturating_sub(taken).min(left)
    }

    /// Ends the engine of a model that nobody uses, which frees its memory.
    pub(super) async fn let_go(&self, entry: &Entry, worker: Worker, why: Gone) {
        let bytes = worker.handle().bytes();
        if let Some(ended) = worker.stop(LAST).await {
            // Its memory is not free before it ends.
            self.ending.fetch_add(bytes, Ordering::AcqRel);
            let (ending, changed) = (self.ending.clone(), self.changed.clone());
            tokio::spawn(async move {
                let _ = ended.await;
                ending.fetch_sub(bytes, Ordering::AcqRel);
                changed.send_replace(());
            });
        }
        entry.metrics.gone(why);
        self.tell();
    }
}

/// Whether a model may go for another one: after its answers, if its priority is no higher. One that is
/// to stay is loaded for good, so all others go for it.
fn may_go(model: &Entry, other: &Entry) -> bool {
    model.standing().is_some_and(|standing| {
        !standing.busy || other.model.pinned || standing.priority <= other.model.priority
    })
}

fn no_room(entry: &Entry, needs: u64, free: u64, whose: &str) -> Error {
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let message = format!(
        "`{}` needs `{}` MiB of memory, {whose} `{}` MiB",
        entry.model.name,
        mib(needs),
        free >> 20
    );
    Error::new(ErrorKind::Memory, message)
        .with_hint("a shorter context, a q8_0 cache or a smaller quantisation needs less")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use rushlight_engine::{
        Engine, EngineOptions, Event, GenerateOptions, Plan, Request, SchedulerOptions, Sink,
    };
    use rushlight_model::Model;
    use rushlight_testkit::tiny;

    use super::*;
    use crate::metrics::Metrics;
    use crate::models::{Purpose, ServedModel};
    use crate::options::ServerOptions;
    use crate::worker::Loaded;

    /// Holds the engine's thread until it is told.
    struct Held(mpsc::Receiver<()>);

    impl Sink for Held {
        fn event(&mut self, _: Event<'_>) -> bool {
            self.0.recv().unwrap_or_default();
            false
        }
    }

    #[test]
    fn a_control_group_that_leaves_less_than_the_machine_bounds_what_is_free() {
        let root = tempfile::tempdir().unwrap();
        let group = "sys/fs/cgroup/app";
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("proc/meminfo", "MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\n");
        put("proc/self/cgroup", "0::/app\n");
        put("proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
        put(&format!("{group}/memory.max"), "1000000\n");
        put(&format!("{group}/memory.current"), "400000\n");
        let mut options = ServerOptions { memory_bytes: Some(900_000), ..Default::default() };
        options.machine = root.path().to_owned();
        let model = ServedModel::new("a", || Err("it is not loaded".into()));
        let metrics = Metrics::new(crate::energy::Accounts::new(None));
        let models = Models::new(vec![model], &options, &metrics).unwrap();
        assert_eq!([0, 500_000].map(|taken| models.free(taken)), [600_000, 400_000]);
    }

    #[test]
    fn what_is_copied_to_look_at_a_model_has_room_before() {
        let options = ServerOptions { memory_bytes: Some(1000), ..Default::default() };
        let (asked, was_asked) = mpsc::channel();
        let model = ServedModel::new("a", || Err("it is not loaded".into()));
        let needs = move || {
            asked.send(()).map_err(|_| "nobody listens")?;
            Ok(10)
        };
        let mut model = model.with_needs(needs).with_copies(|| Ok(2000));
        model.pinned = false;
        let metrics = Metrics::new(crate::energy::Accounts::new(None));
        let models = Models::new(vec![model], &options, &metrics).unwrap();
        let opened =
            crate::runtime().unwrap().block_on(models.open(Some("a"), Purpose::Itself)).map(drop);
        assert!(opened.is_err_and(|failure| failure.message().contains("of memory")));
        assert!(was_asked.try_recv().is_err());
    }

    #[test]
    fn a_model_counts_until_its_engine_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tiny.gguf");
        tiny::write_gguf(&tiny::case("llama2"), &file);
        let mut engine = EngineOptions::default();
        (engine.threads, engine.pin) = (Some(1), false);
        let bytes = Plan::of(&Model::open(&file).unwrap(), &engine).total_bytes();
        let model = |name: &str| {
            let (file, engine) = (file.clone(), engine.clone());
            let load =
                move || Ok(Loaded::new(Engine::new(Arc::new(Model::open(&file)?), &engine)?));
            let mut model = ServedModel::new(name, load).with_needs(move || Ok(bytes));
            model.pinned = false;
            model.scheduler = Some(SchedulerOptions::default());
            model
        };
        let options = ServerOptions { memory_bytes: Some(bytes * 3 / 2), ..Default::default() };
        let models = vec![model("a"), model("b")];
        let models =
            Models::new(models, &options, &Metrics::new(crate::energy::Accounts::new(None)))
                .unwrap();
        crate::runtime().unwrap().block_on(async {
            drop(models.open(Some("a"), Purpose::Itself).await.unwrap());
            let (release, held) = mpsc::channel::<()>();
            let a = models.entries()[0].handle().unwrap();
            let sink = Box::new(Held(held));
            a.send(Request::new(vec![1, 2, 3], GenerateOptions::default(), sink));
            let opened = tokio::spawn({
                let models = models.clone();
                async move { models.open(Some("b"), Purpose::Itself).await.map(drop) }
            });
            // Longer than it is waited for.
            tokio::time::sleep(LAST + Duration::from_secs(1)).await;
            assert_eq!(models.ending.load(Ordering::Acquire), bytes);
            assert!(models.entries()[0].handle().is_none() && !opened.is_finished());
            drop(release);
            opened.await.unwrap().unwrap();
            assert_eq!(models.ending.load(Ordering::Acquire), 0);
            assert!(models.entries()[1].served().is_some());
        });
    }
}
