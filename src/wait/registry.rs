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

use crate::sync::Lock;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Weak},
};

/// See the module's documentation.
pub(crate) struct Registry<T>(Arc<Lock<Entries<T>>>);

struct Entries<T> {
    /// How many were ever made.
    made: u64,
    /// In the order in which they were made.
    by_number: BTreeMap<u64, Weak<T>>,
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Registry(Arc::new(Lock::new(Entries {
            made: 0,
            by_number: BTreeMap::new(),
        })))
    }
}

impl<T> fmt::Debug for Registry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registry").finish()
    }
}

/// The entry of one, which is removed when this is dropped: with what it is the entry of.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    registry: Registry<T>,
    number: u64,
}

impl<T> Drop for Entry<T> {
    fn drop(&mut self) {
        let mut entries = self.registry.0.lock();
        let removed = entries.by_number.remove(&self.number);
        drop(entries);
        drop(removed);
    }
}

impl<T> Registry<T> {
    /// Makes one with an entry.
    pub(crate) fn add(&self, make: impl FnOnce(Entry<T>) -> T) -> Arc<T> {
        let number = {
            let mut entries = self.0.lock();
            entries.made += 1;
            entries.made
        };
        let registry = Registry(self.0.clone());
        let one = Arc::new(make(Entry { registry, number }));
        let mut entries = self.0.lock();
        entries.by_number.insert(number, Arc::downgrade(&one));
        drop(entries);
        one
    }

    /// Those that have a user.
    pub(crate) fn in_use(&self) -> Vec<Arc<T>> {
        let entries = self.0.lock();
        entries
            .by_number
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    }
}
