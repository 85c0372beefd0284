//! Which panels are read together.

/// Panels that meet activations together: `count` of them, each `apart` panels after the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Set {
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) apart: usize,
}

/// Cuts `all` panels into sets of `streams` that are far apart, what is left into sets of up to
/// `neighbours`. With few tokens the processor waits for weights: it fetches several long streams
/// faster than one. With one stream or none, all are neighbours.
pub(crate) fn sets(
    all: usize,
    streams: usize,
    neighbours: usize,
) -> impl Iterator<Item = Set> + Clone {
    let run = if streams > 1 { all / streams } else { 0 };
    let apart = (0..run).map(move |first| Set { first, count: streams, apart: run });
    let rest = (run * streams..all).step_by(neighbours);
    let rest = rest.map(move |first| Set { first, count: neighbours.min(all - first), apart: 1 });
    apart.chain(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_cover_every_panel_once() {
        for all in 0..40 {
            for (streams, neighbours) in [(4, 2), (4, 1), (2, 1), (1, 4), (1, 2), (0, 1)] {
                let mut times = vec![0; all];
                for Set { first, count, apart } in sets(all, streams, neighbours) {
                    (0..count).for_each(|p| times[first + p * apart] += 1);
                }
                assert_eq!(times, vec![1; all], "{all} by {streams} and {neighbours}");
            }
        }
    }
}
