//! The operations whose instructions, atomic operations and allocations `scripts/guard` counts.
//!
//! ```text
//! cargo bench --bench operations -- NAME COUNT      runs one of them COUNT times
//! cargo bench --bench operations -- --list          their names
//! cargo bench --bench operations                    runs all of them, as a test of their answers
//! ```
//!
//! The guard runs each operation with two counts and divides the difference, so code before and after the loop
//! does not count. Nothing is timed here, and there is only one thread. The pool has so many buffers that each
//! of its words is full, whatever the number of processors. Small pools are counted with several numbers of processors.

use bytes::BufMut;
use sample_pool::{GetBufferError, PollPool, Pool, Sample};
use std::{
    cell::Cell,
    future::Future,
    hint::black_box,
    pin::{Pin, pin},
    process::ExitCode,
    sync::Arc,
    task::{Context, Poll, Waker},
};
use tokio::sync::Semaphore;

/// The buffers of a pool that is never empty.
const BUFFERS: usize = 4096;
const SIZE: usize = 2048;

/// A hand-off: so many tasks share so few buffers.
const TASKS: usize = 8;
const SHARED: usize = 2;

/// The buffers of a small pool, and of one that is exhausted again and again.
const SMALL: usize = 64;
const FEW: usize = 8;

/// How many samples `get_32_and_release` and `get_32_and_release_all` take at once.
const MANY: usize = 32;

/// The count when all operations run as a test.
const AS_A_TEST: usize = 1000;

/// The name of an operation, and the function that runs it `count` times.
type Operation = (&'static str, fn(count: usize));

const OPERATIONS: [Operation; 19] = [
    ("get_and_release", get_and_release),
    ("apart", apart),
    (
        "get_and_release_with_callback",
        get_and_release_with_callback,
    ),
    ("get_freeze_drop", get_freeze_drop),
    ("get_freeze_clone_drop_both", get_freeze_clone_drop_both),
    ("get_into_bytes_drop", get_into_bytes_drop),
    ("get_owned_and_release", get_owned_and_release),
    ("get_of_a_quota_and_release", get_of_a_quota_and_release),
    ("poll_get_and_release", poll_get_and_release),
    ("get_32_and_release", get_32_and_release),
    ("get_32_and_release_all", get_32_and_release_all),
    ("miss", miss),
    ("hand_off", hand_off),
    ("get_while_2_are_out", |count| {
        get_while_others_are_out(count, 2)
    }),
    ("get_while_16_are_out", |count| {
        get_while_others_are_out(count, 16)
    }),
    ("get_while_32_are_out", |count| {
        get_while_others_are_out(count, 32)
    }),
    ("get_while_48_are_out", |count| {
        get_while_others_are_out(count, 48)
    }),
    ("get_while_64_are_out", |count| {
        get_while_others_are_out(count, 64)
    }),
    ("exhaust_and_refill", exhaust_and_refill),
];

/// Not operations of this crate. They are counted only to compare.
const BESIDE: [Operation; 1] = [("semaphore_hand_off", semaphore_hand_off)];

/// Polls a future that resolves at once. Inlined, as an `.await` is.
#[inline(always)]
fn ready<F: Future + Unpin>(mut future: F) -> F::Output {
    match Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a sample is free"),
    }
}

fn pool(buffers: usize) -> Pool {
    let builder = Pool::builder().buffers(buffers).size(SIZE);
    builder.build().expect("little memory is touched")
}

/// Asserts what must hold after every run: so many samples were taken, and all are free.
fn assert_free(pool: &Pool, taken: usize) {
    let status = pool.status();
    assert_eq!(status.free, status.buffers);
    assert_eq!(
        (status.acquired, status.released),
        (taken as u64, taken as u64)
    );
}

/// Gets and releases as a caller would write it, all inlined.
fn get_and_release(count: usize) {
    let pool = pool(BUFFERS);
    for _ in 0..count {
        let sample = ready(pool.get_buffer()).expect("committed");
        black_box(&sample);
    }
    assert_free(&pool, count);
}

/// A get in a function of its own, so that the guard counts only what runs inside it.
#[inline(never)]
fn only_a_get(pool: &Pool) -> Sample {
    ready(pool.get_buffer()).expect("committed")
}

/// A release in a function of its own, for the same reason.
#[inline(never)]
fn only_a_release(sample: Sample) {
    drop(black_box(sample));
}

fn apart(count: usize) {
    let pool = pool(BUFFERS);
    for _ in 0..count {
        only_a_release(only_a_get(&pool));
    }
    assert_free(&pool, count);
}

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

fn get_and_release_with_callback(count: usize) {
    let pool = pool(BUFFERS);
    let guard = pool.on_release(|_pool| CALLS.set(CALLS.get() + 1));
    CALLS.set(0);
    for _ in 0..count {
        let sample = ready(pool.get_buffer()).expect("committed");
        black_box(&sample);
    }
    drop(guard);
    assert_eq!(CALLS.get(), count);
    assert_free(&pool, count);
}

/// Freezes the sample. The shared handle is the only one when it is dropped.
fn get_freeze_drop(count: usize) {
    let pool = pool(BUFFERS);
    for _ in 0..count {
        let mut sample = ready(pool.get_buffer()).expect("committed");
        sample.put_slice(black_box(&[7; 16]));
        let shared = sample.freeze();
        assert_eq!(black_box(&shared).len(), 16);
    }
    assert_free(&pool, count);
}

fn get_freeze_clone_drop_both(count: usize) {
    let pool = pool(BUFFERS);
    for _ in 0..count {
        let mut sample = ready(pool.get_buffer()).expect("committed");
        sample.put_slice(black_box(&[7; 16]));
        let shared = sample.freeze();
        let clone = black_box(&shared).clone();
        drop(shared);
        assert_eq!(black_box(&clone).len(), 16);
    }
    assert_free(&pool, count);
}

fn get_into_bytes_drop(count: usize) {
    let pool = pool(BUFFERS);
    for _ in 0..count {
        let mut sample = ready(pool.get_buffer()).expect("committed");
        sample.put_slice(black_box(&[7; 16]));
        let bytes = sample.into_bytes();
        assert_eq!(black_box(&bytes).len(), 16);
    }
    assert_free(&pool, count);
}

fn get_owned_and_release(count: usize) {
    let pool = pool(BUFFERS);
    for _ in 0..count {
        let sample = ready(pool.get_buffer_owned()).expect("committed");
        black_box(&sample);
    }
    assert_free(&pool, count);
}

/// Polls by hand, as a stream or a body does.
fn poll_get_and_release(count: usize) {
    let pool = pool(BUFFERS);
    let mut poll_pool = PollPool::new(&pool);
    let cx = &mut Context::from_waker(Waker::noop());
    for _ in 0..count {
        let Poll::Ready(sample) = poll_pool.poll_get_buffer(cx) else {
            panic!("a sample is free");
        };
        black_box(&sample.expect("committed"));
    }
    assert_free(&pool, count);
}

/// The quota covers all buffers of the pool, so it never delays a get.
fn get_of_a_quota_and_release(count: usize) {
    let pool = pool(BUFFERS);
    let quota = pool.quota("all", BUFFERS);
    for _ in 0..count {
        let sample = ready(pin!(quota.get_buffer())).expect("committed");
        black_box(&sample);
    }
    assert_eq!(quota.status().in_use, 0);
    assert_free(&pool, count);
}

/// One operation takes all [`MANY`] samples, and releases them with `release`.
fn get_32_and(release: impl Fn(&mut Vec<Sample>), count: usize) {
    let pool = pool(BUFFERS);
    let mut samples = Vec::with_capacity(MANY);
    for _ in 0..count {
        ready(pool.get_buffers_into(&mut samples, MANY)).expect("committed");
        assert_eq!(black_box(&samples).len(), MANY);
        release(&mut samples);
    }
    assert_free(&pool, count * MANY);
}

fn get_32_and_release(count: usize) {
    get_32_and(Vec::clear, count);
}

fn get_32_and_release_all(count: usize) {
    get_32_and(Sample::release_all, count);
}

/// A `try_get_buffer` that finds the pool exhausted and no waiter queued.
fn miss(count: usize) {
    let pool = pool(BUFFERS);
    let held = pool.try_get_buffers(BUFFERS).expect("all are free");
    for _ in 0..count {
        let refused = black_box(&pool).try_get_buffer();
        assert_eq!(refused.err(), Some(GetBufferError::Exhausted));
    }
    assert_eq!(pool.status().exhausted, count as u64);
    drop(held);
    assert_free(&pool, BUFFERS);
}

/// Gets and releases a sample of a small pool by a thread that has the others of the `out` samples.
fn get_while_others_are_out(count: usize, out: usize) {
    let pool = pool(SMALL);
    let others: Vec<_> = (1..out)
        .map(|_| pool.try_get_buffer().expect("one is free"))
        .collect();
    for _ in 0..count {
        let sample = ready(pool.get_buffer()).expect("committed");
        black_box(&sample);
    }
    drop(others);
    assert_free(&pool, count + out - 1);
}

/// Takes all samples of a small pool, tries to take one more, and releases all. One operation is the share of a sample.
fn exhaust_and_refill(count: usize) {
    let pool = pool(FEW);
    let mut samples = Vec::with_capacity(FEW);
    for _ in 0..count / FEW {
        while let Ok(sample) = black_box(&pool).try_get_buffer() {
            samples.push(sample);
        }
        assert_eq!(samples.len(), FEW);
        samples.clear();
    }
    assert_free(&pool, count / FEW * FEW);
}

/// Runs `TASKS` tasks that do `count` operations together, on one thread.
fn share<F: Future<Output = ()> + Send + 'static>(count: usize, work: impl Fn(usize) -> F) {
    assert_eq!(count % TASKS, 0);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let tasks: [_; TASKS] = std::array::from_fn(|_| tokio::spawn(work(count / TASKS)));
        for task in tasks {
            task.await.expect("a task of the measurement");
        }
    });
}

/// Get, yield, release, by more tasks than there are buffers: nearly every get waits in the queue. The figure
/// includes the runtime's own work: to wake, poll and yield.
fn hand_off(count: usize) {
    let pool = pool(SHARED);
    share(count, |count| {
        let pool = pool.clone();
        async move {
            for _ in 0..count {
                let sample = pool.get_buffer().await.expect("committed");
                tokio::task::yield_now().await;
                drop(sample);
            }
        }
    });
    let waited = pool.status().waited as usize;
    assert!(waited * 2 > count, "{waited} of {count} gets waited");
    assert_free(&pool, count);
}

/// The same with Tokio's semaphore and no buffer at all.
fn semaphore_hand_off(count: usize) {
    let semaphore = Arc::new(Semaphore::new(SHARED));
    share(count, |count| {
        let semaphore = semaphore.clone();
        async move {
            for _ in 0..count {
                let permit = semaphore.acquire().await.expect("open");
                tokio::task::yield_now().await;
                drop(permit);
            }
        }
    });
    assert_eq!(semaphore.available_permits(), SHARED);
}

fn main() -> ExitCode {
    // `cargo bench` adds `--bench`, and a run of the benches as a test adds `--test`.
    let asked: Vec<String> = std::env::args().skip(1).collect();
    if asked.iter().any(|argument| argument == "--list") {
        for (name, _) in OPERATIONS.iter().chain(&BESIDE) {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    }
    if asked.iter().any(|argument| argument == "--processors") {
        let processors = std::thread::available_parallelism();
        println!("{}", processors.expect("the system says"));
        return ExitCode::SUCCESS;
    }
    let words: Vec<_> = asked.iter().filter(|word| !word.starts_with('-')).collect();
    match words[..] {
        [] => {
            for (name, run) in OPERATIONS.iter().chain(&BESIDE) {
                run(AS_A_TEST);
                println!("{name}: {AS_A_TEST} times");
            }
            ExitCode::SUCCESS
        }
        [name, count] => {
            let mut all = OPERATIONS.iter().chain(&BESIDE);
            match (all.find(|(known, _)| known == name), count.parse()) {
                (Some((_, run)), Ok(count)) => {
                    run(count);
                    ExitCode::SUCCESS
                }
                _ => {
                    eprintln!("error: {name} {count} is no operation and its count");
                    ExitCode::from(2)
                }
            }
        }
        _ => {
            eprintln!("usage: operations [NAME COUNT]");
            ExitCode::from(2)
        }
    }
}
