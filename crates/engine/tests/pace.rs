//! A scheduler that is to work less does, and says the same.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::sync::{Arc, Mutex};

use rushlight_engine::{
    Engine, EngineOptions, Event, GenerateOptions, Pace, Request, Scheduler, SchedulerOptions, Sink,
};
use rushlight_model::Model;
use rushlight_testkit::tiny::{case, write_gguf};

/// The tokens of an answer, and whether it has ended.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<(Vec<u32>, bool)>>);

impl Sink for Ear {
    fn event(&mut self, event: Event<'_>) -> bool {
        let mut heard = self.0.lock().unwrap();
        match event {
            Event::Token { choice, .. } => heard.0.push(choice.token),
            Event::Finished { .. } => heard.1 = true,
            Event::Failed(error) => panic!("{error}"),
            _ => {}
        }
        true
    }
}

impl Ear {
    fn tokens(&self) -> Vec<u32> {
        self.0.lock().unwrap().0.clone()
    }

    fn has_ended(&self) -> bool {
        self.0.lock().unwrap().1
    }
}

fn scheduler(threads: usize) -> Scheduler {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tiny.gguf");
    write_gguf(&case("llama2"), &path);
    let mut options = EngineOptions::default();
    (options.context, options.threads) = (Some(512), Some(threads));
    (options.pin, options.chunk) = (false, 128);
    let engine = Engine::new(Arc::new(Model::open(&path).unwrap()), &options).unwrap();
    Scheduler::new(engine, &SchedulerOptions::default())
}

fn submit(scheduler: &mut Scheduler, prompt: usize, priority: i32) -> Ear {
    let mut options = GenerateOptions::default();
    (options.max_tokens, options.ignore_end) = (Some(24), true);
    let ear = Ear::default();
    let prompt = (0..prompt).map(|i| 3 + (i * 7 % 20) as u32).collect();
    let mut request = Request::new(prompt, options, Box::new(ear.clone()));
    request.priority = priority;
    scheduler.submit(request).unwrap();
    ear
}

fn pace(change: impl FnOnce(&mut Pace)) -> Pace {
    let mut pace = Pace::default();
    change(&mut pace);
    pace
}

#[test]
fn fewer_threads_and_smaller_pieces_say_the_same() {
    let mut scheduler = scheduler(3);
    let whole = submit(&mut scheduler, 200, 0);
    while scheduler.step().unwrap() {}
    for (threads, rows, active) in [(1, 32, 1), (2, 1, 2), (9, usize::MAX, 3), (0, 64, 1)] {
        scheduler.set_pace(pace(|pace| {
            (pace.threads, pace.prompt_rows, pace.guesses) = (threads, rows, false);
            // There are no such cores here, or the threads may not be pinned.
            pace.efficient = true;
        }));
        assert_eq!(scheduler.engine().threads(), active);
        let before = scheduler.counts();
        let again = submit(&mut scheduler, 201, 0);
        while scheduler.step().unwrap() {}
        assert_eq!(again.tokens().len(), 24, "{threads} {rows}");
        let after = scheduler.counts();
        assert_eq!(after.drafted_tokens, before.drafted_tokens);
    }
    // One that is the same as the first, read in pieces of 32 on one thread and without guesses.
    let mut paced = self::scheduler(3);
    paced.set_pace(pace(|pace| {
        (pace.threads, pace.prompt_rows, pace.guesses) = (1, 32, false);
    }));
    let pieces = submit(&mut paced, 200, 0);
    while paced.step().unwrap() {}
    assert_eq!(pieces.tokens(), whole.tokens());
    // 200 tokens in pieces of at most 32, then one for each token of the answer.
    assert!(paced.counts().passes >= 200 / 32 + 24, "{:?}", paced.counts());
    assert_eq!(paced.counts().drafted_tokens, 0);
}

#[test]
fn requests_of_low_priority_wait_while_others_run_and_go_on_after() {
    let mut scheduler = scheduler(1);
    let batch = submit(&mut scheduler, 20, -1);
    for _ in 0..4 {
        assert!(scheduler.step().unwrap());
    }
    let begun = batch.tokens().len();
    assert!(begun > 0);
    assert_eq!(scheduler.counts().interactive, 0);
    scheduler.set_pace(pace(|pace| pace.batch_waits = true));
    let asked = submit(&mut scheduler, 20, 0);
    assert_eq!(scheduler.counts().interactive, 1);
    while !asked.has_ended() {
        assert!(scheduler.step().unwrap());
        if !asked.has_ended() {
            assert_eq!(batch.tokens().len(), begun);
        }
    }
    assert_eq!(asked.tokens().len(), 24);
    // Nobody else is there any more.
    while scheduler.step().unwrap() {}
    assert_eq!(batch.tokens().len(), 24);
    // What waited says what it would have said.
    let mut alone = self::scheduler(1);
    let same = submit(&mut alone, 20, -1);
    while alone.step().unwrap() {}
    assert_eq!(batch.tokens(), same.tokens());
}
