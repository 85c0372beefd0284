//! `show`: what a model is and what it needs.

mod adapter;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use rushlight_engine::{CacheType, EngineOptions, Plan};
use rushlight_kernels::best;
use rushlight_model::{AdapterFile, Ffn, Matrix, Model};
use serde_json::{Value, json};

use super::store::to_json;
use crate::args::{Args, Show};
use crate::load;
use crate::prepare::Unprepared;
use crate::report::size;

/// Shows a model, or an adapter of one.
pub(crate) fn show(args: &Args, show: &Show) -> anyhow::Result<ExitCode> {
    if AdapterFile::is_at(show.model.as_ref()) {
        return adapter::show(show);
    }
    let store = load::store(args)?;
    let resolved = load::resolve(args, &show.model)?;
    let model =
        Model::open(&resolved.path).with_context(|| format!("cannot load `{}`", show.model))?;
    let model = Arc::new(model);
    if let Some(unprepared) = Unprepared::of(&store, &resolved, &model, best()) {
        unprepared.attach();
    }
    let context = show.ctx.unwrap_or(model.dims().context.min(EngineOptions::DEFAULT_CONTEXT));
    let chunk = EngineOptions::default().chunk.min(context);
    let plans = [CacheType::F16, CacheType::Q8_0].map(|kv| Plan::new(&model, kv, context, chunk));
    let groups = groups(&model);
    let entry = match &resolved.name {
        Some(name) => Some(store.show(&name.to_string())?.entry),
        None => None,
    };
    let mut out = std::io::stdout().lock();
    let dims = model.dims();
    let license = model.license().or(entry.as_ref().and_then(|e| e.license.as_deref()));
    if show.json {
        let value = json!({
            "store": entry.as_ref().map(|entry| to_json(&store, entry)),
            "name": model.name(),
            "architecture": model.arch().name,
            "license": license,
            "layers": dims.layers.len(),
            "width": dims.d,
            "query_heads": dims.h,
            "key_value_heads": dims.g,
            "head_width": dims.k,
            "feed_forward_width": dims.f,
            "vocabulary": dims.v,
            "trained_context": dims.context,
            "chat_template": model.has_chat_template(),
            "purpose": purpose(&model),
            "pooling": (!model.writes()).then(|| model.pooling().name()),
            "tensor_groups": groups.iter().map(|(name, g)| g.to_json(name)).collect::<Vec<_>>(),
            "context": context,
            "memory_bytes": { "f16": plans[0].total_bytes(), "q8_0": plans[1].total_bytes() },
        });
        writeln!(out, "{value}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut line = |what: &str, value: String| writeln!(out, "{what:14}{value}");
    line("name", model.name().unwrap_or("-").to_owned())?;
    if let Some(entry) = &entry {
        line("in the store", format!("{} ({})", entry.name, entry.digest))?;
        if let bytes @ 1.. = store.prepared_bytes(&entry.digest) {
            line("prepared", format!("{} for the kernels of this processor", size(bytes)))?;
        }
        line("source", entry.source.as_deref().unwrap_or("-").to_owned())?;
    }
    line("licence", license.unwrap_or("not stated").to_owned())?;
    let heads = format!("{} heads of {} ({} key/value)", dims.h, dims.k, dims.g);
    line(
        "architecture",
        format!("{}, {} layers of width {}, {heads}", model.arch().name, dims.layers.len(), dims.d),
    )?;
    line("vocabulary", dims.v.to_string())?;
    line("context", format!("{} trained", dims.context))?;
    if !model.writes() {
        line("purpose", format!("{}, pooling `{}`", purpose(&model), model.pooling().name()))?;
    }
    let template = if model.has_chat_template() { "in the file" } else { "none, built-in used" };
    line("chat template", template.to_owned())?;
    for (name, group) in &groups {
        line(name, format!("{} in {}", size(group.bytes), group.formats()))?;
    }
    for (plan, kv) in plans.iter().zip(["f16", "q8_0"]) {
        line(
            "memory",
            format!(
                "{} at a context of {context} with a {kv} cache (weights {}, cache {}, activations {}, \
                 process {})",
                size(plan.total_bytes()),
                size(plan.all_weights_bytes()),
                size(plan.cache_bytes),
                size(plan.buffers_bytes),
                size(plan.process_bytes)
            ),
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What it is for.
fn purpose(model: &Model) -> &'static str {
    match (model.ranks(), model.embeds()) {
        (true, _) => "rerank",
        (false, true) => "embed",
        (false, false) => "generate",
    }
}

/// Matrices with the same task.
#[derive(Default)]
struct Group {
    bytes: u64,
    /// How many matrices have which format.
    counts: BTreeMap<String, usize>,
}

impl Group {
    fn add(&mut self, matrix: &Matrix) {
        self.bytes += matrix.data().len() as u64;
        *self.counts.entry(matrix.format().to_string()).or_default() += 1;
    }

    fn formats(&self) -> String {
        let all: Vec<_> = self.counts.iter().map(|(f, n)| format!("{f} x{n}")).collect();
        all.join(", ")
    }

    fn to_json(&self, name: &str) -> Value {
        json!({ "group": name, "bytes": self.bytes, "formats": self.counts })
    }
}

fn groups(model: &Model) -> Vec<(&'static str, Group)> {
    let weights = model.weights();
    let [mut embedding, mut attention, mut forward, mut output] =
        [(); 4].map(|()| Group::default());
    embedding.add(&weights.embedding);
    weights.positions.iter().for_each(|p| embedding.add(p));
    for layer in &weights.layers {
        for linear in [&layer.q, &layer.k, &layer.v, &layer.o] {
            attention.add(&linear.weight);
        }
        let parts = match &layer.ffn {
            Ffn::Dense(ffn) => std::slice::from_ref(ffn),
            Ffn::Experts { router, experts } => {
                forward.add(&router.weight);
                experts
            }
        };
        for part in parts {
            for linear in part.gate.iter().chain([&part.up, &part.down]) {
                forward.add(&linear.weight);
            }
        }
    }
    output.add(&weights.output.weight);
    if let Some(classifier) = &weights.classifier {
        classifier.dense.iter().chain([&classifier.output]).for_each(|l| output.add(&l.weight));
    }
    vec![
        ("embedding", embedding),
        ("attention", attention),
        ("feed-forward", forward),
        ("output", output),
    ]
}
