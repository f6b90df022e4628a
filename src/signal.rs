//! Futures that resolve once something happened: the next release, the next completed drain.
//!
//! Each future has a `Notify` of its own, which the pool keeps in a list until the event. Waking them
//! one by one is on purpose: `notify_waiters` would drop the rest when one waker panics.

#![forbid(unsafe_code)]

use crate::{
    acquire::spend,
    foreign,
    sync::{Notify, OwnedNotified},
};
use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// The pool's half: those to be told at the next event.
#[derive(Debug, Default)]
pub(crate) struct Listeners(Vec<Arc<Notify>>);

/// The future's half.
#[derive(Debug)]
pub(crate) struct Signal {
    notify: Arc<Notify>,
    notified: Option<Pin<Box<OwnedNotified>>>,
    polled: bool,
}

impl Listeners {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A signal for the next event.
    pub(crate) fn listen(&mut self) -> Signal {
        if self.0.len() == self.0.capacity() {
            // Forget the futures that were dropped, so that the list does not grow with them.
            self.0.retain(|notify| Arc::strong_count(notify) > 1);
        }
        let signal = Signal::new();
        self.0.push(signal.notify.clone());
        signal
    }

    /// Stops listening for `signal`.
    pub(crate) fn forget(&mut self, signal: &Signal) {
        self.0.retain(|notify| !Arc::ptr_eq(notify, &signal.notify));
    }

    /// Everybody, if there is anybody.
    pub(crate) fn take(&mut self) -> Option<Listeners> {
        (!self.is_empty()).then(|| mem::take(self))
    }

    /// Tells everybody. Runs foreign code, so the list was taken out from under the lock before.
    pub(crate) fn tell_all(self) {
        for notify in self.0 {
            foreign::quietly(|| notify.notify_one());
        }
    }
}

impl Signal {
    fn new() -> Self {
        let notify = Arc::new(Notify::new());
        Signal {
            notified: Some(Box::pin(notify.clone().notified_owned())),
            notify,
            polled: false,
        }
    }

    /// A signal of what has happened already.
    pub(crate) fn ready() -> Self {
        Signal {
            notify: Arc::new(Notify::new()),
            notified: None,
            polled: false,
        }
    }

    /// Whether the event was seen by a poll.
    pub(crate) fn is_over(&self) -> bool {
        self.notified.is_none()
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(notified) = &mut self.notified {
            if self.polled && !notified.as_mut().enable() {
                // Polled again without being woken, perhaps with another waker, which is foreign: it would
                // be cloned under the lock of the `Notify`. A new one clones it before.
                let again = self.notify.clone().notified_owned();
                foreign::quietly(|| notified.set(again));
            }
            self.polled = true;
            ready!(notified.as_mut().poll(cx));
            self.notified = None;
        }
        // What has happened already is ready at once, so a loop that waits for it must let others run.
        match spend(cx) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}
