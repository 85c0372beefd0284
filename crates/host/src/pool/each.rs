//! Hands the items of a slice to whoever is free, each to exactly one.

#![expect(unsafe_code, reason = "several threads hold different items of one slice")]

use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A slice whose items are taken one by one from several threads.
pub(crate) struct HandOut<'a, T> {
    first: *mut T,
    len: usize,
    next: AtomicUsize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: sharing a `HandOut` lets another thread take `&mut T`, which moves access to a `T` to
// that thread and never shares one: `T: Send` is what that needs. The counter is atomic.
unsafe impl<T: Send> Sync for HandOut<'_, T> {}

impl<'a, T> HandOut<'a, T> {
    pub(crate) fn new(items: &'a mut [T]) -> Self {
        Self {
            first: items.as_mut_ptr(),
            len: items.len(),
            next: AtomicUsize::new(0),
            slice: PhantomData,
        }
    }

    /// The next item that nobody has, and its index.
    pub(crate) fn next(&self) -> Option<(usize, &'a mut T)> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        if index >= self.len {
            return None;
        }
        // SAFETY: `index < len`, so the item lies inside the slice that `new` borrowed.
        let item = unsafe { self.first.add(index) };
        // SAFETY: the pointer is to a live item, borrowed mutably for `'a` by `self.slice`. The
        // counter gives each index out once: it only grows, and it cannot wrap around because every
        // call behind the end adds one and 2^64 calls take centuries. So no other reference to
        // this item exists.
        Some((index, unsafe { &mut *item }))
    }
}
