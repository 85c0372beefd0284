//! The meeting point of a pool's threads: how a job is announced, run and waited for.
//!
//! The caller writes the job, sets `running` and raises `round`; a worker that sees a new round that
//! is for it calls the job and counts `running` down; the caller leaves when it is zero. Both sides
//! look for [`SPIN`] before they park. Parking and waking follow one rule on each side: *announce, then look
//! again* (the sleeper) and *change, then look who sleeps* (the waker), all sequentially
//! consistent, so one of the two always sees the other.

#![expect(unsafe_code, reason = "a job borrowed by the caller is called by other threads")]

use std::any::Any;
use std::cell::{RefCell, UnsafeCell};
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::call;

/// How long a thread spins before it parks: longer than the gaps between the jobs of one token, shorter
/// than a time slice that another process would miss. With 50 microseconds some answers on a busy virtual
/// machine came at half their speed (docs/kernels.md).
const SPIN: Duration = Duration::from_millis(1);

/// How a thread waits before it parks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manners {
    /// Each thread has a processor of its own: nobody is hurt by spinning.
    Spin,
    /// The thread waited for may be on the same processor: let it run. (Without this, two unpinned
    /// threads that the kernel had put together took 100 microseconds per job instead of one.)
    Yield,
}

/// Bits of the round that say for how many threads it is.
const FOR_BITS: u32 = 16;

/// The most threads of a crew, the caller's included.
pub(crate) const MOST_THREADS: usize = (1 << FOR_BITS) - 1;

/// What a panicking job left behind.
pub(crate) type Panic = Box<dyn Any + Send>;

/// A borrowed job.
type Job<'a> = dyn Fn(usize) + Sync + 'a;

/// The caller's half; the workers hold the other through [`Crew::work`].
#[derive(Debug)]
pub(crate) struct Crew {
    shared: Arc<Shared>,
}

struct Shared {
    threads: usize,
    manners: Manners,
    /// A count in the bits from [`FOR_BITS`] on, below them for how many threads the round is: who
    /// sees one sees both, so nobody takes one round for another.
    round: Apart<AtomicU64>,
    running: Apart<AtomicUsize>,
    /// The job of the round; written only by the caller while `running` is zero.
    job: UnsafeCell<Option<&'static Job<'static>>>,
    /// One seat per worker, the caller's first.
    seats: Box<[Apart<Seat>]>,
    /// The caller of the round, set when it wants to be woken.
    caller: Mutex<Option<Thread>>,
    panic: Mutex<Option<Panic>>,
    dismissed: AtomicBool,
}

// SAFETY: everything but `job` is `Sync` by itself. `job` holds a shared reference to a `Sync`
// closure; `Crew::run` writes it only while `running` is zero, when no worker reads it, and a
// worker reads it only after it has seen a round for it that was raised after the write.
unsafe impl Sync for Shared {}

/// Keeps values that different threads write off each other's cache line (128: the pair of lines
/// that x86 prefetches together, and Apple's line).
#[repr(align(128))]
#[derive(Default)]
struct Apart<T>(T);

#[derive(Default)]
struct Seat {
    asleep: AtomicBool,
    thread: OnceLock<Thread>,
}

thread_local! {
    /// The crews whose jobs this thread is inside of, by address.
    static INSIDE: RefCell<Vec<*const Shared>> = const { RefCell::new(Vec::new()) };
}

impl Crew {
    /// A crew of so many threads, [`MOST_THREADS`] at most.
    pub(crate) fn new(threads: usize, manners: Manners) -> Self {
        assert!(threads <= MOST_THREADS, "a crew of {threads} threads");
        let seats = (0..threads).map(|_| Apart::default()).collect();
        Self {
            shared: Arc::new(Shared {
                threads,
                manners,
                round: Apart::default(),
                running: Apart::default(),
                job: UnsafeCell::new(None),
                seats,
                caller: Mutex::new(None),
                panic: Mutex::new(None),
                dismissed: AtomicBool::new(false),
            }),
        }
    }

    pub(crate) fn threads(&self) -> usize {
        self.shared.threads
    }

    /// Whether the calling thread is inside a job of this crew.
    pub(crate) fn is_inside(&self) -> bool {
        INSIDE.with_borrow(|inside| inside.contains(&Arc::as_ptr(&self.shared)))
    }

    /// The life of worker `index`.
    pub(crate) fn work(&self, index: usize) -> impl FnOnce() + Send + 'static {
        let shared = Arc::clone(&self.shared);
        move || shared.work(index)
    }

    /// Tells how worker `index` is woken.
    pub(crate) fn enlist(&self, index: usize, thread: &Thread) {
        // Each seat is taken once, by the thread started for it.
        let _ = self.shared.seats[index].0.thread.set(thread.clone());
    }

    /// Runs `f` on the first `threads` threads of which the calling one is the first. The caller of
    /// this function sees to it that only one thread at a time is in here, and is not inside a job
    /// of this crew.
    ///
    /// Returns the first panic.
    pub(crate) fn run(&self, threads: usize, f: &Job<'_>) -> Option<Panic> {
        let shared = &*self.shared;
        let threads = threads.clamp(1, shared.threads);
        // SAFETY: only the lifetime changes. The workers that the round is for use the reference
        // between the round raised below and their count-down of `running`, the others do not look
        // at it; and this function does not return or unwind before all of the first have counted
        // down (`call` catches the panics of `f`).
        let job = unsafe { std::mem::transmute::<&Job<'_>, &'static Job<'static>>(f) };
        assert_eq!(shared.running.0.load(SeqCst), 0, "a pool runs one job at a time");
        // SAFETY: `running` is zero and only this thread is in here, so no worker looks at `job`
        // before the round is raised.
        unsafe { *shared.job.get() = Some(job) };
        shared.running.0.store(threads - 1, SeqCst);
        shared.announce(threads);

        let own = inside(shared, || call(f, 0));
        shared.await_workers();
        let others = shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        own.or(others)
    }

    /// Ends the workers' lives.
    pub(crate) fn dismiss(&self) {
        self.shared.dismissed.store(true, SeqCst);
        self.shared.announce(self.shared.threads);
    }
}

impl Shared {
    /// Raises the round for the first `threads` and wakes those of them that sleep. One thread at a
    /// time is in here.
    fn announce(&self, threads: usize) {
        let count = (self.round.0.load(SeqCst) >> FOR_BITS) + 1;
        self.round.0.store(count << FOR_BITS | threads as u64, SeqCst);
        for Apart(seat) in self.seats.iter().take(threads).skip(1) {
            if seat.asleep.load(SeqCst)
                && seat.asleep.swap(false, SeqCst)
                && let Some(thread) = seat.thread.get()
            {
                thread.unpark();
            }
        }
    }

    fn work(&self, index: usize) {
        let mut seen = 0;
        loop {
            seen = self.await_round(index, seen);
            if self.dismissed.load(SeqCst) {
                return;
            }
            // SAFETY: a new round for this thread was seen, so the job was written before; it is not
            // written again before this thread counts `running` down.
            let job = unsafe { *self.job.get() };
            if let Some(job) = job
                && let Some(panic) = inside(self, || call(job, index))
            {
                self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
            }
            if self.running.0.fetch_sub(1, SeqCst) == 1
                && self.seats[0].0.asleep.swap(false, SeqCst)
                && let Some(caller) =
                    self.caller.lock().unwrap_or_else(PoisonError::into_inner).take()
            {
                caller.unpark();
            }
        }
    }

    /// Waits for another round than `seen` that is for this worker. Rounds for others do not keep it
    /// awake.
    fn await_round(&self, index: usize, seen: u64) -> u64 {
        let is_for = |round: u64| index < (round & MOST_THREADS as u64) as usize;
        let news =
            || Some(self.round.0.load(SeqCst)).filter(|&round| round != seen && is_for(round));
        if let Some(round) = wait(self.manners, news) {
            return round;
        }
        let asleep = &self.seats[index].0.asleep;
        loop {
            asleep.store(true, SeqCst);
            if let Some(round) = news() {
                asleep.store(false, SeqCst);
                return round;
            }
            thread::park();
        }
    }

    fn await_workers(&self) {
        let done = || (self.running.0.load(SeqCst) == 0).then_some(());
        if wait(self.manners, done).is_some() {
            return;
        }
        let asleep = &self.seats[0].0.asleep;
        loop {
            // Each time: the last worker of the round before may come this late to wake its caller,
            // and takes the name away with it.
            *self.caller.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread::current());
            asleep.store(true, SeqCst);
            if done().is_some() {
                asleep.store(false, SeqCst);
                return;
            }
            thread::park();
        }
    }
}

/// Looks for [`SPIN`] long.
fn wait<T>(manners: Manners, look: impl Fn() -> Option<T>) -> Option<T> {
    // The clock is read only after a first stretch of looking, and then once per stretch.
    let mut start = None;
    loop {
        for _ in 0..32 {
            if let Some(found) = look() {
                return Some(found);
            }
            spin_loop();
        }
        if start.get_or_insert_with(Instant::now).elapsed() >= SPIN {
            return None;
        }
        if manners == Manners::Yield {
            thread::yield_now();
        }
    }
}

/// Calls `f` with this thread marked as inside a job of `crew`. `f` must not panic.
fn inside<T>(crew: &Shared, f: impl FnOnce() -> T) -> T {
    INSIDE.with_borrow_mut(|inside| inside.push(crew));
    let result = f();
    INSIDE.with_borrow_mut(|inside| inside.pop());
    result
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("threads", &self.threads).finish_non_exhaustive()
    }
}
