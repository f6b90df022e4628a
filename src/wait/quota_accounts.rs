//! The accounts of a pool's quotas, for decommits, flushes and reports.

#![forbid(unsafe_code)]

use super::registry::Registry;
use crate::{
    values::{error::GetBufferError, quota_status::QuotaStatus},
    wait::{
        clock::Stamp, quota_account::Account, quota_pool::QuotaPool, request::Rank,
        slab::WaiterNumber,
    },
};
use std::{sync::Arc, task::Waker, time::Duration};

/// The accounts that are in use.
#[derive(Debug, Default)]
pub(crate) struct Accounts(Registry<Account>);

impl Accounts {
    /// Makes an account.
    pub(crate) fn add(
        &self,
        pool: Box<dyn QuotaPool>,
        name: Arc<str>,
        limit: usize,
        rank: Rank,
    ) -> Arc<Account> {
        let make = |entry| Account::new(pool, entry, name, limit, rank);
        self.0.add(make)
    }

    /// The accounts that have a user.
    pub(crate) fn in_use(&self) -> Vec<Arc<Account>> {
        self.0.in_use()
    }

    /// The public status of each. `since` returns the time since a stamp.
    pub(crate) fn statuses(&self, since: impl Fn(Stamp) -> Duration) -> Vec<QuotaStatus> {
        let accounts = self.in_use().into_iter();
        accounts.map(|account| account.status(&since)).collect()
    }

    /// Records `now` as the join time of all queued waiters that have none.
    pub(crate) fn measure_from(&self, now: Stamp) {
        for account in self.in_use() {
            account.measure_from(now);
        }
    }

    /// The longest waiter of each account that has a waiter: its join time, its number, and the account.
    pub(crate) fn longest(
        &self,
        now: Stamp,
    ) -> impl Iterator<Item = (Stamp, WaiterNumber, Arc<Account>)> + use<> {
        self.in_use().into_iter().filter_map(move |account| {
            let (joined, waiter) = account.longest(now)?;
            Some((joined, waiter, account))
        })
    }

    /// Fails all gets that wait for room, and appends their wakers to `failed`. Called under the pool's lock, after the
    /// gate was shut.
    pub(crate) fn fail_all(&self, error: GetBufferError, failed: &mut Vec<Waker>) {
        for account in self.in_use() {
            failed.extend(account.fail_all(error));
        }
    }
}
