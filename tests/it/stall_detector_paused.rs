//! A stall detector uses the clock of its runtime, and works in a test that pauses time.

#![forbid(unsafe_code)]

use crate::wakers::{Moment, hooked_at};
use sample_pool::{GetBufferOwned, Pool, Stall};
use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};
use tokio::{
    runtime::Builder,
    sync::{mpsc, oneshot},
    task::{JoinHandle, yield_now},
    time::{Instant, advance, sleep, sleep_until, timeout},
};

const LIMIT: Duration = Duration::from_secs(1);

fn pool() -> Pool {
    let builder = Pool::builder().buffers(1).size(64).track_holders(true);
    builder.build().expect("small")
}

/// A stall detector in a task of its own, and the stalls that it reports.
fn watch(pool: &Pool, limit: Duration) -> (JoinHandle<()>, mpsc::UnboundedReceiver<Stall>) {
    let (warn, warnings) = mpsc::unbounded_channel();
    let watch = pool.detect_stalls(limit, move |wait| {
        // The test may have ended.
        let _gone = warn.send(wait);
    });
    (tokio::spawn(watch), warnings)
}

type Get = JoinHandle<<GetBufferOwned as Future>::Output>;

/// A get in a task of its own, which is queued once this returns.
async fn queued(pool: &Pool) -> Get {
    let get = tokio::spawn(pool.get_buffer_owned());
    yield_now().await;
    get
}

/// Tokio's clock is at `expected` after `begun`, and stays there for some real time while the runtime is idle:
/// any timer would advance the clock.
async fn assert_time_stands_still(begun: Instant, expected: Duration) {
    let (done, waited) = oneshot::channel();
    let other = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        // The test waits for this.
        let _gone = done.send(());
    });
    waited.await.expect("it is sent");
    other.join().expect("no panic");
    assert_eq!(begun.elapsed(), expected);
}

async fn next(warnings: &mut mpsc::UnboundedReceiver<Stall>) -> Stall {
    warnings.recv().await.expect("the watch goes on")
}

/// By std's clock no get waits for long in a paused test.
#[tokio::test(start_paused = true)]
async fn a_stall_is_reported_when_the_limit_has_passed_by_the_paused_clock() {
    let pool = pool();
    let held = pool.try_get_buffer().expect("it is free");
    let (_watch, mut warnings) = watch(&pool, LIMIT);
    sleep(7 * LIMIT).await;
    let begun = Instant::now();
    let get = queued(&pool).await;
    let wait = next(&mut warnings).await;
    assert_eq!((wait.waited, begun.elapsed()), (LIMIT, LIMIT));
    assert_eq!(wait.report.status.oldest_wait, Some(LIMIT));
    assert_eq!((wait.waiting, wait.report.status.waiting), (1, 1));
    drop((get, held));
}

/// Each timer of a detector advances a paused clock: a third of a second became two hours.
#[tokio::test(start_paused = true)]
async fn a_watch_sets_no_timer_while_there_is_nothing_to_time() {
    let pool = pool();
    let (_watch, mut warnings) = watch(&pool, LIMIT);
    let begun = Instant::now();
    assert_time_stands_still(begun, Duration::ZERO).await;

    let held = pool.try_get_buffer().expect("it is free");
    let get = queued(&pool).await;
    sleep(LIMIT / 2).await;
    drop(held);
    let held = get.await.expect("no panic").expect("served");
    assert_time_stands_still(begun, LIMIT / 2).await;

    let get = queued(&pool).await;
    next(&mut warnings).await;
    assert_time_stands_still(begun, LIMIT / 2 + LIMIT).await;
    let second = queued(&pool).await;
    assert_time_stands_still(begun, LIMIT / 2 + LIMIT).await;
    drop((get, second, held));
}

/// The second get queued long before it became the head, and only the end of the first wait notifies the
/// detector.
#[tokio::test(start_paused = true)]
async fn the_next_waiter_is_as_old_as_its_own_wait() {
    let pool = pool();
    let held = pool.try_get_buffer().expect("it is free");
    let (_watch, mut warnings) = watch(&pool, LIMIT);
    let begun = Instant::now();
    let first = queued(&pool).await;
    sleep(LIMIT / 4).await;
    let second = queued(&pool).await;
    next(&mut warnings).await;
    sleep_until(begun + 5 * LIMIT).await;
    assert!(warnings.try_recv().is_err(), "of the same stall");
    drop(held);
    let held = first.await.expect("no panic").expect("served");
    let wait = next(&mut warnings).await;
    assert_eq!(
        (wait.waited, begun.elapsed()),
        (5 * LIMIT - LIMIT / 4, 5 * LIMIT)
    );
    drop((second, held));
}

/// A get that stays at the head for ever hides all that queue behind it, unless the detector is notified when
/// it leaves.
#[tokio::test(start_paused = true)]
async fn waits_that_began_before_the_watch_are_reported_one_after_the_other() {
    let pool = pool();
    let mut held = pool.try_get_buffer().expect("it is free");
    let gets = [
        queued(&pool).await,
        queued(&pool).await,
        queued(&pool).await,
    ];
    sleep(LIMIT).await;
    let (_watch, mut warnings) = watch(&pool, LIMIT);
    let made = Instant::now();
    for get in gets {
        let wait = next(&mut warnings).await;
        assert_eq!(
            wait.waited,
            made.elapsed(),
            "it counts from when the watch was made"
        );
        drop(held);
        held = get.await.expect("no panic").expect("served");
    }
    assert_eq!(made.elapsed(), 3 * LIMIT, "one warning in each limit");
    drop(held);
}

/// A quota has a queue of its own under a lock of its own, and the detector must be notified of both ends of a
/// wait there.
#[tokio::test(start_paused = true)]
async fn a_wait_for_room_in_a_quota_is_timed_as_any_other() {
    let builder = Pool::builder().buffers(4).size(64);
    let pool = builder.build().expect("small");
    let quota = pool.quota("camera", 1);
    let held = quota.try_get_buffer().expect("it is free");
    let (_watch, mut warnings) = watch(&pool, LIMIT);
    sleep(LIMIT).await;
    let begun = Instant::now();
    let first = tokio::spawn(quota.get_buffer_owned());
    let second = tokio::spawn(quota.get_buffer_owned());
    let wait = next(&mut warnings).await;
    assert_eq!((wait.waited, begun.elapsed()), (LIMIT, LIMIT));
    assert_eq!((wait.quota.as_deref(), wait.waiting), (Some("camera"), 2));
    assert_time_stands_still(begun, LIMIT).await;
    drop(held);
    let held = first.await.expect("no panic").expect("there is room");
    let wait = next(&mut warnings).await;
    assert_eq!((wait.waited, wait.waiting), (2 * LIMIT, 1));
    second.abort();
    assert!(second.await.is_err());
    assert_time_stands_still(begun, 2 * LIMIT).await;
    drop(held);
}

/// The documentation of the detector says so. Its task may be polled for the first time long after it was made.
#[tokio::test(start_paused = true)]
async fn an_earlier_wait_for_room_counts_from_when_the_watch_was_made() {
    let pool = pool();
    let quota = pool.quota("camera", 1);
    let held = quota.try_get_buffer().expect("it is free");
    let get = tokio::spawn(quota.get_buffer_owned());
    yield_now().await;
    assert_eq!(quota.status().waiting, 1);
    let (warn, mut warnings) = mpsc::unbounded_channel();
    let watch = pool.detect_stalls(LIMIT, move |wait| {
        // The test may have ended.
        let _gone = warn.send(wait);
    });
    sleep(3 * LIMIT).await;
    assert_eq!(quota.status().oldest_wait, Some(3 * LIMIT));
    let _watch = tokio::spawn(watch);
    assert_eq!(next(&mut warnings).await.waited, 3 * LIMIT);
    drop((get, held));
}

/// Whether a wait is measured is decided before the get has its place in the queue. A waker is cloned between the two.
#[tokio::test(start_paused = true)]
async fn a_wait_for_room_that_begins_while_the_watch_is_made_is_reported() {
    let pool = pool();
    let quota = pool.quota("camera", 1);
    let held = quota.try_get_buffer().expect("it is free");
    let (made, mut watches) = mpsc::unbounded_channel();
    let hook = hooked_at(Moment::Clone, move || {
        let (_watch, reports) = watch(&pool, LIMIT);
        // The test may have ended.
        let _gone = made.send(reports);
    });
    let mut get = pin!(quota.get_buffer());
    let polled = get.as_mut().poll(&mut Context::from_waker(&hook));
    assert!(polled.is_pending());
    let mut reports = watches.recv().await.expect("the waker was cloned");
    let wait = timeout(3 * LIMIT, next(&mut reports)).await;
    let wait = wait.expect("it is measured");
    assert_eq!((wait.quota.as_deref(), wait.waiting), (Some("camera"), 1));
    drop(held);
}

/// A detector without a timer would otherwise outlive its pool for ever.
#[tokio::test(start_paused = true)]
async fn a_watch_ends_at_once_when_the_last_handle_is_gone() {
    let pool = pool();
    let (watching, _warnings) = watch(&pool, LIMIT);
    yield_now().await;
    let (other, begun) = (pool.clone(), Instant::now());
    drop(pool);
    yield_now().await;
    assert!(!watching.is_finished(), "there is another handle");
    drop(other);
    watching.await.expect("no panic");
    assert_eq!(begun.elapsed(), Duration::ZERO);

    // A get that owns its pool is a handle.
    let pool = self::pool();
    let held = pool.try_get_buffer().expect("it is free");
    let (watching, mut warnings) = watch(&pool, LIMIT);
    let get = queued(&pool).await;
    drop(pool);
    next(&mut warnings).await;
    assert!(!watching.is_finished());
    drop(held);
    let last = get.await.expect("no panic").expect("served");
    watching.await.expect("no panic");
    drop(last);
}

/// The times of the waiter are from a clock that is hours ahead or behind, or does not advance.
#[test]
fn a_watch_of_one_runtime_reports_waits_in_another_by_its_own_clock() {
    let pool = pool();
    let held = pool.try_get_buffer().expect("it is free");
    let limit = Duration::from_millis(60);
    let mut paused = Builder::new_current_thread();
    let paused = paused
        .enable_time()
        .start_paused(true)
        .build()
        .expect("small");
    for ahead in [Duration::ZERO, Duration::from_secs(3600)] {
        paused.block_on(advance(ahead));
        let runtime = Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("small");
        runtime.block_on(async {
            let (watching, mut warnings) = watch(&pool, limit);
            sleep(limit).await;
            let begun = Instant::now();
            let mut get = pin!(pool.get_buffer());
            let first = poll_fn(|cx| {
                let _other = paused.enter();
                Poll::Ready(get.as_mut().poll(cx).is_pending())
            });
            assert!(first.await);
            let wait = timeout(Duration::from_secs(20), warnings.recv()).await;
            let wait = wait.expect("in time").expect("the watch goes on");
            assert!(wait.waited >= limit, "{wait}");
            assert!(
                begun.elapsed() >= limit,
                "reported {:?} after it began",
                begun.elapsed()
            );
            watching.abort();
        });
    }
    drop(held);
}

/// A blocked thread uses std's clock, and a paused clock can have any value.
#[test]
fn a_paused_watch_reports_a_thread_that_waits() {
    let pool = pool();
    let held = pool.try_get_buffer().expect("it is free");
    let mut paused = Builder::new_current_thread();
    let paused = paused
        .enable_time()
        .start_paused(true)
        .build()
        .expect("small");
    let other = pool.clone();
    paused.block_on(async {
        advance(Duration::from_secs(3600)).await;
        let (_watch, mut warnings) = watch(&pool, LIMIT);
        yield_now().await;
        let begun = Instant::now();
        let thread = thread::spawn(move || other.blocking_get_buffer().map(drop));
        let wait = next(&mut warnings).await;
        assert_eq!((wait.waited, begun.elapsed()), (LIMIT, LIMIT));
        drop(held);
        thread.join().expect("no panic").expect("served");
    });
}

/// A detector that panicked only when the first get waits would do so in the middle of the stall.
#[test]
fn a_watch_outside_a_runtime_panics_at_its_first_poll() {
    let pool = pool();
    let mut watch = pin!(pool.detect_stalls(LIMIT, |_| {}));
    let cx = &mut Context::from_waker(Waker::noop());
    let polled = catch_unwind(AssertUnwindSafe(|| watch.as_mut().poll(cx)));
    assert!(polled.is_err());
    assert!(pool.try_get_buffer().is_ok(), "the pool goes on");
}
