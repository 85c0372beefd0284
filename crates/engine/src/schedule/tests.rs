//! What is served on a machine that has less memory than it promised.

use std::path::Path;
use std::sync::{Arc, Mutex};

use rushlight_kernels::PAGE;
use rushlight_model::Model;
use rushlight_testkit::tiny::{case, write_gguf};

use super::*;
use crate::EngineOptions;
use crate::cache::Cache;

/// The tokens of an answer, and how it ended.
type Heard = (Vec<u32>, Option<Result<Finish, ErrorKind>>);

#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Heard>>);

impl Ear {
    fn heard(&self) -> Heard {
        self.0.lock().unwrap().clone()
    }
}

impl Sink for Ear {
    fn event(&mut self, event: Event<'_>) -> bool {
        let mut heard = self.0.lock().unwrap();
        match event {
            Event::Begun { .. } => {}
            Event::Token { choice, .. } => heard.0.push(choice.token),
            Event::Finished { finish, .. } => heard.1 = Some(Ok(finish)),
            Event::Failed(error) => heard.1 = Some(Err(error.kind())),
        }
        true
    }
}

/// A scheduler whose cache has room for 32 pages, with memory for so many. It drafts with the model
/// itself.
fn scheduler(path: &Path, pages: usize) -> Scheduler {
    let model = Arc::new(Model::open(path).unwrap());
    let engine = || {
        let mut options = EngineOptions::default();
        (options.context, options.threads) = (Some(512), Some(1));
        Engine::new(model.clone(), &options).unwrap()
    };
    let mut poor = engine();
    *poor.cache_mut() = Cache::of_poor_machine(model.dims(), 32, pages);
    let mut scheduler = Scheduler::new(poor, &SchedulerOptions::default());
    scheduler.set_draft(DraftModel::new(engine(), &model).unwrap());
    scheduler
}

fn submit(scheduler: &mut Scheduler, prompt: &[u32], speculation: Speculation) -> Ear {
    let mut options = GenerateOptions::default();
    (options.max_tokens, options.ignore_end) = (Some(150), true);
    options.speculation = speculation;
    let ear = Ear::default();
    scheduler.submit(Request::new(prompt.to_vec(), options, Box::new(ear.clone()))).unwrap();
    ear
}

fn run(scheduler: &mut Scheduler) {
    while scheduler.step().unwrap() {}
    assert!(scheduler.is_idle());
    let counts = scheduler.counts();
    assert_eq!(counts.pages_used, counts.pages_cached, "pages are lost");
}

/// Prompts that have little in common.
fn prompts() -> Vec<Vec<u32>> {
    let ids = case("llama2").ids;
    (0..3)
        .map(|i| ids.iter().cycle().skip(5 * i + 1).step_by(i + 1).take(30).copied().collect())
        .collect()
}

#[test]
fn nobody_fails_for_guesses_that_there_is_no_memory_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tiny.gguf");
    write_gguf(&case("llama2"), &path);
    let prompt = &prompts()[0];
    let whole = {
        let mut scheduler = scheduler(&path, 32);
        let ear = submit(&mut scheduler, prompt, Speculation::Off);
        run(&mut scheduler);
        ear.heard()
    };
    assert_eq!((whole.0.len(), whole.1), (150, Some(Ok(Finish::Length))));
    for pages in 1..4 {
        for speculation in [Speculation::Off, Speculation::Auto, Speculation::Always] {
            let mut scheduler = scheduler(&path, pages);
            let (tokens, end) = {
                let ear = submit(&mut scheduler, prompt, speculation);
                run(&mut scheduler);
                ear.heard()
            };
            // The last token needs no place.
            let most = (pages * PAGE - prompt.len() + 1).min(150);
            let want = if most < 150 { Err(ErrorKind::Memory) } else { Ok(Finish::Length) };
            assert_eq!((tokens.len(), end), (most, Some(want)), "{pages} {speculation:?}");
            assert_eq!(tokens, whole.0[..most], "{pages} {speculation:?}");
            let counts = scheduler.counts();
            assert!(
                speculation != Speculation::Always || counts.accepted_tokens > 10,
                "{counts:?}"
            );
        }
    }
}

#[test]
fn who_stays_when_another_fails_says_what_it_would_have() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tiny.gguf");
    write_gguf(&case("llama2"), &path);
    let serve = |pages, speculation| {
        let mut scheduler = scheduler(&path, pages);
        let ears: Vec<Ear> =
            prompts().iter().map(|prompt| submit(&mut scheduler, prompt, speculation)).collect();
        run(&mut scheduler);
        (ears.iter().map(Ear::heard).collect::<Vec<_>>(), scheduler.counts())
    };
    let (whole, _) = serve(32, Speculation::Off);
    let mut accepted = 0;
    for pages in 3..9 {
        for speculation in [Speculation::Off, Speculation::Always] {
            let (found, counts) = serve(pages, speculation);
            accepted += counts.accepted_tokens;
            let done = found.iter().filter(|(_, end)| *end == Some(Ok(Finish::Length))).count();
            // One alone needs three pages.
            assert!(done >= pages / 3, "{pages} {speculation:?}: {done}");
            for ((tokens, end), (all, _)) in found.iter().zip(&whole) {
                assert_eq!(*tokens, all[..tokens.len()], "{pages} {speculation:?}");
                match end {
                    Some(Ok(Finish::Length)) => assert_eq!(tokens.len(), all.len()),
                    end => assert_eq!(*end, Some(Err(ErrorKind::Memory)), "{pages}"),
                }
            }
        }
    }
    assert!(accepted > 100, "{accepted}");
}

#[test]
fn earlier_texts_are_given_up_before_anybody_fails() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tiny.gguf");
    write_gguf(&case("llama2"), &path);
    let mut scheduler = scheduler(&path, 4);
    for prompt in prompts() {
        let ear = submit(&mut scheduler, &prompt, Speculation::Auto);
        run(&mut scheduler);
        let (tokens, end) = ear.heard();
        assert_eq!((tokens.len(), end), (150, Some(Ok(Finish::Length))));
        assert!(scheduler.counts().pages_cached > 1);
    }
}

#[test]
fn what_a_draft_model_has_of_earlier_texts_is_given_back_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tiny.gguf");
    write_gguf(&case("llama2"), &path);
    let mut scheduler = scheduler(&path, 32);
    let heard = |scheduler: &mut Scheduler| {
        let ear = submit(scheduler, &prompts()[0], Speculation::Always);
        run(scheduler);
        ear.heard()
    };
    let whole = heard(&mut scheduler);
    let page = scheduler.engine().cache().bytes_of_page();
    // Three pages of each model, and what passes work with.
    let idle = scheduler.counts().idle_bytes;
    assert!(scheduler.guesser.idle_bytes(true) > 3 * page && idle > 6 * page, "{idle} of {page}");
    assert_eq!(scheduler.give_back(), idle);
    assert_eq!((scheduler.counts().idle_bytes, scheduler.give_back()), (0, 0));
    assert_eq!(heard(&mut scheduler), whole);
}
