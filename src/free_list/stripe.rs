//! The stripe of a pool's free list at which this thread starts to look for a slot.
//!
//! Every thread starts at stripe 0. It moves to the next stripe only when its compare-exchange failed, because then
//! another thread is active at the same word. So a single busy thread uses the lowest slots, whose bytes are in the
//! cache, and threads that are busy at the same time end up on different cache lines.
//!
//! A thread-local counts too how many gets of the thread saw no free slot, which decides when one of them parks the words.
//!
//! Both numbers are in thread-locals without a destructor, because a sample can be released while its thread is being
//! torn down.

#![forbid(unsafe_code)]

#[cfg(not(all(test, loom)))]
use crate::sync::Once;
use crate::sync::{MISSES, STRIPE};

/// The stripe of this thread. The caller reduces it to the number of stripes of its pool.
#[inline]
pub(crate) fn current() -> usize {
    STRIPE.with(std::cell::Cell::get) as usize
}

/// Moves this thread to the next stripe, because another thread was active at this one.
pub(crate) fn move_on() {
    STRIPE.with(|stripe| stripe.set(stripe.get().wrapping_add(1)));
}

/// How many gets of a thread may find no free slot before one of them parks the words.
pub(crate) const MISSES_TO_PARK: u32 = if cfg!(all(test, any(loom, shuttle))) {
    2
} else {
    32
};

/// Whether the get of this thread that has just seen no free slot goes under the lock and parks the words: one of
/// several does.
///
/// Parking pays if gets go on to fail, because then each of them is a single load. It costs each word's next release
/// the lock. Which of both comes is not known, so both have a bounded share of the cost.
pub(crate) fn parks_at_this_miss() -> bool {
    MISSES.with(|misses| {
        misses.set((misses.get() + 1) % MISSES_TO_PARK);
        misses.get() == 0
    })
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
