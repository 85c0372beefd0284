//! Answers with different adapters at once: each is what its adapter says, nothing of another's.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::sync::{Arc, Mutex};

use rushlight_engine::{
    Batch, DraftModel, Engine, EngineOptions, ErrorKind, Event, Finish, GenerateOptions, Request,
    Scheduler, SchedulerOptions, Session, Sink, Speculation,
};
use rushlight_kernels::PAGE;
use rushlight_model::{Adapter, Model};
use rushlight_testkit::tiny::{adapter, case, write_gguf};

/// What a request was told.
#[derive(Debug, Default)]
struct Heard {
    reused: usize,
    tokens: Vec<u32>,
    finish: Option<Finish>,
}

#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Heard>>);

impl Sink for Ear {
    fn event(&mut self, event: Event<'_>) -> bool {
        let mut heard = self.0.lock().unwrap();
        match event {
            Event::Begun { reused_tokens } => heard.reused = reused_tokens,
            Event::Token { choice, .. } => heard.tokens.push(choice.token),
            Event::Finished { finish, .. } => heard.finish = Some(finish),
            other => panic!("{other:?}"),
        }
        true
    }
}

type Kind = Option<Arc<Adapter>>;

/// A tiny model on disk, none and some of its adapters.
struct Tiny {
    dir: tempfile::TempDir,
    model: Arc<Model>,
    kinds: Vec<Kind>,
}

impl Tiny {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_gguf(&case("llama2"), &dir.path().join("tiny.gguf"));
        adapter("llama2").write_gguf(&dir.path().join("adapter.gguf"));
        let model = Arc::new(Model::open(&dir.path().join("tiny.gguf")).unwrap());
        let mut tiny = Self { dir, model, kinds: vec![None] };
        let one = tiny.opened();
        let scaled = |scale| Some(Arc::new(one.scaled(scale).unwrap()));
        tiny.kinds.extend([scaled(1.0), scaled(0.5), scaled(-0.7)]);
        tiny
    }

    fn opened(&self) -> Adapter {
        Adapter::open(&self.dir.path().join("adapter.gguf"), &self.model).unwrap()
    }

    fn engine(&self, context: usize, chunk: usize) -> Engine {
        let mut options = EngineOptions::default();
        (options.context, options.positions) = (Some(context.min(512)), Some(context));
        (options.threads, options.pin, options.chunk) = (Some(2), false, chunk);
        Engine::new(self.model.clone(), &options).unwrap()
    }

    fn scheduler(&self, context: usize, options: &SchedulerOptions) -> Scheduler {
        Scheduler::new(self.engine(context, 64), options)
    }

    /// Whether the answer is what the model says with the adapter when it reads prompt and answer in
    /// one piece, but for ties that another order of sums may turn.
    fn check(&self, kind: &Kind, prompt: &[u32], answer: &[u32]) {
        let mut engine = self.engine(512, 512);
        let sequence = engine.start_with(kind.clone()).unwrap();
        let mut batch = Batch::new();
        batch.extend_all(sequence, &[prompt, answer].concat());
        engine.forward(&batch).unwrap();
        for (i, token) in answer.iter().enumerate() {
            let logits = engine.output(prompt.len() + i - 1).unwrap();
            let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let margin = best - logits[*token as usize];
            assert!(margin < 1e-3, "token {i} of {}, `{token}`: {margin} below", answer.len());
        }
    }

    /// The answer that each gets from a scheduler of its own.
    fn answers(&self, prompt: &[u32], tokens: usize) -> Vec<Vec<u32>> {
        let alone = |kind: &Kind| {
            let mut scheduler = self.scheduler(512, &SchedulerOptions::default());
            let ear = submit(&mut scheduler, kind, prompt, options(tokens));
            run(&mut scheduler);
            let answer = ear.0.lock().unwrap().tokens.clone();
            self.check(kind, prompt, &answer);
            answer
        };
        let answers: Vec<_> = self.kinds.iter().map(alone).collect();
        for (i, one) in answers.iter().enumerate() {
            assert!(!answers[..i].contains(one), "adapter {i} says what another one says");
        }
        answers
    }
}

/// Greedy, so many tokens.
fn options(tokens: usize) -> GenerateOptions {
    let mut options = GenerateOptions::default();
    options.max_tokens = Some(tokens);
    options.ignore_end = true;
    options
}

fn prompt(seed: usize, tokens: usize) -> Vec<u32> {
    let ids = case("llama2").ids;
    (0..tokens).map(|i| ids[(i * (seed + 1) + seed) % ids.len()]).collect()
}

fn submit(scheduler: &mut Scheduler, kind: &Kind, prompt: &[u32], options: GenerateOptions) -> Ear {
    let ear = Ear::default();
    let mut request = Request::new(prompt.to_vec(), options, Box::new(ear.clone()));
    request.adapter = kind.clone();
    scheduler.submit(request).unwrap();
    ear
}

fn run(scheduler: &mut Scheduler) {
    while scheduler.step().unwrap() {}
    let counts = scheduler.counts();
    assert_eq!(counts.pages_used, counts.pages_cached, "pages are lost");
}

#[test]
fn what_was_read_with_one_adapter_is_not_used_with_another() {
    let tiny = Tiny::new();
    let prompt = prompt(1, 150);
    let answers = tiny.answers(&prompt, 20);
    let mut scheduler = tiny.scheduler(2048, &SchedulerOptions::default());
    for round in 0..2 {
        for (kind, answer) in tiny.kinds.iter().zip(&answers) {
            let ear = submit(&mut scheduler, kind, &prompt, options(20));
            run(&mut scheduler);
            let heard = ear.0.lock().unwrap();
            // The last 16 tokens of a prompt run again.
            assert_eq!((heard.reused, &heard.tokens), (round * 134, answer), "{kind:?}");
        }
    }
    // The same adapter opened again has what the first one read.
    let again = Some(Arc::new(tiny.opened()));
    let ear = submit(&mut scheduler, &again, &prompt, options(20));
    run(&mut scheduler);
    let heard = ear.0.lock().unwrap();
    assert_eq!((heard.reused, &heard.tokens), (134, &answers[1]));
}

#[test]
fn a_file_of_earlier_texts_tells_adapters_apart() {
    let tiny = Tiny::new();
    let path = tiny.dir.path().join("texts.kv");
    let prompt = prompt(2, 100);
    let answers = tiny.answers(&prompt, 9);
    let mut first = tiny.scheduler(2048, &SchedulerOptions::default());
    for kind in &tiny.kinds {
        submit(&mut first, kind, &prompt, options(9));
    }
    run(&mut first);
    let pages = first.save("a", &path, u64::MAX, &mut || false).unwrap().unwrap();
    let mut second = tiny.scheduler(2048, &SchedulerOptions::default());
    assert_eq!(second.restore("a", &path).unwrap(), pages);
    for (kind, answer) in tiny.kinds.iter().zip(&answers) {
        let ear = submit(&mut second, kind, &prompt, options(9));
        run(&mut second);
        let heard = ear.0.lock().unwrap();
        assert_eq!((heard.reused, &heard.tokens), (84, answer), "{kind:?}");
    }
    let other = Some(Arc::new(tiny.opened().scaled(0.3).unwrap()));
    let ear = submit(&mut second, &other, &prompt, options(9));
    run(&mut second);
    assert_eq!(ear.0.lock().unwrap().reused, 0);
}

#[test]
fn answers_beside_others_are_those_of_their_adapters() {
    let tiny = Tiny::new();
    // Plenty of room, and so little that some must wait and be read again.
    for (context, ahead) in [(4096, 256), (4 * PAGE, 0)] {
        let mut some = SchedulerOptions::default();
        (some.prompt_rows, some.ahead) = (16, ahead);
        let mut scheduler = tiny.scheduler(context, &some);
        let mut all = Vec::new();
        for i in 0..12 {
            let (kind, prompt) = (&tiny.kinds[i % 4], prompt(i / 4, 20 + 3 * (i % 5)));
            let ear = submit(&mut scheduler, kind, &prompt, options(70));
            all.push((kind, prompt, ear));
            // Others are being written by now.
            (0..i % 3).for_each(|_| assert!(scheduler.step().unwrap()));
        }
        run(&mut scheduler);
        assert_eq!(scheduler.counts().preemptions > 0, ahead == 0);
        for (kind, prompt, ear) in all {
            let heard = ear.0.lock().unwrap();
            assert_eq!((heard.finish, heard.tokens.len()), (Some(Finish::Length), 70));
            tiny.check(kind, &prompt, &heard.tokens);
        }
    }
}

#[test]
fn guesses_change_nothing() {
    let tiny = Tiny::new();
    let (prompt, mut accepted) = (prompt(0, 40), 0);
    for kind in &tiny.kinds {
        for favourites in 1..4u32 {
            let mut options = options(100);
            // Of so few tokens some come again.
            options.sampler.logit_bias = (10..10 + favourites).map(|t| (t, 30.0)).collect();
            let mut plain = Vec::new();
            for speculation in [Speculation::Off, Speculation::Always] {
                options.speculation = speculation;
                let mut scheduler = tiny.scheduler(512, &SchedulerOptions::default());
                let ear = submit(&mut scheduler, kind, &prompt, options.clone());
                run(&mut scheduler);
                plain.push(ear.0.lock().unwrap().tokens.clone());
                accepted += scheduler.counts().accepted_tokens;
            }
            assert_eq!(plain[0], plain[1], "{kind:?}");
            // A session, with a model that drafts without the adapter.
            let mut engine = tiny.engine(512, 512);
            let mut session = Session::new(&mut engine);
            session.set_adapter(&mut engine, kind.clone()).unwrap();
            session.set_draft(DraftModel::new(tiny.engine(512, 512), &tiny.model).unwrap());
            let answer = session.generate(&mut engine, &prompt, &options, |_| true).unwrap();
            let tokens: Vec<u32> = answer.tokens.iter().map(|choice| choice.token).collect();
            assert_eq!(plain[0], tokens, "{kind:?}");
        }
    }
    assert!(accepted > 100, "{accepted}");
}

#[test]
fn a_session_changes_its_adapter() {
    let tiny = Tiny::new();
    let prompt = prompt(3, 30);
    let answers = tiny.answers(&prompt, 12);
    let mut engine = tiny.engine(512, 64);
    let mut session = Session::new(&mut engine);
    for i in [0, 2, 1, 0, 3] {
        session.set_adapter(&mut engine, tiny.kinds[i].clone()).unwrap();
        for reused in [0, 29] {
            let answer = session.generate(&mut engine, &prompt, &options(12), |_| true).unwrap();
            let tokens: Vec<u32> = answer.tokens.iter().map(|choice| choice.token).collect();
            assert_eq!((answer.reused_tokens, &tokens), (reused, &answers[i]), "adapter {i}");
        }
    }
}

#[test]
fn an_adapter_of_another_model_is_refused() {
    let tiny = Tiny::new();
    write_gguf(&case("granite"), &tiny.dir.path().join("other.gguf"));
    let other = Arc::new(Model::open(&tiny.dir.path().join("other.gguf")).unwrap());
    let mut options = EngineOptions::default();
    (options.context, options.threads) = (Some(128), Some(1));
    let engine = Engine::new(other, &options).unwrap();
    let mut scheduler = Scheduler::new(engine, &SchedulerOptions::default());
    let mut request = Request::new(prompt(0, 8), self::options(1), Box::new(Ear::default()));
    request.adapter = tiny.kinds[1].clone();
    assert_eq!(scheduler.submit(request).unwrap_err().kind(), ErrorKind::Option);
}
