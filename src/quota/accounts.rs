//! The accounts of a pool's quotas, for whoever asks for all of them.

#![forbid(unsafe_code)]

use super::account::Account;
use crate::{error::GetBufferError, line::SeatNumber};
use std::{mem, sync::Arc, task::Waker, time::Instant};

/// The accounts of a pool's quotas; under its lock, where none is dropped.
#[derive(Debug, Default)]
pub(crate) struct Accounts(Vec<Arc<Account>>);

impl Accounts {
    /// Adds one. What comes back is those that nobody has any more, to be dropped once the lock is free.
    pub(crate) fn add(&mut self, account: Arc<Account>) -> Vec<Arc<Account>> {
        let mut gone = Vec::new();
        if self.0.len() == self.0.capacity() {
            let all = mem::take(&mut self.0);
            (self.0, gone) = all.into_iter().partition(is_in_use);
            // As many again can be added before the next look at all of them.
            self.0.reserve(self.0.len() + 1);
        }
        self.0.push(account);
        gone
    }

    /// Those that a quota or a sample refers to.
    pub(crate) fn in_use(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.0.iter().filter(|account| is_in_use(account))
    }

    /// Takes those who joined without a time for having joined now.
    pub(crate) fn measure_from(&self, now: Instant) {
        for account in self.in_use() {
            account.measure_from(now);
        }
    }

    /// Who has waited for longest in each of their lines, if anybody is there.
    pub(crate) fn longest(
        &self,
        now: Instant,
    ) -> impl Iterator<Item = (Instant, SeatNumber, &Arc<Account>)> {
        self.in_use().filter_map(move |account| {
            let (joined, seat) = account.longest(now)?;
            Some((joined, seat, account))
        })
    }

    /// Tells everybody who waits for room that it failed.
    pub(crate) fn fail_all(&self, error: GetBufferError, failed: &mut Vec<Waker>) {
        for account in &self.0 {
            failed.extend(account.fail_all(error));
        }
    }
}

/// Under the pool's lock nobody else can take a reference to one that only the pool has.
fn is_in_use(account: &Arc<Account>) -> bool {
    Arc::strong_count(account) > 1
}
