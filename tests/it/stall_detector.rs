//! Stall detection: each stall is reported once, with the lines that hold the samples, and a stall detector
//! keeps nothing alive.

#![forbid(unsafe_code)]

use sample_pool::{GetBufferOwned, Pool, Stall};
use std::{
    future::Future,
    time::{Duration, Instant},
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};

/// Long for a busy machine, and short for a developer who waits for the tests.
const LIMIT: Duration = Duration::from_millis(60);
/// For events that must happen, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn pool(buffers: usize) -> Pool {
    let builder = Pool::builder().buffers(buffers).size(64);
    builder.track_holders(true).build().expect("small")
}

/// A stall detector in a task of its own, and the stalls that it reports.
fn watch(pool: &Pool) -> (JoinHandle<()>, mpsc::UnboundedReceiver<Stall>) {
    let (report, reports) = mpsc::unbounded_channel();
    let watch = pool.detect_stalls(LIMIT, move |wait| {
        // The test may have ended.
        let _gone = report.send(wait);
    });
    (tokio::spawn(watch), reports)
}

/// A get in a task of its own, which is queued when this returns.
async fn queued(pool: &Pool) -> JoinHandle<<GetBufferOwned as Future>::Output> {
    let before = pool.status().waiting;
    let get = tokio::spawn(pool.get_buffer_owned());
    while pool.status().waiting == before {
        tokio::task::yield_now().await;
    }
    get
}

async fn next(reports: &mut mpsc::UnboundedReceiver<Stall>) -> Stall {
    let stall = timeout(PATIENCE, reports.recv())
        .await
        .expect("it is reported");
    stall.expect("the watch goes on")
}

/// The detector's future resolves by itself.
async fn ends(watch: JoinHandle<()>) {
    let ended = timeout(PATIENCE, watch).await.expect("it resolves");
    ended.expect("no panic");
}

/// Nothing more is reported for several limits.
async fn silence(reports: &mut mpsc::UnboundedReceiver<Stall>) {
    sleep(3 * LIMIT).await;
    assert!(reports.try_recv().is_err(), "reported again");
}

/// The stall must be reported while it lasts, with the line that holds the samples.
#[tokio::test]
async fn a_get_that_waits_for_too_long_is_reported_with_the_holders_of_the_samples() {
    let pool = pool(1);
    let held = pool.try_get_buffer().expect("free");
    let (_watch, mut reports) = watch(&pool);
    let began = Instant::now();
    let get = queued(&pool).await;
    let wait = next(&mut reports).await;
    assert!(began.elapsed() >= LIMIT && wait.waited >= LIMIT, "{wait}");
    assert_eq!(wait.report.status.waiting, 1);
    assert!(wait.report.status.oldest_wait >= Some(wait.waited));
    let said = wait.to_string();
    assert!(said.starts_with("a get has waited for "), "{said}");
    assert!(said.contains("tests/it/stall_detector.rs:"), "{said}");
    drop(held);
    assert!(get.await.expect("no panic").is_ok());
}

/// One warning for each waiter, or for each check, would fill the log at the moment when it is read.
#[tokio::test]
async fn a_stall_is_reported_once_for_all_waiters_and_however_long_it_lasts() {
    let pool = pool(1);
    let held = pool.try_get_buffer().expect("free");
    let (_watch, mut reports) = watch(&pool);
    let first = queued(&pool).await;
    let second = queued(&pool).await;
    next(&mut reports).await;
    let third = queued(&pool).await;
    silence(&mut reports).await;
    drop((first, second, third, held));
}

/// The same detector must see the next stall as well, or the first one of a year is the last one reported.
#[tokio::test]
async fn after_the_queue_has_moved_on_or_was_empty_the_next_stall_is_reported() {
    let pool = pool(1);
    let held = pool.try_get_buffer().expect("free");
    let (_watch, mut reports) = watch(&pool);
    let first = queued(&pool).await;
    let second = queued(&pool).await;
    next(&mut reports).await;
    drop(held);
    let held = first.await.expect("no panic").expect("served");
    let wait = next(&mut reports).await;
    assert!(
        wait.waited >= LIMIT,
        "of the second, which joined long before"
    );
    drop(held);
    let held = second.await.expect("no panic").expect("served");
    silence(&mut reports).await;
    let third = queued(&pool).await;
    assert_eq!(next(&mut reports).await.report.status.waiting, 1);
    drop((third, held));
}

/// Otherwise each busy second of a healthy server would be reported.
#[tokio::test]
async fn gets_that_are_served_in_time_are_not_reported() {
    let pool = pool(1);
    let (_watch, mut reports) = watch(&pool);
    let (began, mut longest) = (Instant::now(), Duration::ZERO);
    while began.elapsed() < 3 * LIMIT {
        let held = pool.try_get_buffer().expect("free");
        let round = Instant::now();
        let get = queued(&pool).await;
        drop(held);
        drop(get.await.expect("no panic").expect("served"));
        longest = longest.max(round.elapsed());
    }
    // If the machine itself stalls, a wait gets long; only then may it be reported.
    assert!(reports.try_recv().is_err() || longest >= LIMIT);
}

/// A detector is often started when the pool is stuck already.
#[tokio::test]
async fn a_wait_that_began_before_the_watch_counts_from_when_the_watch_was_made() {
    let pool = pool(1);
    let held = pool.try_get_buffer().expect("free");
    let get = queued(&pool).await;
    assert_eq!(pool.status().oldest_wait, None, "waits are not measured");
    sleep(LIMIT).await;
    let began = Instant::now();
    let (_watch, mut reports) = watch(&pool);
    let wait = next(&mut reports).await;
    assert!(wait.waited >= LIMIT && wait.waited <= began.elapsed());
    drop((get, held));
}

/// For the detector they all queued at the same time, but each is a stall of its own when it becomes the
/// oldest.
#[tokio::test]
async fn waits_that_began_before_the_watch_are_marked() {
    let pool = pool(2);
    let quota = pool.quota("camera", 1);
    let held = pool.try_get_buffer().expect("free");
    let of_quota = quota.try_get_buffer().expect("free");
    let first = queued(&pool).await;
    let second = queued(&pool).await;
    let for_room = tokio::spawn(quota.get_buffer_owned());
    while quota.status().waiting == 0 {
        tokio::task::yield_now().await;
    }
    let (_watch, mut reports) = watch(&pool);
    let mut lines = [
        next(&mut reports).await.quota,
        next(&mut reports).await.quota,
    ];
    lines.sort();
    assert_eq!(lines, [None, Some("camera".into())], "one in each line");
    silence(&mut reports).await;
    drop(held);
    let held = first.await.expect("no panic").expect("served");
    let wait = next(&mut reports).await;
    assert_eq!(wait.quota, None);
    silence(&mut reports).await;
    drop((held, of_quota, second, for_room));
}

/// After the detector is dropped, waits are no longer measured.
#[tokio::test]
async fn waits_are_measured_only_while_somebody_watches() {
    let pool = pool(1);
    let held = pool.try_get_buffer().expect("free");
    let watches = (
        pool.detect_stalls(LIMIT, |_| {}),
        pool.detect_stalls(LIMIT, |_| {}),
    );
    drop(watches.0);
    let get = queued(&pool).await;
    assert!(pool.status().oldest_wait.is_some());
    assert_eq!(pool.status().wait_time, None, "that was not asked for");
    get.abort();
    assert!(get.await.is_err());
    drop(watches.1);
    let get = queued(&pool).await;
    assert_eq!(pool.status().oldest_wait, None);
    drop((get, held));
}

/// A detector that keeps its pool alive is a leak.
#[tokio::test]
async fn a_watch_ends_with_the_last_handle_and_does_not_keep_the_pool() {
    let pool = pool(1);
    let held = pool.try_get_buffer().expect("free");
    let (watch, mut reports) = watch(&pool);
    tokio::task::yield_now().await;
    let weak = pool.downgrade();
    drop(pool);
    assert!(weak.upgrade().is_none());
    let ended = timeout(PATIENCE, watch).await.expect("it resolves");
    ended.expect("no panic");
    assert!(reports.recv().await.is_none());
    drop(held);
}

/// A get that owns its pool is a handle: its wait is observed after all other handles are dropped.
#[tokio::test]
async fn a_watch_lasts_as_long_as_a_get_waits() {
    let pool = pool(1);
    let held = pool.try_get_buffer().expect("free");
    let (watch, mut reports) = watch(&pool);
    let get = queued(&pool).await;
    drop(pool);
    next(&mut reports).await;
    assert!(!watch.is_finished());
    drop(held);
    drop(get.await.expect("no panic").expect("served"));
    ends(watch).await;
}

/// The callback runs during a stall, and a user may want to end the stall in it.
#[tokio::test]
async fn the_callback_may_end_the_stall_itself() {
    let pool = pool(1);
    let held = pool.try_get_buffer().expect("free");
    let get = queued(&pool).await;
    let (mut held, weak) = (Some(held), pool.downgrade());
    let watch = tokio::spawn(pool.detect_stalls(LIMIT, move |_| {
        drop(held.take());
        let pool = weak.upgrade().expect("the test has a handle");
        assert!(pool.try_get_buffer().is_err(), "handed off");
        assert!(pool.report().status.waiting == 0);
    }));
    let served = timeout(PATIENCE, get).await.expect("in time");
    drop(served.expect("no panic").expect("served"));
    assert!(!watch.is_finished());
}

/// A get that was cancelled no longer waits. Its result shows that the panic lost nothing else.
#[tokio::test]
async fn a_callback_that_panics_ends_its_watch_and_nothing_else() {
    let pool = pool(1);
    let held = pool.try_get_buffer().expect("free");
    let get = queued(&pool).await;
    let watch = tokio::spawn(pool.detect_stalls(LIMIT, |_| panic!("a callback")));
    let ended = timeout(PATIENCE, watch).await.expect("it resolves");
    assert!(ended.expect_err("it panicked").is_panic());
    drop(held);
    drop(get.await.expect("no panic").expect("served"));
    let held = pool.try_get_buffer().expect("free");
    let get = queued(&pool).await;
    assert_eq!(pool.status().oldest_wait, None, "no detector is left");
    drop((get, held));
}

/// A limit of zero must not make the detector a busy loop that starves its runtime.
#[tokio::test]
async fn a_limit_of_zero_leaves_time_for_others() {
    let pool = pool(1);
    let (reports, mut heard) = mpsc::unbounded_channel();
    let watch = tokio::spawn(pool.detect_stalls(Duration::ZERO, move |wait| {
        let _gone = reports.send(wait);
    }));
    let held = pool.try_get_buffer().expect("free");
    let get = queued(&pool).await;
    next(&mut heard).await;
    drop(held);
    drop(get.await.expect("no panic").expect("served"));
    drop(pool);
    ends(watch).await;
}

/// With a quota smaller than the pool, the get waits in the quota's queue: the stall is the same.
#[tokio::test]
async fn a_wait_for_room_in_a_quota_is_reported_as_well() {
    let pool = pool(4);
    let quota = pool.quota("camera", 1);
    let held = quota.try_get_buffer().expect("free");
    let before = tokio::spawn(quota.get_buffer_owned());
    while quota.status().waiting == 0 {
        tokio::task::yield_now().await;
    }
    let (_watch, mut reports) = watch(&pool);
    let wait = next(&mut reports).await;
    assert!(wait.waited >= LIMIT, "{wait}");
    assert_eq!(wait.quota.as_deref(), Some("camera"));
    let said = wait.to_string();
    let first = said.lines().next().expect("a line");
    assert!(first.ends_with(" for room in camera"), "{said}");
    assert!(
        said.contains("camera: 1 of 1, 1 waiting, the first for "),
        "{said}"
    );
    silence(&mut reports).await;

    // The next one is another stall. It queued while waits were measured.
    let another = tokio::spawn(quota.get_buffer_owned());
    while quota.status().waiting == 1 {
        tokio::task::yield_now().await;
    }
    drop(held);
    let held = before.await.expect("no panic").expect("it has room");
    let wait = next(&mut reports).await;
    assert_eq!(wait.quota.as_deref(), Some("camera"));
    assert!(quota.status().oldest_wait >= Some(wait.waited));
    drop(held);
    assert!(another.await.expect("no panic").is_ok());
    assert_eq!(quota.status().oldest_wait, None);
    silence(&mut reports).await;
}

/// A quota that is full for long is normal, and must not hide a stall of the pool.
#[tokio::test]
async fn a_stall_in_one_queue_does_not_hide_one_in_another() {
    let pool = pool(2);
    let quota = pool.quota("camera", 1);
    let held = quota.try_get_buffer().expect("free");
    let _over = tokio::spawn(quota.get_buffer_owned());
    let (_watch, mut reports) = watch(&pool);
    assert_eq!(next(&mut reports).await.quota.as_deref(), Some("camera"));
    let all = pool.try_get_buffer().expect("free");
    let _waiting = queued(&pool).await;
    let wait = next(&mut reports).await;
    assert_eq!((wait.quota, wait.report.status.waiting), (None, 1));
    silence(&mut reports).await;
    drop((held, all));
}
