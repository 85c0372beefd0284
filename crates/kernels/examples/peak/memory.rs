//! Reading memory that no cache holds.
#![expect(unsafe_code, reason = "huge pages are asked for by address, as is prefetching")]

use std::hint::black_box;
use std::time::Duration;

use rushlight_host::Pool;

use super::best;

/// Bytes for each thread: beyond the last-level cache's share of any core there is.
const BYTES: usize = 160 << 20;
/// Bytes that a loop's body takes from each stream.
const STEP: usize = 256;
/// How far ahead prefetching asks: as the kernels do.
const AHEAD: usize = 1024;

/// Bytes per second of all threads together, by the fastest way of reading that we know.
pub(crate) fn read_rate(pool: &Pool, time: Duration) -> f64 {
    let bytes = huge(pool.threads() * BYTES);
    let parts: Vec<&[u64]> = bytes.chunks_exact(BYTES / 8).collect();
    let ways: [fn(&[u64]) -> u64; 3] = [read::<1>, read::<2>, read::<4>];
    let each = time / ways.len() as u32;
    let run = |way: fn(&[u64]) -> u64| {
        best(each, || {
            pool.run(&|worker| {
                black_box(way(black_box(parts[worker])));
            })
        })
    };
    (pool.threads() * BYTES) as f64 / ways.into_iter().map(run).fold(f64::INFINITY, f64::min)
}

/// That many bytes, on huge pages where the kernel gives them.
fn huge(bytes: usize) -> Vec<u64> {
    const PAGE: usize = 2 << 20;
    let mut words = vec![0u64; bytes / 8];
    let begin = words.as_mut_ptr().cast::<u8>();
    let skip = begin.align_offset(PAGE);
    if let Some(whole) = bytes.checked_sub(skip).map(|rest| rest / PAGE * PAGE) {
        let advice = rustix::mm::Advice::LinuxHugepage;
        // SAFETY: these pages are the vector's alone, and the advice changes no content. Without
        // huge pages it fails, which is no harm.
        let _ = unsafe { rustix::mm::madvise(begin.wrapping_add(skip).cast(), whole, advice) };
    }
    words.fill(1);
    words
}

/// Reads everything as `STREAMS` streams beside each other.
fn read<const STREAMS: usize>(words: &[u64]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { read_avx2::<STREAMS>(words) };
    }
    sum::<STREAMS>(words)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn read_avx2<const STREAMS: usize>(words: &[u64]) -> u64 {
    sum::<STREAMS>(words)
}

#[inline(always)]
fn sum<const STREAMS: usize>(words: &[u64]) -> u64 {
    const WORDS: usize = STEP / 8;
    let mut sums = [0u64; WORDS];
    let streams = words.len() / STREAMS;
    let steps = streams / WORDS;
    for step in 0..steps {
        for stream in 0..STREAMS {
            let begin = stream * streams + step * WORDS;
            let part: &[u64; WORDS] = words[begin..].first_chunk().expect("a whole step");
            prefetch(part);
            for (sum, word) in sums.iter_mut().zip(part) {
                *sum ^= word;
            }
        }
    }
    sums.iter().fold(0, |all, sum| all ^ sum)
}

/// Asks for the bytes `AHEAD` of a step.
#[inline(always)]
fn prefetch(part: &[u64; STEP / 8]) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..STEP).step_by(64) {
        let address = part.as_ptr().cast::<i8>().wrapping_add(AHEAD + line);
        // SAFETY: a hint for any address.
        unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (part, AHEAD);
}
