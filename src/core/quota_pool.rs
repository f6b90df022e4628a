//! The calls that the account of a quota makes to its pool.

#![forbid(unsafe_code)]

use crate::{
    core::{engine::Engine, handle::WeakPool},
    values::error::GetBufferError,
    wait::{
        clock::Stamp,
        node::NodeRef,
        quota_account::Account,
        quota_pool::QuotaPool,
        request::{Rank, Wanted, Why},
    },
};
use std::{sync::Arc, time::Duration};

impl QuotaPool for WeakPool {
    fn admits(&self, wanted: Wanted) -> Result<Option<Stamp>, GetBufferError> {
        let shared = self.engine().lock();
        shared.may_want(wanted)?;
        Ok(self.engine().stamp_if_measured(&shared))
    }

    fn serves_gets(&self) -> bool {
        self.engine().serves_gets()
    }

    fn max_waiters(&self) -> usize {
        self.engine().max_waiters()
    }

    fn wait_began(&self) {
        self.engine().wait_for_room_began();
    }

    fn wait_ended(&self, node_ref: &NodeRef) {
        self.engine().wait_ended(node_ref);
    }

    fn given_up(&self, why: Why) {
        self.engine().count(why);
    }

    fn since(&self, joined: Stamp) -> Duration {
        self.engine().since(joined)
    }
}

impl Engine {
    /// Makes the account of a quota. It calls its pool through `of_pool`.
    pub(crate) fn add_account(
        &self,
        of_pool: Box<WeakPool>,
        name: Arc<str>,
        limit: usize,
        rank: Rank,
    ) -> Arc<Account> {
        self.accounts.add(of_pool, name, limit, rank)
    }

    /// Whether a get that may not wait can be served at all, and otherwise its error.
    pub(crate) fn admits(&self, wanted: Wanted) -> Result<(), GetBufferError> {
        self.lock().may_want(wanted)
    }
}
