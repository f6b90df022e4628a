//! The accounts of a pool's quotas that are in use, for decommits, flushes and reports.
//!
//! The pool does not own its accounts: users of a quota do, which are its handles, its gets and the samples that
//! are charged to it. The last user frees the account, and with it its entry here. So a server can make a quota
//! for each connection: those of past connections cost neither memory nor time.
//!
//! The entries have a lock of their own. It is the innermost one: it is taken under the pool's, and no other is
//! taken and no account is dropped while it is held. So the last reference to an account may be dropped anywhere,
//! also under the pool's lock.
//!
//! # Invariants, true whenever the lock is free
//!
//! - **B1** An account that has a user has an entry. A decommit shuts the gate before it reads the entries; whoever
//!   makes an account later has seen that through this lock. loom `a_decommit_meets_whoever_waits_for_room`
//! - **B2** An account that has no user left has no entry, or is about to remove it. `gone: quotas_that_were_*`

#![forbid(unsafe_code)]

use super::account::Account;
use crate::{clock::Stamp, error::GetBufferError, line::SeatNumber, sync::Lock};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Weak},
    task::Waker,
};

/// See the module's documentation.
#[derive(Clone)]
pub(crate) struct Accounts(Arc<Lock<Entries>>);

#[derive(Default)]
struct Entries {
    /// How many accounts were ever made.
    made: u64,
    /// In the order in which they were made.
    by_number: BTreeMap<u64, Weak<Account>>,
}

impl Default for Accounts {
    fn default() -> Self {
        Accounts(Arc::new(Lock::new(Entries::default())))
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Accounts").finish()
    }
}

/// An account's entry, which is removed when this is dropped: with the account.
#[derive(Debug)]
pub(super) struct Entry {
    accounts: Accounts,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut entries = self.accounts.0.lock();
        let removed = entries.by_number.remove(&self.number);
        drop(entries);
        drop(removed);
    }
}

impl Accounts {
    /// Makes an account with an entry.
    pub(super) fn add(&self, make: impl FnOnce(Entry) -> Account) -> Arc<Account> {
        let number = {
            let mut entries = self.0.lock();
            entries.made += 1;
            entries.made
        };
        let accounts = self.clone();
        let account = Arc::new(make(Entry { accounts, number }));
        let mut entries = self.0.lock();
        entries.by_number.insert(number, Arc::downgrade(&account));
        drop(entries);
        account
    }

    /// Those that have a user.
    pub(crate) fn in_use(&self) -> Vec<Arc<Account>> {
        let entries = self.0.lock();
        entries
            .by_number
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// Takes those who joined without a time for having joined now.
    pub(crate) fn measure_from(&self, now: Stamp) {
        for account in self.in_use() {
            account.measure_from(now);
        }
    }

    /// Who has waited for longest in each of their lines, if anybody is there.
    pub(crate) fn longest(
        &self,
        now: Stamp,
    ) -> impl Iterator<Item = (Stamp, SeatNumber, Arc<Account>)> + use<> {
        self.in_use().into_iter().filter_map(move |account| {
            let (joined, seat) = account.longest(now)?;
            Some((joined, seat, account))
        })
    }

    /// Tells everybody who waits for room that it failed. Called under the pool's lock, after the gate was shut.
    pub(crate) fn fail_all(&self, error: GetBufferError, failed: &mut Vec<Waker>) {
        for account in self.in_use() {
            failed.extend(account.fail_all(error));
        }
    }
}
