//! A [`Subscriber`] as a [`Stream`].
//!
//! `recv` awaits futures that borrow the subscriber, and a stream cannot keep those between two polls. So each wait of
//! the stream is a boxed stream that owns a handle to what it waits for. `stream::unfold` keeps its future inside the
//! box, so a box is allocated once and not at each wait.
//!
//! # Why no wake-up is lost
//!
//! Each wait has a receiver of its own, which is cloned after the subscriber marked its own one as seen, and marks a
//! change as seen only when it reports it. So a change after the check is still unseen by the wait, which is polled
//! after the check. A change that was already checked can be reported again, which costs one more check.

use super::{
    delivery::Delivery,
    subscriber::{Check, Subscriber},
};
use crate::sync::{OwnedSemaphorePermit, Semaphore, watch};
use futures::{
    Stream,
    stream::{self, FusedStream},
};
use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::task::coop;

/// The waits of a stream, each from when it is first needed.
#[derive(Default)]
pub(super) struct Waits {
    permit: Option<Wait<OwnedSemaphorePermit>>,
    release: Option<Wait<()>>,
    send: Option<Wait<()>>,
}

/// A stream that never ends. `AssertUnwindSafe`: after a panic in a waker it only has to be dropped or polled again,
/// as Tokio's primitives inside it.
type Wait<T> = AssertUnwindSafe<Pin<Box<dyn Stream<Item = T> + Send + Sync>>>;

impl Waits {
    /// Drops the wait for a permit, and returns the permit that it may have been assigned.
    pub(super) fn cancel_permit(&mut self) {
        self.permit = None;
    }

    fn poll_permit(
        &mut self,
        permits: &Arc<Semaphore>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<OwnedSemaphorePermit>> {
        let wait = self.permit.get_or_insert_with(|| {
            let permits = permits.clone();
            AssertUnwindSafe(Box::pin(stream::unfold(permits, |permits| async move {
                // Cannot fail: the semaphore is never closed.
                let permit = permits.clone().acquire_owned().await.ok()?;
                Some((permit, permits))
            })))
        });
        Pin::new(wait).poll_next(cx)
    }
}

/// Polls `wait` for a change that `receiver` has not seen.
fn poll_change<T: Send + Sync + 'static>(
    wait: &mut Option<Wait<()>>,
    receiver: &watch::Receiver<T>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let wait = wait.get_or_insert_with(|| {
        let receiver = receiver.clone();
        AssertUnwindSafe(Box::pin(stream::unfold(
            receiver,
            |mut receiver| async move {
                // Fails if the sender was dropped. That is a change too: the next check finds the end.
                let _ = receiver.changed().await;
                Some(((), receiver))
            },
        )))
    });
    Pin::new(wait).poll_next(cx).map(drop)
}

/// Ends when [`recv`](Subscriber::recv) would return `None`.
///
/// # Cancel safety
///
/// Dropping the future of `StreamExt::next` loses nothing. `next` and [`recv`](Subscriber::recv) can be used in turn.
impl Stream for Subscriber {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let this = &mut *self;
        loop {
            if this.permit.is_none() {
                this.permit = ready!(this.waits.poll_permit(&this.permits, cx));
            }
            // Before the check, because a sample that was taken could not be kept until there is budget again.
            let proceed = ready!(coop::poll_proceed(cx));
            match this.check() {
                Check::Delivered(delivery) => {
                    proceed.made_progress();
                    return Poll::Ready(Some(delivery));
                }
                Check::AtLimit(at_limit) => {
                    drop(proceed);
                    this.hold_limit.notify_holders(at_limit);
                    ready!(poll_change(&mut this.waits.release, &this.releases, cx));
                }
                Check::Empty => {
                    drop(proceed);
                    ready!(poll_change(&mut this.waits.send, &this.window, cx));
                }
                Check::Ended => {
                    // The end spends budget too: a task that polls it in a loop would not let other tasks run.
                    proceed.made_progress();
                    this.is_ended = true;
                    return Poll::Ready(None);
                }
            }
        }
    }
}

/// Terminated once the end was returned. Nothing follows it.
impl FusedStream for Subscriber {
    fn is_terminated(&self) -> bool {
        self.is_ended
    }
}
