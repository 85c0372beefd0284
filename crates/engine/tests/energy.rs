//! What passes take of energy is shared among those whose tokens they run, and nothing is lost.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::sync::{Arc, Mutex};

use rushlight_engine::{
    EmbedEvent, EmbedOptions, EmbedRequest, EmbedSink, EmbedText, Engine, EngineOptions, Event,
    GenerateOptions, Request, Scheduler, SchedulerOptions, Sink, Speculation, Spent,
};
use rushlight_model::Model;
use rushlight_testkit::tiny::{case, write_gguf};

/// Remembers what it is told at the end.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Option<Option<Spent>>>>);

impl Ear {
    fn heard(&self) -> Option<Spent> {
        self.0.lock().unwrap().expect("it has ended")
    }
}

impl Sink for Ear {
    fn event(&mut self, event: Event<'_>) -> bool {
        if let Event::Finished { energy, .. } = event {
            *self.0.lock().unwrap() = Some(energy);
        }
        true
    }
}

impl EmbedSink for Ear {
    fn event(&mut self, event: EmbedEvent<'_>) -> bool {
        if let EmbedEvent::Finished { energy, .. } = event {
            *self.0.lock().unwrap() = Some(energy);
        }
        true
    }
}

fn scheduler() -> Scheduler {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tiny.gguf");
    write_gguf(&case("llama2"), &path);
    let mut options = EngineOptions::default();
    (options.context, options.threads, options.pin) = (Some(512), Some(1), false);
    options.chunk = 64;
    let engine = Engine::new(Arc::new(Model::open(&path).unwrap()), &options).unwrap();
    let mut options = SchedulerOptions::default();
    options.speculation = Speculation::Off;
    Scheduler::new(engine, &options)
}

fn ask(scheduler: &mut Scheduler, prompt: usize, tokens: usize) -> Ear {
    let ids = case("llama2").ids;
    // No two begin alike.
    let prompt = (0..prompt).map(|i| ids[(i * tokens + tokens) % ids.len()]).collect();
    let mut options = GenerateOptions::default();
    options.max_tokens = Some(tokens);
    options.ignore_end = true;
    let ear = Ear::default();
    scheduler.submit(Request::new(prompt, options, Box::new(ear.clone()))).unwrap();
    ear
}

#[test]
fn shares_are_by_rows_and_add_up() {
    let mut scheduler = scheduler();
    // Each pass takes 6 J, of which 2 J are what the machine takes at rest.
    let passes = Arc::new(Mutex::new(0));
    let counted = passes.clone();
    scheduler.set_meter(move || {
        *counted.lock().unwrap() += 1;
        Some(Spent { joules: 6.0, above_idle_joules: Some(4.0) })
    });
    // Alone: one pass for its prompt, and one for each token but the last.
    let alone = ask(&mut scheduler, 10, 5);
    while scheduler.step().unwrap() {}
    let spent = alone.heard().unwrap();
    assert_eq!(spent.joules, 6.0 * f64::from(*passes.lock().unwrap()));
    assert_eq!(spent.joules, 30.0);
    assert_eq!(spent.above_idle_joules, Some(20.0));

    *passes.lock().unwrap() = 0;
    let ears = [ask(&mut scheduler, 10, 8), ask(&mut scheduler, 30, 3), ask(&mut scheduler, 20, 2)];
    let embedded = Ear::default();
    let text = EmbedText { tokens: case("llama2").ids[..4].to_vec(), segments: Vec::new() };
    let request =
        EmbedRequest::new(vec![text], EmbedOptions::default(), Box::new(embedded.clone()));
    scheduler.submit_embed(request).unwrap();
    while scheduler.step().unwrap() {}
    let all: Vec<Spent> = ears.iter().chain([&embedded]).map(|e| e.heard().unwrap()).collect();
    let sum = all.iter().fold(0.0, |sum, spent| sum + spent.joules);
    assert!((sum - 6.0 * f64::from(*passes.lock().unwrap())).abs() < 1e-9, "{all:?}");
    for spent in &all {
        assert!((spent.above_idle_joules.unwrap() - spent.joules * 4.0 / 6.0).abs() < 1e-9);
    }
    // Who has more rows in the passes of prompts has more of their energy.
    assert!(all[1].joules > all[2].joules, "{all:?}");
}

#[test]
fn what_is_not_known_of_a_pass_is_not_known_of_the_whole() {
    let mut scheduler = scheduler();
    assert_eq!(ask(&mut scheduler, 4, 2).0.lock().unwrap().take(), None);
    while scheduler.step().unwrap() {}
    let unmeasured = ask(&mut scheduler, 4, 3);
    while scheduler.step().unwrap() {}
    assert_eq!(unmeasured.heard(), None);
    let mut calls = 0;
    scheduler.set_meter(move || {
        calls += 1;
        (calls != 2).then_some(Spent { joules: 1.0, above_idle_joules: None })
    });
    let broken = ask(&mut scheduler, 4, 4);
    while scheduler.step().unwrap() {}
    assert_eq!(broken.heard(), None);
    let whole = ask(&mut scheduler, 4, 5);
    while scheduler.step().unwrap() {}
    let spent = whole.heard().unwrap();
    assert_eq!((spent.joules, spent.above_idle_joules), (5.0, None));
}
