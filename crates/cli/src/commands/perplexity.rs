//! `perplexity`: how well a model predicts a text, alone or beside another engine.
//!
//! The windowing is that of llama.cpp's `llama-perplexity`: the text is cut into windows, each is
//! run on its own (its first token replaced by BOS where the model wants one), and the tokens of
//! its second half are scored.

mod baseline;

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, bail};
use rushlight_engine::{Batch, Engine};
use rushlight_text::EncodeOptions;
use serde_json::json;

use crate::args::{Args, Perplexity};
use crate::{load, prepare};
use baseline::{Agreement, Baseline};

/// Measures a model on a text.
pub(crate) fn perplexity(args: &Args, options: &Perplexity) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(&options.file)
        .with_context(|| format!("cannot read `{}`", options.file.display()))?;
    let (model, unprepared) = load::model(args, &options.load)?;
    let adapters = load::adapters(&model, &options.adapters)?;
    let none = load::ToCome::default();
    let mut engine = load::engine(args, &options.load, model.clone(), adapters, none)?;
    let window = options.window;
    if window < 4 || window > engine.context() {
        bail!("a window of `{window}` tokens, expected 4 to the context of `{}`", engine.context());
    }
    let mut baseline = options.against.as_deref().map(Baseline::open).transpose()?;
    if let Some(baseline) = &baseline {
        baseline.check(window, model.dims().v)?;
    }
    let encode = EncodeOptions { special: true, parse_special: false };
    let tokens = model.tokenizer()?.encode(&text, encode)?;
    let count = (tokens.len() / window).min(options.windows.unwrap_or(usize::MAX));
    if count == 0 {
        bail!("the text has `{}` tokens, expected at least one window of `{window}`", tokens.len());
    }
    let (mut sum, mut square, mut scored) = (0.0, 0.0, 0usize);
    let mut agreement = Agreement::default();
    for (i, part) in tokens.chunks_exact(window).take(count).enumerate() {
        let part = with_bos(&engine, part)?;
        if let Some(baseline) = &baseline {
            baseline.check_tokens(i, &part)?;
        }
        for (place, logits) in second_half(&mut engine, &part)? {
            let surprise = -log_probability(&logits, part[place + 1]);
            sum += surprise;
            square += surprise * surprise;
            scored += 1;
            if let Some(baseline) = &mut baseline {
                agreement.add(&baseline.next()?, &logits);
            }
        }
        eprint!("\r{} of {count} windows, perplexity {:.4}", i + 1, (sum / scored as f64).exp());
    }
    eprintln!();
    let mean = sum / scored as f64;
    let error = ((square / scored as f64 - mean * mean) / (scored as f64 - 1.0)).max(0.0).sqrt();
    let mut value = json!({
        "perplexity": mean.exp(),
        "standard_error": error * mean.exp(),
        "tokens": scored,
        "windows": count,
        "kernels": engine.row().name(),
        "weights": model.weights_from().name(),
    });
    let mut line =
        format!("perplexity {:.4} +- {:.4} over {scored} tokens", mean.exp(), error * mean.exp());
    if baseline.is_some() {
        value["kl_divergence"] = json!(agreement.mean_divergence());
        value["same_top"] = json!(agreement.same_top());
        line += &format!(
            "\nKL divergence {:.6}, same top token {:.2} %",
            agreement.mean_divergence(),
            agreement.same_top() * 100.0
        );
    }
    let mut out = std::io::stdout().lock();
    if options.json {
        writeln!(out, "{value}")?
    } else {
        writeln!(out, "{line}")?
    }
    out.flush()?;
    prepare::afterwards(unprepared, &|| false);
    Ok(ExitCode::SUCCESS)
}

fn with_bos(engine: &Engine, part: &[u32]) -> anyhow::Result<Vec<u32>> {
    let tokenizer = engine.model().tokenizer()?;
    let mut part = part.to_vec();
    if let (true, Some(bos), Some(first)) =
        (tokenizer.adds_bos(), tokenizer.bos(), part.first_mut())
    {
        *first = bos;
    }
    Ok(part)
}

/// The logits that predict the tokens of a window's second half, with the place they stand at.
fn second_half(engine: &mut Engine, part: &[u32]) -> anyhow::Result<Vec<(usize, Vec<f32>)>> {
    let sequence = engine.start_with(load::asked(engine))?;
    let first = part.len() / 2;
    let mut all = Vec::new();
    let mut place = 0;
    for chunk in part.chunks(engine.chunk()) {
        let mut batch = Batch::new();
        for token in chunk {
            let wanted = place >= first && place + 1 < part.len();
            batch.extend(sequence, &[*token], wanted);
            if wanted {
                all.push((place, Vec::new()));
            }
            place += 1;
        }
        engine.forward(&batch)?;
        let empty: Vec<_> = all.iter_mut().filter(|(_, logits)| logits.is_empty()).collect();
        for (i, (_, logits)) in empty.into_iter().enumerate() {
            logits.extend_from_slice(engine.output(i).unwrap_or_default());
        }
    }
    engine.end(sequence);
    Ok(all)
}

fn log_probability(logits: &[f32], token: u32) -> f64 {
    let logit = logits.get(token as usize).copied().unwrap_or(f32::NAN);
    f64::from(logit) - log_sum(logits)
}

/// `ln sum exp`.
fn log_sum(logits: &[f32]) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|l| f64::from((l - max).exp())).sum();
    f64::from(max) + sum.ln()
}
