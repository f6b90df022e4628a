//! Tokio's cooperative budget.

#![forbid(unsafe_code)]

use std::{
    mem,
    task::{Context, Poll},
};
use tokio::task::coop;

/// Consumes one unit of the task's budget. Returns `false` if none is left.
///
/// In that case Tokio wakes or clones the waker, which is user code, so the caller must not hold a lock.
#[inline]
pub(crate) fn spend(cx: &mut Context<'_>) -> bool {
    let Poll::Ready(budget) = coop::poll_proceed(cx) else {
        return false;
    };
    // Its drop would give the unit back, as after a poll that made no progress.
    mem::forget(budget);
    true
}
