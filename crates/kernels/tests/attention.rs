//! Paged attention: every row of this processor against softmax attention in double precision.

use rushlight_kernels::{
    Attend, AttendState, PAGE, Page, PageMut, Row, Scratch, Span, Visit, f16, rows,
};

/// Half a unit in the last place.
const U: f64 = 1.0 / (1u64 << 24) as f64;

/// A linear congruential generator (Knuth, MMIX), in -1..1.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    }

    fn vector(&mut self, n: usize, size: f32) -> Vec<f32> {
        (0..n).map(|_| self.next() * size).collect()
    }

    fn below(&mut self, end: usize) -> usize {
        ((f64::from(self.next()) + 1.0) / 2.0 * end as f64) as usize
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    F16,
    Q8,
}

/// A page that owns its memory, filled with what must never be read.
#[derive(Clone)]
struct Memory {
    kind: Kind,
    halves: [Vec<f16>; 2],
    bytes: [Vec<i8>; 2],
    scales: [Vec<f16>; 2],
}

impl Memory {
    fn garbage(kind: Kind, k: usize, garbage: f16) -> Self {
        let both = |n| [vec![garbage; n], vec![garbage; n]];
        let bytes = [vec![-128; k * PAGE], vec![-128; k * PAGE]];
        Self { kind, halves: both(k * PAGE), bytes, scales: both(k.div_ceil(32) * PAGE) }
    }

    fn page(&self) -> Page<'_> {
        let ([keys, values], [key_bytes, value_bytes]) = (&self.halves, &self.bytes);
        let [key_scales, value_scales] = &self.scales;
        match self.kind {
            Kind::F16 => Page::F16 { keys, values },
            Kind::Q8 => Page::Q8 { keys: key_bytes, key_scales, values: value_bytes, value_scales },
        }
    }

    fn page_mut(&mut self) -> PageMut<'_> {
        let [keys, values] = &mut self.halves;
        let [key_bytes, value_bytes] = &mut self.bytes;
        let [key_scales, value_scales] = &mut self.scales;
        match self.kind {
            Kind::F16 => PageMut::F16 { keys, values },
            Kind::Q8 => {
                PageMut::Q8 { keys: key_bytes, key_scales, values: value_bytes, value_scales }
            }
        }
    }

    /// What the page holds at a position: key and value.
    fn read(&self, k: usize, position: usize) -> [Vec<f64>; 2] {
        let at = |part: usize, i: usize| match (self.kind, part) {
            (Kind::F16, 0) => self.halves[0][i * PAGE + position].to_f64(),
            (Kind::F16, _) => self.halves[1][position * k + i].to_f64(),
            (Kind::Q8, 0) => {
                f64::from(self.bytes[0][i * PAGE + position])
                    * self.scales[0][i / 32 * PAGE + position].to_f64()
            }
            (Kind::Q8, _) => {
                f64::from(self.bytes[1][position * k + i])
                    * self.scales[1][position * k.div_ceil(32) + i / 32].to_f64()
            }
        };
        [0, 1].map(|part| (0..k).map(|i| at(part, i)).collect())
    }
}

struct Case {
    shape: Attend,
    queries: Vec<f32>,
    pages: Vec<Memory>,
    /// Per page and query.
    spans: Vec<Vec<Span>>,
}

impl Case {
    fn run(&self, row: &Row) -> Vec<f32> {
        self.run_in_parts(row, self.pages.len().max(1))
    }

    /// So many pages by a state of their own, then merged.
    fn run_in_parts(&self, row: &Row, pages: usize) -> Vec<f32> {
        let nq = self.queries.len() / self.shape.k;
        let fresh = || {
            let mut state = AttendState::default();
            state.reset(nq, self.shape.k);
            state
        };
        let (mut all, mut scratch) = (fresh(), Scratch::default());
        for (seen, spans) in self.pages.chunks(pages).zip(self.spans.chunks(pages)) {
            let mut state = fresh();
            for (i, (memory, spans)) in seen.iter().zip(spans).enumerate() {
                let next = seen.get(i + 1).map(Memory::page);
                let visit = Visit { page: memory.page(), next };
                let (shape, queries) = (&self.shape, &self.queries);
                row.attend_page(shape, queries, spans, visit, &mut scratch, &mut state);
            }
            all.merge(&state);
        }
        let mut out = vec![f32::NAN; nq * self.shape.k];
        all.finish(&mut out);
        out
    }

    /// The outputs of query `q` and their error bound.
    fn expected(&self, q: usize) -> (Vec<f64>, f64) {
        let Attend { k, scale, softcap } = self.shape;
        let query: Vec<f64> = self.queries[q * k..][..k].iter().map(|&x| f64::from(x)).collect();
        let (mut scores, mut seen, mut size) = (vec![], vec![], 0.0f64);
        for (page, spans) in self.pages.iter().zip(&self.spans) {
            for position in spans[q].start..spans[q].end {
                let [key, value] = page.read(k, position);
                let dot: f64 = query.iter().zip(&key).map(|(q, k)| q * k).sum();
                let norms: f64 = query.iter().zip(&key).map(|(q, k)| (q * k).abs()).sum();
                size = size.max(norms * f64::from(scale));
                let score = f64::from(scale) * dot;
                scores
                    .push(softcap.map_or(score, |c| f64::from(c) * (score / f64::from(c)).tanh()));
                seen.push(value);
            }
        }
        let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = scores.iter().map(|s| (s - max).exp()).sum();
        let largest = seen.iter().flatten().fold(0.0f64, |m, v| m.max(v.abs()));
        let out = |i: usize| {
            let weighted = scores.iter().zip(&seen).map(|(s, v)| (s - max).exp() * v[i]);
            if seen.is_empty() { 0.0 } else { weighted.sum::<f64>() / sum }
        };
        let size = size + softcap.map_or(0.0, f64::from);
        let bound = (k + 4 * seen.len() + 32) as f64 * U * largest * (1.0 + size);
        ((0..k).map(out).collect(), bound)
    }

    fn check(&self, what: &str, failures: &mut Vec<String>) {
        let k = self.shape.k;
        let want: Vec<_> = (0..self.queries.len() / k).map(|q| self.expected(q)).collect();
        let ways = [self.pages.len().max(1), 2, 1];
        for (row, pages) in rows().iter().flat_map(|row| ways.map(|pages| (*row, pages))) {
            let got = self.run_in_parts(row, pages);
            for (q, (got, (want, bound))) in got.chunks_exact(k).zip(&want).enumerate() {
                let errors = got.iter().zip(want).map(|(g, w)| (f64::from(*g) - w).abs());
                let passes = |error: &f64| *error <= *bound;
                if let Some(error) = errors.into_iter().find(|error| !passes(error)) {
                    failures.push(format!(
                        "{} {what} query {q}, {pages} pages a part: off by `{error:e}` > `{bound:e}`",
                        row.name()
                    ));
                }
            }
        }
    }
}

/// Pages written by the scalar row exactly where some span sees them.
fn case(
    shape: Attend,
    kind: Kind,
    garbage: f16,
    size: f32,
    spans: Vec<Vec<Span>>,
    random: &mut Random,
) -> Case {
    let k = shape.k;
    let nq = spans[0].len();
    let pages = spans.iter().map(|spans| {
        let mut memory = Memory::garbage(kind, k, garbage);
        for slot in (0..PAGE).filter(|p| spans.iter().any(|s| (s.start..s.end).contains(p))) {
            let (key, value) = (random.vector(k, size), random.vector(k, 2.0));
            rows()[0].store(&mut memory.page_mut(), slot, &key, &value);
        }
        memory
    });
    let pages = pages.collect();
    Case { shape, queries: random.vector(nq * k, size), pages, spans }
}

fn report(failures: &[String]) {
    let shown: Vec<_> = failures.iter().take(20).collect();
    assert!(failures.is_empty(), "{} failures: {shown:#?}", failures.len());
}

/// What a query of position `t` sees of a page that begins at `begin`, within a window.
fn causal(t: usize, window: usize, begin: usize) -> Span {
    let clip = |position: usize| position.saturating_sub(begin).min(PAGE);
    Span { start: clip((t + 1).saturating_sub(window)), end: clip(t + 1) }
}

#[test]
fn masks_of_every_kind_over_garbage() {
    let mut random = Random(1);
    let mut failures = vec![];
    for k in [1, 8, 20, 32, 64, 72, 80, 96, 100, 128, 256] {
        for kind in [Kind::F16, Kind::Q8] {
            for (t, tokens, group, window) in [
                (0, 1, 1, usize::MAX),
                (70, 1, 3, usize::MAX),
                (127, 1, 7, 30),
                (0, 13, 2, usize::MAX),
                (50, 40, 1, usize::MAX),
                (60, 21, 3, 9),
                (60, 25, 1, usize::MAX),
                (3, 29, 1, 11),
            ] {
                let softcap = (k == 64).then_some(20.0);
                let shape = Attend { k, scale: 1.0 / (k as f32).sqrt(), softcap };
                let pages = usize::div_ceil(t + tokens, PAGE);
                let spans = (0..pages).map(|page| {
                    let of = |q| causal(t + q / group, window, page * PAGE);
                    (0..tokens * group).map(of).collect()
                });
                for garbage in [f16::NAN, f16::INFINITY, f16::NEG_INFINITY] {
                    let case =
                        case(shape, kind, garbage, 2.0, spans.clone().collect(), &mut random);
                    let what = format!("{kind:?} k={k} t={t}+{tokens} x {group} window {window}");
                    case.check(&what, &mut failures);
                }
            }
        }
    }
    report(&failures);
}

/// Spans with nothing in common, and garbage between them.
#[test]
fn queries_do_not_see_each_others_positions() {
    let mut random = Random(2);
    let mut failures = vec![];
    let shape = Attend { k: 32, scale: 0.2, softcap: None };
    for kind in [Kind::F16, Kind::Q8] {
        for nq in [2, 3, 5, 17] {
            for _ in 0..10 {
                let spans = (0..3).map(|_| {
                    let span = |_| Span { start: random.below(PAGE), end: random.below(PAGE + 1) };
                    (0..nq).map(span).collect()
                });
                let spans: Vec<Vec<Span>> = spans.collect();
                let case = case(shape, kind, f16::NAN, 3.0, spans, &mut random);
                case.check(&format!("{kind:?} {nq} random spans"), &mut failures);
            }
            // One query sees an infinite value; its neighbour, who does not, stays finite.
            let mut spans = vec![Span { start: 0, end: 10 }; nq];
            spans[0].end = 11;
            let mut case = case(shape, kind, f16::NAN, 3.0, vec![spans], &mut random);
            let mut bad = [1.0; 32];
            bad[5] = f32::INFINITY;
            if kind == Kind::F16 {
                rows()[0].store(&mut case.pages[0].page_mut(), 10, &[0.5; 32], &bad);
            } else {
                case.pages[0].scales[1][10] = f16::INFINITY;
            }
            for row in rows() {
                let out = case.run(row);
                let (seer, others) = out.split_at(32);
                if !seer.iter().any(|x| !x.is_finite()) || others.iter().any(|x| !x.is_finite()) {
                    failures.push(format!("{} {kind:?} {nq}: an infinite value leaks", row.name()));
                }
            }
        }
    }
    report(&failures);
}

/// Many queries take other ways through a page than one does: to the same bits.
#[test]
fn a_query_does_not_depend_on_those_beside_it() {
    let mut random = Random(5);
    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    for k in [32, 64, 100, 128, 256] {
        for kind in [Kind::F16, Kind::Q8] {
            let shape = Attend { k, scale: 0.1, softcap: None };
            let spans = |page| (0..43).map(|q| causal(100 + q, 90, page * PAGE)).collect();
            let case = case(shape, kind, f16::ONE, 2.0, (0..3).map(spans).collect(), &mut random);
            let part = |queries: std::ops::Range<usize>| Case {
                shape,
                queries: case.queries[queries.start * k..queries.end * k].to_vec(),
                pages: case.pages.clone(),
                spans: case.spans.iter().map(|spans| spans[queries.clone()].to_vec()).collect(),
            };
            for row in rows() {
                let alone: Vec<_> = (0..43).flat_map(|q| bits(&part(q..q + 1).run(row))).collect();
                for nq in (23..=29).chain([43]) {
                    let same = bits(&part(0..nq).run(row)) == alone[..nq * k];
                    assert!(same, "{} {kind:?} k={k}: {nq} queries", row.name());
                }
            }
        }
    }
}

#[test]
fn extreme_scores() {
    let mut random = Random(3);
    let mut failures = vec![];
    for (size, scale) in [(0.0, 1.0), (1e-4, 1.0), (30.0, 1.0), (200.0, 0.1), (1.0, 1e-30)] {
        for nq in [1, 4, 24] {
            let shape = Attend { k: 64, scale, softcap: None };
            let spans = vec![vec![Span { start: 0, end: PAGE }; nq]; 3];
            let case = case(shape, Kind::F16, f16::NAN, size, spans, &mut random);
            case.check(&format!("size {size} scale {scale} nq {nq}"), &mut failures);
        }
    }
    report(&failures);
}

/// A far position counts for as little as it should, to the last places: the bound on outputs is of
/// the greatest value, which hides what is wrong with small weights.
#[test]
fn small_weights_keep_their_places() {
    let shape = Attend { k: 1, scale: 1.0, softcap: None };
    let mut memory = Memory::garbage(Kind::F16, 1, f16::NAN);
    rows()[0].store(&mut memory.page_mut(), 0, &[0.0], &[0.0]);
    rows()[0].store(&mut memory.page_mut(), 1, &[-1.0], &[1.0]);
    let queries: Vec<f32> = (0..9_000).map(|i| i as f32 * 1e-2).collect();
    let spans = vec![vec![Span { start: 0, end: 2 }; queries.len()]];
    let case = Case { shape, queries, pages: vec![memory], spans };
    let mut failures = vec![];
    for row in rows() {
        for (x, got) in case.queries.iter().zip(case.run(row)) {
            let (x, got) = (f64::from(*x), f64::from(got));
            let want = 1.0 / (1.0 + x.exp());
            // The score's rounding, then the exponential's; under the normal numbers it is zero.
            let bound = (12.0 + 2.0 * x) * U * want + 1.2e-38;
            let close = (got - want).abs() <= bound;
            if !close {
                failures.push(format!("{} {x}: {got:e}, not {want:e} +- {bound:e}", row.name()));
            }
        }
    }
    report(&failures);
}

#[test]
fn nothing_visible_gives_zeros() {
    let mut random = Random(4);
    for row in rows() {
        for spans in [vec![], vec![Span::default(); 3], vec![Span { start: 9, end: 2 }; 2]] {
            let (shape, nq) = (Attend { k: 8, scale: 1.0, softcap: None }, spans.len());
            let mut case = case(shape, Kind::F16, f16::NAN, 1.0, vec![spans; 2], &mut random);
            assert_eq!(case.run(row), vec![0.0; nq * 8], "{}", row.name());
            case.pages.clear();
            assert_eq!(case.run(row), vec![0.0; nq * 8], "{} no page", row.name());
        }
    }
}

/// A query whose every score is NaN says so.
#[test]
fn nan_is_not_hidden() {
    let mut random = Random(5);
    for row in rows() {
        for nq in [1, 9] {
            let shape = Attend { k: 32, scale: 1.0, softcap: None };
            let spans = vec![vec![Span { start: 3, end: 7 }; nq]];
            let mut case = case(shape, Kind::F16, f16::ZERO, 1.0, spans, &mut random);
            case.queries[5] = f32::NAN;
            let out = case.run(row);
            assert!(out[..32].iter().all(|x| x.is_nan()), "{} {nq}: {:?}", row.name(), &out[..32]);
            assert!(out[32..].iter().all(|x| x.is_finite()), "{} {nq} neighbours", row.name());
        }
    }
}

#[test]
fn rows_store_the_same_bits() {
    let mut random = Random(6);
    for row in rows() {
        for kind in [Kind::F16, Kind::Q8] {
            for k in [0, 1, 8, 31, 33, 64, 80, 100] {
                let (mut want, mut got) = (
                    Memory::garbage(kind, k, f16::NEG_INFINITY),
                    Memory::garbage(kind, k, f16::NEG_INFINITY),
                );
                for (slot, size) in [(0, 1.0), (1, 1e-6), (31, 6e4), (63, 1e9), (5, 0.0)] {
                    let (key, value) = (random.vector(k, size), random.vector(k, size));
                    rows()[0].store(&mut want.page_mut(), slot, &key, &value);
                    row.store(&mut got.page_mut(), slot, &key, &value);
                    if kind == Kind::Q8 && size == 1.0 {
                        let [key_back, value_back] = got.read(k, slot);
                        let pairs = key.iter().zip(key_back).chain(value.iter().zip(value_back));
                        for (x, back) in pairs {
                            let error = (f64::from(*x) - back).abs();
                            assert!(error <= 0.505 / 127.0, "{} k={k}: {x} is {back}", row.name());
                        }
                    }
                }
                let what = format!("{} {kind:?} k={k}", row.name());
                assert_eq!((&want.halves, &want.bytes), (&got.halves, &got.bytes), "{what}");
                assert_eq!(want.scales, got.scales, "{what} scales");
            }
        }
    }
}
