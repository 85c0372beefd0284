//! Smaller variants of a model, which answer when a limit of watts or heat leaves nothing else.

use anyhow::bail;

use super::say;
use super::wanted::Wanted;
use crate::args::{Args, Serve};
use crate::room;

/// What is said for none.
const OFF: &str = "off";
/// What a name may end with that means the same.
const LATEST: &str = ":latest";
/// The size of a variant, as a share of the model's, where it is not known yet.
const UNKNOWN: f64 = 0.5;

/// Adds the variants of MODEL to the models that are wanted; gives their sizes, as shares of its.
pub(super) fn add(
    args: &Args,
    serve: &Serve,
    wanted: &mut Vec<Wanted>,
) -> anyhow::Result<Vec<f64>> {
    let (asked, model) = (serve.govern.smaller.as_deref(), serve.load.model.as_str());
    if serve.govern.limits().is_empty() {
        if asked.is_some() {
            bail!(
                "`--smaller` is for a limit, and there is none: say one, such as `--max-celsius 75`"
            );
        }
        return Ok(Vec::new());
    }
    if model.is_empty() || asked == Some(OFF) {
        return Ok(Vec::new());
    }
    let found = match asked {
        Some(asked) => {
            let size = |path| std::fs::metadata(path).map(|meta| meta.len() as f64);
            let share = size(asked).and_then(|smaller| Ok(smaller / size(model)?.max(1.0)));
            vec![(asked.to_owned(), share.unwrap_or(UNKNOWN))]
        }
        // A store that cannot be read says so where the model is looked for.
        None => room::variants(args, model).unwrap_or_default(),
    };
    let mut shares = Vec::new();
    for (source, share) in found {
        let small = Wanted { pinned: false, priority: i32::MIN, ..Wanted::of(serve, &source) };
        let name = small.name.clone();
        let plain = |name: &str| name.strip_suffix(LATEST).unwrap_or(name).to_owned();
        let has_name = |other: &Wanted| {
            let adapters = other.lora.iter().map(|(name, _)| name);
            let mut names = std::iter::once(&other.name).chain(&other.aliases).chain(adapters);
            names.any(|other| plain(other) == plain(&name))
        };
        match wanted.iter().find(|other| has_name(other)) {
            None => wanted.push(small),
            // One that is served anyway.
            Some(other) if other.load.model == source && other.name == name => {}
            Some(_) if asked.is_none() => continue,
            Some(_) => bail!("another model is called `{name}`, as the smaller variant is"),
        }
        if let Some(first) = wanted.first_mut() {
            first.smaller.push(name.clone());
        }
        say(&format!(
            "governor: `{name}` answers when nothing else is left; `--smaller {OFF}` has none do so"
        ));
        shares.push(share.clamp(0.05, 1.0));
    }
    Ok(shares)
}
