//! What the loom models and the shuttle scenes share.

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

/// Polls a future once. One that is wanted later is lent: `poll_once(&mut future)`.
pub(crate) fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    let mut future = pin!(future);
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

/// What must hold when nobody uses the pool any more.
pub(crate) fn assert_all_free(pool: &Pool) {
    let status = pool.status();
    assert_eq!(status.free, status.buffers, "every sample is home");
    assert_eq!(status.waiting, 0, "nobody is in line");
    assert_eq!(status.acquired, status.released);
    assert_eq!(status.callback_panics, 0);
}
