//! `run`: one answer.

use std::io::{IsTerminal, Read, Write};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use rushlight_engine::{
    Answer, Engine, Finish, GenerateOptions, SamplerOptions, Session, Speculation,
    top_log_probabilities,
};
use rushlight_host::PowerMeter;
use rushlight_model::WeightsFrom;
use rushlight_text::Message;
use serde_json::{Value, json};

use super::chat;
use crate::args::{Args, Run, Sampling, Speculate};
use crate::energy::{self, Spent};
use crate::interrupt::Interrupt;
use crate::load::{Draft, ToCome};
use crate::{load, prepare, prompt, report};

/// A prompt from standard input is no larger than this.
const MAX_PROMPT_BYTES: u64 = 64 << 20;

/// Answers one prompt, or chats.
pub(crate) fn run(args: &Args, run: &Run) -> anyhow::Result<ExitCode> {
    let text = match run.prompt.as_deref() {
        Some("-") => Some(read_stdin()?),
        Some(text) => Some(text.to_owned()),
        None if std::io::stdin().is_terminal() => None,
        None => Some(read_stdin()?),
    };
    let interrupt = Interrupt::install().context("cannot listen for Ctrl-C")?;
    let meter = energy::meter(run.estimate)?;
    let opened = load::tuned(args, &run.load, run.profile)?;
    let load::Opened { model, unprepared, load, profile } = opened;
    if !run.quiet {
        profile.say(None);
    }
    let adapters = load::adapters(&model, &run.adapters)?;
    let (flags, least) = (load::for_draft(&run.load, &load), load::least_bytes(&load, &model)?);
    let draft = Draft::open(args, &flags, run.draft.as_deref(), None, least)?;
    let to_come = ToCome { prepared: unprepared.is_some(), draft: draft.as_ref() };
    let mut engine = load::engine(args, &load, model, adapters, to_come)?;
    if !run.raw && !run.quiet && !engine.model().has_chat_template() {
        eprintln!(
            "the model has no chat template, a built-in one is used; if it was not trained to chat, \
             `--raw` continues a text"
        );
    }
    let mut session = Session::new(&mut engine);
    let adapter = load::asked(&engine);
    session.set_adapter(&mut engine, adapter)?;
    if let Some(draft) = draft {
        session.set_draft(draft.start(args, &engine)?);
    }
    match text {
        Some(text) => {
            let code = once(&mut engine, session, run, &interrupt, &meter, &text)?;
            prepare::afterwards(unprepared, &|| interrupt.pressed());
            Ok(code)
        }
        None => chat::chat(&mut engine, session, run, &interrupt, &meter, unprepared),
    }
}

fn read_stdin() -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let limit = MAX_PROMPT_BYTES + 1;
    std::io::stdin().take(limit).read_to_end(&mut bytes).context("cannot read standard input")?;
    if bytes.len() as u64 == limit {
        bail!("the prompt on standard input has more than `{MAX_PROMPT_BYTES}` bytes");
    }
    String::from_utf8(bytes).context("the prompt on standard input is not UTF-8")
}

fn once(
    engine: &mut Engine,
    mut session: Session,
    run: &Run,
    interrupt: &Interrupt,
    meter: &PowerMeter,
    text: &str,
) -> anyhow::Result<ExitCode> {
    let model = engine.model().clone();
    let tokens = if run.raw {
        prompt::of_text(&model, text)?
    } else {
        let mut messages: Vec<_> = run.system.iter().map(Message::system).collect();
        messages.push(Message::user(text));
        prompt::of_messages(&model, &model.chat_template()?, &messages)?
    };
    let options = options(run);
    let measurement = meter.start();
    let (answer, spent) = if run.json {
        let on_text = |_: &str| !interrupt.pressed();
        let answer = session.generate(engine, &tokens, &options, on_text)?;
        let spent = energy::end(measurement);
        let tops = logprobs(engine, run, &tokens, &answer)?;
        let mut out = std::io::stdout().lock();
        let mut value = to_json(engine, &answer, &options, tops)?;
        value["energy"] = energy_json(meter, &spent, answer.tokens.len());
        writeln!(out, "{value}")?;
        (answer, spent)
    } else {
        let answer = answer(engine, &mut session, &tokens, &options, interrupt)?;
        let spent = energy::end(measurement);
        writeln!(std::io::stdout())?;
        (answer, spent)
    };
    if !run.quiet && !run.json {
        figures(engine, &answer);
        eprintln!("energy: {}", spent_text(meter, &spent, answer.tokens.len()));
    }
    Ok(if answer.finish == Finish::Cancelled { ExitCode::from(130) } else { ExitCode::SUCCESS })
}

/// The energy of an answer with its prompt; what the machine takes at rest is in it.
pub(super) fn spent_text(meter: &PowerMeter, spent: &Spent, tokens: usize) -> String {
    let source = energy::source(meter);
    match spent {
        // Why is not said after each answer.
        None => "no sensor; see `rushlight doctor`".to_owned(),
        Some(Ok(energy)) => format!("{}; {source}", energy::figures(energy, tokens)),
        Some(Err(absent)) => format!("unknown: {source}: {absent}"),
    }
}

fn energy_json(meter: &PowerMeter, spent: &Spent, tokens: usize) -> Value {
    let mut value = energy::source_json(meter);
    match spent {
        None => {}
        Some(Ok(energy)) => {
            value["joules"] = json!(energy.joules);
            let each = (tokens > 0).then(|| energy.joules / tokens as f64);
            value["joules_per_token"] = json!(each);
            value["watts"] = json!(energy.watts());
            value["seconds"] = json!(energy.seconds);
            value["caveat"] = json!(energy.caveat);
        }
        Some(Err(absent)) => {
            value["joules"] = Value::Null;
            value["caveat"] = json!(absent.detail);
        }
    }
    value
}

/// Streams an answer to standard output.
pub(super) fn answer(
    engine: &mut Engine,
    session: &mut Session,
    tokens: &[u32],
    options: &GenerateOptions,
    interrupt: &Interrupt,
) -> anyhow::Result<Answer> {
    let mut out = std::io::stdout().lock();
    let mut failed = None;
    let answer = session.generate(engine, tokens, options, |text| {
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        failed = written.err();
        failed.is_none() && !interrupt.pressed()
    })?;
    match failed {
        Some(error) => Err(error).context("cannot write the answer"),
        None => Ok(answer),
    }
}

/// What the flags ask for.
pub(super) fn options(run: &Run) -> GenerateOptions {
    let mut options = GenerateOptions::default();
    options.max_tokens = run.max_tokens;
    options.stop.clone_from(&run.stop);
    options.sampler = sampler(&run.sampling);
    options.speculation = speculation(run.speculate);
    options
}

/// Whether tokens are guessed.
pub(super) fn speculation(when: Speculate) -> Speculation {
    match when {
        Speculate::Auto => Speculation::Auto,
        Speculate::Wide => Speculation::Wide,
        Speculate::Always => Speculation::Always,
        Speculate::Off => Speculation::Off,
    }
}

fn sampler(sampling: &Sampling) -> SamplerOptions {
    let mut options = SamplerOptions::default();
    options.temperature = sampling.temperature;
    options.top_k = sampling.top_k;
    options.top_p = sampling.top_p;
    options.min_p = sampling.min_p;
    options.typical_p = sampling.typical_p;
    options.repetition_penalty = sampling.repetition_penalty;
    options.presence_penalty = sampling.presence_penalty;
    options.frequency_penalty = sampling.frequency_penalty;
    options.penalty_window = sampling.penalty_window;
    options.logit_bias.clone_from(&sampling.logit_bias);
    options.seed = sampling.seed.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.as_nanos() as u64
    });
    options
}

/// Speed and memory, on standard error.
pub(super) fn figures(engine: &Engine, answer: &Answer) {
    let rate = |r: Option<f64>| r.map_or("-".to_owned(), |r| format!("{r:.1} tokens/s"));
    let peak = rushlight_host::peak_rss_bytes().map_or("-".to_owned(), report::size);
    let guessed = match (answer.accepted_tokens, answer.drafted_tokens) {
        (_, 0) => String::new(),
        (right, all) => format!(", {right} of {all} guesses right"),
    };
    eprintln!(
        "\nprompt {} tokens, {} | answer {} tokens, {}{guessed} | first token {:.0} ms | peak memory {} | {} threads, {}{}",
        answer.prompt_tokens,
        rate(answer.prompt_rate()),
        answer.tokens.len(),
        rate(answer.decode_rate()),
        answer.first_token_time.as_secs_f64() * 1e3,
        peak,
        engine.threads(),
        engine.row().name(),
        match engine.model().weights_from() {
            WeightsFrom::Prepared => ", prepared weights",
            WeightsFrom::Memory => ", weights prepared in memory",
            _ => "",
        },
    );
    match answer.finish {
        Finish::Length => eprintln!("the answer was cut at `--max-tokens`"),
        Finish::Context => {
            eprintln!("the answer was cut: the context of {} is full", engine.context())
        }
        _ => {}
    }
}

fn to_json(
    engine: &Engine,
    answer: &Answer,
    options: &GenerateOptions,
    tops: Option<Value>,
) -> anyhow::Result<Value> {
    let model = engine.model();
    let tokenizer = model.tokenizer()?;
    let token = |c: &rushlight_engine::Choice| {
        json!({
            "id": c.token,
            "text": String::from_utf8_lossy(&tokenizer.token_bytes(c.token)),
            "logprob": c.log_probability,
        })
    };
    let mut value = json!({
        "text": answer.text,
        "finish": answer.finish.name(),
        "tokens": answer.tokens.iter().map(token).collect::<Vec<_>>(),
        "seed": options.sampler.seed,
        "usage": { "prompt_tokens": answer.prompt_tokens, "answer_tokens": answer.tokens.len() },
        "speculation": {
            "drafted_tokens": answer.drafted_tokens,
            "accepted_tokens": answer.accepted_tokens,
        },
        "timing": {
            "prompt_tokens_per_second": answer.prompt_rate(),
            "answer_tokens_per_second": answer.decode_rate(),
            "first_token_ms": answer.first_token_time.as_secs_f64() * 1e3,
        },
        "peak_memory_bytes": rushlight_host::peak_rss_bytes(),
        "threads": engine.threads(),
        "decode_threads": engine.decode_threads(),
        "kernels": engine.row().name(),
        "weights": model.weights_from().name(),
    });
    if let (Some(tops), Some(object)) = (tops, value.as_object_mut()) {
        object.insert("top_logprobs".to_owned(), tops);
    }
    Ok(value)
}

/// The likeliest tokens at each place of the answer, from one more pass over it.
fn logprobs(
    engine: &mut Engine,
    run: &Run,
    prompt: &[u32],
    answer: &Answer,
) -> anyhow::Result<Option<Value>> {
    let Some(n) = run.logprobs else { return Ok(None) };
    let model = engine.model().clone();
    let tokenizer = model.tokenizer()?;
    let row = engine.row();
    let sequence = engine.start_with(load::asked(engine))?;
    engine.prefill(sequence, prompt)?;
    let mut places = Vec::new();
    for choice in &answer.tokens {
        let logits = engine.output(0).unwrap_or_default();
        let tops = top_log_probabilities(row, logits, n);
        let top = |(id, logprob): &(u32, f32)| {
            let text = String::from_utf8_lossy(&tokenizer.token_bytes(*id)).into_owned();
            json!({ "id": id, "text": text, "logprob": logprob })
        };
        places.push(Value::Array(tops.iter().map(top).collect()));
        engine.prefill(sequence, &[choice.token])?;
    }
    engine.end(sequence);
    Ok(Some(Value::Array(places)))
}
