//! The accounts of a pool's quotas that are in use, for decommits, flushes and reports.
//!
//! The pool does not own its accounts. The users of a quota own its account: its handles, its gets, and the samples
//! that count against it. The last user frees the account, and with it its entry here. So a server can make a quota for
//! each connection: the quotas of past connections cost neither memory nor time.
//!
//! The entries have a lock of their own. It is the innermost lock: it is taken under the pool's lock, and while it is
//! held no other lock is taken and no account is dropped. So the last reference to an account may be dropped anywhere,
//! also under the pool's lock.
//!
//! # Invariants, true whenever the lock is free
//!
//! - **B1** An account that has a user has an entry. A decommit shuts the gate before it reads the entries. A thread
//!   that makes an account after that sees the shut gate, because both take this lock. loom
//!   `a_decommit_meets_a_waiter_for_room`
//! - **B2** An account that has no user left has no entry, or its drop is about to remove it. `gone:
//!   quotas_that_were_*`

#![forbid(unsafe_code)]

use crate::sync::Lock;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Weak},
};

/// Weak references to all values that are in use. See the module's documentation.
pub(crate) struct Registry<T>(Arc<Lock<Entries<T>>>);

struct Entries<T> {
    /// How many values were ever added. The number of the last one.
    made: u64,
    /// In the order in which they were added.
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

/// The entry of a value, which has this as a field: dropping the value removes the entry.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    registry: Registry<T>,
    number: u64,
}

impl<T> Drop for Entry<T> {
    fn drop(&mut self) {
        let mut entries = self.registry.0.lock();
        let removed = entries.by_number.remove(&self.number);
        // After the lock: the drop of a `Weak` may free memory.
        drop(entries);
        drop(removed);
    }
}

impl<T> Registry<T> {
    /// Makes a value with an entry.
    pub(crate) fn add(&self, make: impl FnOnce(Entry<T>) -> T) -> Arc<T> {
        let number = {
            let mut entries = self.0.lock();
            entries.made += 1;
            entries.made
        };
        // Not under the lock: `make` runs code of another module.
        let registry = Registry(self.0.clone());
        let one = Arc::new(make(Entry { registry, number }));
        let mut entries = self.0.lock();
        entries.by_number.insert(number, Arc::downgrade(&one));
        drop(entries);
        one
    }

    /// The values that have a user.
    pub(crate) fn in_use(&self) -> Vec<Arc<T>> {
        let entries = self.0.lock();
        entries
            .by_number
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    }
}
