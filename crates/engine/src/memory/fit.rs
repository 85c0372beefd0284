//! What would fit where something does not.

use rushlight_model::Model;

use super::{PAGE, Plan, available};
use crate::{CacheType, EngineOptions};

/// The least context that is taken where a smaller one than usual must do.
const LEAST: usize = 512;

impl EngineOptions {
    /// The context that a model gets which is run so, where none is asked for: the usual one, or the
    /// largest that memory holds. `None` where not even 512 positions, or the usual ones if these are
    /// fewer, fit. A cache that is larger than a context becomes smaller with it.
    pub fn fitting_context(&self, model: &Model) -> Option<usize> {
        let usual = model.dims().context.min(Self::DEFAULT_CONTEXT);
        largest(model, self, available(self), usual).filter(|found| *found >= LEAST.min(usual))
    }
}

/// The largest context up to `most` that fits, in whole pages; `None` if none does.
fn largest(model: &Model, options: &EngineOptions, available: u64, most: usize) -> Option<usize> {
    let fits = |context: usize| {
        let mut options = options.clone();
        options.context = Some(context);
        if context < most {
            options.positions = None;
        }
        Plan::of(model, &options).total_bytes() <= available
    };
    if fits(most) {
        return Some(most);
    }
    // All below `low` fit, none from `high` on does, in pages.
    let (mut low, mut high) = (0, most.div_ceil(PAGE));
    while low + 1 < high {
        let middle = low.midpoint(high);
        match fits(middle * PAGE) {
            true => low = middle,
            false => high = middle,
        }
    }
    (low > 0).then_some(low * PAGE)
}

/// The nearest things that would fit, in words.
pub(super) fn hint(available: u64, model: &Model, options: &EngineOptions) -> String {
    let most = options.context_of(model);
    let with = |kind: CacheType| {
        let mut options = options.clone();
        options.cache = kind;
        largest(model, &options, available, most).unwrap_or(0)
    };
    match (with(options.cache), with(CacheType::Q8_0)) {
        (0, 0) => {
            "what is there beside the cache does not fit: take a smaller quantisation of the \
                   model, or a smaller `--chunk`"
                .to_owned()
        }
        (0, smaller) => format!("a context of {smaller} with a q8_0 cache fits"),
        (same, smaller) if smaller > same => {
            format!("a context of {same} fits, with a q8_0 cache one of {smaller}")
        }
        (same, _) => format!("a context of {same} fits"),
    }
}
