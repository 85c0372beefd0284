//! A crew of pinned threads that run one function together.
//!
//! Made for work that is handed out some hundred times per token: a worker that has just finished
//! spins for a millisecond for the next job, then sleeps in the kernel. So a job costs about a microsecond
//! while a model runs, and nothing runs while it does not.

mod crew;
mod each;
mod place;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use rustix::thread::{Pid, gettid};

use crate::probe::Tree;
use crate::probe::cpu::CoreCaches;
use crate::{Cores, Error, Topology};
use crew::{Crew, MOST_THREADS, Manners};
use place::{Places, pin};

pub use place::CoreClass;

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
    workers: Vec<JoinHandle<()>>,
    /// How many of them take part in jobs, the caller included.
    working: AtomicUsize,
    /// One job at a time: a second caller waits here.
    turn: Mutex<Places>,
    /// The kernel's number of each worker, but the caller's.
    ids: Box<[OnceLock<Pid>]>,
    caches: CoreCaches,
}

impl Pool {
    /// Starts the threads.
    ///
    /// # Errors
    /// If a thread cannot be started. A thread that cannot be pinned runs unpinned.
    pub fn new(options: PoolOptions) -> Result<Self, Error> {
        let tree = Tree::this_machine();
        let topology = Topology::read(tree.root()).only(options.cores);
        let mut pool = Self::new_on(&topology, &options)?;
        pool.caches =
            topology.cores.first().map(|core| CoreCaches::read(&tree, core)).unwrap_or_default();
        Ok(pool)
    }

    fn new_on(topology: &Topology, options: &PoolOptions) -> Result<Self, Error> {
        let threads = options.threads.unwrap_or_else(|| topology.default_threads());
        let threads = threads.clamp(1, MOST_THREADS);
        let places = if options.pin { Places::of(topology, threads) } else { Places::default() };
        let manners = if places.is_empty() { Manners::Yield } else { Manners::Spin };
        let cpus = places.cpus().to_vec();
        let mut pool = Self {
            crew: Crew::new(threads, manners),
            workers: Vec::with_capacity(threads - 1),
            working: AtomicUsize::new(threads),
            turn: Mutex::new(places),
            ids: (1..threads).map(|_| OnceLock::new()).collect(),
            caches: CoreCaches::default(),
        };
        for index in 1..threads {
            let cpu = cpus.get(index).copied();
            let work = pool.crew.work(index);
            let (tell, told) = std::sync::mpsc::channel();
            let worker = std::thread::Builder::new()
                .name(format!("rushlight-{index}"))
                .spawn(move || {
                    let _ = tell.send(gettid());
                    if let Some(cpu) = cpu {
                        pin(cpu);
                    }
                    work();
                })
                .map_err(|e| Error::threads(format!("cannot start thread {index}"), e))?;
            if let (Ok(id), Some(own)) = (told.recv(), pool.ids.get(index - 1)) {
                let _ = own.set(id);
            }
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

    /// The caches of the fastest core that workers may be on, where the machine tells; those on other
    /// cores may have less.
    pub fn caches(&self) -> CoreCaches {
        self.caches
    }

    /// Lets only the first `threads` workers take part from the next job on, the caller included;
    /// the others sleep. At least one does, at most [`Pool::most_threads`], and while they are on
    /// efficient cores no more than there are of these.
    ///
    /// Workers are in the order of [`Topology::placement`]: of fewer, the fastest cores stay, each
    /// with one of its threads.
    pub fn set_threads(&self, threads: usize) {
        let most = self.places().most().unwrap_or(usize::MAX).min(self.most_threads());
        self.working.store(threads.clamp(1, most), Ordering::Relaxed);
    }

    /// Cores that are less than half as fast as the fastest, which workers could move to; 0 if they are
    /// not pinned.
    pub fn efficient_cores(&self) -> usize {
        self.places().efficient()
    }

    /// Moves the workers, and the calling thread, which is to be the one that runs jobs, to cores of a
    /// class. Returns whether they are there now; there must be such cores.
    pub fn move_to(&self, class: CoreClass) -> bool {
        let moved = self.places().go(class, &self.ids);
        self.set_threads(self.threads());
        moved
    }

    /// Pins the calling thread to the processor that the pool keeps free for it. Returns whether
    /// it is pinned now.
    pub fn pin_caller(&self) -> bool {
        let own = self.places().cpus().first().copied();
        own.is_some_and(pin)
    }

    fn places(&self) -> std::sync::MutexGuard<'_, Places> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
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
        let turn = self.places();
        turn.step_aside(threads);
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, Instant};

    use rustix::thread::sched_setaffinity;

    use super::*;

    fn pool(threads: usize) -> Pool {
        Pool::new(PoolOptions { threads: Some(threads), pin: false, ..Default::default() }).unwrap()
    }

    #[test]
    fn caches_are_those_of_the_fastest_core() {
        let tree = Tree::this_machine();
        let fastest = &Topology::read(tree.root()).cores[0];
        let pool = Pool::new(PoolOptions { threads: Some(1), ..Default::default() }).unwrap();
        assert_eq!(pool.caches(), CoreCaches::read(&tree, fastest));
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
                ids.lock().unwrap().push(gettid().as_raw_nonzero());
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
        let pool = Pool::new(PoolOptions { threads: Some(threads), ..Default::default() }).unwrap();
        let before = rustix::thread::sched_getaffinity(None).unwrap();
        let places = pool.places().cpus().to_vec();
        assert!(pin(places[1]));
        assert!(sched_setaffinity(None, &before).is_ok());
        let place = Mutex::new(usize::MAX);
        pool.run(&|index| {
            if index == 0 {
                *place.lock().unwrap() = rustix::thread::sched_getcpu();
            }
        });
        assert_eq!(place.into_inner().unwrap(), places[0]);
        assert_eq!(rustix::thread::sched_getaffinity(None).unwrap(), before);
    }

    #[test]
    fn pinned_workers_stay_on_their_processor() {
        let topology = Topology::read(Path::new("/"));
        let threads = topology.processors();
        let pool = Pool::new(PoolOptions { threads: Some(threads), ..Default::default() }).unwrap();
        let places = topology.placement(threads);
        pool.run(&|index| {
            if index > 0 {
                let set = rustix::thread::sched_getaffinity(None).unwrap();
                assert_eq!(set.count(), 1);
                assert!(set.is_set(places[index]));
            }
        });
    }

    #[test]
    fn fewer_take_part_when_told_and_all_again() {
        let pool = pool(4);
        for active in [4, 2, 1, 3, 4, 9, 0] {
            pool.set_threads(active);
            let active = active.clamp(1, 4);
            assert_eq!((pool.threads(), pool.most_threads()), (active, 4));
            for _ in 0..50 {
                let calls = Mutex::new(Vec::new());
                pool.run(&|index| calls.lock().unwrap().push(index));
                let mut calls = calls.into_inner().unwrap();
                calls.sort_unstable();
                assert_eq!(calls, (0..active).collect::<Vec<_>>());
                let mut items = [0usize; 17];
                pool.each(&mut items, |worker, _, item| {
                    assert!(worker < active);
                    *item += 1;
                });
                assert_eq!(items, [1; 17]);
            }
        }
    }

    #[test]
    fn who_takes_no_part_uses_no_processor() {
        let pool = pool(3);
        let before = worker_ticks(&pool);
        pool.set_threads(1);
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(300) {
            pool.run(&|_| {});
        }
        pool.set_threads(3);
        // 100 ticks per second: two that spin would spend up to 60.
        let spent = worker_ticks(&pool) - before;
        assert!(spent <= 2, "{spent}");
    }

    #[test]
    fn workers_and_their_caller_move_to_efficient_cores_and_back() {
        let mut topology = Topology::read(Path::new("/"));
        if topology.cores.len() < 2 {
            return;
        }
        let slow = topology.cores.len() - 1;
        topology.cores[slow].speed = 256;
        let options = PoolOptions { threads: Some(2), ..Default::default() };
        let pool = Pool::new_on(&topology, &options).unwrap();
        let own = || rustix::thread::sched_getaffinity(None).unwrap();
        let before = own();
        assert_eq!(pool.efficient_cores(), 1);
        assert!(pool.move_to(CoreClass::Efficient));
        // There is one such core: one thread is what may take part.
        assert_eq!(pool.threads(), 1);
        let cpu = topology.cores[slow].cpus[0];
        let places = Mutex::new(Vec::new());
        let note = |_| places.lock().unwrap().push(rustix::thread::sched_getcpu());
        pool.run(&note);
        assert_eq!((own().count(), own().is_set(cpu)), (1, true));
        pool.set_threads(2);
        assert_eq!(pool.threads(), 1);
        assert!(pool.move_to(CoreClass::Fast));
        pool.set_threads(2);
        pool.run(&note);
        assert_eq!(own(), before);
        let places = places.into_inner().unwrap();
        assert_eq!((places.len(), places[0]), (3, cpu));
        // Without such cores nothing moves.
        let pool = Pool::new_on(&Topology::read(Path::new("/")), &options).unwrap();
        if pool.efficient_cores() == 0 {
            assert!(!pool.move_to(CoreClass::Efficient));
            assert_eq!(own(), before);
        }
    }
}
