//! The models that are to be served, and how.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;
use rushlight_engine::{Plan, Speculation};
use rushlight_server::ServerOptions;
use serde::Deserialize;

use crate::args::{Beside, KvType, Load, Lora, Serve, UseProfile, lora, memory};
use crate::commands::run;
use crate::load;

/// A model that is to be served.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) load: Load,
    pub(super) profile: UseProfile,
    /// What clients call it.
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    pub(super) pinned: bool,
    pub(super) priority: i32,
    pub(super) idle: Option<Duration>,
    /// Answers at once, where somebody says how many.
    pub(super) parallel: Option<usize>,
    pub(super) queue: usize,
    pub(super) cache: Option<usize>,
    /// A smaller model that guesses tokens.
    pub(super) draft: Option<String>,
    pub(super) speculation: Speculation,
    /// Adapters by their names.
    pub(super) lora: Vec<(String, Lora)>,
    /// Other models of these that answer in its place when a limit leaves nothing else.
    pub(super) smaller: Vec<String>,
    pub(super) keep: Option<PathBuf>,
    /// MiB.
    pub(super) keep_size: u64,
}

/// The file of `--models`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    model: Vec<Row>,
}

/// A model in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    source: String,
    name: Option<String>,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    pinned: bool,
    #[serde(default)]
    priority: i32,
    idle_minutes: Option<u64>,
    ctx: Option<usize>,
    memory: Option<Amount>,
    kv: Option<String>,
    chunk: Option<usize>,
    threads: Option<usize>,
    decode_threads: Option<usize>,
    parallel: Option<usize>,
    queue: Option<usize>,
    cache: Option<usize>,
    draft: Option<String>,
    #[serde(default)]
    lora: BTreeMap<String, String>,
    keep: Option<PathBuf>,
    keep_size: Option<u64>,
}

/// Answers at once if nobody says how many.
pub(super) const PARALLEL: usize = 64;
/// An amount of memory in the file: a number of MiB, or with a unit.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Amount {
    Mib(u64),
    Text(String),
}

impl Wanted {
    /// All that the command line and its file ask for, the one that is meant by no name first.
    pub(super) fn all(serve: &Serve) -> anyhow::Result<Vec<Self>> {
        let mut all = Vec::new();
        let of_model = [
            ("--name", serve.name.is_some()),
            ("--alias", !serve.alias.is_empty()),
            ("--draft", serve.draft.is_some()),
            ("--lora", !serve.lora.is_empty()),
            ("--keep", serve.keep.is_some()),
            ("--smaller", serve.govern.smaller.is_some()),
        ];
        if serve.load.model.is_empty() {
            if let Some((flag, _)) = of_model.iter().find(|(_, given)| *given) {
                bail!(
                    "`{flag}` is for MODEL, which is not given: say it in the file of `--models`"
                );
            }
        } else {
            let mut first = Self::of(serve, &serve.load.model);
            if let Some(name) = &serve.name {
                first.name.clone_from(name);
            }
            first.aliases.clone_from(&serve.alias);
            first.draft.clone_from(&serve.draft);
            first.lora.clone_from(&serve.lora);
            first.keep.clone_from(&serve.keep);
            first.pinned = true;
            all.push(first);
        }
        all.extend(serve.more.iter().map(|model| Self::of(serve, model)));
        if let Some(path) = &serve.models {
            let rows = read(path).with_context(|| format!("the models of `{}`", path.display()))?;
            for row in rows {
                let name = row.name.clone().unwrap_or_else(|| name_of(&row.source));
                let wanted = Self::of_row(serve, row);
                all.push(
                    wanted
                        .with_context(|| format!("the model `{name}` of `{}`", path.display()))?,
                );
            }
        }
        Ok(all)
    }

    /// A model that is run as the flags say.
    pub(super) fn of(serve: &Serve, model: &str) -> Self {
        let mut load = Load { model: model.to_owned(), ..serve.load.clone() };
        // What others take later changes nothing of how this one is run.
        load.memory = Some(models_bytes(serve));
        load.beside = Beside::Answers;
        Self {
            load,
            profile: serve.profile,
            name: name_of(model),
            aliases: Vec::new(),
            pinned: serve.pin,
            priority: 0,
            idle: minutes(serve.idle),
            parallel: serve.parallel,
            queue: serve.queue,
            cache: serve.cache,
            draft: None,
            speculation: run::speculation(serve.speculate),
            lora: Vec::new(),
            smaller: Vec::new(),
            keep: None,
            keep_size: serve.keep_size,
        }
    }

    fn of_row(serve: &Serve, row: Row) -> anyhow::Result<Self> {
        let mut wanted = Self::of(serve, &row.source);
        let load = &mut wanted.load;
        if let Some(kv) = &row.kv {
            let kind = KvType::from_str(kv, false)
                .map_err(|_| anyhow::anyhow!("`kv` is `{kv}`, expected one of those of `--kv`"))?;
            load.kv = Some(kind);
        }
        load.ctx = row.ctx.or(load.ctx);
        if let Some(amount) = &row.memory {
            let text = match amount {
                Amount::Mib(mib) => mib.to_string(),
                Amount::Text(text) => text.clone(),
            };
            let most = memory(&text).map_err(anyhow::Error::msg).context("`memory`")?;
            // Of this model alone, and no more than all have.
            load.memory = load.memory.map(|all| all.min(most));
        }
        load.threads = row.threads.or(load.threads);
        load.decode_threads = row.decode_threads.or(load.decode_threads);
        load.chunk = row.chunk.or(load.chunk);
        wanted.name = row.name.unwrap_or(wanted.name);
        wanted.aliases = row.aliases;
        wanted.pinned |= row.pinned;
        wanted.priority = row.priority;
        wanted.idle = row.idle_minutes.map_or(wanted.idle, minutes);
        wanted.parallel = row.parallel.or(wanted.parallel);
        wanted.queue = row.queue.unwrap_or(wanted.queue);
        wanted.cache = row.cache.or(wanted.cache);
        wanted.draft = row.draft;
        for (name, path) in &row.lora {
            let lora = lora(path).map_err(anyhow::Error::msg);
            wanted.lora.push((name.clone(), lora.with_context(|| format!("`lora.{name}`"))?));
        }
        wanted.keep = row.keep;
        wanted.keep_size = row.keep_size.unwrap_or(wanted.keep_size);
        if wanted.parallel == Some(0) {
            bail!("`parallel` is `0`, expected at least 1");
        }
        Ok(wanted)
    }
}

/// What all models of a server may take: all but what the process takes beside.
pub(super) fn models_bytes(serve: &Serve) -> u64 {
    let memory = load::memory_bytes(&serve.load);
    memory.saturating_sub(process_bytes(serve, memory))
}

/// What a server takes beside its models of so much memory.
pub(super) fn process_bytes(serve: &Serve, memory: u64) -> u64 {
    let mut options = ServerOptions::default();
    options.most_body_bytes = serve.listen.max_body.saturating_mul(1024);
    options.memory_bytes = Some(memory);
    Plan::PROCESS_BYTES + options.requests_bytes()
}

/// Reads the file of `--models`.
fn read(path: &Path) -> anyhow::Result<Vec<Row>> {
    let text = std::fs::read_to_string(path)?;
    let listed: Listed = toml::from_str(&text)?;
    if listed.model.is_empty() {
        bail!("there are none, expected a table `[[model]]` with a `source` for each");
    }
    Ok(listed.model)
}

/// 0 is for good.
fn minutes(minutes: u64) -> Option<Duration> {
    (minutes > 0).then(|| Duration::from_secs(minutes.saturating_mul(60)))
}

/// What clients call a model that is asked for like this.
fn name_of(model: &str) -> String {
    let path = Path::new(model);
    if !path.exists() {
        return model.to_owned();
    }
    let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
    name.map_or_else(|| model.to_owned(), |name| name.to_string_lossy().into_owned())
}
