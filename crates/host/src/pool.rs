//! A crew of pinned threads that run one function together.
//!
//! Made for work that is handed out some hundred times per token: a worker that has just finished
//! spins for a few tens of microseconds for the next job, then sleeps in the kernel. So a job costs
//! about a microsecond while a model runs, and nothing runs while it does not.

mod crew;
mod each;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::thread::{CpuSet, sched_setaffinity};

use crate::{Cores, Error, Topology};
use crew::{Crew, MOST_THREADS, Manners};

/// How a [`Pool`] is made.
#[derive(Clone, Debug)]
pub struct PoolOptions {
    /// Number of threads including the caller; by default one per fast physical core.
    pub threads: Option<usize>,
    /// Whether each started thread stays on a processor of its own.
    pub pin: bool,
    /// The cores that threads are counted and placed by; one that is not pinned may run on any.
    pub cores: Cores,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self { threads: None, pin: true, cores: Cores::All }
    }
}

/// Worker threads; dropping it ends and joins them.
///
/// The calling thread is worker 0, so a pool of `n` starts `n - 1` threads. The caller's own
/// affinity is its own business: [`Pool::run`] only moves it off a worker's processor when it
/// finds it there, and [`Pool::pin_caller`] keeps it on the processor left free for it.
#[derive(Debug)]
pub struct Pool {
    crew: Crew,
    /// How many of them work, the caller included.
    working: AtomicUsize,
    workers: Vec<JoinHandle<()>>,
    /// One job at a time: a second caller waits here.
    turn: Mutex<()>,
    /// The processor of each worker, the caller's first; empty if the threads are not pinned.
    places: Vec<usize>,
}

impl Pool {
    /// Starts the threads.
    ///
    /// # Errors
    /// If a thread cannot be started. A thread that cannot be pinned runs unpinned.
    pub fn new(options: PoolOptions) -> Result<Self, Error> {
        let topology = Topology::read(Path::new("/")).only(options.cores);
        let threads = options.threads.unwrap_or_else(|| topology.default_threads());
        let threads = threads.clamp(1, MOST_THREADS);
        let mut places = if options.pin { topology.placement(threads) } else { Vec::new() };
        if places.len() < threads {
            // More threads than processors: there is no place of one's own for each.
            places.clear();
        }
        let manners = if places.is_empty() { Manners::Yield } else { Manners::Spin };
        let mut pool = Self {
            crew: Crew::new(threads, manners),
            working: AtomicUsize::new(threads),
            workers: Vec::with_capacity(threads - 1),
            turn: Mutex::new(()),
            places,
        };
        for index in 1..threads {
            let cpu = pool.places.get(index).copied();
            let work = pool.crew.work(index);
            let worker = std::thread::Builder::new()
                .name(format!("rushlight-{index}"))
                .spawn(move || {
                    if let Some(cpu) = cpu {
                        pin(cpu);
                    }
                    work();
                })
                .map_err(|e| Error::threads(format!("cannot start thread {index}"), e))?;
            pool.crew.enlist(index, worker.thread());
            pool.workers.push(worker);
        }
        Ok(pool)
    }

    /// The number of workers that take part in a job, the caller included.
    pub fn threads(&self) -> usize {
        self.working.load(Ordering::Relaxed)
    }

    /// The number of workers that there are, the caller included.
    pub fn most_threads(&self) -> usize {
        self.crew.threads()
    }

    /// Lets only the first `threads` workers take part from the next job on, the caller included;
    /// the others sleep. At least one does, at most [`Pool::most_threads`].
    ///
    /// Workers are in the order of [`Topology::placement`]: of fewer, the fastest cores stay, each
    /// with one of its threads.
    pub fn set_threads(&self, threads: usize) {
        self.working.store(threads.clamp(1, self.most_threads()), Ordering::Relaxed);
    }

    /// Pins the calling thread to the processor that the pool keeps free for it. Returns whether
    /// it is pinned now.
    pub fn pin_caller(&self) -> bool {
        self.places.first().copied().is_some_and(pin)
    }

    /// Moves the calling thread to its own processor if it runs on a worker's. The worker cannot go
    /// elsewhere, and the kernel takes milliseconds to see that the caller could: until then the
    /// two would share one processor.
    fn step_aside(&self) {
        let Some((&own, others)) = self.places.split_first() else { return };
        if !others.contains(&rustix::thread::sched_getcpu()) {
            return;
        }
        if let Ok(allowed) = rustix::thread::sched_getaffinity(None)
            && pin(own)
        {
            // The kernel accepts a mask that it gave out itself; a failure would leave the thread
            // where it should be anyway.
            let _ = sched_setaffinity(None, &allowed);
        }
    }

    /// Calls `f(index)` once for every index below [`Pool::threads`], each on its own thread, the
    /// caller being index 0, and returns when all have returned.
    ///
    /// Called from inside a job of the same pool, it makes the calls one after the other on the
    /// calling thread; `f` must not wait for another index then.
    ///
    /// # Panics
    /// With the first panic of `f`, after every call has ended.
    pub fn run(&self, f: &(dyn Fn(usize) + Sync)) {
        let threads = self.threads();
        if self.crew.is_inside() || threads == 1 {
            (0..threads).for_each(f);
            return;
        }
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.step_aside();
        let panic = self.crew.run(threads, f);
        drop(turn);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Calls `f(worker, index, &mut items[index])` once for every item. Free workers take the next
    /// item, so uneven items and uneven cores balance.
    ///
    /// # Panics
    /// With the first panic of `f`; the remaining items may not have been visited then.
    pub fn each<T: Send>(&self, items: &mut [T], f: impl Fn(usize, usize, &mut T) + Sync) {
        let hand_out = each::HandOut::new(items);
        self.run(&|worker| {
            while let Some((index, item)) = hand_out.next() {
                f(worker, index, item);
            }
        });
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.crew.dismiss();
        for worker in self.workers.drain(..) {
            // A worker catches the panics of its jobs; there is nothing to hear from it.
            let _ = worker.join();
        }
    }
}

/// Calls `f(index)` and returns its panic.
fn call(f: &(dyn Fn(usize) + Sync), index: usize) -> Option<crew::Panic> {
    catch_unwind(AssertUnwindSafe(|| f(index))).err()
}

fn pin(cpu: usize) -> bool {
    let mut set = CpuSet::new();
    if cpu >= CpuSet::MAX_CPU {
        return false;
    }
    set.set(cpu);
    sched_setaffinity(None, &set).is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use super::*;

    fn pool(threads: usize) -> Pool {
        Pool::new(PoolOptions { threads: Some(threads), pin: false, cores: Cores::All }).unwrap()
    }

    #[test]
    fn every_index_runs_once_and_changes_are_seen() {
        for threads in [1, 2, 3, 8] {
            let pool = pool(threads);
            let mut counts = vec![0usize; threads];
            for round in 1..200 {
                let slots: Vec<_> = counts.iter_mut().map(Mutex::new).collect();
                pool.run(&|index| **slots[index].lock().unwrap() += 1);
                drop(slots);
                assert_eq!(counts, vec![round; threads]);
            }
        }
    }

    #[test]
    fn fewer_workers_work_and_the_others_come_back() {
        let pool = pool(4);
        assert_eq!((pool.threads(), pool.most_threads()), (4, 4));
        for round in 0..2000 {
            // Some rounds with pauses, so that workers are asleep, some without.
            let threads = [1, 2, 4, 3][round % 4];
            pool.set_threads(threads);
            let calls: Vec<_> = (0..4).map(|_| AtomicUsize::new(0)).collect();
            pool.run(&|index| {
                calls[index].fetch_add(1, Ordering::Relaxed);
            });
            let calls: Vec<_> = calls.into_iter().map(AtomicUsize::into_inner).collect();
            let expected: Vec<_> = (0..4).map(|index| usize::from(index < threads)).collect();
            assert_eq!(calls, expected, "round {round}");
            if round % 100 < 8 {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        pool.set_threads(0);
        assert_eq!(pool.threads(), 1);
        pool.set_threads(9);
        assert_eq!(pool.threads(), 4);
    }

    #[test]
    fn a_worker_that_does_not_work_sleeps() {
        let pool = pool(3);
        pool.set_threads(2);
        let worker = Mutex::new(0);
        let tick = |index| {
            if index == 2 {
                *worker.lock().unwrap() = rustix::thread::gettid().as_raw_nonzero().get();
            }
        };
        pool.set_threads(3);
        pool.run(&tick);
        pool.set_threads(2);
        let switches = || {
            let id = *worker.lock().unwrap();
            let stat = std::fs::read_to_string(format!("/proc/self/task/{id}/stat")).unwrap();
            let fields: Vec<_> = stat.rsplit(')').next().unwrap().split(' ').collect();
            // utime and stime, proc_pid_stat(5): the fields 14 and 15, of which the name was the second.
            fields[12].parse::<u64>().unwrap() + fields[13].parse::<u64>().unwrap()
        };
        let before = switches();
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(300) {
            pool.run(&tick);
        }
        // Ticks of a hundredth of a second.
        assert!(switches() - before <= 2, "{} ticks", switches() - before);
    }

    #[test]
    fn workers_wake_up_after_a_pause() {
        let pool = pool(3);
        let calls = AtomicUsize::new(0);
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(2));
            pool.run(&|_| {
                calls.fetch_add(1, Ordering::Relaxed);
            });
        }
        assert_eq!(calls.into_inner(), 60);
    }

    #[test]
    fn a_slow_worker_is_waited_for() {
        let pool = pool(2);
        let done = AtomicUsize::new(0);
        pool.run(&|index| {
            if index == 1 {
                std::thread::sleep(Duration::from_millis(20));
            }
            done.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(done.into_inner(), 2);
    }

    #[test]
    fn each_visits_every_item_once() {
        for threads in [1, 2, 5] {
            let pool = pool(threads);
            for len in [0, 1, 2, 7, 1000] {
                let mut items = vec![0usize; len];
                pool.each(&mut items, |worker, index, item| {
                    assert!(worker < threads);
                    *item += index + 1;
                });
                assert!(items.iter().enumerate().all(|(i, &x)| x == i + 1), "{threads} {len}");
            }
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_after_all_have_ended() {
        let pool = pool(3);
        for bad in 0..3 {
            let ended = AtomicUsize::new(0);
            let panic = catch_unwind(AssertUnwindSafe(|| {
                pool.run(&|index| {
                    if index == bad {
                        panic!("worker {index}");
                    }
                    std::thread::sleep(Duration::from_millis(5));
                    ended.fetch_add(1, Ordering::Relaxed);
                });
            }))
            .unwrap_err();
            assert_eq!(*panic.downcast::<String>().unwrap(), format!("worker {bad}"));
            assert_eq!(ended.into_inner(), 2);
        }
        // And the pool still works.
        let calls = AtomicUsize::new(0);
        pool.run(&|_| {
            calls.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(calls.into_inner(), 3);
    }

    #[test]
    fn a_job_inside_a_job_runs_inline() {
        let pool = pool(2);
        let calls = AtomicUsize::new(0);
        pool.run(&|_| {
            pool.run(&|_| {
                calls.fetch_add(1, Ordering::Relaxed);
            });
        });
        assert_eq!(calls.into_inner(), 4);
    }

    #[test]
    fn a_job_of_another_pool_inside_a_job_uses_that_pool() {
        let (outer, inner) = (pool(2), pool(3));
        let calls = AtomicUsize::new(0);
        outer.run(&|_| {
            inner.run(&|_| {
                calls.fetch_add(1, Ordering::Relaxed);
            });
            // Still inside the outer job after the inner one.
            outer.run(&|_| {
                calls.fetch_add(1, Ordering::Relaxed);
            });
        });
        assert_eq!(calls.into_inner(), 2 * 3 + 2 * 2);
    }

    #[test]
    fn callers_on_several_threads_take_turns() {
        let pool = pool(2);
        let calls = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        pool.run(&|_| {
                            calls.fetch_add(1, Ordering::Relaxed);
                        });
                    }
                });
            }
        });
        assert_eq!(calls.into_inner(), 800);
    }

    #[test]
    fn an_idle_pool_uses_no_processor() {
        // In a process of its own threads only: the ticks of this pool's workers, by thread.
        let pool = pool(3);
        pool.run(&|_| {});
        std::thread::sleep(Duration::from_millis(20));
        let spent = || -> u64 { worker_ticks(&pool) };
        let (before, start) = (spent(), Instant::now());
        std::thread::sleep(Duration::from_millis(300));
        // 100 ticks per second: a spinning worker would spend about 30.
        assert!(spent() - before <= 2, "in {:?}", start.elapsed());
    }

    /// User and system time of the pool's threads in ticks, `/proc/self/task/*/stat`.
    fn worker_ticks(pool: &Pool) -> u64 {
        let ids = Mutex::new(Vec::new());
        pool.run(&|index| {
            if index > 0 {
                ids.lock().unwrap().push(rustix::thread::gettid().as_raw_nonzero());
            }
        });
        std::thread::sleep(Duration::from_millis(5));
        let ids = ids.into_inner().unwrap();
        assert_eq!(ids.len(), 2);
        ids.iter()
            .map(|id| {
                let stat = std::fs::read_to_string(format!("/proc/self/task/{id}/stat")).unwrap();
                let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
                fields.skip(11).take(2).map(|n| n.parse::<u64>().unwrap()).sum::<u64>()
            })
            .sum()
    }

    #[test]
    fn a_caller_on_a_workers_processor_is_moved_and_keeps_its_freedom() {
        let topology = Topology::read(Path::new("/"));
        let threads = topology.processors();
        if threads < 2 {
            return;
        }
        let pool =
            Pool::new(PoolOptions { threads: Some(threads), ..PoolOptions::default() }).unwrap();
        let before = rustix::thread::sched_getaffinity(None).unwrap();
        assert!(pin(pool.places[1]));
        assert!(sched_setaffinity(None, &before).is_ok());
        let place = Mutex::new(usize::MAX);
        pool.run(&|index| {
            if index == 0 {
                *place.lock().unwrap() = rustix::thread::sched_getcpu();
            }
        });
        assert_eq!(place.into_inner().unwrap(), pool.places[0]);
        assert_eq!(rustix::thread::sched_getaffinity(None).unwrap(), before);
    }

    #[test]
    fn pinned_workers_stay_on_their_processor() {
        let topology = Topology::read(Path::new("/"));
        let threads = topology.processors();
        let pool =
            Pool::new(PoolOptions { threads: Some(threads), ..PoolOptions::default() }).unwrap();
        let places = topology.placement(threads);
        pool.run(&|index| {
            if index > 0 {
                let set = rustix::thread::sched_getaffinity(None).unwrap();
                assert_eq!(set.count(), 1);
                assert!(set.is_set(places[index]));
            }
        });
    }
}
