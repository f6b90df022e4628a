//! Which slots are free: [`striped`] is what happens without the lock, [`parked`] what the holder of the lock knows.

mod bit_set;
pub(crate) mod parked;
pub(crate) mod priority;
pub(crate) mod published;
pub(crate) mod stripe;
pub(crate) mod striped;
pub(crate) mod table;
#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
