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
        self.fitting_context_beside(model, &|_| 0)
    }

    /// As [`EngineOptions::fitting_context`], where so many bytes are to be left for what comes beside, by
    /// the context.
    pub fn fitting_context_beside(
        &self,
        model: &Model,
        beside: &dyn Fn(usize) -> u64,
    ) -> Option<usize> {
        let usual = model.dims().context.min(Self::DEFAULT_CONTEXT);
        let found = largest(model, self, available(self), usual, beside);
        found.filter(|found| *found >= Self::least_context(model))
    }

    /// The least context that a model gets where none is asked for and memory is short.
    pub fn least_context(model: &Model) -> usize {
        LEAST.min(model.dims().context.min(Self::DEFAULT_CONTEXT))
    }
}

/// The largest context up to `most` that fits beside what takes so many bytes with it, in whole pages;
/// `None` if none does.
pub(super) fn largest(
    model: &Model,
    options: &EngineOptions,
    available: u64,
    most: usize,
    beside: &dyn Fn(usize) -> u64,
) -> Option<usize> {
    let fits = |context: usize| {
        let mut options = options.clone();
        options.context = Some(context);
        if context < most {
            options.positions = None;
        }
        Plan::of(model, &options).total_bytes().saturating_add(beside(context)) <= available
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
        largest(model, &options, available, most, &|_| 0).unwrap_or(0)
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
