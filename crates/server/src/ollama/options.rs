//! `options`: how an answer is written.

use rushlight_engine::{GenerateOptions, SamplerOptions};
use serde_json::Value;

use super::schema::OPTIONS;
use crate::failure::Failure;
use crate::fields::{Fields, wrong};
use crate::openai::parameters::stops;
use crate::random::random;
use crate::worker::Served;

/// What says how a model is loaded or run and changes no answer.
pub(super) const IGNORED: [&str; 13] = [
    "numa",
    "num_batch",
    "num_gpu",
    "main_gpu",
    "num_thread",
    "low_vram",
    "f16_kv",
    "logits_all",
    "vocab_only",
    "embedding_only",
    "use_mmap",
    "use_mlock",
    "num_keep",
];

/// Ways of sampling that this server has not, and the values that turn them off.
const OFF: [(&str, f64); 2] = [("mirostat", 0.0), ("tfs_z", 1.0)];

/// Ollama's defaults (`DefaultOptions` in its `api/types.go`).
const TEMPERATURE: f32 = 0.8;
const TOP_K: i64 = 40;
const TOP_P: f32 = 0.9;
const REPEAT_PENALTY: f32 = 1.1;
const REPEAT_LAST_N: i64 = 64;

/// Reads the options of a request.
pub(super) fn read(served: &Served, fields: Option<Fields>) -> Result<GenerateOptions, Failure> {
    let mut fields = match fields {
        Some(fields) => fields,
        None => Fields::new(Value::Object(serde_json::Map::new()), "options")?,
    };
    for name in IGNORED {
        fields.take(name);
    }
    off(&mut fields)?;
    context(served, &mut fields)?;
    let mut options = GenerateOptions::default();
    // Not above 0 is as long as the model likes.
    let most = fields.integer("num_predict", -2..=u32::MAX.into())?;
    options.max_tokens = most.filter(|most| *most > 0).map(|most| most as usize);
    options.stop = stops(&mut fields, "stop")?;
    options.sampler = sampler(served, &mut fields)?;
    fields.end(&OPTIONS)?;
    Ok(options)
}

/// Takes what must be off.
fn off(fields: &mut Fields) -> Result<(), Failure> {
    let unsupported = |name: String| {
        let message = format!("`{name}` is not supported by this server");
        Err(Failure::unsupported(name, message))
    };
    for (name, neutral) in OFF {
        if fields.take(name).is_some_and(|value| value.as_f64() != Some(neutral)) {
            return unsupported(fields.name(name));
        }
    }
    // They are of mirostat, which is off.
    fields.take("mirostat_tau");
    fields.take("mirostat_eta");
    if fields.flag("penalize_newline")? == Some(false) {
        return unsupported(fields.name("penalize_newline"));
    }
    Ok(())
}

/// Takes the length of the context, which cannot grow.
fn context(served: &Served, fields: &mut Fields) -> Result<(), Failure> {
    let asked = fields.integer("num_ctx", 1..=u32::MAX.into())?;
    match asked.filter(|asked| usize::try_from(*asked).is_ok_and(|n| n > served.context)) {
        None => Ok(()),
        Some(asked) => {
            let want = format!("at most the `{}` that the server was started with", served.context);
            Err(wrong(&fields.name("num_ctx"), &asked.into(), &want))
        }
    }
}

fn sampler(served: &Served, fields: &mut Fields) -> Result<SamplerOptions, Failure> {
    let mut options = SamplerOptions::default();
    (options.temperature, options.top_p) = (TEMPERATURE, TOP_P);
    options.repetition_penalty = REPEAT_PENALTY;
    let numbers = [
        ("temperature", 0.0, 100.0, &mut options.temperature),
        ("top_p", 0.0, 1.0, &mut options.top_p),
        ("min_p", 0.0, 1.0, &mut options.min_p),
        ("typical_p", 0.0, 1.0, &mut options.typical_p),
        ("repeat_penalty", 0.01, 100.0, &mut options.repetition_penalty),
        ("presence_penalty", -2.0, 2.0, &mut options.presence_penalty),
        ("frequency_penalty", -2.0, 2.0, &mut options.frequency_penalty),
    ];
    for (name, least, most, option) in numbers {
        if let Some(number) = fields.number(name, least..=most)? {
            *option = number as f32;
        }
    }
    // Not above 0 is all.
    let top_k = fields.integer("top_k", -1..=u32::MAX.into())?.unwrap_or(TOP_K);
    options.top_k = top_k.max(0) as usize;
    let recent = fields.integer("repeat_last_n", -1..=u32::MAX.into())?.unwrap_or(REPEAT_LAST_N);
    options.penalty_window = match recent {
        -1 => served.context,
        recent => (recent as usize).min(served.context),
    };
    // -1 is none.
    let seed = fields.integer("seed", i64::MIN..=i64::MAX)?.filter(|seed| *seed != -1);
    options.seed = seed.map_or_else(random, |seed| seed as u64);
    Ok(options)
}
