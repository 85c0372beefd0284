//! What this machine can do at most: bytes read per second, multiply-adds per second. JSON.
//!
//! `peak [THREADS] [MILLISECONDS]`: each thread on a processor of its own; the best of many short
//! measurements that together take so long, for each quantity.

#[path = "peak/arithmetic.rs"]
mod arithmetic;
#[path = "peak/memory.rs"]
mod memory;

use std::hint::black_box;
use std::time::{Duration, Instant};

use rushlight_host::{Pool, PoolOptions};

fn main() {
    let number = |i: usize| std::env::args().nth(i).map(|arg| arg.parse().expect("a number"));
    let threads: Option<u64> = number(1);
    let time = Duration::from_millis(number(2).unwrap_or(300));
    let threads = threads.map(|n| n as usize);
    let pool = Pool::new(PoolOptions { threads, ..PoolOptions::default() }).expect("threads start");
    pool.pin_caller();
    let mut fields = vec![
        format!("\"threads\": {}", pool.threads()),
        format!("\"read_bytes_per_second\": {:.0}", memory::read_rate(&pool, time)),
    ];
    for (name, run) in arithmetic::all() {
        let each = run(ROUNDS) as f64 * pool.threads() as f64;
        let seconds = best(time, || {
            pool.run(&|_| {
                black_box(run(ROUNDS));
            })
        });
        fields.push(format!("\"{name}\": {:.0}", each / seconds));
    }
    println!("{{ {} }}", fields.join(", "));
}

/// Repetitions of a loop: about a millisecond, long beside waking a thread, short beside a time
/// slice.
const ROUNDS: u64 = 400_000;

/// The shortest of many runs that together take `time`.
fn best(time: Duration, mut run: impl FnMut()) -> f64 {
    let begin = Instant::now();
    let mut shortest = f64::INFINITY;
    while begin.elapsed() < time {
        let begin = Instant::now();
        run();
        shortest = shortest.min(begin.elapsed().as_secs_f64());
    }
    shortest
}
