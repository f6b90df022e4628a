//! Futures that resolve at the next event of a kind: the next release, or the next completed drain.
//!
//! Each future has a `Notify` of its own, and the pool keeps a list of them until the event. They are notified one by
//! one. One `Notify` with `notify_waiters` is no alternative: if one waker panics, it does not wake the rest.

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

/// The pool's half: the listeners of the next event. A future that is dropped before removes its own, so futures of the
/// past cost nothing.
#[derive(Debug, Default)]
pub(crate) struct Event {
    /// How many listeners were made since the last event. The number of the last one.
    made: u64,
    by_number: BTreeMap<u64, Arc<Notify>>,
}

/// The future's half.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Its number among the listeners of the same event.
    number: u64,
    notify: Arc<Notify>,
    notified: Option<Pin<Box<OwnedNotified>>>,
    polled: bool,
}

impl Event {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    /// Makes a listener for the next event.
    pub(crate) fn listen(&mut self) -> Listener {
        self.made += 1;
        let listener = Listener::new(self.made);
        self.by_number.insert(self.made, listener.notify.clone());
        listener
    }

    /// Removes `listener`, if it is still in the list.
    pub(crate) fn remove(&mut self, listener: &Listener) {
        // It may be of an event that is over. Then another listener, of the next event, may have its number.
        let known = self.by_number.get(&listener.number);
        if known.is_some_and(|notify| Arc::ptr_eq(notify, &listener.notify)) {
            self.by_number.remove(&listener.number);
        }
    }

    /// Takes all listeners, if there are any.
    pub(crate) fn take(&mut self) -> Option<Event> {
        (!self.is_empty()).then(|| mem::take(self))
    }

    /// Notifies all listeners. Their wakers are user code, so the list must have been taken out of the lock before.
    pub(crate) fn notify_all(self) {
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

    /// A listener of an event that has happened already.
    pub(crate) fn ready() -> Self {
        Listener {
            number: 0,
            notify: Arc::new(Notify::new()),
            notified: None,
            polled: false,
        }
    }

    /// Whether a poll has seen the event.
    pub(crate) fn is_over(&self) -> bool {
        self.notified.is_none()
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(notified) = &mut self.notified {
            if self.polled && !notified.as_mut().enable() {
                // Polled again before the event, perhaps with another waker. `Notified` would clone that waker, which
                // is user code, under the lock of the `Notify`. A new `Notified` clones it before it takes the lock.
                let again = self.notify.clone().notified_owned();
                user_code::quietly(|| notified.set(again));
            }
            self.polled = true;
            ready!(notified.as_mut().poll(cx));
            self.notified = None;
        }
        // An event that has happened already is ready at once: a task that awaits such ones in a loop must yield.
        match spend(cx) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}
