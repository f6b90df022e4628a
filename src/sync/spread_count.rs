//! A count that many threads add to and that is rarely read.
//!
//! With one counter, each addition would move its cache line from one processor to another, and would be an atomic
//! read-modify-write, which costs more than all the rest of a get that fails. Here a thread claims a counter at its
//! first addition. From then on it alone writes that counter, with a load and a store. A counter stays with its thread
//! for as long as the count lives. A thread that finds its counter claimed by another one adds to a shared one.

use crate::sync::{Ordering, StatisticU64};
use crossbeam_utils::CachePadded;
use std::cell::Cell;

/// How many counters can be claimed.
const COUNTERS: usize = 8;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct SpreadCount {
    claimed: [CachePadded<Counter>; COUNTERS],
    /// The additions of all other threads.
    shared: CachePadded<StatisticU64>,
}

#[derive(Debug)]
struct Counter {
    /// The number of the thread that writes `count`, and 0 until one does.
    thread: StatisticU64,
    count: StatisticU64,
}

impl SpreadCount {
    pub(crate) fn new() -> Self {
        let counter = || Counter {
            thread: StatisticU64::new(0),
            count: StatisticU64::new(0),
        };
        SpreadCount {
            claimed: std::array::from_fn(|_| CachePadded::new(counter())),
            shared: CachePadded::new(StatisticU64::new(0)),
        }
    }

    /// Adds one.
    #[inline]
    pub(crate) fn increment(&self) {
        let thread = NUMBER.get();
        let counter = self.counter_of(thread);
        if counter.thread.load(Ordering::Relaxed) == thread {
            counter.increment();
        } else {
            self.increment_slowly();
        }
    }

    /// The first addition of a thread, and each one of a thread whose counter another one has claimed. Not inlined, and
    /// the last step of its caller, which so need not save registers for it.
    #[cold]
    #[inline(never)]
    fn increment_slowly(&self) {
        let thread = thread_number();
        let counter = self.counter_of(thread);
        if counter.thread.load(Ordering::Relaxed) == thread || counter.claim(thread) {
            counter.increment();
        } else {
            self.shared.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[inline]
    fn counter_of(&self, thread: u64) -> &Counter {
        &self.claimed[thread as usize % COUNTERS]
    }

    /// The sum. Additions at the same time may be missing.
    pub(crate) fn sum(&self) -> u64 {
        let claimed = self.claimed.iter();
        let claimed = claimed.map(|counter| counter.count.load(Ordering::Relaxed));
        claimed.sum::<u64>() + self.shared.load(Ordering::Relaxed)
    }
}

impl Counter {
    /// Adds one. Called by the thread whose counter it is.
    #[inline]
    fn increment(&self) {
        // Not one atomic step: no other thread writes this counter, now or later.
        let count = self.count.load(Ordering::Relaxed) + 1;
        self.count.store(count, Ordering::Relaxed);
    }

    /// Makes this the counter of `thread`, unless it is that of another thread.
    fn claim(&self, thread: u64) -> bool {
        self.thread
            .compare_exchange(0, thread, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }
}

/// Of a thread that has no number yet. It is the number of no thread, and no counter's.
const NO_NUMBER: u64 = u64::MAX;

thread_local! {
    // No destructor, so this works while the thread is being torn down.
    static NUMBER: Cell<u64> = const { Cell::new(NO_NUMBER) };
}

/// The number of this thread, from 1 on. No two threads have the same one, also if one of them has ended.
fn thread_number() -> u64 {
    static LAST: StatisticU64 = StatisticU64::new(0);
    if NUMBER.get() == NO_NUMBER {
        NUMBER.set(LAST.fetch_add(1, Ordering::Relaxed) + 1);
    }
    NUMBER.get()
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use std::thread;

    /// More threads than counters, at the same time and one after the other: a counter that two threads write loses
    /// additions.
    #[test]
    fn no_addition_of_many_threads_is_lost() {
        const EACH: u64 = 10_000;
        let count = SpreadCount::new();
        for _ in 0..4 {
            thread::scope(|scope| {
                for _ in 0..COUNTERS + 2 {
                    scope.spawn(|| (0..EACH).for_each(|_| count.increment()));
                }
            });
        }
        assert_eq!(count.sum(), 4 * (COUNTERS as u64 + 2) * EACH);
    }

    /// A thread that adds to the shared counter although its own is free writes a cache line that all threads write.
    #[test]
    fn a_thread_adds_to_its_own_counter_unless_another_one_has_claimed_it() {
        const THREADS: u64 = 3 * COUNTERS as u64;
        let count = SpreadCount::new();
        for _ in 0..THREADS {
            thread::scope(|scope| scope.spawn(|| count.increment()).join()).expect("no panic");
        }
        let claimed = count.claimed.iter();
        let claimed = claimed.filter(|counter| counter.thread.load(Ordering::Relaxed) > 0);
        let claimed = claimed.count() as u64;
        // Each thread has added one, and the first to come to a counter has claimed it.
        assert!(claimed > 1, "{claimed}");
        assert_eq!(count.shared.load(Ordering::Relaxed), THREADS - claimed);
    }
}
