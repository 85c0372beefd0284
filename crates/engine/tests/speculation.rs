//! Guessing changes how fast an answer comes, never the answer.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rushlight_engine::{
    Answer, DraftModel, Engine, EngineOptions, Error, ErrorKind, GenerateOptions, SamplerOptions,
    Session, Speculation,
};
use rushlight_kernels::{PAGE, Row, best, rows};
use rushlight_model::Model;
use rushlight_testkit::tiny::{Output, case, names, write_gguf, write_gguf_padded};

/// Who guesses.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Guesses {
    None,
    /// Earlier text, as far as it pays.
    Auto,
    /// Earlier text.
    Text,
    /// Earlier text, and the model itself.
    Itself,
    /// Earlier text, and a model of the same vocabulary that says something else.
    Other,
}

const ALL: [Guesses; 4] = [Guesses::Auto, Guesses::Text, Guesses::Itself, Guesses::Other];

/// Tiny models on disk.
struct Models {
    dir: tempfile::TempDir,
}

impl Models {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(format!("{name}.gguf"));
        if !path.exists() {
            write_gguf(&case(name), &path);
        }
        path
    }

    /// An engine, and a session of it that guesses.
    fn session(
        &self,
        name: &str,
        guesses: Guesses,
        context: usize,
        row: &'static Row,
    ) -> (Engine, Session) {
        let mut engine = engine(&self.path(name), context, row);
        let mut session = Session::new(&mut engine);
        let draft = match guesses {
            Guesses::Itself => Some(name),
            Guesses::Other => Some(if name == "llama2" { "mistral" } else { "llama2" }),
            _ => None,
        };
        if let Some(draft) = draft {
            session.set_draft(self.drafter(draft, name, row).unwrap());
        }
        (engine, session)
    }

    /// The model `draft`, to draft for the model `name`.
    fn drafter(&self, draft: &str, name: &str, row: &'static Row) -> Result<DraftModel, Error> {
        let draft = engine(&self.path(draft), 64, row);
        DraftModel::new(draft, &Model::open(&self.path(name)).unwrap())
    }
}

fn engine(path: &Path, context: usize, row: &'static Row) -> Engine {
    let mut options = EngineOptions::default();
    options.context = Some(context);
    options.threads = Some(1);
    options.row = Some(row);
    Engine::new(Arc::new(Model::open(path).unwrap()), &options).unwrap()
}

/// Forty tokens that neither end nor are special.
fn options(guesses: Guesses, sampler: SamplerOptions) -> GenerateOptions {
    let mut options = GenerateOptions::default();
    options.max_tokens = Some(40);
    options.ignore_end = true;
    options.sampler = sampler;
    options.speculation = match guesses {
        Guesses::None => Speculation::Off,
        Guesses::Auto => Speculation::Auto,
        _ => Speculation::Always,
    };
    options
}

fn sampled(temperature: f32) -> SamplerOptions {
    let mut options = SamplerOptions::default();
    options.temperature = temperature;
    options.seed = 3;
    options
}

fn penalised() -> SamplerOptions {
    let mut options = sampled(0.5);
    options.repetition_penalty = 1.1;
    options.frequency_penalty = 0.1;
    options
}

/// What must be the same: everything but the time and the guesses.
fn essence(answer: &Answer, session: &Session) -> impl PartialEq + std::fmt::Debug + use<> {
    let Answer { text, tokens, finish, prompt_tokens, reused_tokens, .. } = answer.clone();
    let tokens: Vec<_> = tokens.iter().map(|c| (c.token, c.log_probability.to_bits())).collect();
    (text, tokens, finish, prompt_tokens, reused_tokens, session.tokens().to_vec())
}

#[test]
fn every_architecture_and_row_says_the_same() {
    let models = Models::new();
    let mut failures = Vec::new();
    let mut accepted = [0; ALL.len()];
    let of = |name: &String| case(name).output == Output::Logits;
    let work = names().into_iter().filter(of).flat_map(|name| {
        let rows: Vec<_> = if name == "llama2" { rows().to_vec() } else { vec![best()] };
        rows.into_iter().map(move |row| (name.clone(), row))
    });
    for (name, row) in work {
        let other = models.drafter("llama2", &name, row).is_ok();
        for sampler in [sampled(0.0), sampled(0.3), sampled(1.0), penalised()] {
            let run = |guesses| {
                let (mut engine, mut session) = models.session(&name, guesses, 64, row);
                let options = options(guesses, sampler.clone());
                let prompt = &case(&name).ids[..20];
                let answer = session.generate(&mut engine, prompt, &options, |_| true).unwrap();
                (essence(&answer, &session), answer)
            };
            let (plain, _) = run(Guesses::None);
            for (i, guesses) in ALL.into_iter().enumerate() {
                if guesses == Guesses::Other && !other {
                    continue;
                }
                let (found, answer) = run(guesses);
                accepted[i] += answer.accepted_tokens;
                if found != plain {
                    failures.push(format!("{name} {guesses:?} on {}: {sampler:?}", row.name()));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    // What was never accepted was never tested.
    assert!(accepted[1..].iter().all(|n| *n > 50), "{accepted:?}");
}

/// Pages of the cache that another sequence could have.
fn pages_left(engine: &mut Engine) -> usize {
    let other = engine.start();
    let count = std::iter::from_fn(|| engine.prefill(other, &[0; PAGE]).ok()).count();
    engine.end(other);
    count
}

/// Ends of every kind at every place of an answer, then a second answer in the same session.
#[test]
fn an_end_within_a_run_of_guesses_is_where_it_was() {
    let models = Models::new();
    let name = "llama2";
    let prompt = &case(name).ids;
    let whole = {
        let (mut engine, mut session) = models.session(name, Guesses::None, 128, best());
        let options = options(Guesses::None, SamplerOptions::default());
        session.generate(&mut engine, prompt, &options, |_| true).unwrap().text
    };
    let letters: Vec<_> = whole.char_indices().map(|(at, _)| at).collect();
    let stop = |place: usize| {
        let at = letters.get(place)?;
        whole[*at..].chars().next().map(|_| whole[*at..].chars().take(2).collect::<String>())
    };
    let mut failures = Vec::new();
    let mut accepted = 0;
    for place in 1..24 {
        for end in ["length", "context", "cancelled", "stop"] {
            let run = |guesses| {
                let context = if end == "context" { prompt.len() + place } else { 128 };
                let (mut engine, mut session) = models.session(name, guesses, context, best());
                let mut options = options(guesses, SamplerOptions::default());
                match end {
                    "length" => options.max_tokens = Some(place),
                    "stop" => options.stop = stop(place).into_iter().collect(),
                    _ => {}
                }
                let mut pieces = 0;
                let first = session
                    .generate(&mut engine, prompt, &options, |_| {
                        pieces += 1;
                        end != "cancelled" || pieces <= place
                    })
                    .unwrap();
                let after = (essence(&first, &session), pages_left(&mut engine));
                // One token more needs no guess.
                let last = end == "length" && place == 2 || end == "context" && place == 1;
                assert!(!last || first.drafted_tokens == 0, "{end} {guesses:?}");
                let mut next = prompt.clone();
                next.extend(first.tokens.iter().map(|c| c.token));
                next.extend_from_slice(&prompt[..3]);
                next.truncate(context - 1);
                options.stop.clear();
                let second = session.generate(&mut engine, &next, &options, |_| true).unwrap();
                let guessed = first.accepted_tokens + second.accepted_tokens;
                ((first.finish.name(), pieces, after, essence(&second, &session)), guessed)
            };
            let (plain, _) = run(Guesses::None);
            for guesses in ALL {
                let (found, guessed) = run(guesses);
                accepted += guessed;
                if found != plain {
                    failures.push(format!("{end} at {place}, {guesses:?}:\n{found:?}\n{plain:?}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(accepted > 500, "{accepted}");
}

#[test]
fn another_sequence_may_take_the_room_for_guesses() {
    let models = Models::new();
    let prompt = &case("llama2").ids;
    let run = |guesses| {
        let (mut engine, mut session) = models.session("llama2", guesses, 128, best());
        let other = engine.start();
        engine.prefill(other, &prompt[..20]).unwrap();
        let answer = session.generate(
            &mut engine,
            prompt,
            &options(guesses, SamplerOptions::default()),
            |_| true,
        );
        answer.map(|a| essence(&a, &session)).map_err(|e| e.to_string())
    };
    let plain = run(Guesses::None);
    for guesses in ALL {
        assert_eq!(run(guesses), plain, "{guesses:?}");
    }
}

#[test]
fn a_draft_model_needs_the_same_tokens() {
    let models = Models::new();
    let cases =
        [("minilm", "llama2", "of the draft model is `"), ("minilm", "minilm", "embeds texts")];
    for (draft, name, want) in cases {
        let error = models.drafter(draft, name, best()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model);
        assert!(error.to_string().contains(want), "{error}");
    }
}

#[test]
fn a_draft_model_with_a_shorter_context_falls_silent() {
    let models = Models::new();
    let prompt = &case("llama2").ids;
    let mut answers = Vec::new();
    for context in [128, prompt.len() + 10, 8] {
        let (mut engine, mut session) = models.session("llama2", Guesses::None, 128, best());
        let draft = self::engine(&models.path("llama2"), context, best());
        session.set_draft(DraftModel::new(draft, engine.model()).unwrap());
        let options = options(Guesses::Itself, sampled(0.5));
        let answer = session.generate(&mut engine, prompt, &options, |_| true).unwrap();
        answers.push(essence(&answer, &session));
    }
    assert!(answers.iter().all(|a| *a == answers[0]));
}

/// The embedding of a model may have rows that no token is of, and that of its draft model another
/// number of them: what one of the two does not know is not drafted, and the answer is the same.
#[test]
fn a_draft_model_may_have_other_rows_of_padding() {
    let models = Models::new();
    let path = |padding: usize| {
        let path = models.dir.path().join(format!("padded-{padding}.gguf"));
        if !path.exists() {
            write_gguf_padded(&case("llama2"), &path, padding);
        }
        path
    };
    let words = case("llama2").ids;
    let all = 288;
    let mut failures = Vec::new();
    for (own, drafts) in [(16, 0), (16, 7), (0, 16), (7, 16), (16, 16)] {
        let (mut beyond, mut drafted) = (0, 0);
        for (sampler, in_prompt) in
            [(sampled(0.0), false), (sampled(1.0), false), (sampled(1.0), true)]
        {
            let mut prompt = words[..20].to_vec();
            // Of what is not in the draft model's vocabulary some may be in the prompt.
            prompt.extend((own > drafts && in_prompt).then_some(all + own as u32 - 1));
            let run = |guesses| {
                let mut engine = engine(&path(own), 128, best());
                assert_eq!(engine.model().dims().v, all as usize + own);
                let mut session = Session::new(&mut engine);
                if guesses != Guesses::None {
                    let draft = self::engine(&path(drafts), 128, best());
                    session.set_draft(DraftModel::new(draft, engine.model()).unwrap());
                }
                let mut options = options(guesses, sampler.clone());
                // What comes again is not for the draft model to guess.
                options.sampler.presence_penalty = 2.0;
                let answer = session.generate(&mut engine, &prompt, &options, |_| true).unwrap();
                (essence(&answer, &session), answer)
            };
            let (plain, answer) = run(Guesses::None);
            let known = all + own.min(drafts) as u32;
            beyond += answer.tokens.iter().filter(|choice| choice.token >= known).count();
            let (found, answer) = run(Guesses::Itself);
            drafted += answer.drafted_tokens;
            if found != plain {
                failures.push(format!("{own} {drafts} {in_prompt}: {found:?}\n{plain:?}"));
            }
        }
        assert!(drafted > 0, "{own} {drafts}");
        // Where the draft model knows fewer, the model says what that one does not know.
        assert_eq!(beyond > 0, own > drafts, "{own} {drafts}: {beyond}");
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
