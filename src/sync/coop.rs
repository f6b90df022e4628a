//! Tokio's cooperative budget.

#![forbid(unsafe_code)]

use std::{
    mem,
    task::{Context, Poll},
};
use tokio::task::coop;

/// Spends a unit of the task's budget, if any is left. Otherwise the waker, which is foreign, is woken or cloned.
#[inline]
pub(crate) fn spend(cx: &mut Context<'_>) -> bool {
    let Poll::Ready(budget) = coop::poll_proceed(cx) else {
        return false;
    };
    // What its drop would do is to give the budget back, because no progress was made.
    mem::forget(budget);
    true
}
