//! Which slots are free: [`striped`] is what happens without the lock, [`ledger`] what the holder of the lock knows.

#![forbid(unsafe_code)]

mod bit_set;
pub(crate) mod ledger;
pub(crate) mod striped;

#[cfg(all(test, not(any(loom, shuttle))))]
mod without_the_lock;
