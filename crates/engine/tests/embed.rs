//! Vectors and scores are those of transformers, alone, together and beside answers.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rushlight_engine::{
    EmbedEvent, EmbedOptions, EmbedRequest, EmbedSink, EmbedText, Engine, EngineOptions, Error,
    ErrorKind, Event, Finish, GenerateOptions, Pace, Request, Scheduler, SchedulerOptions, Sink,
};
use rushlight_model::{Model, Pooling};
use rushlight_testkit::tiny::{Case, case, write_gguf, write_gguf_with, write_hf};

/// Largest error, as a share of the largest value: the f16 cache moves these models by up to 8e-3.
const BOUND: f32 = 1e-2;

/// What a request was told.
#[derive(Debug, Default)]
struct Heard {
    vectors: Vec<Vec<f32>>,
    tokens: Option<usize>,
    failed: Option<Error>,
}

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

    fn heard(&self) -> Heard {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

impl EmbedSink for Ear {
    fn event(&mut self, event: EmbedEvent<'_>) -> bool {
        let mut heard = self.heard.lock().unwrap();
        assert!(heard.tokens.is_none() && heard.failed.is_none(), "{event:?} after the end");
        match event {
            EmbedEvent::Vector { index, values } => {
                assert_eq!(index, heard.vectors.len(), "texts come in their order");
                heard.vectors.push(values.to_vec());
            }
            EmbedEvent::Finished { tokens, .. } => heard.tokens = Some(tokens),
            EmbedEvent::Failed(error) => heard.failed = Some(error),
            other => panic!("{other:?}"),
        }
        heard.vectors.len() < self.most
    }

    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }
}

/// Remembers the tokens of an answer.
#[derive(Clone, Default)]
struct Answer(Arc<Mutex<(Vec<u32>, Option<Finish>)>>);

impl Sink for Answer {
    fn event(&mut self, event: Event<'_>) -> bool {
        let mut answer = self.0.lock().unwrap();
        match event {
            Event::Token { choice, .. } => answer.0.push(choice.token),
            Event::Finished { finish, .. } => answer.1 = Some(finish),
            Event::Failed(error) => panic!("{error}"),
            _ => {}
        }
        true
    }
}

fn scheduler(path: &Path, context: usize, chunk: usize) -> Scheduler {
    roomy(path, context, chunk, context)
}

/// With a cache of so many positions.
fn roomy(path: &Path, context: usize, chunk: usize, positions: usize) -> Scheduler {
    let mut options = EngineOptions::default();
    options.context = Some(context);
    options.positions = Some(positions);
    options.threads = Some(2);
    options.pin = false;
    options.chunk = chunk;
    let engine = Engine::new(Arc::new(Model::open(path).unwrap()), &options).unwrap();
    Scheduler::new(engine, &SchedulerOptions::default())
}

fn raw() -> EmbedOptions {
    let mut options = EmbedOptions::default();
    options.normalized = false;
    options
}

fn text(tokens: &[u32]) -> EmbedText {
    EmbedText { tokens: tokens.to_vec(), segments: Vec::new() }
}

fn embed(scheduler: &mut Scheduler, texts: Vec<EmbedText>, options: EmbedOptions) -> Heard {
    let ear = Ear::new();
    scheduler.submit_embed(EmbedRequest::new(texts, options, Box::new(ear.clone()))).unwrap();
    while scheduler.step().unwrap() {}
    assert!(scheduler.is_idle());
    ear.heard()
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let most = a.iter().fold(0f32, |most, x| most.max(x.abs()));
    a.iter().zip(b).fold(0f32, |worst, (x, y)| worst.max((x - y).abs())) / most
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Many texts of many lengths.
fn texts(case: &Case, most: usize) -> Vec<EmbedText> {
    (1..=24).map(|i| text(&case.ids.repeat(8)[i..][..1 + (i * 37) % most])).collect()
}

#[test]
fn vectors_of_every_pooling_are_those_of_transformers() {
    let dir = tempfile::tempdir().unwrap();
    let (minilm, qwen3) = (case("minilm"), case("qwen3"));
    let at = |name: &str| dir.path().join(name);
    for name in ["minilm_hf", "qwen3_mean"] {
        std::fs::create_dir(at(name)).unwrap();
    }
    write_hf(&minilm, &at("minilm_hf"));
    write_gguf(&minilm, &at("minilm.gguf"));
    write_hf(&qwen3, &at("qwen3_mean"));
    let modules = r#"[{"path": "", "type": "sentence_transformers.models.Transformer"},
        {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}]"#;
    std::fs::write(at("qwen3_mean/modules.json"), modules).unwrap();
    std::fs::create_dir(at("qwen3_mean/1_Pooling")).unwrap();
    let pooling = r#"{"word_embedding_dimension": 64, "pooling_mode_mean_tokens": true}"#;
    std::fs::write(at("qwen3_mean/1_Pooling/config.json"), pooling).unwrap();
    write_gguf(&qwen3, &at("qwen3.gguf"));
    for kind in 1..4 {
        let numbers = [("qwen3.pooling_type", kind)];
        write_gguf_with(&qwen3, &at(&format!("qwen3_{kind}.gguf")), &numbers);
    }
    let states = qwen3.states.clone().unwrap();
    let (first, last) = (states[0].clone(), states[states.len() - 1].clone());
    let mean = |case: &Case| case.pooled.clone().unwrap();
    let cases = [
        ("minilm_hf", Pooling::Mean, &minilm, mean(&minilm)),
        ("minilm.gguf", Pooling::Mean, &minilm, mean(&minilm)),
        ("qwen3_mean", Pooling::Mean, &qwen3, mean(&qwen3)),
        ("qwen3.gguf", Pooling::Last, &qwen3, last.clone()),
        ("qwen3_1.gguf", Pooling::Mean, &qwen3, mean(&qwen3)),
        ("qwen3_2.gguf", Pooling::Cls, &qwen3, first),
        ("qwen3_3.gguf", Pooling::Last, &qwen3, last),
    ];
    let mut failures = Vec::new();
    for (name, pooling, case, want) in cases {
        for chunk in [512, 19] {
            let mut scheduler = scheduler(&at(name), 64, chunk);
            let model = scheduler.engine().model().clone();
            let declared = name != "qwen3.gguf";
            assert_eq!((model.pooling(), model.embeds()), (pooling, declared), "{name}");
            let heard = embed(&mut scheduler, vec![text(&case.ids)], raw());
            assert_eq!(heard.tokens, Some(40), "{name}");
            let error = difference(&want, &heard.vectors[0]);
            if error.is_nan() || error > BOUND {
                failures.push(format!("{name} in chunks of {chunk}: {error:.2e}"));
            }
            let vector = embed(&mut scheduler, vec![text(&case.ids)], EmbedOptions::default());
            let length: f32 = vector.vectors[0].iter().map(|x| x * x).sum();
            assert!((length - 1.0).abs() < 1e-5, "{name}: {length}");
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn scores_of_pairs_are_those_of_transformers() {
    let dir = tempfile::tempdir().unwrap();
    let case = case("reranker");
    let (hf, gguf) = (dir.path().join("hf"), dir.path().join("reranker.gguf"));
    std::fs::create_dir(&hf).unwrap();
    write_hf(&case, &hf);
    write_gguf(&case, &gguf);
    for path in [hf, gguf] {
        let mut scheduler = scheduler(&path, 64, 64);
        let model = scheduler.engine().model().clone();
        assert!(model.ranks() && !model.embeds() && !model.writes());
        let pair = |first: usize| {
            let segments = (0..case.ids.len()).map(|i| u8::from(i >= first)).collect();
            EmbedText { tokens: case.ids.clone(), segments }
        };
        let pairs = case.pairs.iter().map(|(first, _)| pair(*first)).collect();
        let heard = embed(&mut scheduler, pairs, EmbedOptions::default());
        assert_eq!(heard.vectors.len(), 3);
        for ((first, want), found) in case.pairs.iter().zip(heard.vectors) {
            let [found] = *found else { panic!("{found:?}, expected one score") };
            assert!((found - want).abs() < 5e-3, "{}: {found} {want}", path.display());
            // The segments make the difference.
            let plain = embed(&mut scheduler, vec![text(&case.ids)], EmbedOptions::default());
            assert!((plain.vectors[0][0] - want).abs() > 2e-2, "{first}");
        }
    }
}

#[test]
fn many_texts_together_are_what_each_is_alone() {
    let dir = tempfile::tempdir().unwrap();
    let cases = [("minilm", 60, 1), ("qwen3", 200, 1), ("qwen3", 200, 3), ("reranker", 60, 4)];
    for (name, most, kind) in cases {
        let (tiny, path) = (case(name), dir.path().join(format!("{name}{kind}.gguf")));
        let key = format!("{name}.pooling_type");
        let numbers = [(key.as_str(), kind)];
        write_gguf_with(&tiny, &path, if name == "qwen3" { &numbers } else { &[] });
        let (context, chunk) = if name == "qwen3" { (256, 192) } else { (64, 96) };
        let mut scheduler = roomy(&path, context, chunk, 16 * context);
        let all = texts(&tiny, most);
        let together = embed(&mut scheduler, all.clone(), EmbedOptions::default());
        assert_eq!(together.tokens, Some(all.iter().map(|text| text.tokens.len()).sum()));
        let passes = scheduler.counts().passes;
        assert!(passes < all.len() as u64, "`{passes}` passes for `{}` texts", all.len());
        for (i, (text, found)) in all.into_iter().zip(together.vectors).enumerate() {
            let alone = embed(&mut scheduler, vec![text], EmbedOptions::default());
            let alone = &alone.vectors[0];
            let same = match name {
                "reranker" => (alone[0] - found[0]).abs() < 5e-3,
                _ => cosine(alone, &found) > 0.9999,
            };
            assert!(same, "{name} {i}: {} {alone:?} {found:?}", cosine(alone, &found));
        }
        assert_eq!(scheduler.counts().pages_used, 0, "{name}");
        assert_eq!(scheduler.counts().embedded_texts, 48, "{name}");
    }
}

#[test]
fn a_pace_has_fewer_texts_in_a_pass_and_whole_ones_still() {
    let dir = tempfile::tempdir().unwrap();
    let (tiny, path) = (case("minilm"), dir.path().join("minilm.gguf"));
    write_gguf(&tiny, &path);
    let mut scheduler = roomy(&path, 64, 96, 1024);
    // The fifth has to be read whole.
    let all: Vec<_> = [8, 8, 8, 8, 60, 8, 8].map(|n| text(&tiny.ids.repeat(8)[..n])).into();
    let free = embed(&mut scheduler, all.clone(), EmbedOptions::default());
    assert_eq!(scheduler.counts().passes, 2);
    let mut pace = Pace::default();
    pace.prompt_rows = 16;
    scheduler.set_pace(pace);
    let paced = embed(&mut scheduler, all, EmbedOptions::default());
    // Two and two, the one, and two.
    assert_eq!(scheduler.counts().passes, 2 + 4);
    for (free, paced) in free.vectors.iter().zip(&paced.vectors) {
        assert!(cosine(free, paced) > 0.9999);
    }
    assert_eq!(paced.vectors.len(), 7);
}

#[test]
fn answers_flow_beside_texts_and_stay_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let (tiny, path) = (case("qwen3"), dir.path().join("qwen3.gguf"));
    write_gguf(&tiny, &path);
    let mut options = GenerateOptions::default();
    options.max_tokens = Some(40);
    options.ignore_end = true;
    let request = |answer: &Answer| {
        Request::new(tiny.ids[..9].to_vec(), options.clone(), Box::new(answer.clone()))
    };
    let (alone, beside) = (Answer::default(), Answer::default());
    let mut quiet = scheduler(&path, 512, 64);
    quiet.submit(request(&alone)).unwrap();
    while quiet.step().unwrap() {}

    let mut busy = scheduler(&path, 512, 64);
    busy.submit(request(&beside)).unwrap();
    busy.step().unwrap();
    let (ear, most) = (Ear::new(), 400);
    let long = (0..12).map(|i| text(&tiny.ids.repeat(12)[i..][..most])).collect();
    busy.submit_embed(EmbedRequest::new(long, EmbedOptions::default(), Box::new(ear.clone())))
        .unwrap();
    let counts = busy.counts();
    assert_eq!((counts.running, counts.queued), (1, 1));
    for i in 2..=40 {
        busy.step().unwrap();
        assert_eq!(beside.0.lock().unwrap().0.len(), i, "a token a pass");
    }
    assert!(!ear.heard.lock().unwrap().vectors.is_empty(), "texts run meanwhile");
    while busy.step().unwrap() {}
    let heard = ear.heard();
    assert_eq!((heard.tokens, heard.failed.map(|e| e.kind())), (Some(12 * most), None));
    assert_eq!(alone.0.lock().unwrap().0, beside.0.lock().unwrap().0);
}

#[test]
fn texts_and_answers_share_a_cache_that_is_too_small_for_both() {
    let dir = tempfile::tempdir().unwrap();
    let (tiny, path) = (case("qwen3"), dir.path().join("qwen3.gguf"));
    write_gguf(&tiny, &path);
    let mut options = GenerateOptions::default();
    options.max_tokens = Some(60);
    options.ignore_end = true;
    // A context is all that the cache holds.
    let mut scheduler = scheduler(&path, 128, 48);
    let answers: Vec<Answer> = (0..4).map(|_| Answer::default()).collect();
    let ears: Vec<Ear> = (0..4).map(|_| Ear::new()).collect();
    for (i, (answer, ear)) in answers.iter().zip(&ears).enumerate() {
        let prompt = tiny.ids[i..][..30].to_vec();
        scheduler.submit(Request::new(prompt, options.clone(), Box::new(answer.clone()))).unwrap();
        let texts = (0..3).map(|j| text(&tiny.ids.repeat(4)[i + j..][..120])).collect();
        let request = EmbedRequest::new(texts, raw(), Box::new(ear.clone()));
        scheduler.submit_embed(request).unwrap();
    }
    let mut steps = 0;
    while scheduler.step().unwrap() {
        steps += 1;
        assert!(steps < 2000, "{:?}", scheduler.counts());
    }
    for (answer, ear) in answers.iter().zip(&ears) {
        let answer = answer.0.lock().unwrap();
        assert_eq!((answer.0.len(), answer.1), (60, Some(Finish::Length)));
        let heard = ear.heard();
        assert_eq!((heard.tokens, heard.vectors.len()), (Some(360), 3), "{:?}", heard.failed);
    }
}

#[test]
fn a_text_that_came_first_is_not_put_off_by_answers_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let (tiny, path) = (case("qwen3"), dir.path().join("qwen3.gguf"));
    write_gguf(&tiny, &path);
    let mut options = GenerateOptions::default();
    options.max_tokens = Some(60);
    options.ignore_end = true;
    let mut scheduler = scheduler(&path, 128, 48);
    let answers: Vec<Answer> = (0..12).map(|_| Answer::default()).collect();
    let ear = Ear::new();
    for (i, answer) in answers.iter().enumerate() {
        if i == 1 {
            let texts = vec![text(&tiny.ids.repeat(4)[..120])];
            scheduler.submit_embed(EmbedRequest::new(texts, raw(), Box::new(ear.clone()))).unwrap();
        }
        let prompt = tiny.ids[..30].to_vec();
        scheduler.submit(Request::new(prompt, options.clone(), Box::new(answer.clone()))).unwrap();
    }
    while ear.heard.lock().unwrap().tokens.is_none() {
        assert!(scheduler.step().unwrap(), "{:?}", scheduler.counts());
    }
    let ended = answers.iter().filter(|answer| answer.0.lock().unwrap().1.is_some()).count();
    assert!(ended <= 2, "{ended} answers came before it");
}

#[test]
fn a_text_that_has_gone_keeps_no_answer_out() {
    let dir = tempfile::tempdir().unwrap();
    let (tiny, path) = (case("qwen3"), dir.path().join("qwen3.gguf"));
    write_gguf(&tiny, &path);
    let mut options = GenerateOptions::default();
    options.max_tokens = Some(4);
    options.ignore_end = true;
    let mut scheduler = scheduler(&path, 512, 512);
    let (ear, answer) = (Ear { most: 1, ..Ear::new() }, Answer::default());
    // The second one has rows in the first one's pass, but no page.
    let texts = vec![text(&tiny.ids.repeat(13)[..500]); 2];
    scheduler.submit_embed(EmbedRequest::new(texts, raw(), Box::new(ear.clone()))).unwrap();
    scheduler.step().unwrap();
    let prompt = tiny.ids[..30].to_vec();
    scheduler.submit(Request::new(prompt, options, Box::new(answer.clone()))).unwrap();
    for _ in 0..50 {
        scheduler.step().unwrap();
    }
    assert_eq!(answer.0.lock().unwrap().1, Some(Finish::Length));
}

#[test]
fn requests_end_when_nobody_waits_or_it_is_too_late() {
    let dir = tempfile::tempdir().unwrap();
    let (tiny, path) = (case("qwen3"), dir.path().join("qwen3.gguf"));
    write_gguf(&tiny, &path);
    let mut scheduler = scheduler(&path, 512, 64);
    let long = || vec![text(&tiny.ids.repeat(12)[..400]); 3];
    let [gone, late, enough, other] = [(); 4].map(|()| Ear::new());
    let request = |ear: &Ear| EmbedRequest::new(long(), raw(), Box::new(ear.clone()));
    scheduler.submit_embed(request(&gone)).unwrap();
    scheduler.step().unwrap();
    assert!(scheduler.counts().pages_used > 0);
    gone.gone.store(true, Ordering::Relaxed);
    let mut dated = request(&late);
    dated.deadline = Some(Instant::now() - Duration::from_secs(1));
    scheduler.submit_embed(dated).unwrap();
    scheduler.submit_embed(request(&Ear { most: 1, ..enough.clone() })).unwrap();
    scheduler.submit_embed(request(&other)).unwrap();
    while scheduler.step().unwrap() {}
    assert!(gone.heard().vectors.is_empty());
    assert_eq!(late.heard().failed.map(|e| e.kind()), Some(ErrorKind::Deadline));
    let enough = enough.heard();
    assert_eq!((enough.vectors.len(), enough.tokens), (1, None));
    assert_eq!(other.heard().vectors.len(), 3);
    assert_eq!(scheduler.counts().pages_used, 0);

    // Who is more urgent comes first, but for the text that has begun.
    let order = [Ear::new(), Ear::new()];
    scheduler.submit_embed(request(&order[0])).unwrap();
    let mut urgent = request(&order[1]);
    urgent.priority = 1;
    scheduler.submit_embed(urgent).unwrap();
    while order[1].heard.lock().unwrap().tokens.is_none() {
        scheduler.step().unwrap();
    }
    assert!(order[0].heard.lock().unwrap().vectors.is_empty());
    let mut none = EngineOptions::default();
    none.context = Some(0);
    let model = scheduler.engine().model().clone();
    scheduler.fail_all(|| Engine::new(model.clone(), &none).map(drop).unwrap_err());
    assert!(order[0].heard().failed.is_some() && scheduler.is_idle());
}

#[test]
fn what_cannot_be_embedded_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("minilm.gguf");
    write_gguf(&case("minilm"), &path);
    let mut options = EngineOptions::default();
    // Chunks grow to the context: a text runs as a whole.
    (options.context, options.chunk) = (Some(40), 8);
    let engine = Engine::new(Arc::new(Model::open(&path).unwrap()), &options).unwrap();
    assert_eq!(engine.chunk(), 40);
    let mut few = SchedulerOptions::default();
    few.most_queued = 1;
    let mut scheduler = Scheduler::new(engine, &few);
    let cut = |n: usize| {
        let mut options = EmbedOptions::default();
        options.dimensions = Some(n);
        options
    };
    let all = EmbedOptions::default();
    let segments = |segments: &[u8]| EmbedText { tokens: vec![1; 2], segments: segments.to_vec() };
    let cases = [
        (vec![], all, ErrorKind::Option, "there is no text"),
        (vec![text(&[1]), text(&[])], all, ErrorKind::Option, "text `1` has no tokens"),
        (
            vec![text(&[1; 41])],
            all,
            ErrorKind::Context,
            "text `0` has `41` tokens, expected at most the context of `40`",
        ),
        (vec![text(&[288])], all, ErrorKind::Batch, "token `288`, expected one below `288`"),
        (
            vec![segments(&[0, 2])],
            all,
            ErrorKind::Batch,
            "a token of segment `2`, expected one below `2`",
        ),
        (
            vec![segments(&[0])],
            all,
            ErrorKind::Batch,
            "text `0` has `1` segments, expected one for each of `2` tokens",
        ),
        (
            vec![text(&[1])],
            cut(65),
            ErrorKind::Option,
            "vectors of `65` values, expected `1` to `64`",
        ),
        (
            vec![text(&[1])],
            cut(0),
            ErrorKind::Option,
            "vectors of `0` values, expected `1` to `64`",
        ),
    ];
    for (texts, options, kind, message) in cases {
        let request = EmbedRequest::new(texts, options, Box::new(Ear::new()));
        let error = scheduler.submit_embed(request).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
    }
    let error = scheduler
        .submit(Request::new(vec![1], GenerateOptions::default(), Box::new(Answer::default())))
        .unwrap_err();
    assert_eq!(error.to_string(), "this `bert` model embeds texts, it does not write them");

    let request =
        |ear: &Ear| EmbedRequest::new(vec![text(&[1; 40])], cut(5), Box::new(ear.clone()));
    let [first, second] = [Ear::new(), Ear::new()];
    scheduler.submit_embed(request(&first)).unwrap();
    let error = scheduler.submit_embed(request(&second)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    while scheduler.step().unwrap() {}
    assert_eq!(first.heard().vectors[0].len(), 5);
}

#[test]
fn an_embedder_gives_back_what_it_works_with_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tiny.gguf");
    let tiny = case("minilm");
    write_gguf(&tiny, &path);
    let mut scheduler = scheduler(&path, 64, 64);
    let first = embed(&mut scheduler, vec![text(&tiny.ids[..40])], raw());
    let counts = scheduler.counts();
    assert!(counts.pages_cached == 0 && counts.idle_bytes > 0, "{counts:?}");
    assert_eq!(scheduler.give_back(), counts.idle_bytes);
    assert_eq!(scheduler.counts().idle_bytes, 0);
    let again = embed(&mut scheduler, vec![text(&tiny.ids[..40])], raw());
    assert_eq!(again.vectors, first.vectors);
}
