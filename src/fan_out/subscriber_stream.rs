//! A [`Subscriber`] as a [`Stream`].

use super::{
    delivery::Delivery,
    subscriber::{Subscriber, TryNext},
    subscriber_waits::poll_change,
};
use futures::{Stream, stream::FusedStream};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::task::coop;

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
            // Before the try, because a sample that was taken could not be kept until there is budget again.
            let proceed = ready!(coop::poll_proceed(cx));
            match this.try_next() {
                TryNext::Delivered(delivery) => {
                    proceed.made_progress();
                    return Poll::Ready(Some(delivery));
                }
                TryNext::AtLimit(at_limit) => {
                    drop(proceed);
                    this.hold_limit.notify_holders(at_limit);
                    ready!(poll_change(&mut this.waits.release, &this.releases, cx));
                }
                TryNext::AtLimitInFrame(at_limit) => {
                    drop(proceed);
                    this.hold_limit.notify_holders(at_limit);
                    let released = poll_change(&mut this.waits.release, &this.releases, cx);
                    let changed = poll_change(&mut this.waits.send, &this.window, cx);
                    if released.is_pending() && changed.is_pending() {
                        return Poll::Pending;
                    }
                }
                TryNext::Empty => {
                    drop(proceed);
                    ready!(poll_change(&mut this.waits.send, &this.window, cx));
                }
                TryNext::Ended => {
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
