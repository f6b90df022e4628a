//! The stripe of a pool's free list at which this thread starts to look for a slot.
//!
//! Every thread starts at stripe 0. It moves to the next stripe only when its compare-exchange failed, because then
//! another thread is active at the same word. So a single busy thread uses the lowest slots, whose bytes are in the
//! cache, and threads that are busy at the same time end up on different cache lines.
//!
//! The number is in a thread-local without a destructor, because a sample can be released while its thread is being
//! torn down.

#![forbid(unsafe_code)]

#[cfg(not(all(test, loom)))]
use crate::sync::Once;
use crate::sync::STRIPE;

/// The stripe of this thread. The caller reduces it to the number of stripes of its pool.
#[inline]
pub(crate) fn current() -> usize {
    STRIPE.with(std::cell::Cell::get) as usize
}

/// Moves this thread to the next stripe, because another thread was active at this one.
pub(crate) fn move_on() {
    STRIPE.with(|stripe| stripe.set(stripe.get().wrapping_add(1)));
}

/// The largest number of stripes of a pool: a power of two from 4 to 64. Up to that limit it is at least twice the
/// number of threads that can run at once, so that a thread that moves on finds an unused stripe soon.
#[cfg(not(all(test, loom)))]
pub(crate) fn count() -> usize {
    static COUNT: Once<usize> = Once::new();
    *COUNT.get_or_init(|| {
        let threads = std::thread::available_parallelism().map_or(4, usize::from);
        (2 * threads).next_power_of_two().clamp(4, 64)
    })
}

/// Two stripes are enough for every behaviour that a loom test can show with more of them.
#[cfg(all(test, loom))]
pub(crate) fn count() -> usize {
    2
}
