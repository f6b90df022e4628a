//! Polling futures by hand, so that a test decides which future is polled when, and sees which wakers were
//! woken.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// Counts how often its waker was woken.
#[derive(Debug, Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A future that is polled when the test says so, and never otherwise.
///
/// Dropping it drops the future; making it polls nothing.
pub(crate) struct Polled<F> {
    future: Pin<Box<F>>,
    wakes: Arc<Wakes>,
    waker: Waker,
}

impl<F: Future> Polled<F> {
    pub(crate) fn new(future: F) -> Self {
        let wakes = Arc::new(Wakes::default());
        Polled {
            future: Box::pin(future),
            waker: Waker::from(wakes.clone()),
            wakes,
        }
    }

    /// A future that has been polled once and waits: it is queued.
    #[track_caller]
    pub(crate) fn waiting(future: F) -> Self {
        let mut polled = Self::new(future);
        polled.expect_pending();
        polled
    }

    pub(crate) fn poll(&mut self) -> Poll<F::Output> {
        self.future
            .as_mut()
            .poll(&mut Context::from_waker(&self.waker))
    }

    /// Polls once; the future must still wait.
    #[track_caller]
    pub(crate) fn expect_pending(&mut self) {
        assert!(self.poll().is_pending(), "resolved, and should wait");
    }

    /// Polls once; the future must resolve.
    #[track_caller]
    pub(crate) fn expect_ready(&mut self) -> F::Output {
        match self.poll() {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("waits, and should have resolved"),
        }
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.wakes() > 0
    }

    /// How often the future's waker was woken since it was made.
    pub(crate) fn wakes(&self) -> usize {
        self.wakes.count()
    }
}

/// Polls `future` once with a waker that does nothing and allocates nothing.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// The result of `future` at its first poll. It must not wait.
#[track_caller]
pub(crate) fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("waits, and should resolve at the first poll"),
    }
}
