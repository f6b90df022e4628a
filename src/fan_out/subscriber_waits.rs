//! What a subscriber waits for when it is polled as a stream.
//!
//! A stream cannot keep futures that borrow it between two polls. So each wait is a boxed stream that owns a handle to
//! what it waits for. `stream::unfold` keeps its future inside the box, so a box is allocated once and not at each wait.
//!
//! # Why no wake-up is lost
//!
//! Each wait has a receiver of its own, which is cloned after the subscriber marked its own one as seen, and marks a
//! change as seen only when it reports it. So a change after the check is still unseen by the wait, which is polled
//! after the check. A change that was already checked can be reported again, which costs one more check.

use crate::sync::{OwnedSemaphorePermit, Semaphore, watch};
use futures::{Stream, stream};
use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// The waits of a stream, each from when it is first needed.
#[derive(Default)]
pub(super) struct Waits {
    permit: Option<Wait<OwnedSemaphorePermit>>,
    pub(super) release: Option<Wait<()>>,
    pub(super) send: Option<Wait<()>>,
}

/// A stream that never ends. `AssertUnwindSafe`: after a panic in a waker it only has to be dropped or polled again,
/// as Tokio's primitives inside it.
pub(super) type Wait<T> = AssertUnwindSafe<Pin<Box<dyn Stream<Item = T> + Send + Sync>>>;

impl Waits {
    /// Drops the wait for a permit, and returns the permit that it may have been assigned.
    pub(super) fn cancel_permit(&mut self) {
        self.permit = None;
    }

    pub(super) fn poll_permit(
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
pub(super) fn poll_change<T: Send + Sync + 'static>(
    wait: &mut Option<Wait<()>>,
    receiver: &watch::Receiver<T>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let wait = wait.get_or_insert_with(|| {
        let receiver = receiver.clone();
        AssertUnwindSafe(Box::pin(stream::unfold(
            receiver,
            |mut receiver| async move {
                // Fails if the sender was dropped. That is a change too: the next try finds the end.
                let _ = receiver.changed().await;
                Some(((), receiver))
            },
        )))
    });
    Pin::new(wait).poll_next(cx).map(drop)
}
