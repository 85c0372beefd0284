//! Whose turn it is.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// One after the other, in the order in which they came: with a plain mutex who has just had it
/// would have it again.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    state: Mutex<Numbers>,
    next: Condvar,
}

#[derive(Debug, Default)]
struct Numbers {
    /// Of who comes next.
    given: u64,
    /// Of whose turn it is.
    now: u64,
}

impl Turn {
    /// Waits for a turn, which lasts until what this gives is dropped.
    pub(super) fn take(&self) -> Turned<'_> {
        let mut state = self.lock();
        let own = state.given;
        state.given += 1;
        while state.now != own {
            state = self.next.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Turned(self)
    }

    fn lock(&self) -> MutexGuard<'_, Numbers> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A turn.
pub(super) struct Turned<'a>(&'a Turn);

impl Drop for Turned<'_> {
    fn drop(&mut self) {
        self.0.lock().now += 1;
        self.0.next.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn turns_alternate_and_one_is_had_at_a_time() {
        let turn = Turn::default();
        let inside = AtomicUsize::new(0);
        let order = Mutex::new(Vec::new());
        let gate = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            for who in 0..2 {
                let (turn, inside, order, gate) = (&turn, &inside, &order, &gate);
                scope.spawn(move || {
                    gate.wait();
                    for _ in 0..50 {
                        let _turned = turn.take();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        order.lock().unwrap().push(who);
                        std::thread::sleep(std::time::Duration::from_micros(200));
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        let order = order.into_inner().unwrap();
        let same = order.windows(2).filter(|two| two[0] == two[1]).count();
        assert!(same < 60, "{order:?}");
    }
}
