//! Many answers at once are the answers that each would be alone.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rushlight_engine::{
    Batch, DraftModel, Drafting, Engine, EngineOptions, Error, ErrorKind, Event, Finish,
    GenerateOptions, Request, Scheduler, SchedulerOptions, Sink, Speculation,
};
use rushlight_kernels::PAGE;
use rushlight_model::Model;
use rushlight_testkit::tiny::{case, write_gguf, write_gguf_padded};
use rushlight_text::constrain::{Constraints, Grammar};

/// What a request was told.
#[derive(Debug, Default)]
struct Heard {
    begun: usize,
    reused: usize,
    tokens: Vec<u32>,
    likeliest: Vec<Vec<(u32, f32)>>,
    text: String,
    finish: Option<Finish>,
    failed: Option<ErrorKind>,
}

/// Remembers what it hears, and ends the request after so many tokens or when told to.
#[derive(Clone)]
struct Ear {
    heard: Arc<Mutex<Heard>>,
    gone: Arc<AtomicBool>,
    most: usize,
}

impl Ear {
    fn new() -> Self {
        Self { heard: Arc::default(), gone: Arc::default(), most: usize::MAX }
    }
}

impl Sink for Ear {
    fn event(&mut self, event: Event<'_>) -> bool {
        let mut heard = self.heard.lock().unwrap();
        assert!(heard.finish.is_none() && heard.failed.is_none(), "{event:?} after the end");
        match event {
            Event::Begun { reused_tokens } => {
                heard.begun += 1;
                heard.reused = reused_tokens;
            }
            Event::Token { choice, likeliest, text } => {
                heard.tokens.push(choice.token);
                heard.likeliest.push(likeliest.to_vec());
                heard.text += text;
            }
            Event::Finished { finish, text, answer_tokens, .. } => {
                heard.text += text;
                heard.finish = Some(finish);
                assert_eq!(answer_tokens, heard.tokens.len());
            }
            Event::Failed(error) => heard.failed = Some(error.kind()),
            _ => {}
        }
        heard.tokens.len() < self.most
    }

    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }
}

fn engine(path: &Path, context: usize, chunk: usize) -> Engine {
    let mut options = EngineOptions::default();
    options.context = Some(context);
    options.threads = Some(2);
    options.pin = false;
    options.chunk = chunk;
    Engine::new(Arc::new(Model::open(path).unwrap()), &options).unwrap()
}

/// A tiny model on disk.
struct Tiny {
    dir: tempfile::TempDir,
}

impl Tiny {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_gguf(&case("llama2"), &dir.path().join("tiny.gguf"));
        Self { dir }
    }

    fn engine(&self, context: usize, chunk: usize) -> Engine {
        engine(&self.dir.path().join("tiny.gguf"), context, chunk)
    }

    fn scheduler(&self, context: usize, options: &SchedulerOptions) -> Scheduler {
        Scheduler::new(self.engine(context, 64), options)
    }

    /// Whether the answer is what the model says when it reads prompt and answer in one piece, but
    /// for ties that another order of sums may turn.
    fn check(&self, prompt: &[u32], answer: &[u32]) {
        let mut engine = self.engine(512, 512);
        let sequence = engine.start();
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
}

/// Greedy, so many tokens.
fn options(tokens: usize) -> GenerateOptions {
    let mut options = GenerateOptions::default();
    options.max_tokens = Some(tokens);
    options.ignore_end = true;
    options
}

fn some(change: impl FnOnce(&mut SchedulerOptions)) -> SchedulerOptions {
    let mut options = SchedulerOptions::default();
    change(&mut options);
    options
}

/// A prompt of so many tokens; those of one `seed` begin alike.
fn prompt(seed: u32, tokens: usize) -> Vec<u32> {
    let ids = case("llama2").ids;
    (0..tokens).map(|i| ids[(i * (seed as usize + 1) + seed as usize) % ids.len()]).collect()
}

fn submit(scheduler: &mut Scheduler, prompt: &[u32], options: GenerateOptions) -> Ear {
    let ear = Ear::new();
    let request = Request::new(prompt.to_vec(), options, Box::new(ear.clone()));
    scheduler.submit(request).unwrap();
    ear
}

fn run(scheduler: &mut Scheduler) -> usize {
    let mut steps = 0;
    while scheduler.step().unwrap() {
        steps += 1;
        assert!(steps < 10_000, "it does not come to an end");
    }
    assert!(scheduler.is_idle());
    let counts = scheduler.counts();
    assert_eq!(counts.pages_used, counts.pages_cached, "pages are lost");
    steps
}

#[test]
fn answers_beside_others_are_those_of_the_model() {
    let tiny = Tiny::new();
    for speculation in [Speculation::Off, Speculation::Always] {
        let mut scheduler = tiny.scheduler(512, &some(|o| o.prompt_rows = 16));
        let mut all = Vec::new();
        for i in 0..9 {
            let prompt = prompt(i % 4, 5 + 11 * i as usize);
            let mut options = options(12 + i as usize);
            options.speculation = speculation;
            let ear = submit(&mut scheduler, &prompt, options);
            all.push((prompt, ear, 12 + i as usize));
            // Others are being written by now.
            (0..i % 3).for_each(|_| assert!(scheduler.step().unwrap()));
        }
        run(&mut scheduler);
        for (prompt, ear, tokens) in all {
            let heard = ear.heard.lock().unwrap();
            assert_eq!((heard.begun, heard.finish), (1, Some(Finish::Length)));
            assert_eq!(heard.tokens.len(), tokens);
            tiny.check(&prompt, &heard.tokens);
        }
    }
}

#[test]
fn guesses_are_checked_while_an_answer_is_alone() {
    let tiny = Tiny::new();
    let (mut drafted, mut accepted) = (0, 0);
    for favourites in 1..5u32 {
        let run = |speculation| {
            let mut scheduler = tiny.scheduler(512, &SchedulerOptions::default());
            let mut options = options(120);
            // Of so few tokens some come again.
            options.sampler.logit_bias = (10..10 + favourites).map(|t| (t, 30.0)).collect();
            options.speculation = speculation;
            let ear = submit(&mut scheduler, &prompt(0, 40), options);
            run(&mut scheduler);
            let tokens = ear.heard.lock().unwrap().tokens.clone();
            (tokens, scheduler.counts())
        };
        let (plain, _) = run(Speculation::Off);
        let (guessed, counts) = run(Speculation::Always);
        assert_eq!(guessed, plain, "{favourites}");
        // Those that were right took no pass of their own.
        assert_eq!(counts.passes, 120 - counts.accepted_tokens, "{counts:?}");
        let rows = 40 + counts.passes - 1 + counts.drafted_tokens;
        assert_eq!(counts.batch_rows, rows, "{counts:?}");
        drafted += counts.drafted_tokens;
        accepted += counts.accepted_tokens;
    }
    assert!(accepted > 100 && drafted > accepted, "{accepted} of {drafted}");
}

/// Three answers that repeat themselves, and a fourth that does not, with these guesses.
fn four(scheduler: &mut Scheduler, speculation: Speculation, prompts: usize) -> Vec<Vec<u32>> {
    let ears: Vec<Ear> = (0..4)
        .map(|i| {
            let mut options = options(90 + 7 * i as usize);
            // Of so few tokens some come again.
            options.sampler.logit_bias = (10..11 + i).map(|t| (t, 30.0)).collect();
            if i == 3 {
                (options.sampler.temperature, options.sampler.seed) = (0.7, 5);
                options.sampler.repetition_penalty = 1.2;
            }
            options.speculation = speculation;
            submit(scheduler, &prompt(i, prompts + 9 * i as usize), options)
        })
        .collect();
    run(scheduler);
    let tokens = |ear: &Ear| ear.heard.lock().unwrap().tokens.clone();
    ears.iter().map(tokens).collect()
}

#[test]
fn guesses_are_checked_beside_other_answers() {
    let tiny = Tiny::new();
    let mut passes = Vec::new();
    for speculation in [Speculation::Off, Speculation::Auto, Speculation::Always] {
        let mut scheduler = tiny.scheduler(512, &SchedulerOptions::default());
        let found = four(&mut scheduler, speculation, 20);
        passes.push((found, scheduler.counts()));
    }
    let [(plain, off), (auto, _), (always, counts)] = passes.try_into().unwrap();
    assert_eq!(auto, plain);
    assert_eq!(always, plain);
    assert!(counts.accepted_tokens > 60, "{counts:?}");
    assert!(counts.passes + 20 < off.passes, "{} of {}", counts.passes, off.passes);
    // No pass has more rows than are computed each as alone, but for those that read prompts.
    assert!(counts.batch_rows <= 7 * counts.passes + 200, "{counts:?}");
}

/// A scheduler with a draft model: itself, or one with the same tokens that says something else.
fn with_draft(tiny: &Tiny, itself: bool, positions: usize) -> Scheduler {
    let mut scheduler = tiny.scheduler(512, &SchedulerOptions::default());
    let path = tiny.dir.path().join(if itself { "tiny.gguf" } else { "other.gguf" });
    if !itself {
        write_gguf(&case("mistral"), &path);
    }
    let draft = engine(&path, positions, 64);
    scheduler.set_draft(DraftModel::new(draft, scheduler.engine().model()).unwrap());
    scheduler
}

#[test]
fn a_draft_model_guesses_for_all_who_run() {
    let tiny = Tiny::new();
    // Nothing comes again in these: only the draft model can guess them.
    let ask = |scheduler: &mut Scheduler, seeds: std::ops::Range<u32>, speculation| {
        let ears: Vec<Ear> = seeds
            .map(|seed| {
                let mut options = options(60);
                options.sampler.presence_penalty = 3.0;
                options.speculation = speculation;
                submit(scheduler, &prompt(seed, 20 + 3 * seed as usize), options)
            })
            .collect();
        run(scheduler);
        let tokens = |ear: &Ear| ear.heard.lock().unwrap().tokens.clone();
        ears.iter().map(tokens).collect::<Vec<_>>()
    };
    for seeds in [0..1, 0..3] {
        let mut plain = tiny.scheduler(512, &SchedulerOptions::default());
        let want = ask(&mut plain, seeds.clone(), Speculation::Off);
        for (itself, positions) in [(true, 512), (true, 2 * PAGE), (false, 512)] {
            let mut scheduler = with_draft(&tiny, itself, positions);
            let found = ask(&mut scheduler, seeds.clone(), Speculation::Always);
            let counts = scheduler.counts();
            assert_eq!(found, want, "{seeds:?} {itself} {positions}");
            assert!(counts.draft_passes > 0 && counts.model_drafted_tokens > 0, "{counts:?}");
        }
    }
}

/// A token that the model has and the draft model has not silences it for that text alone.
#[test]
fn what_a_draft_model_does_not_know_is_no_failure() {
    let tiny = Tiny::new();
    let path = tiny.dir.path().join("padded.gguf");
    write_gguf_padded(&case("llama2"), &path, 8);
    let go = |speculation| {
        let mut scheduler = Scheduler::new(engine(&path, 512, 64), &SchedulerOptions::default());
        let draft = tiny.engine(512, 64);
        scheduler.set_draft(DraftModel::new(draft, scheduler.engine().model()).unwrap());
        let mut all = Vec::new();
        for beyond in [None, Some(295), None] {
            let ears: Vec<Ear> = (0..2)
                .map(|seed| {
                    let mut options = options(40);
                    options.speculation = speculation;
                    options.sampler.presence_penalty = 3.0;
                    // What is said remains within the draft model's vocabulary.
                    options.sampler.logit_bias = (288..296).map(|t| (t, -100.0)).collect();
                    let mut prompt = prompt(seed, 20);
                    prompt.extend(beyond.filter(|_| seed == 0));
                    submit(&mut scheduler, &prompt, options)
                })
                .collect();
            let before = scheduler.counts().model_drafted_tokens;
            run(&mut scheduler);
            let drafted = scheduler.counts().model_drafted_tokens - before;
            assert_eq!(drafted > 0, speculation == Speculation::Always, "{beyond:?}: {drafted}");
            let tokens = |ear: &Ear| ear.heard.lock().unwrap().tokens.clone();
            all.extend(ears.iter().map(tokens));
        }
        assert_ne!(scheduler.counts().drafting, Some(Drafting::Failed));
        all
    };
    assert_eq!(go(Speculation::Always), go(Speculation::Off));
}

#[test]
fn what_the_model_itself_drafts_is_right() {
    let tiny = Tiny::new();
    for users in 1..4 {
        let go = |itself: Option<bool>| {
            let mut scheduler = match itself {
                None => tiny.scheduler(512, &SchedulerOptions::default()),
                Some(itself) => with_draft(&tiny, itself, 512),
            };
            let ears: Vec<Ear> = (0..users)
                .map(|seed| {
                    let mut options = options(60);
                    options.speculation = match itself {
                        None => Speculation::Off,
                        Some(_) => Speculation::Always,
                    };
                    submit(&mut scheduler, &prompt(seed, 25 + 6 * seed as usize), options)
                })
                .collect();
            run(&mut scheduler);
            let tokens = |ear: &Ear| ear.heard.lock().unwrap().tokens.clone();
            (ears.iter().map(tokens).collect::<Vec<_>>(), scheduler.counts())
        };
        let (want, off) = go(None);
        let (found, counts) = go(Some(true));
        assert_eq!(found, want, "{users}");
        let (drafted, right) = (counts.model_drafted_tokens, counts.model_accepted_tokens);
        assert!(drafted > 0 && right * 20 >= drafted * 19, "{users}: {right} of {drafted}");
        assert!(counts.passes * 3 < off.passes * 2, "{users}: {} {}", counts.passes, off.passes);
    }
}

#[test]
fn a_draft_model_that_is_wrong_is_seldom_asked() {
    let tiny = Tiny::new();
    let mut scheduler = with_draft(&tiny, false, 512);
    let mut asked = Vec::new();
    for seed in 0..6 {
        let before = scheduler.counts();
        let mut options = options(200);
        // Nothing comes again, so that only the draft model may guess.
        options.sampler.presence_penalty = 5.0;
        let ear = submit(&mut scheduler, &prompt(seed, 30), options.clone());
        run(&mut scheduler);
        let tokens = ear.heard.lock().unwrap().tokens.clone();
        options.speculation = Speculation::Off;
        let mut plain = tiny.scheduler(512, &SchedulerOptions::default());
        let ear = submit(&mut plain, &prompt(seed, 30), options);
        run(&mut plain);
        assert_eq!(tokens, ear.heard.lock().unwrap().tokens);
        asked.push(scheduler.counts().draft_passes - before.draft_passes);
    }
    let counts = scheduler.counts();
    assert!(asked[0] > 0 && asked[2..].iter().sum::<u64>() < 40, "{asked:?}");
    assert_eq!(counts.drafting, Some(Drafting::Resting), "{counts:?}");
}

#[test]
fn an_answer_follows_its_grammar_guessed_or_not() {
    let tiny = Tiny::new();
    let run = |speculation, seed| {
        let mut scheduler = tiny.scheduler(512, &SchedulerOptions::default());
        let model = scheduler.engine().model().clone();
        let constraints = Constraints::new(model.tokenizer().unwrap().clone());
        let grammar = Grammar::Regex("(abc|abd){30}".to_owned());
        let mut options = options(200);
        options.speculation = speculation;
        (options.sampler.temperature, options.sampler.seed) = (1.0, seed);
        let ear = Ear::new();
        let mut request = Request::new(prompt(0, 20), options, Box::new(ear.clone()));
        request.constraint = Some(constraints.compile(&grammar).unwrap());
        scheduler.submit(request).unwrap();
        run(&mut scheduler);
        let heard = ear.heard.lock().unwrap();
        assert_eq!(heard.finish, Some(Finish::End));
        let rest = heard.text.replace("abc", "").replace("abd", "");
        assert!(rest.is_empty() && heard.text.len() == 90, "{}", heard.text);
        (heard.tokens.clone(), scheduler.counts().accepted_tokens)
    };
    let mut accepted = 0;
    for seed in 0..4 {
        let (plain, _) = run(Speculation::Off, seed);
        let (guessed, right) = run(Speculation::Always, seed);
        assert_eq!(plain, guessed, "{seed}");
        accepted += right;
    }
    assert!(accepted > 40, "{accepted}");
}

#[test]
fn what_was_read_before_is_not_read_again() {
    let tiny = Tiny::new();
    let mut scheduler = tiny.scheduler(512, &SchedulerOptions::default());
    let first = prompt(1, 150);
    let ear = submit(&mut scheduler, &first, options(20));
    run(&mut scheduler);
    let answer = ear.heard.lock().unwrap().tokens.clone();
    let other = [&first[..100], &prompt(2, 30)].concat();
    let longer = [first.as_slice(), &answer[..10], &prompt(3, 9)].concat();
    let unlike = prompt(3, 70);
    let elsewhere = [&first[..30], &first[PAGE..2 * PAGE]].concat();
    // The last 16 tokens of a prompt run again.
    let same = |a: &[u32], b: &[u32]| {
        a.iter().zip(b).take_while(|(a, b)| a == b).count().min(b.len() - 16)
    };
    let cases = [
        ("the same", first.clone(), 134),
        ("the same beginning", other.clone(), same(&first, &other)),
        ("its answer too", longer.clone(), same(&[first.as_slice(), &answer].concat(), &longer)),
        ("another text", unlike.clone(), same(&first, &unlike)),
        ("a page at another place", elsewhere.clone(), same(&first, &elsewhere)),
        ("the same again", first.clone(), 134),
    ];
    for (what, prompt, reused) in cases {
        let ear = submit(&mut scheduler, &prompt, options(20));
        run(&mut scheduler);
        let heard = ear.heard.lock().unwrap();
        assert_eq!(heard.reused, reused, "{what}");
        tiny.check(&prompt, &heard.tokens);
    }
}

#[test]
fn two_that_share_a_page_do_not_write_into_it() {
    let tiny = Tiny::new();
    let mut scheduler = tiny.scheduler(512, &SchedulerOptions::default());
    let first = prompt(1, 3 * PAGE / 2);
    submit(&mut scheduler, &first, options(1));
    run(&mut scheduler);
    let texts: Vec<Vec<u32>> =
        (2..6).map(|seed| [first.as_slice(), &prompt(seed, 5)].concat()).collect();
    let ears: Vec<_> = texts.iter().map(|t| submit(&mut scheduler, t, options(30))).collect();
    run(&mut scheduler);
    for (text, ear) in texts.iter().zip(ears) {
        let heard = ear.heard.lock().unwrap();
        assert!(heard.reused >= first.len() - 16, "{}", heard.reused);
        tiny.check(text, &heard.tokens);
    }
}

#[test]
fn a_full_cache_lets_the_last_wait_and_go_on() {
    let tiny = Tiny::new();
    let mut scheduler = tiny.scheduler(4 * PAGE, &some(|o| o.ahead = 0));
    let texts: Vec<Vec<u32>> = (0..6).map(|seed| prompt(seed, 20)).collect();
    let ears: Vec<_> = texts.iter().map(|t| submit(&mut scheduler, t, options(120))).collect();
    run(&mut scheduler);
    assert!(scheduler.counts().preemptions > 0);
    for (text, ear) in texts.iter().zip(ears) {
        let heard = ear.heard.lock().unwrap();
        assert_eq!((heard.begun, heard.finish), (1, Some(Finish::Length)));
        assert_eq!(heard.tokens.len(), 120);
        tiny.check(text, &heard.tokens);
    }
    assert_eq!(scheduler.counts().answer_tokens, 6 * 120);

    // Whoever has the room beforehand need not wait.
    let mut scheduler = tiny.scheduler(4 * PAGE, &SchedulerOptions::default());
    texts.iter().for_each(|t| drop(submit(&mut scheduler, t, options(120))));
    run(&mut scheduler);
    assert_eq!(scheduler.counts().preemptions, 0);
}

#[test]
fn the_cache_may_hold_more_than_one_context() {
    let tiny = Tiny::new();
    let mut engine = EngineOptions::default();
    (engine.context, engine.positions, engine.threads) = (Some(100), Some(1000), Some(1));
    let model = Model::open(&tiny.dir.path().join("tiny.gguf")).unwrap();
    let engine = Engine::new(Arc::new(model), &engine).unwrap();
    assert_eq!((engine.context(), engine.positions()), (100, 1024));
    let mut scheduler = Scheduler::new(engine, &SchedulerOptions::default());
    let texts: Vec<Vec<u32>> = (0..8).map(|seed| prompt(seed, 20)).collect();
    let ears: Vec<_> = texts.iter().map(|t| submit(&mut scheduler, t, options(1000))).collect();
    run(&mut scheduler);
    assert_eq!(scheduler.counts().preemptions, 0);
    for (text, ear) in texts.iter().zip(ears) {
        let heard = ear.heard.lock().unwrap();
        assert_eq!(heard.finish, Some(Finish::Context));
        assert_eq!(heard.tokens.len(), 100 - 20 + 1);
        tiny.check(text, &heard.tokens);
    }
}

#[test]
fn a_copy_of_what_another_read_takes_no_room_from_who_is_alone() {
    let tiny = Tiny::new();
    let mut scheduler = tiny.scheduler(512, &some(|o| o.ahead = 0));
    // Both begin before either can be found by the other.
    let short = prompt(1, 100);
    let long = [short.as_slice(), &prompt(2, 130)].concat();
    submit(&mut scheduler, &short, options(2));
    let ear = submit(&mut scheduler, &long, options(1000));
    run(&mut scheduler);
    let heard = ear.heard.lock().unwrap();
    assert_eq!((heard.finish, heard.failed), (Some(Finish::Context), None));
    assert_eq!(heard.tokens.len(), 512 - long.len() + 1);
}

#[test]
fn one_alone_may_fill_the_whole_cache() {
    let tiny = Tiny::new();
    for context in [PAGE, 2 * PAGE, 100] {
        let mut scheduler = tiny.scheduler(context, &SchedulerOptions::default());
        for _ in 0..3 {
            let ear = submit(&mut scheduler, &prompt(1, 50), options(1000));
            run(&mut scheduler);
            let heard = ear.heard.lock().unwrap();
            assert_eq!(heard.finish, Some(Finish::Context), "{context}");
            assert_eq!(heard.tokens.len(), context - 50 + 1, "{context}");
        }
    }
}

#[test]
fn who_is_gone_or_late_is_ended() {
    let tiny = Tiny::new();
    let mut scheduler = tiny.scheduler(512, &some(|o| (o.most_running, o.ahead) = (2, 0)));
    let long = options(400);
    let [a, b] = [0, 1].map(|seed| submit(&mut scheduler, &prompt(seed, 30), long.clone()));
    let waiting = submit(&mut scheduler, &prompt(2, 30), long.clone());
    let request = |deadline, ear: &Ear| {
        let mut request = Request::new(prompt(3, 30), long.clone(), Box::new(ear.clone()));
        request.deadline = Some(deadline);
        request
    };
    let [late, later] = [Ear::new(), Ear::new()];
    scheduler.submit(request(Instant::now(), &late)).unwrap();
    (0..4).for_each(|_| assert!(scheduler.step().unwrap()));
    assert_eq!(scheduler.counts().running, 2);
    assert_eq!(late.heard.lock().unwrap().failed, Some(ErrorKind::Deadline));
    a.gone.store(true, Ordering::Relaxed);
    waiting.gone.store(true, Ordering::Relaxed);
    scheduler.step().unwrap();
    assert_eq!((scheduler.counts().running, scheduler.counts().queued), (1, 0));
    for ear in [&a, &waiting] {
        assert_eq!(ear.heard.lock().unwrap().finish, Some(Finish::Cancelled));
    }
    scheduler.submit(request(Instant::now() + Duration::from_millis(30), &later)).unwrap();
    scheduler.step().unwrap();
    assert_eq!(scheduler.counts().running, 2);
    std::thread::sleep(Duration::from_millis(40));
    scheduler.step().unwrap();
    assert_eq!(later.heard.lock().unwrap().finish, Some(Finish::Deadline));
    assert!(!later.heard.lock().unwrap().tokens.is_empty());
    b.gone.store(true, Ordering::Relaxed);
    run(&mut scheduler);

    // The sink itself may end it.
    let mut ear = Ear::new();
    ear.most = 5;
    scheduler.submit(Request::new(prompt(0, 9), long, Box::new(ear.clone()))).unwrap();
    run(&mut scheduler);
    let heard = ear.heard.lock().unwrap();
    assert_eq!((heard.tokens.len(), heard.finish), (5, Some(Finish::Cancelled)));
}

#[test]
fn the_first_and_the_important_are_served_first() {
    let tiny = Tiny::new();
    let mut scheduler = tiny.scheduler(512, &some(|o| o.most_running = 1));
    let order: Arc<Mutex<Vec<usize>>> = Arc::default();
    struct Note(usize, Arc<Mutex<Vec<usize>>>);
    impl Sink for Note {
        fn event(&mut self, event: Event<'_>) -> bool {
            if let Event::Begun { .. } = event {
                self.1.lock().unwrap().push(self.0);
            }
            true
        }
    }
    for (i, priority) in [0, -3, 5, 0, 5].into_iter().enumerate() {
        let sink = Box::new(Note(i, order.clone()));
        let mut request = Request::new(prompt(0, 8), options(2), sink);
        request.priority = priority;
        scheduler.submit(request).unwrap();
    }
    run(&mut scheduler);
    assert_eq!(*order.lock().unwrap(), [2, 4, 0, 3, 1]);
}

#[test]
fn what_cannot_be_served_is_refused() {
    let tiny = Tiny::new();
    let mut scheduler = tiny.scheduler(128, &some(|o| o.most_queued = 2));
    let mut refused = |prompt: Vec<u32>, options: GenerateOptions| -> Result<(), Error> {
        scheduler.submit(Request::new(prompt, options, Box::new(Ear::new())))
    };
    let kind = |result: Result<(), Error>| result.unwrap_err().kind();
    assert_eq!(kind(refused(Vec::new(), options(1))), ErrorKind::Option);
    assert_eq!(kind(refused(prompt(0, 128), options(1))), ErrorKind::Context);
    assert_eq!(kind(refused(vec![1, 99_999_999], options(1))), ErrorKind::Batch);
    let mut hot = options(1);
    hot.sampler.temperature = -1.0;
    assert_eq!(kind(refused(prompt(0, 8), hot)), ErrorKind::Option);
    refused(prompt(0, 8), options(1)).unwrap();
    refused(prompt(0, 8), options(1)).unwrap();
    assert_eq!(kind(refused(prompt(0, 8), options(1))), ErrorKind::Busy);
    run(&mut scheduler);
}

#[test]
fn all_can_be_ended_with_an_error() {
    let tiny = Tiny::new();
    let mut scheduler = tiny.scheduler(128, &some(|o| o.most_running = 1));
    let [written, waiting] = [0, 1].map(|i| submit(&mut scheduler, &prompt(i, 8), options(40)));
    scheduler.step().unwrap();
    scheduler.fail_all(any_error);
    for ear in [written, waiting] {
        assert_eq!(ear.heard.lock().unwrap().failed, Some(ErrorKind::Busy));
    }
    let ear = submit(&mut scheduler, &prompt(0, 8), options(4));
    run(&mut scheduler);
    assert_eq!(ear.heard.lock().unwrap().tokens.len(), 4);
}

/// Any error.
fn any_error() -> Error {
    let tiny = Tiny::new();
    let mut scheduler = tiny.scheduler(64, &some(|o| o.most_queued = 0));
    let request = Request::new(prompt(0, 8), options(1), Box::new(Ear::new()));
    scheduler.submit(request).unwrap_err()
}

#[test]
fn likeliest_tokens_are_told_and_stops_held_back() {
    let tiny = Tiny::new();
    let mut scheduler = tiny.scheduler(256, &SchedulerOptions::default());
    let ear = Ear::new();
    let mut request = Request::new(prompt(1, 20), options(30), Box::new(ear.clone()));
    request.top_log_probabilities = 3;
    scheduler.submit(request).unwrap();
    run(&mut scheduler);
    let heard = ear.heard.lock().unwrap();
    for (token, likeliest) in heard.tokens.iter().zip(&heard.likeliest) {
        assert_eq!((likeliest.len(), likeliest[0].0), (3, *token));
        assert!(likeliest.windows(2).all(|pair| pair[0].1 >= pair[1].1));
    }
    let end = heard.text.char_indices().nth(heard.text.chars().count() / 2).unwrap().0;
    let stop: String = heard.text[end..].chars().take(2).collect();
    let want = &heard.text[..heard.text.find(&stop).unwrap()];
    let mut options = options(30);
    options.stop = vec![stop];
    let stopped = submit(&mut scheduler, &prompt(1, 20), options);
    run(&mut scheduler);
    let stopped = stopped.heard.lock().unwrap();
    assert_eq!((stopped.text.as_str(), stopped.finish), (want, Some(Finish::Stop)));
}

#[test]
fn what_was_read_is_kept_in_a_file() {
    let tiny = Tiny::new();
    let path = tiny.dir.path().join("texts.kv");
    let texts: Vec<Vec<u32>> =
        [(1, 150), (2, 70), (1, 200)].map(|(seed, n)| prompt(seed, n)).to_vec();
    let mut first = tiny.scheduler(512, &SchedulerOptions::default());
    assert_eq!(first.restore("a", &path).unwrap(), 0);
    let answers: Vec<Vec<u32>> = texts
        .iter()
        .map(|text| {
            let ear = submit(&mut first, text, options(20));
            run(&mut first);
            ear.heard.lock().unwrap().tokens.clone()
        })
        .collect();
    let pages = first.save("a", &path, u64::MAX, &mut || false).unwrap().unwrap();
    assert_eq!(pages, first.counts().pages_cached);
    let mode = std::os::unix::fs::MetadataExt::mode(&path.metadata().unwrap());
    assert_eq!(mode & 0o777, 0o600);

    let mut second = tiny.scheduler(512, &SchedulerOptions::default());
    assert_eq!(second.restore("b", &path).unwrap(), 0, "another model");
    assert_eq!(second.restore("a", &path).unwrap(), pages);
    for (text, answer) in texts.iter().zip(&answers) {
        let ear = submit(&mut second, text, options(20));
        run(&mut second);
        let heard = ear.heard.lock().unwrap();
        assert_eq!((heard.reused, &heard.tokens), (text.len() - 16, answer));
    }

    // Of little room the texts that were used last are kept, each from its beginning.
    let whole = std::fs::read(&path).unwrap();
    let page = whole.len() as u64 / pages as u64;
    let kept = second.save("a", &path, page * 9 / 2, &mut || false).unwrap().unwrap();
    assert_eq!(kept, 4);
    let mut third = tiny.scheduler(512, &SchedulerOptions::default());
    assert_eq!(third.restore("a", &path).unwrap(), 4);
    let ear = submit(&mut third, &texts[2], options(20));
    run(&mut third);
    assert_eq!(ear.heard.lock().unwrap().reused, texts[2].len() - 16);

    // What cannot be written leaves what was there.
    let nowhere = tiny.dir.path().join("none/texts.kv");
    let failed = third.save("a", &nowhere, 1 << 30, &mut || false).unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Prefixes);

    // Nor does what is ended before it is whole, or comes upon something else.
    let before = std::fs::read(&path).unwrap();
    let mut pages = 0;
    let mut enough = || {
        pages += 1;
        pages > 2
    };
    assert_eq!(third.save("a", &path, 1 << 30, &mut enough).unwrap(), None);
    assert!(std::fs::read(&path).unwrap() == before);
    assert_eq!(std::fs::read_dir(tiny.dir.path()).unwrap().count(), 2);
    let other = tiny.dir.path().join("tiny.gguf");
    assert_eq!(third.restore("a", &other).unwrap_err().kind(), ErrorKind::Option);
    assert_eq!(third.restore("a", tiny.dir.path()).unwrap_err().kind(), ErrorKind::Option);

    // Of what is damaged nothing is used that is wrong.
    let mut damaged = 0;
    for at in (0..whole.len()).step_by(whole.len() / 97) {
        for cut in [false, true] {
            let mut bytes = whole.clone();
            if cut {
                bytes.truncate(at);
            } else {
                bytes[at] ^= 0x10;
            }
            std::fs::write(&path, bytes).unwrap();
            let mut scheduler = tiny.scheduler(512, &SchedulerOptions::default());
            match scheduler.restore("a", &path) {
                Err(error) if at < 8 => assert_eq!(error.kind(), ErrorKind::Option),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Prefixes),
                Ok(count) => assert_eq!(count, 0, "{at} {cut}"),
            }
            damaged += 1;
            let ear = submit(&mut scheduler, &texts[0], options(20));
            run(&mut scheduler);
            assert_eq!(ear.heard.lock().unwrap().tokens, answers[0], "{at} {cut}");
        }
    }
    assert!(damaged > 150, "{damaged}");
}
