//! A quota limits the samples that are checked out through it, and its waiters delay no one outside it.

mod boundary;
mod user_code;
mod waiting;

use crate::polling::{Polled, at_once, poll_once};
use futures::StreamExt;
use sample_pool::{GetBufferError, PollPool, Pool, Quota, QuotaStatus, Sample};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::time;

fn pool(buffers: usize) -> Pool {
    let pool = Pool::builder().buffers(buffers).size(64);
    pool.track_holders(true).build().expect("small")
}

#[track_caller]
fn assert_used(quota: &Quota, charged: usize, waiting: usize) {
    let status = quota.status();
    assert_eq!((status.in_use, status.waiting), (charged, waiting));
}

/// Nothing is in use, no waiter is queued, and all of the quota and of the pool can be taken.
#[track_caller]
fn assert_nothing_is_lost(pool: &Pool, quota: &Quota) {
    assert_used(quota, 0, 0);
    let status = pool.status();
    assert_eq!((status.outstanding, status.waiting), (0, 0));
    assert_eq!(status.acquired, status.released);
    let limit = quota.status().limit.min(status.buffers);
    let all = quota.try_get_buffers(limit).expect("all of the quota");
    assert_used(quota, limit, 0);
    drop(all);
    let all = pool.try_get_buffers(status.buffers);
    drop(all.expect("all of the pool"));
}

#[tokio::test]
async fn no_more_samples_are_outstanding_than_the_quota_allows() {
    let pool = pool(8);
    let quota = pool.quota("camera", 2);
    let first = quota.try_get_buffer().unwrap();
    let second = quota.get_buffer().await.unwrap();
    assert_used(&quota, 2, 0);
    assert_eq!(
        quota.try_get_buffer().unwrap_err(),
        GetBufferError::Exhausted
    );
    assert_eq!(
        quota.try_get_buffers(2).unwrap_err(),
        GetBufferError::Exhausted
    );
    assert_eq!(pool.status().exhausted, 2);
    assert!(pool.try_get_buffers(6).is_ok(), "the pool has the rest");
    drop((first, second));
    assert_nothing_is_lost(&pool, &quota);
}

#[tokio::test]
async fn every_way_to_get_counts_in_the_quota() {
    let pool = pool(10);
    let quota = pool.quota("camera", 10);
    let mut samples = vec![
        quota.try_get_buffer().unwrap(),
        quota.get_buffer().await.unwrap(),
        quota.get_buffer_owned().await.unwrap(),
        quota
            .get_buffer_timeout(Duration::from_secs(1))
            .await
            .unwrap(),
    ];
    samples.extend(quota.get_buffers(2).await.unwrap());
    samples.extend(quota.try_get_buffers(1).unwrap());
    let appended = quota.get_buffers_into(&mut samples, 2).await;
    appended.unwrap();
    let other = quota.clone();
    let blocking = tokio::task::spawn_blocking(move || other.blocking_get_buffer());
    samples.push(blocking.await.unwrap().unwrap());
    assert_used(&quota, 10, 0);
    while samples.pop().is_some() {
        assert_used(&quota, samples.len(), 0);
    }
    assert_nothing_is_lost(&pool, &quota);
}

/// Also when the sample was converted or shared, is released on another thread, or its release does more.
#[test]
fn a_sample_counts_in_its_quota_until_its_last_handle_drops() {
    let pool = Pool::builder().buffers(2).size(64).zero_on_release(true);
    let pool = pool.build().unwrap();
    let quota = pool.quota("camera", 2);
    let mut sample = quota.try_get_buffer().unwrap();
    sample.properties_mut().set_user(1);
    sample.set_len(8).unwrap();
    let shared = sample.freeze();
    let (slice, bytes) = (shared.slice(2..4), shared.clone().into_bytes());
    drop(shared);
    assert_used(&quota, 1, 0);
    drop(slice);
    assert_used(&quota, 1, 0);
    thread::spawn(move || drop(bytes)).join().unwrap();
    assert_used(&quota, 0, 0);

    let shared = quota.try_get_buffer().unwrap().freeze();
    let sample = shared.try_into_sample().expect("the only handle");
    assert_used(&quota, 1, 0);
    drop(sample);
    assert_nothing_is_lost(&pool, &quota);
}

/// What is in use keeps the account, and the last sample frees it.
#[test]
fn samples_outlive_the_handles_of_their_quota() {
    let pool = pool(2);
    let quota = pool.quota("camera", 2);
    let [one, another] = [(); 2].map(|()| quota.try_get_buffer().unwrap());
    let clone = quota.clone();
    drop(quota);
    assert_used(&clone, 2, 0);
    drop(clone);
    let in_use = || {
        pool.quotas()
            .iter()
            .map(|quota| quota.in_use)
            .sum::<usize>()
    };
    assert_eq!((pool.quotas().len(), in_use()), (1, 2));
    thread::spawn(move || drop(one)).join().unwrap();
    assert_eq!((pool.quotas().len(), in_use()), (1, 1));
    drop(another);
    assert_eq!(pool.quotas().len(), 0);
    assert_eq!(pool.free_count(), 2);
}

/// The next owner of the slot does not use the quota.
#[test]
fn a_sample_of_the_pool_counts_in_no_quota() {
    let pool = pool(1);
    let quota = pool.quota("camera", 1);
    drop(quota.try_get_buffer().unwrap());
    let sample = pool.try_get_buffer().unwrap();
    assert_used(&quota, 0, 0);
    assert_eq!(pool.holders()[0].quota, None);
    drop(sample);
    assert_nothing_is_lost(&pool, &quota);
}

#[test]
fn a_get_that_fails_does_not_count_in_its_quota() {
    let pool = pool(2);
    let quota = pool.quota("camera", 4);
    let too_many = GetBufferError::TooMany;
    assert_eq!(at_once(quota.get_buffers(5)).unwrap_err(), too_many);
    assert_eq!(quota.try_get_buffers(5).unwrap_err(), too_many);
    // More than the pool has.
    assert_eq!(at_once(quota.get_buffers(3)).unwrap_err(), too_many);
    assert_eq!(quota.try_get_buffers(3).unwrap_err(), too_many);
    assert!(at_once(quota.get_buffers(0)).unwrap().is_empty());
    assert!(quota.try_get_buffers(0).unwrap().is_empty());
    pool.set_flushing(true);
    let flushing = GetBufferError::Flushing;
    assert_eq!(at_once(quota.get_buffer()).unwrap_err(), flushing);
    assert_eq!(quota.try_get_buffer().unwrap_err(), flushing);
    assert_eq!(at_once(quota.get_buffers(5)).unwrap_err(), flushing);
    pool.set_flushing(false);
    let nothing = pool.quota("nothing", 0);
    assert_eq!(at_once(nothing.get_buffer()).unwrap_err(), too_many);
    assert_eq!(nothing.try_get_buffer().unwrap_err(), too_many);
    assert_nothing_is_lost(&pool, &quota);
}

#[test]
fn samples_outlive_their_quota() {
    let pool = pool(2);
    let quota = pool.quota("camera", 1);
    let sample = quota.try_get_buffer().unwrap();
    drop(quota);
    assert_eq!(pool.quotas()[0].in_use, 1, "a sample is charged to it");
    let weak = pool.downgrade();
    drop(pool);
    drop(sample.freeze().into_bytes());
    assert!(weak.upgrade().is_none());
}

/// The future can be kept for long after it has resolved.
#[test]
fn an_owned_get_that_has_failed_keeps_no_quota() {
    let pool = pool(2);
    let quota = pool.quota("camera", 1);
    let held = quota.try_get_buffer().unwrap();
    let mut get = Polled::waiting(quota.get_buffer_owned());
    drop((quota, held));
    pool.set_flushing(true);
    assert_eq!(get.expect_ready().unwrap_err(), GetBufferError::Flushing);
    assert_eq!(pool.quotas(), []);
    drop(get);
}

#[test]
fn a_quota_keeps_the_pool_alive() {
    let pool = pool(2);
    let quota = pool.quota("camera", 1);
    let weak = pool.downgrade();
    drop(pool);
    assert!(quota.try_get_buffer().is_ok());
    drop(quota);
    assert!(weak.upgrade().is_none());
}

#[test]
fn the_pool_lists_its_quotas_and_forgets_dropped_ones() {
    let pool = pool(4);
    for round in 0..1000 {
        drop(pool.quota(format!("client {round}"), 1));
    }
    assert_eq!(pool.quotas(), []);
    let camera = pool.quota("camera", 2);
    let microphone = pool.quota("microphone", 1);
    let sample = microphone.try_get_buffer().unwrap();
    let waiting = Polled::waiting(microphone.get_buffer());
    let shown: Vec<_> = pool.quotas().iter().map(QuotaStatus::to_string).collect();
    let expected = ["camera: 0 of 2, 0 waiting", "microphone: 1 of 1, 1 waiting"];
    assert_eq!(shown, expected);
    let holders = pool.holders();
    assert_eq!(holders[0].quota.as_deref(), Some("microphone"));
    assert!(holders[0].to_string().ends_with(", of microphone"));
    assert_eq!(holders[0].location.file(), file!());
    drop((sample, waiting));
    assert_nothing_is_lost(&pool, &camera);
}

/// What a log shows of a quota, and of a get that has room and no sample yet.
#[test]
fn debug_names_a_quota_and_shows_what_is_in_use() {
    let pool = pool(4);
    let quota = pool.quota("camera", 3);
    let held = quota.try_get_buffer().unwrap();
    let shown = format!("{quota:?}");
    for field in ["name: \"camera\"", "limit: 3", "in_use: 1"] {
        assert!(shown.contains(field), "{shown}");
    }
    let others = pool.try_get_buffers(3).unwrap();
    let mut get = quota.get_segments(128);
    assert!(poll_once(&mut get).is_pending());
    let shown = format!("{get:?}");
    assert!(shown.contains("Charge { count: 2"), "{shown}");
    let owned = format!("{:?}", quota.get_buffer_owned());
    assert!(
        owned.starts_with("GetBufferOwned { acquire: New"),
        "{owned}"
    );
    let mut polled = PollPool::from(&quota);
    assert!(poll_once(&mut polled.next()).is_pending());
    assert!(format!("{polled:?}").starts_with("PollPool { waiting: true"));
    drop((held, others, get, polled));
    assert_nothing_is_lost(&pool, &quota);
}

/// Tasks of one quota on many threads, and other users of the pool: never is more checked out than the limit,
/// and every sample is returned.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_share_a_quota() {
    const ROUNDS: usize = 500;
    let pool = pool(6);
    let quota = pool.quota("camera", 3);
    let out = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for task in 0..12 {
        let (pool, quota, out) = (pool.clone(), quota.clone(), out.clone());
        tasks.push(tokio::spawn(async move {
            for round in 0..ROUNDS {
                if task % 3 == 0 {
                    hold(pool.get_buffer().await.unwrap()).await;
                    continue;
                }
                if round % 7 == task {
                    // Cancelled at once, or after a short wait.
                    let limit = Duration::from_micros(10);
                    drop(time::timeout(limit, quota.get_buffer()).await);
                    continue;
                }
                let count = 1 + round % 2;
                let samples = quota.get_buffers(count).await.unwrap();
                let now = out.fetch_add(count, Ordering::SeqCst) + count;
                assert!(now <= 3, "{now} are out");
                tokio::task::yield_now().await;
                out.fetch_sub(count, Ordering::SeqCst);
                drop(samples);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_nothing_is_lost(&pool, &quota);
}

async fn hold(sample: Sample) {
    tokio::task::yield_now().await;
    drop(sample);
}
