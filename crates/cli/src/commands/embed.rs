//! `embed`: texts as vectors; with a query, how well each text fits it.

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::mpsc;

use anyhow::{Context, bail};
use rushlight_engine::{
    EmbedEvent, EmbedOptions, EmbedRequest, EmbedSink, EmbedText, Scheduler, SchedulerOptions,
};
use rushlight_model::Model;
use rushlight_text::EncodeOptions;
use serde_json::json;

use crate::args::{Args, Embed};
use crate::{load, prepare};

/// Values of a vector that a table shows.
const SHOWN_VALUES: usize = 4;
/// Characters of a text that a table shows.
const SHOWN_CHARS: usize = 48;

/// Embeds texts.
pub(crate) fn embed(args: &Args, options: &Embed) -> anyhow::Result<ExitCode> {
    let texts = texts(options)?;
    let (model, unprepared) = load::model(args, &options.load)?;
    if model.ranks() && options.query.is_none() {
        bail!("`{}` scores texts for a query, expected `--query`", options.load.model);
    }
    let (none, load) = (load::ToCome::default(), &options.load);
    let engine = load::shared_engine(args, load, 1, None, model.clone(), Vec::new(), none)?;
    let mut scheduler = Scheduler::new(engine, &SchedulerOptions::default());
    let mut encoded = Vec::with_capacity(texts.len() + 1);
    // Vectors are compared with the query's, which comes first.
    let query = options.query.as_deref().filter(|_| !model.ranks());
    for text in query.into_iter().chain(texts.iter().map(String::as_str)) {
        encoded.push(tokens(&model, text, options.query.as_deref().filter(|_| model.ranks()))?);
    }
    let counts: Vec<usize> = encoded.iter().map(|text| text.tokens.len()).collect();
    let mut how = EmbedOptions::default();
    how.dimensions = options.dimensions;
    let (sink, heard) = mpsc::channel();
    scheduler.submit_embed(EmbedRequest::new(encoded, how, Box::new(Told(sink))))?;
    while scheduler.step()? {}
    let mut vectors: Vec<Vec<f32>> = heard.iter().collect::<Result<_, _>>()?;
    let query = query.map(|_| vectors.remove(0));
    let counts = &counts[counts.len() - texts.len()..];
    let mut out = std::io::stdout().lock();
    for (i, (text, vector)) in texts.iter().zip(&vectors).enumerate() {
        let score = match (&query, model.ranks()) {
            (Some(query), _) => Some(dot(query, vector)),
            (None, true) => Some(1.0 / (1.0 + (-vector[0]).exp())),
            (None, false) => None,
        };
        let mut value = json!({ "index": i, "tokens": counts[i] });
        match score {
            Some(score) => value["score"] = json!(score),
            None => value["embedding"] = json!(vector),
        }
        if options.json {
            writeln!(out, "{value}")?;
            continue;
        }
        let shown: String = text.chars().take(SHOWN_CHARS).collect();
        match score {
            Some(score) => writeln!(out, "{score:8.4}  {shown}")?,
            None => {
                let values: Vec<_> =
                    vector.iter().take(SHOWN_VALUES).map(|x| format!("{x:8.4}")).collect();
                writeln!(out, "{} … of {}  {shown}", values.join(" "), vector.len())?;
            }
        }
    }
    out.flush()?;
    prepare::afterwards(unprepared, &|| false);
    Ok(ExitCode::SUCCESS)
}

/// The texts of the command line, of a file or of standard input.
fn texts(options: &Embed) -> anyhow::Result<Vec<String>> {
    let lines = |read: &mut dyn BufRead| read.lines().collect::<Result<Vec<_>, _>>();
    let texts = match &options.file {
        Some(path) => {
            let file = std::fs::File::open(path);
            let lines = file.and_then(|file| lines(&mut std::io::BufReader::new(file)));
            lines.with_context(|| format!("cannot read `{}`", path.display()))?
        }
        None if !options.texts.is_empty() => options.texts.clone(),
        None if std::io::stdin().is_terminal() => Vec::new(),
        None => lines(&mut std::io::stdin().lock()).context("cannot read standard input")?,
    };
    if texts.is_empty() {
        bail!("there is no text, expected some as arguments, in `--file` or on standard input");
    }
    Ok(texts)
}

fn tokens(model: &Model, text: &str, query: Option<&str>) -> anyhow::Result<EmbedText> {
    if let Some(query) = query {
        let pair = model.encode_pair(query, text)?;
        return Ok(EmbedText { tokens: pair.ids, segments: pair.segments });
    }
    let options = EncodeOptions { special: true, parse_special: false };
    let tokens = model.tokenizer()?.encode(text, options)?;
    Ok(EmbedText { tokens, segments: Vec::new() })
}

/// Of vectors of length 1 the cosine of their angle.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Passes on what it hears.
struct Told(mpsc::Sender<Result<Vec<f32>, rushlight_engine::Error>>);

impl EmbedSink for Told {
    fn event(&mut self, event: EmbedEvent<'_>) -> bool {
        match event {
            EmbedEvent::Vector { values, .. } => self.0.send(Ok(values.to_vec())).is_ok(),
            EmbedEvent::Failed(error) => self.0.send(Err(error)).is_ok(),
            _ => true,
        }
    }
}
