//! Which stripe of a pool's free list this thread starts at.
//!
//! Every thread starts at stripe 0 and moves on only when it met another thread there, that is,
//! when its compare-exchange failed. So a single busy thread keeps to the lowest slots, whose bytes
//! are warm, and threads that are busy at the same time end up on cache lines of their own.
//!
//! The number is a thread-local without a destructor, because a sample can be released while its
//! thread is being torn down.

#![forbid(unsafe_code)]

#[cfg(not(all(test, loom)))]
use crate::sync::Once;
use crate::sync::STRIPE;

/// The stripe of this thread, to be reduced to the number of stripes that a pool has.
#[inline]
pub(crate) fn current() -> usize {
    STRIPE.with(std::cell::Cell::get) as usize
}

/// Moves this thread on to the next stripe: it met somebody at this one.
pub(crate) fn move_on() {
    STRIPE.with(|stripe| stripe.set(stripe.get().wrapping_add(1)));
}

/// How many stripes a pool gets: a power of two, at least twice the number of threads that can run
/// at once, so that threads that move on find an empty one soon.
#[cfg(not(all(test, loom)))]
pub(crate) fn count() -> usize {
    static COUNT: Once<usize> = Once::new();
    *COUNT.get_or_init(|| {
        let threads = std::thread::available_parallelism().map_or(4, usize::from);
        (2 * threads).next_power_of_two().clamp(4, 64)
    })
}

/// Two stripes show everything that more of them would.
#[cfg(all(test, loom))]
pub(crate) fn count() -> usize {
    2
}
