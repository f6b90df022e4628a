//! Many `select!`s, timeouts and aborts at once: afterwards every sample is free, the waiters that stayed were
//! served in order, and the counters add up.
//!
//! Guarantees: 1, 3

#![forbid(unsafe_code)]

use crate::polling::poll_once;
use proptest::prelude::*;
use sample_pool::{GetBufferError, GetBufferOwned, Pool, Sample, Status};
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};
use tokio::{select, task, time};

/// The totals that all tasks saw, to be compared with the status of the pool.
#[derive(Default)]
struct Seen {
    served: AtomicU64,
    timed_out: AtomicU64,
    exhausted: AtomicU64,
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::SeqCst);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::SeqCst)
}

fn pool(buffers: usize) -> Pool {
    let built = Pool::builder().buffers(buffers).size(64).build();
    built.expect("small")
}

/// Every sample is free, and none exists twice.
fn assert_all_free(pool: &Pool) -> Status {
    let status = pool.status();
    assert_eq!((status.outstanding, status.waiting), (0, 0));
    assert_eq!(status.acquired, status.released);
    let all = pool.try_get_buffers(status.buffers).expect("all are free");
    let mut indexes: Vec<_> = all.iter().map(Sample::index).collect();
    indexes.sort_unstable();
    assert!(indexes.into_iter().eq(0..status.buffers));
    status
}

/// Every way to cancel a get, on two threads, and each outcome is counted by the task that had it. A get that
/// is served, times out and is dropped at the same moment must be counted as one of these, and its sample once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_storm_the_counters_are_what_the_tasks_saw() {
    let pool = pool(4);
    let seen = Arc::new(Seen::default());
    let tasks: Vec<_> = (0..60_u64)
        .map(|number| {
            let (pool, seen) = (pool.clone(), seen.clone());
            tokio::spawn(async move {
                for round in 0..40 {
                    let limit = Duration::from_micros((number * 7 + round * 13) % 300);
                    match (number + round) % 4 {
                        0 => match pool.get_buffer_timeout(limit).await {
                            Ok(sample) => {
                                add(&seen.served, 1);
                                task::yield_now().await;
                                drop(sample);
                            }
                            Err(error) => {
                                assert_eq!(error, GetBufferError::TimedOut);
                                add(&seen.timed_out, 1);
                            }
                        },
                        1 => select! {
                            sample = pool.get_buffer() => {
                                add(&seen.served, 1);
                                drop(sample.expect("committed"));
                            }
                            many = pool.get_buffers(3) => {
                                add(&seen.served, 3);
                                assert_eq!(many.expect("committed").len(), 3);
                            }
                            () = time::sleep(limit) => {}
                        },
                        2 => {
                            if let Ok(many) = time::timeout(limit, pool.get_buffers(2)).await {
                                add(&seen.served, 2);
                                task::yield_now().await;
                                drop(many.expect("committed"));
                            }
                        }
                        _ => match pool.try_get_buffer() {
                            Ok(sample) => {
                                add(&seen.served, 1);
                                time::sleep(limit).await;
                                drop(sample.into_bytes().slice(..0));
                            }
                            Err(error) => {
                                assert_eq!(error, GetBufferError::Exhausted);
                                add(&seen.exhausted, 1);
                            }
                        },
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no task panics");
    }
    let status = assert_all_free(&pool);
    assert_eq!(status.acquired, get(&seen.served));
    assert_eq!(status.timed_out, get(&seen.timed_out));
    assert_eq!(status.exhausted, get(&seen.exhausted));
    assert!(status.cancelled > 0 && status.timed_out > 0, "{status:?}");
}

/// An abort drops a future on another thread, between any two of its steps. The tasks that stay must be served
/// in order: the order of the first polls is fixed before the aborts begin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiters_that_stay_through_a_storm_of_aborts_are_served_in_order() {
    for round in 0..30_usize {
        let pool = pool(1);
        let held = pool.try_get_buffer().expect("free");
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiting: Vec<GetBufferOwned> = (0..40).map(|_| pool.get_buffer_owned()).collect();
        for get in &mut waiting {
            assert!(poll_once(get).is_pending());
        }
        let tasks = waiting.into_iter().enumerate().map(|(place, get)| {
            let order = order.clone();
            tokio::spawn(async move {
                let sample = get.await.expect("committed");
                // With one sample, the task that has it is alone here.
                order.lock().expect("whole").push(place);
                drop(sample);
            })
        });
        let tasks: Vec<_> = tasks.collect();
        let release = tokio::spawn(async move { drop(held) });
        for (place, task) in tasks.iter().enumerate() {
            if (place + round) % 3 != 0 {
                task.abort();
            }
        }
        release.await.expect("no panic");
        for (place, task) in tasks.into_iter().enumerate() {
            let ended = task.await;
            assert!(
                ended.is_ok() || (place + round) % 3 != 0,
                "not aborted: {ended:?}"
            );
        }
        let order = order.lock().expect("whole").clone();
        assert!(order.is_sorted(), "{order:?}");
        let stayed = (0..40).filter(|place| (place + round) % 3 == 0);
        assert!(stayed.into_iter().all(|place| order.contains(&place)));
        let status = assert_all_free(&pool);
        let served = u64::try_from(order.len()).expect("forty");
        assert_eq!((status.waited, status.acquired), (40, served + 1));
        assert_eq!(status.cancelled, 40 - served, "who left was counted once");
    }
}

/// The queue becomes empty again and again while decommits and flushes fail all waiters: no waiter may be left
/// in the queue, and no sample may be lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decommits_and_flushes_in_the_middle_of_a_storm_strand_no_waiter() {
    let pool = pool(3);
    let tasks: Vec<_> = (0..20_u64)
        .map(|number| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut turned_away = 0_u64;
                for round in 0..100 {
                    let limit = Duration::from_micros((number + round) % 5 * 40);
                    let got = select! {
                        got = pool.get_buffer() => got.map(|sample| vec![sample]),
                        got = pool.get_buffers(2) => got,
                        () = time::sleep(limit) => continue,
                    };
                    turned_away += u64::from(got.as_ref().is_err_and(|error| error.is_closed()));
                    task::yield_now().await;
                    drop(got);
                }
                turned_away
            })
        })
        .collect();
    while !tasks.iter().all(task::JoinHandle::is_finished) {
        pool.set_flushing(true);
        task::yield_now().await;
        pool.set_flushing(false);
        pool.decommit();
        task::yield_now().await;
        pool.commit().expect("small");
        time::sleep(Duration::from_micros(200)).await;
    }
    let mut turned_away = 0;
    for task in tasks {
        turned_away += task.await.expect("no task panics");
    }
    assert!(turned_away > 0, "no decommit or flush ever met a get");
    assert_all_free(&pool);
}

/// By hand, so that more sequences are tried than those that timing produces.
#[derive(Clone, Copy, Debug)]
enum Step {
    Join,
    Leave(usize),
    Release,
    PollAll,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Join),
        2 => (0..8_usize).prop_map(Step::Leave),
        3 => Just(Step::Release),
        1 => Just(Step::PollAll),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// A waiter that queued earlier and stays is served earlier, however many others leave, from any position.
    #[test]
    fn order_survives_any_sequence_of_joins_and_departures(steps in prop::collection::vec(step(), 1..60)) {
        let pool = pool(2);
        let mut held: Vec<Sample> = pool.try_get_buffers(2).expect("free");
        let mut line: Vec<(usize, GetBufferOwned)> = Vec::new();
        let mut joined = 0;
        let mut last_served = None;
        let mut poll_all = |line: &mut Vec<(usize, GetBufferOwned)>, held: &mut Vec<Sample>| {
            line.retain_mut(|(place, get)| match poll_once(get) {
                std::task::Poll::Ready(got) => {
                    held.push(got.expect("committed"));
                    assert!(last_served < Some(*place), "{place} after {last_served:?}");
                    last_served = Some(*place);
                    false
                }
                std::task::Poll::Pending => true,
            });
        };
        for step in steps {
            match step {
                Step::Join => {
                    let waiting = pool.status().waiting;
                    let mut get = pool.get_buffer_owned();
                    match poll_once(&mut get) {
                        std::task::Poll::Ready(got) => {
                            prop_assert_eq!(waiting, 0, "it overtook");
                            held.push(got.expect("committed"));
                        }
                        std::task::Poll::Pending => line.push((joined, get)),
                    }
                    joined += 1;
                }
                Step::Leave(at) if at < line.len() => drop(line.remove(at)),
                Step::Leave(_) => {}
                Step::Release => drop(held.pop()),
                Step::PollAll => poll_all(&mut line, &mut held),
            }
        }
        while !line.is_empty() {
            held.clear();
            poll_all(&mut line, &mut held);
        }
        held.clear();
        let status = assert_all_free(&pool);
        prop_assert_eq!(status.acquired + status.cancelled, u64::try_from(joined).expect("few") + 2);
    }
}

/// A waker that polls its task at once runs inside the release that woke it, and so does the release by that
/// task. This is documented. Each waiter must be served, in order, and no lock may be held.
#[test]
fn wakers_that_poll_at_once_are_served_one_inside_the_other() {
    const WAITERS: usize = 200;
    type Task = Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>;
    struct Inline {
        number: usize,
        task: Task,
        served: Arc<Mutex<Vec<usize>>>,
    }
    impl Wake for Inline {
        fn wake(self: Arc<Self>) {
            self.served.lock().expect("whole").push(self.number);
            let waker = Waker::from(self.clone());
            let task = self.task.lock().expect("whole").take();
            let mut task = task.expect("woken once");
            let polled = task.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(
                polled.is_ready(),
                "it was handed its sample before it was woken"
            );
        }
    }
    let pool = Pool::builder().buffers(1).size(64).build().expect("small");
    let held = pool.try_get_buffer().expect("one is free");
    let served: Arc<Mutex<Vec<usize>>> = Arc::default();
    for number in 0..WAITERS {
        let get = pool.get_buffer_owned();
        let task: Pin<Box<dyn Future<Output = ()> + Send>> =
            Box::pin(async move { drop(get.await.expect("committed")) });
        let inline = Arc::new(Inline {
            number,
            task: Mutex::new(Some(task)),
            served: served.clone(),
        });
        let waker = Waker::from(inline.clone());
        let mut task = inline.task.lock().expect("whole");
        let polled = task.as_mut().expect("just made").as_mut();
        assert!(polled.poll(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(held);
    let served = std::mem::take(&mut *served.lock().expect("whole"));
    assert!(served.into_iter().eq(0..WAITERS));
    let status = pool.status();
    assert_eq!(
        (status.free, status.waiting, status.released),
        (1, 0, WAITERS as u64 + 1)
    );
}
