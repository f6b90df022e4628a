//! Futures that resolve once something happened: the next release, the next completed drain.
//!
//! Each future has a `Notify` of its own, which the pool keeps in a list until the event. Waking them
//! one by one is on purpose: `notify_waiters` would drop the rest when one waker panics.

#![forbid(unsafe_code)]

use crate::sync::{Notify, OwnedNotified, coop::spend, user_code};
use std::{
    collections::BTreeMap,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// The pool's half: those to be told at the next event. A future that is dropped before takes its own out, so
/// those of the past cost nothing.
#[derive(Debug, Default)]
pub(crate) struct Event {
    /// How many there were since the last event.
    made: u64,
    by_number: BTreeMap<u64, Arc<Notify>>,
}

/// The future's half.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Its number among those that listen for the same event.
    number: u64,
    notify: Arc<Notify>,
    notified: Option<Pin<Box<OwnedNotified>>>,
    polled: bool,
}

impl Event {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    /// A signal for the next event.
    pub(crate) fn listen(&mut self) -> Listener {
        self.made += 1;
        let listener = Listener::new(self.made);
        self.by_number.insert(self.made, listener.notify.clone());
        listener
    }

    /// Stops listening for `signal`.
    pub(crate) fn forget(&mut self, listener: &Listener) {
        // It may be of an event that is over, and its number be another one's of the next.
        let known = self.by_number.get(&listener.number);
        if known.is_some_and(|notify| Arc::ptr_eq(notify, &listener.notify)) {
            self.by_number.remove(&listener.number);
        }
    }

    /// Everybody, if there is anybody.
    pub(crate) fn take(&mut self) -> Option<Event> {
        (!self.is_empty()).then(|| mem::take(self))
    }

    /// Tells everybody. Runs foreign code, so the list was taken out from under the lock before.
    pub(crate) fn tell_all(self) {
        for notify in self.by_number.into_values() {
            user_code::quietly(|| notify.notify_one());
        }
    }
}

impl Listener {
    fn new(number: u64) -> Self {
        let notify = Arc::new(Notify::new());
        Listener {
            number,
            notified: Some(Box::pin(notify.clone().notified_owned())),
            notify,
            polled: false,
        }
    }

    /// A signal of what has happened already.
    pub(crate) fn ready() -> Self {
        Listener {
            number: 0,
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
                user_code::quietly(|| notified.set(again));
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
