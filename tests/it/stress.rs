//! After heavy use on many threads every sample is free, and none was lost or counted twice.
//!
//! Guarantees: 2

#![forbid(unsafe_code)]

use bytes::{BufMut, Bytes};
use sample_pool::{GetBufferError, NotifyRelease, Pool, Sample, SharedSample, State};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};
use tokio::{runtime::Runtime, task::JoinSet};

/// How long each test runs its threads.
const STORM: Duration = Duration::from_millis(1500);
/// How long the threads may take to end before the test fails.
const HANG: Duration = Duration::from_secs(60);

/// Random numbers that are the same in each run for the same seed (xorshift).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Random((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn workers() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime")
}

/// Runs `storm` on a thread of its own. If it hangs, the test fails instead.
#[track_caller]
fn within_reason(storm: impl FnOnce() + Send + 'static) {
    let (send, receive) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        storm();
        drop(send);
    });
    let ended = receive.recv_timeout(HANG);
    assert_eq!(ended, Err(mpsc::RecvTimeoutError::Disconnected), "it hangs");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Checks that a sample is as new, and fills it with bytes that identify this owner.
fn fill(sample: &mut Sample, random: &mut Random) {
    assert!(sample.is_empty(), "an earlier owner's length");
    assert_eq!(sample.properties().user(), 0, "an earlier owner's mark");
    sample.set_len(8).expect("it has 64");
    assert_eq!(sample[..], [0; 8], "an earlier owner's bytes");
    sample.clear();
    let byte = 1 + random.below(255) as u8;
    sample.put_bytes(byte, 1 + random.below(64) as usize);
    sample.properties_mut().set_user(byte.into());
}

/// Checks that no other owner wrote into the bytes.
fn check(shared: &SharedSample) {
    let byte = shared.properties().user() as u8;
    assert!(shared.iter().all(|&other| other == byte), "two owners");
}

/// Does to a sample what users do, and releases it, on this thread or another one.
fn use_up(mut sample: Sample, random: &mut Random, elsewhere: &mpsc::Sender<Bytes>) {
    fill(&mut sample, random);
    if random.below(4) == 0 {
        return drop(sample);
    }
    let shared = sample.freeze();
    let clones: Vec<SharedSample> = (0..random.below(4)).map(|_| shared.clone()).collect();
    let slice = shared.slice(..shared.len() / 2);
    match random.below(4) {
        0 => drop(elsewhere.send(shared.into_bytes())),
        1 => drop(elsewhere.send(slice.clone().into_bytes())),
        2 => drop(shared.try_into_sample().map(drop)),
        _ => drop(shared),
    }
    clones.iter().for_each(check);
    drop(clones);
    check(&slice);
}

/// Every way to get samples, and every way to cancel a get.
async fn get_somehow(pool: &Pool, random: &mut Random) -> Result<Vec<Sample>, GetBufferError> {
    let limit = Duration::from_micros(random.below(300));
    let one = |sample| vec![sample];
    match random.below(8) {
        0 => pool.try_get_buffer().map(one),
        1 => pool.try_get_buffers(1 + random.below(3) as usize),
        2 => pool.get_buffer_timeout(limit).await.map(one),
        3 => {
            let get = pool.get_buffers(1 + random.below(4) as usize);
            match tokio::time::timeout(limit, get).await {
                Ok(result) => result,
                Err(_late) => Err(GetBufferError::TimedOut),
            }
        }
        4 => {
            let mut samples = Vec::new();
            let get = pool.get_buffers_into(&mut samples, 2);
            get.await.map(|()| samples)
        }
        5 => {
            tokio::select! {
                sample = pool.get_buffer() => sample.map(one),
                sample = pool.get_buffer_owned() => sample.map(one),
                () = tokio::task::yield_now() => Err(GetBufferError::TimedOut),
            }
        }
        6 => pool.get_buffer_owned().await.map(one),
        _ => pool.get_buffer().await.map(one),
    }
}

async fn work(pool: Pool, seed: u64, end: Arc<AtomicBool>, elsewhere: mpsc::Sender<Bytes>) {
    let mut random = Random::new(seed);
    while !end.load(Ordering::Relaxed) {
        let Ok(samples) = get_somehow(&pool, &mut random).await else {
            // Errors are immediate while the pool is not committed, so the thread yields.
            tokio::task::yield_now().await;
            continue;
        };
        for sample in samples {
            if random.below(4) == 0 {
                tokio::task::yield_now().await;
            }
            use_up(sample, &mut random, &elsewhere);
        }
    }
}

/// Decommits and commits the pool, and replaces its callback. Every callback counts into `calls`.
fn disturb(pool: &Pool, random: &mut Random, calls: &Arc<AtomicU64>) {
    match random.below(12) {
        0..3 => pool.decommit(),
        3 => pool.set_flushing(true),
        4 => {
            let requested = pool.properties();
            // This fails, unless the pool happens to be drained.
            let _refused = pool.set_properties(requested);
        }
        5..8 => {
            let calls = calls.clone();
            let callback: Arc<dyn NotifyRelease> = Arc::new(move |pool: &Pool| {
                assert!(pool.free_count() <= 8);
                calls.fetch_add(1, Ordering::Relaxed);
            });
            drop(pool.set_notify(Some(callback)));
        }
        8 => drop(pool.set_notify(None)),
        9 => drop(pool.released()),
        10 => drop(pool.drained()),
        _ => drop(pool.status()),
    }
    thread::yield_now();
    pool.set_flushing(false);
    pool.commit().expect("it has its memory, or room for it");
}

/// All threads have ended: what is still missing is lost.
#[track_caller]
fn assert_nothing_is_lost(pool: &Pool) {
    let status = pool.status();
    assert_eq!((status.outstanding, status.waiting), (0, 0), "{status:?}");
    assert_eq!(status.acquired, status.released, "{status:?}");
    assert_eq!(status.callback_panics, 0, "{status:?}");
    let all = pool.try_get_buffers(status.buffers);
    assert_eq!(all.map(|all| all.len()), Ok(status.buffers));
}

/// Lost samples, lost wake-ups and second owners need two threads that meet at a critical step, and `Bytes`
/// that are released on a thread that never took a sample.
#[test]
fn nothing_is_lost_in_a_storm_of_gets_releases_cancellations_and_decommits() {
    within_reason(|| {
        let pool = Pool::builder().buffers(8).size(64).build().expect("small");
        let end = Arc::new(AtomicBool::new(false));
        let calls = Arc::new(AtomicU64::new(0));
        let (elsewhere, arrivals) = mpsc::channel::<Bytes>();
        let releaser = thread::spawn(move || arrivals.into_iter().for_each(drop));
        let runtime = workers();
        let mut tasks = JoinSet::new();
        let mut random = Random::new(0);
        for seed in 1..=24 {
            let task = work(pool.clone(), seed, end.clone(), elsewhere.clone());
            tasks.spawn_on(task, runtime.handle());
        }
        let plain: Vec<_> = (100..102)
            .map(|seed| {
                let (pool, end, elsewhere) = (pool.clone(), end.clone(), elsewhere.clone());
                thread::spawn(move || {
                    let mut random = Random::new(seed);
                    while !end.load(Ordering::Relaxed) {
                        match pool.blocking_get_buffer() {
                            Ok(sample) => use_up(sample, &mut random, &elsewhere),
                            Err(_shut) => thread::yield_now(),
                        }
                    }
                })
            })
            .collect();
        let began = Instant::now();
        let mut seed = 1000;
        while began.elapsed() < STORM {
            disturb(&pool, &mut random, &calls);
            // Some tasks are aborted at any step, and new ones are spawned in their place.
            seed += 1;
            let task = work(pool.clone(), seed, end.clone(), elsewhere.clone());
            let later = tasks.spawn_on(task, runtime.handle());
            if seed % 2 == 0 {
                thread::yield_now();
            }
            later.abort();
            while tasks.try_join_next().is_some() {}
        }
        end.store(true, Ordering::Relaxed);
        drop(elsewhere);
        runtime.block_on(async {
            while let Some(ended) = tasks.join_next().await {
                assert!(!ended.is_err_and(|error| error.is_panic()));
            }
        });
        for thread in plain {
            thread.join().expect("no panic");
        }
        releaser.join().expect("a release does not panic");
        assert!(calls.load(Ordering::Relaxed) > 0, "the callback was called");
        assert_nothing_is_lost(&pool);
        drop(pool.set_notify(None));
        assert_eq!(Arc::strong_count(&calls), 1, "no old callback is kept");
        let status = pool.status();
        assert!(status.cancelled > 0 && status.timed_out > 0, "{status:?}");
        pool.decommit();
        assert_eq!(pool.state(), State::Configured);
    });
}

/// Releases that are not inside the drop of an `Arc`, whose own synchronization would hide a missing one of the
/// pool: plain and shared samples are moved between threads and dropped there.
#[test]
fn samples_that_are_dropped_on_another_thread_are_returned_whole() {
    within_reason(|| {
        let pool = Pool::builder().buffers(3).size(64).build().expect("small");
        thread::scope(|scope| {
            let (send, receive) = mpsc::sync_channel::<Sample>(1);
            let (send_shared, receive_shared) = mpsc::sync_channel::<SharedSample>(1);
            scope.spawn(move || receive.into_iter().for_each(drop));
            scope.spawn(move || receive_shared.iter().for_each(|shared| check(&shared)));
            let mut random = Random::new(7);
            let began = Instant::now();
            while began.elapsed() < STORM / 3 {
                let mut sample = pool.blocking_get_buffer().expect("it is committed");
                fill(&mut sample, &mut random);
                if random.below(2) == 0 {
                    send.send(sample).expect("received above");
                } else {
                    let shared = sample.freeze();
                    send_shared.send(shared.clone()).expect("received above");
                    check(&shared);
                }
            }
        });
        assert_nothing_is_lost(&pool);
    });
}

/// The last sample frees the pool while other threads are still inside a release.
#[test]
fn pools_that_go_before_their_samples_are_freed_exactly_once() {
    within_reason(|| {
        let alive = Arc::new(());
        let (send, receive) = mpsc::channel::<(Sample, Bytes)>();
        let (send_more, receive_more) = mpsc::channel::<SharedSample>();
        let others = [
            thread::spawn(move || receive.into_iter().for_each(drop)),
            thread::spawn(move || receive_more.into_iter().for_each(drop)),
        ];
        let mut random = Random::new(3);
        let began = Instant::now();
        while began.elapsed() < STORM / 3 {
            let pool = Pool::builder().buffers(4).size(64).build().expect("small");
            let kept = alive.clone();
            let callback = move |_pool: &Pool| drop(kept.clone());
            match random.below(3) {
                0 => pool.on_release(callback).detach(),
                // The guard is dropped before the pool, or after it.
                1 => drop(pool.on_release(callback)),
                _ => drop(pool.downgrade()),
            }
            let mut samples = pool.try_get_buffers(4).expect("all are free");
            let waiter = (random.below(2) == 0).then(|| {
                let mut get = pool.get_buffer_owned();
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                assert!(std::pin::Pin::new(&mut get).poll(&mut context).is_pending());
                get
            });
            let shared = samples.pop().expect("four").freeze();
            let bytes = samples.pop().expect("three").into_bytes();
            let sample = samples.pop().expect("two");
            send_more.send(shared.clone()).expect("received above");
            send.send((sample, bytes)).expect("received above");
            if random.below(2) == 0 {
                pool.decommit();
            }
            let weak = pool.downgrade();
            drop(pool);
            drop(shared);
            drop(weak.upgrade());
            drop((samples, waiter));
        }
        drop((send, send_more));
        for other in others {
            other.join().expect("a release does not panic");
        }
        assert_eq!(Arc::strong_count(&alive), 1, "every pool was freed");
    });
}
