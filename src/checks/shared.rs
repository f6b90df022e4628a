//! What the loom tests and the shuttle tests share.

#![forbid(unsafe_code)]

use crate::Pool;
use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

/// A pool of `buffers` samples of 64 bytes.
pub(crate) fn pool(buffers: usize) -> Pool {
    let pool = crate::Builder::default().buffers(buffers).size(64).build();
    pool.expect("a page of memory")
}

/// Polls a future once. To keep the future, pass a reference: `poll_once(&mut future)`.
pub(crate) fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    let mut future = pin!(future);
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

/// What must hold when no thread uses the pool any more.
pub(crate) fn assert_all_free(pool: &Pool) {
    let status = pool.status();
    assert_eq!(status.free, status.buffers, "every sample is free");
    assert_eq!(status.waiting, 0, "no waiter is queued");
    assert_eq!(status.acquired, status.released);
    assert_eq!(status.callback_panics, 0);
}
