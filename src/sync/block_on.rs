//! How a blocking get waits.
//!
//! A thread that has to wait looks for its sample for some microseconds before it sleeps, and lets other threads run
//! meanwhile. To sleep and to be woken costs more than that, and with more threads than processors, which hold samples
//! for a short time, each wait would be a sleep.

#![forbid(unsafe_code)]

use futures::{
    executor,
    task::{ArcWake, waker_ref},
};
use std::{
    cell::Cell,
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

/// How often a thread lets the others run before it sleeps: for a few microseconds, if none has anything to do.
const YIELDS: u32 = 16;

/// After this time a thread sleeps at once. The threads that it let run compute for long, and one that sleeps is preferred
/// to them when it is woken.
const MOST: Duration = Duration::from_micros(50);

thread_local! {
    /// Whether this thread is in [`block_on`].
    static BLOCKS: Cell<bool> = const { Cell::new(false) };

    static WOKEN: Arc<Woken> = Arc::default();
}

/// Panics on a thread that runs Tokio tasks.
///
/// Only Tokio knows which threads run tasks. Its own blocking calls panic on them, so this makes one. A thread that is in
/// no runtime runs none, which costs much less to find out.
#[track_caller]
pub(crate) fn assert_may_block() {
    if tokio::runtime::Handle::try_current().is_err() {
        return;
    }
    let probe = tokio::sync::Mutex::const_new(());
    drop(probe.blocking_lock());
}

/// Whether this thread is blocked by the get that is polled.
pub(crate) fn is_blocked() -> bool {
    BLOCKS.get()
}

/// Blocks the thread until `get` resolves.
pub(crate) fn block_on<T>(get: impl Future<Output = T>) -> T {
    let _blocks = Blocks(BLOCKS.replace(true));
    let mut get = pin!(get);
    // A thread that is in an executor already goes on to `block_on`, which panics there.
    if let Ok(_entered) = executor::enter() {
        let polled = WOKEN.try_with(|woken| poll_for_a_while(get.as_mut(), woken));
        // `Err` while the thread is torn down. A free sample can be taken even then, but a thread that has slept before
        // cannot wait: the executor below has no waker any more, and panics.
        let polled =
            polled.unwrap_or_else(|_| get.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        if let Poll::Ready(done) = polled {
            return done;
        }
    }
    executor::block_on(get)
}

/// Polls the get, and again if it is woken soon.
fn poll_for_a_while<T>(mut get: Pin<&mut impl Future<Output = T>>, woken: &Arc<Woken>) -> Poll<T> {
    let waker = waker_ref(woken);
    let cx = &mut Context::from_waker(&waker);
    // An earlier get of this thread may have been woken since it was last polled, or may be woken yet. Then this one is
    // polled once more than it need be.
    let mut is_due = true;
    let mut begun = None;
    for _ in 0..YIELDS {
        // Not polled without a reason, because a poll takes the pool's lock.
        if is_due {
            let polled = get.as_mut().poll(cx);
            if polled.is_ready() {
                return polled;
            }
        }
        if begun.get_or_insert_with(Instant::now).elapsed() > MOST {
            break;
        }
        thread::yield_now();
        is_due = woken.0.swap(false, Ordering::Acquire);
    }
    Poll::Pending
}

/// A waker that its thread checks without sleeping.
#[derive(Default)]
struct Woken(AtomicBool);

impl ArcWake for Woken {
    fn wake_by_ref(woken: &Arc<Self>) {
        // An exchange, so that the store of an earlier get's waker does not hide that of this one.
        woken.0.swap(true, Ordering::Release);
    }
}

/// Restores the previous value when it is dropped, also if a get panics.
struct Blocks(bool);

impl Drop for Blocks {
    fn drop(&mut self) {
        BLOCKS.set(self.0);
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use std::{future::poll_fn, sync::mpsc};

    /// Each poll of a get that waits takes the pool's lock.
    #[test]
    fn a_get_that_nothing_wakes_is_not_polled() {
        let mut polls = 0;
        let done = Arc::new(AtomicBool::new(false));
        let (registers, registered) = mpsc::channel::<Waker>();
        let waking = thread::spawn({
            let done = done.clone();
            move || {
                thread::sleep(Duration::from_millis(20));
                done.store(true, Ordering::Relaxed);
                registered.iter().for_each(Waker::wake);
            }
        });
        let polls = block_on(poll_fn(move |cx| {
            polls += 1;
            if done.load(Ordering::Relaxed) {
                return Poll::Ready(polls);
            }
            registers.send(cx.waker().clone()).expect("a receiver");
            Poll::Pending
        }));
        // The first poll, that of the executor, and the one after the sleep.
        assert!(polls <= 3, "{polls} polls");
        waking.join().expect("no panic");
    }

    #[test]
    fn a_thread_whose_get_is_woken_soon_does_not_sleep() {
        let mut wakers = Vec::new();
        let waiting = poll_fn(|cx| {
            wakers.push(cx.waker().clone());
            cx.waker().wake_by_ref();
            match wakers.len() {
                2 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        });
        block_on(waiting);
        let of_a_sleeper = executor::block_on(poll_fn(|cx| Poll::Ready(cx.waker().clone())));
        assert!(!wakers[1].will_wake(&of_a_sleeper));
    }

    #[test]
    #[should_panic(expected = "within another executor")]
    fn a_thread_in_an_executor_panics_without_a_poll() {
        executor::block_on(async { block_on(async { unreachable!("polled") }) })
    }
}
