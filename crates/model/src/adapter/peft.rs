//! Adapters as Hugging Face's PEFT saves them: `adapter_config.json` and
//! `adapter_model.safetensors`.
//!
//! Keys are those of `LoraConfig`; what `LoraModel` and `LoraLayer` make of them holds here, too.

use std::path::Path;

use regex::RegexBuilder;
use rushlight_formats::HfConfig;
use serde_json::Value;

use super::file::{AdapterFile, Half, Halves};
use crate::checkpoint::{open_mapped, read_small, read_tensors};
use crate::names::{Traits, rename};
use crate::{Error, ErrorKind};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

/// Keys that make the adapter compute something else, and what may be done then.
const REFUSED: &[(&str, &str)] = &[
    ("use_dora", MERGE),
    ("use_qalora", MERGE),
    ("use_bdlora", MERGE),
    ("lora_bias", MERGE),
    ("modules_to_save", MERGE),
    ("trainable_token_indices", MERGE),
    ("target_parameters", MERGE),
    ("layer_replication", MERGE),
    ("arrow_config", MERGE),
    ("kasa_config", MERGE),
    ("monteclora_config", MERGE),
    ("alora_invocation_tokens", "only adapters that work from the first token on run here"),
    ("invocation_string", "only adapters that work from the first token on run here"),
];

const MERGE: &str = "merge it into the model with PEFT's `merge_and_unload`";

/// Beginnings that leave the model's own weights as they are; others change them, too.
const KEEPING: &[&str] = &["gaussian", "eva", "orthogonal"];

/// Bytes of memory that a pattern of names may take when it is compiled.
const PATTERN_BYTES: usize = 1 << 16;

/// Patterns, at most: some for each matrix of the largest models.
const MOST_PATTERNS: usize = 4096;

pub(super) fn is_at(dir: &Path) -> bool {
    dir.join(CONFIG).is_file() && !dir.join("config.json").exists()
}

pub(super) fn read(dir: &Path) -> Result<AdapterFile, Error> {
    let path = dir.join(CONFIG);
    let bytes = read_small(&path)?.ok_or_else(|| {
        Error::new(ErrorKind::Read, format!("there is no `{CONFIG}`"))
            .with_hint("an adapter is a GGUF file or a directory as PEFT saves it")
            .at(dir)
    })?;
    let config = HfConfig::parse(&bytes)
        .map_err(Error::from)
        .and_then(|config| Config::new(&config))
        .map_err(|e| e.at(&path))?;
    let path = dir.join(WEIGHTS);
    if !path.exists() {
        return Err(Error::new(ErrorKind::Read, format!("there is no `{WEIGHTS}`"))
            .with_hint(
                "weights as PyTorch pickles can run code when read, and are not: convert to safetensors",
            )
            .at(dir));
    }
    tensors(&path, config).map_err(|e| e.at(&path))
}

fn tensors(path: &Path, config: Config) -> Result<AdapterFile, Error> {
    let mapping = open_mapped(path)?;
    let mut all = Vec::new();
    read_tensors(&mapping, &mut all)?;
    let mut halves = Halves::default();
    let mut head = None;
    for tensor in all {
        // Beside additions to the head PEFT saves the head itself, which the model has already.
        if tensor.name.ends_with("lm_head.base_layer.weight") {
            head = Some((tensor.name, tensor.shape));
            continue;
        }
        let (module, half) = parts(&tensor.name)?;
        let name = format!("{module}.weight");
        let Ok(Some(to)) = rename(&name, Traits::default()) else {
            return Err(Error::adapter(format!(
                "tensor `{}` adds to `{module}`, which no architecture here has",
                tensor.name
            )));
        };
        halves.put(to.name, to.expert, half, &tensor)?;
    }
    let factor = |a: &str, rank: usize| config.factor(parts(a)?.0, rank);
    let pairs = halves.pairs(factor)?;
    let (base, file_bytes) = (config.base, mapping.len() as u64);
    Ok(AdapterFile { kind: "PEFT", architecture: None, base, pairs, head, file_bytes })
}

/// The module of the model that a tensor belongs to, and which of its two matrices it is. Older
/// versions have the adapter's name between `lora_A` and `weight`.
fn parts(name: &str) -> Result<(&str, Half), Error> {
    let bare = name.strip_prefix("base_model.model.").unwrap_or(name);
    let marks = [(".lora_A.", Half::A), (".lora_B.", Half::B)];
    let found = marks.into_iter().find_map(|(mark, half)| {
        let (module, rest) = bare.split_once(mark)?;
        let leaf = rest.rsplit_once('.').map_or(rest, |(_, leaf)| leaf);
        (leaf == "weight").then_some((module, half))
    });
    found.ok_or_else(|| {
        let what = if name.contains(".lora_embedding_") {
            "an addition to embeddings, expected to matrices of layers or to the output"
        } else {
            "expected a name with `.lora_A.` or `.lora_B.`"
        };
        Error::adapter(format!("tensor `{name}`, {what}")).with_hint(MERGE)
    })
}

/// What matters of `adapter_config.json`.
struct Config {
    rank: usize,
    alpha: f32,
    /// By patterns of module names, the first that fits.
    ranks: Vec<(Pattern, f32)>,
    alphas: Vec<(Pattern, f32)>,
    /// Whether the factor is `alpha / sqrt(rank)` (Kalajdzievski 2023,
    /// <https://arxiv.org/abs/2312.03732>).
    by_root: bool,
    base: Option<String>,
}

impl Config {
    fn new(config: &HfConfig) -> Result<Self, Error> {
        let kind = config.need_str("peft_type")?;
        if kind != "LORA" {
            return Err(Error::adapter(format!("an adapter of type `{kind}`, expected `LORA`"))
                .with_hint(MERGE));
        }
        for (key, hint) in REFUSED {
            if let Some(value) = config.get(key).filter(|value| says_something(value)) {
                return Err(refused(key, &short(value)).with_hint(*hint));
            }
        }
        if let Some(bias) = config.str("bias")?.filter(|bias| *bias != "none") {
            return Err(refused("bias", bias).with_hint(MERGE));
        }
        if let Some(Value::String(begin)) = config.get("init_lora_weights")
            && !KEEPING.contains(&begin.as_str())
        {
            return Err(refused("init_lora_weights", begin).with_hint(
                "its model is not the original one: save it with `path_initial_model_for_weight_conversion`",
            ));
        }
        Ok(Self {
            rank: config.need_u32("r")? as usize,
            alpha: config.need_f32("lora_alpha")?,
            ranks: patterns(config, "rank_pattern")?,
            alphas: patterns(config, "alpha_pattern")?,
            by_root: config.bool("use_rslora")?.unwrap_or(false),
            base: config.str("base_model_name_or_path")?.map(str::to_owned),
        })
    }

    /// The factor of a module whose matrices have this rank.
    fn factor(&self, module: &str, rank: usize) -> Result<f32, Error> {
        let of = |list: &[(Pattern, f32)]| {
            list.iter().find(|(pattern, _)| pattern.0.is_match(module)).map(|found| found.1)
        };
        let told = of(&self.ranks).unwrap_or(self.rank as f32);
        if told != rank as f32 {
            return Err(Error::adapter(format!(
                "the matrices of `{module}` have a rank of `{rank}`, expected `{told}` by `{CONFIG}`"
            )));
        }
        let alpha = of(&self.alphas).unwrap_or(self.alpha);
        Ok(alpha / if self.by_root { (rank as f32).sqrt() } else { rank as f32 })
    }
}

/// A regular expression that the end of a module's name fits, from a dot on or whole (PEFT,
/// `get_pattern_key`).
struct Pattern(regex::Regex);

fn patterns(config: &HfConfig, key: &str) -> Result<Vec<(Pattern, f32)>, Error> {
    let Some(object) = config.object(key)? else { return Ok(Vec::new()) };
    let count = object.keys().count();
    if count > MOST_PATTERNS {
        return Err(Error::adapter(format!(
            "`{key}` of `{CONFIG}` has `{count}` patterns, expected at most `{MOST_PATTERNS}`"
        )));
    }
    let pattern = |name: &str| {
        let regex = RegexBuilder::new(&format!("^(?:.*\\.)?(?:{name})$"))
            .size_limit(PATTERN_BYTES)
            .build()
            .map_err(|e| {
                Error::adapter(format!("`{key}` of `{CONFIG}` has the unknown pattern `{name}`"))
                    .because(e)
            })?;
        Ok((Pattern(regex), object.need_f32(name)?))
    };
    object.keys().map(pattern).collect()
}

fn refused(key: &str, value: &str) -> Error {
    Error::adapter(format!(
        "`{key}` of `{CONFIG}` is `{value}`, with which adapters do not run here"
    ))
}

/// Whether a value is more than another way to say nothing.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => true,
    }
}

/// A value as an error shows it.
fn short(value: &Value) -> String {
    const SHOWN: usize = 60;
    let text = value.to_string();
    if text.chars().count() <= SHOWN {
        text
    } else {
        text.chars().take(SHOWN).collect::<String>() + "…"
    }
}
