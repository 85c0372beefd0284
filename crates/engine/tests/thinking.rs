//! What a model thinks before it answers is the same with guesses, beside others, and after a wait.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::sync::{Arc, Mutex};

use rushlight_engine::{
    Counts, DraftModel, Engine, EngineOptions, Event, Finish, GenerateOptions, Request, Scheduler,
    SchedulerOptions, Sink, Speculation, Thinking,
};
use rushlight_kernels::PAGE;
use rushlight_model::Model;
use rushlight_testkit::tiny::{case, write_gguf};
use rushlight_text::EncodeOptions;
use rushlight_text::constrain::{Constraints, Grammar};

const CLOSE: &str = "</t>";

/// Tokens of an answer, its text, and how it ended.
#[derive(Clone, Debug, Default, PartialEq)]
struct Heard {
    tokens: Vec<u32>,
    text: String,
    finish: Option<Finish>,
}

#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Heard>>);

impl Sink for Ear {
    fn event(&mut self, event: Event<'_>) -> bool {
        let mut heard = self.0.lock().unwrap();
        match event {
            Event::Begun { .. } => {}
            Event::Token { choice, text, .. } => {
                heard.tokens.push(choice.token);
                heard.text += text;
            }
            Event::Finished { finish, text, .. } => {
                heard.text += text;
                heard.finish = Some(finish);
            }
            other => panic!("{other:?}"),
        }
        true
    }
}

/// How answers are made.
#[derive(Clone, Copy, Debug)]
struct Way {
    speculation: Speculation,
    /// Whether the model drafts for itself.
    drafts: bool,
    /// Pages of the cache.
    pages: usize,
    together: bool,
}

/// A tiny model.
struct Tiny {
    _dir: tempfile::TempDir,
    model: Arc<Model>,
}

impl Tiny {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tiny.gguf");
        write_gguf(&case("llama2"), &path);
        let model = Arc::new(Model::open(&path).unwrap());
        Self { _dir: dir, model }
    }

    fn engine(&self, pages: usize) -> Engine {
        let mut options = EngineOptions::default();
        (options.context, options.threads) = (Some(pages * PAGE), Some(1));
        Engine::new(self.model.clone(), &options).unwrap()
    }

    /// Five answers: one that thinks as long as it may, one that may not, two between, each of which
    /// has a form for what follows its thoughts, and one that does not think.
    fn answers(&self, way: Way) -> (Vec<Heard>, Counts) {
        let mut options = SchedulerOptions::default();
        options.ahead = 0;
        let mut scheduler = Scheduler::new(self.engine(way.pages), &options);
        if way.drafts {
            scheduler.set_draft(DraftModel::new(self.engine(8), &self.model).unwrap());
        }
        let tokenizer = self.model.tokenizer().unwrap();
        let constraints = Constraints::new(tokenizer.clone());
        let end = EncodeOptions { special: false, parse_special: true };
        let end = tokenizer.encode(&format!("\n{CLOSE}\n\n"), end).unwrap();
        let ids = case("llama2").ids;
        let mut ears = Vec::new();
        for (i, budget) in [Some(70), Some(0), Some(33), Some(50), None].into_iter().enumerate() {
            let prompt: Vec<u32> =
                ids.iter().cycle().skip(i).step_by(i + 1).take(20).copied().collect();
            let mut options = GenerateOptions::default();
            (options.max_tokens, options.ignore_end) =
                (Some(if i == 4 { 100 } else { 120 }), i == 4);
            options.speculation = way.speculation;
            // Of so few tokens some come again, and other sums turn no tie of theirs.
            let favourites = 10..14 + i as u32;
            options.sampler.logit_bias =
                favourites.zip(0..).map(|(t, n)| (t, 30.0 + n as f32)).collect();
            if i % 2 == 1 {
                (options.sampler.temperature, options.sampler.seed) = (0.9, i as u64);
            }
            let ear = Ear::default();
            let mut request = Request::new(prompt, options, Box::new(ear.clone()));
            let mut thinking = Thinking::default();
            (thinking.begun, thinking.open, thinking.close) =
                (true, "<t>".to_owned(), CLOSE.to_owned());
            (thinking.end, thinking.most_tokens) = (end.clone(), budget);
            request.thinking = budget.is_some().then_some(thinking);
            if budget.is_some() {
                let grammar = Grammar::Regex("(abc|abd){8}".to_owned());
                request.constraint = Some(constraints.compile(&grammar).unwrap());
            }
            scheduler.submit(request).unwrap();
            ears.push(ear);
            if !way.together {
                while scheduler.step().unwrap() {}
            }
        }
        while scheduler.step().unwrap() {}
        (ears.iter().map(|ear| ear.0.lock().unwrap().clone()).collect(), scheduler.counts())
    }
}

#[test]
fn thoughts_are_the_same_guessed_or_interrupted() {
    let tiny = Tiny::new();
    let speculation = Speculation::Off;
    let plain = Way { speculation, drafts: false, pages: 8, together: false };
    let (want, _) = tiny.answers(plain);
    for (heard, budget) in want.iter().zip([70, 0, 33, 50]) {
        let (thoughts, answer) = heard.text.split_once(CLOSE).unwrap();
        assert_eq!(heard.finish, Some(Finish::End), "{heard:?}");
        let answer = answer.trim_start();
        assert!(
            answer.len() == 24 && answer.replace("abc", "").replace("abd", "").is_empty(),
            "{heard:?}"
        );
        // The thoughts are as long as they may be, then their end is written.
        let end = &want[1].tokens[..want[1].tokens.len() - 24];
        assert_eq!(heard.tokens[budget..][..end.len()], *end, "{heard:?}");
        assert_eq!((budget, thoughts.trim_end().len()), (budget, budget), "{heard:?}");
    }
    assert_eq!((want[4].tokens.len(), want[4].finish), (100, Some(Finish::Length)));
    let (mut accepted, mut preemptions) = (0, 0);
    for (speculation, drafts) in [
        (Speculation::Off, false),
        (Speculation::Auto, true),
        (Speculation::Always, false),
        (Speculation::Always, true),
    ] {
        for pages in [2, 4, 5, 8] {
            for together in [false, true] {
                let way = Way { speculation, drafts, pages, together };
                let (found, counts) = tiny.answers(way);
                for (found, want) in found.iter().zip(&want) {
                    assert_eq!(found, want, "{way:?}");
                }
                accepted += counts.accepted_tokens;
                preemptions += counts.preemptions;
                assert!(together || counts.preemptions == 0, "{way:?}");
            }
        }
    }
    assert!(accepted > 500 && preemptions > 20, "{accepted} {preemptions}");
}
