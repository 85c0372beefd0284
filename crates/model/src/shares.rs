//! Work in shares: a few threads take the next one until none is left.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::Error;

/// One thread for each processor that this process may use.
pub(crate) fn all_processors() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Calls `f` for each share on `threads` threads, the caller's included; `f` has working memory of
/// its thread. The first error ends all.
pub(crate) fn each<T: Send, M: Default>(
    threads: usize,
    shares: impl Iterator<Item = T> + Send,
    f: impl Fn(&mut M, T) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let left = Mutex::new((shares, Ok(())));
    let locked = || left.lock().unwrap_or_else(PoisonError::into_inner);
    let next = || {
        let (shares, result) = &mut *locked();
        if result.is_ok() { shares.next() } else { None }
    };
    let work = || {
        let mut memory = M::default();
        while let Some(share) = next() {
            if let Err(error) = f(&mut memory, share) {
                let (_, result) = &mut *locked();
                *result = std::mem::replace(result, Ok(())).and(Err(error));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // Where no thread can be started, those that are there do the work.
            if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    left.into_inner().unwrap_or_else(PoisonError::into_inner).1
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn every_share_is_done_once_and_an_error_ends_them() {
        for threads in [1, 3] {
            let sum = AtomicUsize::new(0);
            each(threads, 0..100usize, |count: &mut usize, i| {
                *count += 1;
                sum.fetch_add(i, Ordering::Relaxed);
                Ok(())
            })
            .unwrap();
            assert_eq!(sum.into_inner(), 4950);
            let calls = AtomicUsize::new(0);
            let error = each(threads, 0..1000usize, |(): &mut (), i| {
                calls.fetch_add(1, Ordering::Relaxed);
                if i == 5 { Err(Error::tensor("five")) } else { Ok(()) }
            });
            assert_eq!(error.unwrap_err().to_string(), "five");
            assert!(calls.into_inner() < 1000);
        }
    }
}
