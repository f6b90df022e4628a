//! The registration of a task that keeps a buffer: its wakers in the pool and in the quota.
//!
//! Gets queue in two places: for room in the quota, and for samples in the pool. A task that keeps a sample of a quota
//! must be woken for both, so it registers a waker in each.

#![forbid(unsafe_code)]

use crate::{
    core::handle::Pool,
    sync::user_code::{self, Spare},
    wait::{quota_account::Account, reclaim::Key},
};
use std::{
    sync::Arc,
    task::{Context, Poll},
};

/// The keys of a task's wakers, in the pool and in the quota through which it gets its samples, if there is one.
pub(crate) struct Registration {
    pool: Pool,
    in_pool: Option<Key>,
    account: Option<Arc<Account>>,
    in_account: Option<Key>,
}

impl Registration {
    pub(crate) fn new(pool: &Pool, account: Option<&Arc<Account>>) -> Self {
        Registration {
            pool: pool.clone(),
            in_pool: None,
            account: account.cloned(),
            in_account: None,
        }
    }

    /// Resolves if a get is queued in the quota or in the pool, if one has failed since the last call because no get
    /// may queue, or if the pool drains. Otherwise registers the waker for the next of these events.
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        if let Some(account) = &self.account {
            // A waker is user code: it is cloned before the lock is taken, and the replaced one is dropped after it is
            // released.
            let waker = Spare::new(cx.waker().clone());
            match account.register(&mut self.in_account, waker) {
                Some(replaced) => user_code::quietly(|| drop(replaced)),
                None => return Poll::Ready(()),
            }
        }
        let waker = Spare::new(cx.waker().clone());
        let engine = self.pool.engine();
        match engine.register_reclaim(&mut self.in_pool, waker) {
            Some(replaced) => user_code::quietly(|| drop(replaced)),
            None => return Poll::Ready(()),
        }
        Poll::Pending
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let removed = [
            self.pool.engine().unregister_reclaim(&mut self.in_pool),
            self.account
                .as_ref()
                .and_then(|account| account.unregister(&mut self.in_account)),
        ];
        for waker in removed.into_iter().flatten() {
            user_code::quietly(|| drop(waker));
        }
    }
}
