//! How a blocking get waits.
//!
//! A thread that finds no free sample lets other threads run, and tries again. After some tries it joins the wait queue
//! and lets other threads run again, and only then it sleeps. To sleep and to be woken takes several microseconds. Where
//! more threads than processors hold samples for a short time, each get would be a wait and each wait a sleep.

#![forbid(unsafe_code)]

use futures::{
    executor,
    task::{ArcWake, waker_ref},
};
use std::{
    cell::Cell,
    future::Future,
    ops::ControlFlow,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

/// How often a thread tries again before it joins the wait queue.
///
/// In a queue a sample goes from thread to thread in turn, and each one has to be run before the next one gets it. A
/// thread that finds a free sample when it is run again does not begin such a queue. Eight threads on two processors
/// that share two samples need 45 ns for each get with four tries, 55 with two, and 90 with one.
const TRIES: u32 = 4;

/// How often a thread lets the others run before it sleeps: for a few microseconds, if none has anything to do.
const YIELDS: u32 = 16;

/// After this time a thread joins the queue and sleeps at once. The threads that it let run compute for long, and one
/// that sleeps is preferred to them when it is woken.
const MAX_YIELD_TIME: Duration = Duration::from_micros(50);

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

/// Blocks the thread until `try_get` returns a value, or `get` resolves.
///
/// `try_get` does not wait. It is called first, and again after other threads have run, unless it returns
/// `Break(None)`. The get is polled when it returned no value.
pub(crate) fn block_on<F: Future + Unpin>(
    mut get: F,
    try_get: impl FnMut(&mut F) -> ControlFlow<Option<F::Output>>,
) -> F::Output {
    let _blocks = Blocks(BLOCKS.replace(true));
    // A thread that is in an executor already goes on to `block_on`, which panics there.
    if let Ok(_entered) = executor::enter() {
        let mut yields = Yields::default();
        if let Some(value) = try_for_a_while(&mut get, try_get, &mut yields) {
            return value;
        }
        let polled = WOKEN.try_with(|woken| poll_for_a_while(&mut get, woken, &mut yields));
        // `Err` while the thread is torn down. The get can resolve even then, but a thread that has slept before cannot
        // wait: the executor below has no waker any more, and panics.
        let polled = polled
            .unwrap_or_else(|_| Pin::new(&mut get).poll(&mut Context::from_waker(Waker::noop())));
        if let Poll::Ready(done) = polled {
            return done;
        }
    }
    executor::block_on(get)
}

/// Calls `try_get`, and again after other threads have run.
fn try_for_a_while<F: Future>(
    get: &mut F,
    mut try_get: impl FnMut(&mut F) -> ControlFlow<Option<F::Output>>,
    yields: &mut Yields,
) -> Option<F::Output> {
    loop {
        if let ControlFlow::Break(value) = try_get(get) {
            return value;
        }
        if !yields.let_others_run(TRIES) {
            return None;
        }
    }
}

/// Polls the get, and again if it is woken soon.
fn poll_for_a_while<F: Future + Unpin>(
    get: &mut F,
    woken: &Arc<Woken>,
    yields: &mut Yields,
) -> Poll<F::Output> {
    let waker = waker_ref(woken);
    let cx = &mut Context::from_waker(&waker);
    // An earlier get of this thread may have been woken since it was last polled, or may be woken yet. Then this one is
    // polled once more than it need be.
    let mut is_due = true;
    loop {
        // Not polled without a reason, because a poll takes the pool's lock.
        if is_due {
            let polled = Pin::new(&mut *get).poll(cx);
            if polled.is_ready() {
                return polled;
            }
        }
        if !yields.let_others_run(YIELDS) {
            return Poll::Pending;
        }
        is_due = woken.0.swap(false, Ordering::Acquire);
    }
}

/// The times that a thread let others run, in one get.
#[derive(Default)]
struct Yields {
    made: u32,
    /// When it did so for the first time.
    begun: Option<Instant>,
}

impl Yields {
    /// Lets other threads run once, and returns `true`. Returns `false` if that was done `most` times, or for long.
    fn let_others_run(&mut self, most: u32) -> bool {
        if self.made >= most {
            return false;
        }
        match self.begun {
            None => self.begun = Some(Instant::now()),
            Some(begun) if begun.elapsed() > MAX_YIELD_TIME => return false,
            Some(_) => {}
        }
        self.made += 1;
        thread::yield_now();
        true
    }
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

    /// Blocks until the get resolves, without a try.
    fn block_on_get<F: Future + Unpin>(get: F) -> F::Output {
        block_on(get, |_| ControlFlow::Break(None))
    }

    /// The number of tries, and the result.
    fn tries(try_get: impl Fn(u32) -> ControlFlow<Option<&'static str>>) -> (u32, &'static str) {
        let mut tries = 0;
        let result = block_on(poll_fn(|_| Poll::Ready("polled")), |_| {
            tries += 1;
            try_get(tries)
        });
        (tries, result)
    }

    #[test]
    fn a_get_is_polled_only_if_no_try_returns_a_value() {
        let (in_vain, result) = tries(|_| ControlFlow::Continue(()));
        assert_eq!(result, "polled");
        // The first one, and fewer of the others if the machine is busy.
        assert!((2..=1 + TRIES).contains(&in_vain), "{in_vain} tries");
        let at_second = |number| match number {
            2 => ControlFlow::Break(Some("found")),
            _ => ControlFlow::Continue(()),
        };
        assert_eq!(tries(at_second), (2, "found"));
        assert_eq!(tries(|_| ControlFlow::Break(None)), (1, "polled"));
    }

    #[test]
    fn a_thread_that_let_others_run_for_long_does_not_try_again() {
        let slow = |_| {
            thread::sleep(2 * MAX_YIELD_TIME);
            ControlFlow::Continue(())
        };
        // The time counts from the end of the first try.
        assert_eq!(tries(slow), (2, "polled"));
    }

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
        let polls = block_on_get(poll_fn(move |cx| {
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
        block_on_get(waiting);
        let of_a_sleeper = executor::block_on(poll_fn(|cx| Poll::Ready(cx.waker().clone())));
        assert!(!wakers[1].will_wake(&of_a_sleeper));
    }

    #[test]
    #[should_panic(expected = "within another executor")]
    fn a_thread_in_an_executor_panics_without_a_poll() {
        let get = || poll_fn(|_| -> Poll<()> { unreachable!("polled") });
        executor::block_on(async { block_on(get(), |_| unreachable!("tried")) })
    }
}
