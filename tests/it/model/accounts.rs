//! The model of quotas: how much of each is in use, and who waits for room in it.

use super::operations::{Payer, Settings};
use proptest::{prelude::*, test_runner::TestCaseResult};
use sample_pool::{GetBufferError, Quota};
use std::collections::{HashMap, VecDeque};

#[derive(Debug)]
struct Account {
    limit: usize,
    charged: usize,
    /// The waiters, and how many samples each requests.
    line: VecDeque<(u64, usize)>,
}

impl Account {
    /// Admits waiters from the head of the queue while there is room. Returns their names.
    fn admit(&mut self) -> Vec<u64> {
        let mut admitted = Vec::new();
        while let Some(&(name, wanted)) = self.line.front() {
            if self.charged + wanted > self.limit {
                break;
            }
            self.charged += wanted;
            self.line.pop_front();
            admitted.push(name);
        }
        admitted
    }
}

/// A get on the pool itself has no account, and always has room.
#[derive(Debug)]
pub(crate) struct Accounts(HashMap<Payer, Account>);

impl Accounts {
    pub(crate) fn new(settings: &Settings) -> Self {
        let account = |payer| {
            let account = Account {
                limit: settings.limit,
                charged: 0,
                line: VecDeque::new(),
            };
            (payer, account)
        };
        Accounts(Payer::QUOTAS.map(account).into())
    }

    /// Whether the account can ever have room for so many.
    pub(crate) fn may_want(&self, payer: Payer, wanted: usize) -> Result<(), GetBufferError> {
        match self.0.get(&payer) {
            Some(account) if wanted > account.limit => Err(GetBufferError::TooMany),
            _ => Ok(()),
        }
    }

    /// Takes room for `wanted` samples if there is enough and no waiter is queued.
    pub(crate) fn charge(&mut self, payer: Payer, wanted: usize) -> bool {
        let Some(account) = self.0.get_mut(&payer) else {
            return true;
        };
        let is_first = account.line.is_empty() && account.charged + wanted <= account.limit;
        let charged = wanted == 0 || is_first;
        account.charged += if charged { wanted } else { 0 };
        charged
    }

    /// For how many samples there is room at once.
    pub(crate) fn room(&self, payer: Payer) -> usize {
        match self.0.get(&payer) {
            None => usize::MAX,
            Some(account) if account.line.is_empty() => account.limit - account.charged,
            Some(_) => 0,
        }
    }

    /// Queues a get for which there was no room.
    pub(crate) fn join(
        &mut self,
        payer: Payer,
        name: u64,
        wanted: usize,
        max_waiters: usize,
    ) -> Result<(), GetBufferError> {
        self.may_want(payer, wanted)?;
        let account = self.0.get_mut(&payer).expect("the pool has room");
        if account.line.len() >= max_waiters {
            return Err(GetBufferError::TooManyWaiters);
        }
        account.line.push_back((name, wanted));
        Ok(())
    }

    /// Leaves the queue. Returns the waiters that are admitted instead.
    pub(crate) fn leave(&mut self, payer: Payer, name: u64) -> Vec<u64> {
        let Some(account) = self.0.get_mut(&payer) else {
            return Vec::new();
        };
        account.line.retain(|&(other, _)| other != name);
        account.admit()
    }

    /// Releases room. Returns the waiters that are admitted to it.
    pub(crate) fn give_back(&mut self, payer: Payer, count: usize) -> Vec<u64> {
        let Some(account) = self.0.get_mut(&payer) else {
            return Vec::new();
        };
        account.charged -= count;
        account.admit()
    }

    /// Empties all queues. Returns the waiters that were in them.
    pub(crate) fn turn_away(&mut self) -> Vec<u64> {
        let accounts = self.0.values_mut();
        let waiting = accounts.flat_map(|account| account.line.drain(..));
        waiting.map(|(name, _)| name).collect()
    }

    /// Compares the model with the status of the quota.
    pub(crate) fn compare(&self, payer: Payer, quota: &Quota) -> TestCaseResult {
        let status = quota.status();
        let expected = self.0.get(&payer);
        let expected = expected.map(|account| (account.charged, account.line.len()));
        prop_assert_eq!(Some((status.in_use, status.waiting)), expected);
        Ok(())
    }
}
