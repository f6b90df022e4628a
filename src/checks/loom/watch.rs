//! A stall detector that goes to sleep without a timer, and the events that must wake it.

use super::spawn;
use crate::{
    StallDetector,
    checks::shared::pool,
    sync::{Ordering, StatisticBool},
};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Wake, Waker},
    time::Duration,
};

/// Whether the waker was woken. Not one of loom's atomics, since it is read after all threads were joined.
#[derive(Default)]
struct Woken(StatisticBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// The detector checks the pool while `other` runs. Either it sees what `other` did, or it is woken.
fn meets<T: 'static>(
    mut watch: StallDetector<impl FnMut(crate::Stall)>,
    other: impl FnOnce() -> T + 'static,
) {
    let woken = Arc::new(Woken::default());
    let thread = loom::thread::spawn(other);
    let saw_nothing = watch.sleeps_without_a_timer(&Waker::from(woken.clone()));
    let left = thread.join().unwrap();
    assert!(
        !saw_nothing || woken.0.load(Ordering::SeqCst),
        "it sleeps on"
    );
    drop(left);
}

/// Polls a get that has to wait. The get is queued until the returned future is dropped.
fn joined<G: Future>(mut get: Pin<Box<G>>) -> Pin<Box<G>> {
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(get.as_mut().poll(cx).is_pending());
    get
}

const LIMIT: Duration = Duration::from_secs(1);

#[test]
fn a_watch_that_goes_to_sleep_meets_a_get_that_joins() {
    loom::model(|| {
        let pool = pool(1);
        let held = pool.try_get_buffer().unwrap();
        let get = Box::pin(pool.get_buffer_owned());
        meets(pool.detect_stalls(LIMIT, |_| {}), move || joined(get));
        drop(held);
    });
}

/// The wait queue of a quota has a lock of its own, and not the one that the detector holds while it checks and
/// goes to sleep.
#[test]
fn a_watch_that_goes_to_sleep_meets_a_get_that_queues_at_a_quota() {
    loom::model(|| {
        let pool = pool(2);
        let quota = pool.quota("camera", 1);
        let held = quota.try_get_buffer().unwrap();
        let get = Box::pin(quota.get_buffer_owned());
        meets(pool.detect_stalls(LIMIT, |_| {}), move || joined(get));
        drop(held);
    });
}

#[test]
fn a_watch_that_goes_to_sleep_meets_the_end_of_its_pool() {
    loom::model(|| {
        let pool = pool(1);
        let watch = pool.detect_stalls(LIMIT, |_| {});
        meets(watch, move || drop(pool));
    });
}

/// A sample is no handle: the detector ends, and the thread that drops the sample frees the pool.
#[test]
fn a_watch_meets_the_last_handle_and_the_last_sample() {
    loom::model(|| {
        let pool = pool(1);
        let held = pool.try_get_buffer().unwrap();
        let watch = pool.detect_stalls(LIMIT, |_| {});
        let sample = spawn(move || drop(held));
        meets(watch, move || drop(pool));
        sample.join().unwrap();
    });
}
