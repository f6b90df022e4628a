//! A count that many threads add to and that is rarely read.
//!
//! With one counter, each addition would move its cache line from one processor to another, and would be an atomic
//! read-modify-write, which costs more than all the rest of a get that fails. Here a thread claims a counter for its
//! number at its first addition. From then on only the thread with that number writes that counter, with a load and a
//! store. When the thread ends, the counter goes to the next thread that has the number. A thread that finds its counter
//! claimed for another number adds to a shared one.

use crate::sync::{Ordering, StatisticU64, thread_number};
use crossbeam_utils::CachePadded;

/// How many counters can be claimed.
const COUNTERS: usize = 8;

/// The number of no thread, and not that of a thread that has none.
const UNCLAIMED: u64 = 0;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct SpreadCount {
    claimed: [CachePadded<Counter>; COUNTERS],
    /// The additions of all other threads.
    shared: CachePadded<StatisticU64>,
}

#[derive(Debug)]
struct Counter {
    /// The number of the thread that writes `count`. [`UNCLAIMED`] until one does.
    thread: StatisticU64,
    count: StatisticU64,
}

impl SpreadCount {
    pub(crate) fn new() -> Self {
        let counter = || Counter {
            thread: StatisticU64::new(UNCLAIMED),
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
        let thread = thread_number::known();
        let counter = self.counter_of(thread);
        if counter.is_of(thread) {
            counter.increment();
        } else {
            self.increment_slowly();
        }
    }

    /// The first addition of a thread, and each one of a thread without a number or a counter. Not inlined, and the last
    /// step of its caller, which therefore need not save registers for it.
    #[cold]
    #[inline(never)]
    fn increment_slowly(&self) {
        let thread = thread_number::of_this_thread();
        let counter = self.counter_of(thread);
        if counter.is_of(thread) || counter.claim(thread) {
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
        // Not one atomic step: only one thread at a time has the number, and it sees what those before it wrote.
        let count = self.count.load(Ordering::Relaxed) + 1;
        self.count.store(count, Ordering::Relaxed);
    }

    /// Whether the thread with this number may write it. Never if `thread` is [`thread_number::NONE`].
    #[inline]
    fn is_of(&self, thread: u64) -> bool {
        self.thread.load(Ordering::Relaxed) == thread
    }

    /// Makes this the counter of the thread with this number, unless it is that of another one.
    fn claim(&self, thread: u64) -> bool {
        thread != thread_number::NONE
            && self
                .thread
                .compare_exchange(UNCLAIMED, thread, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, thread};

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
    fn a_thread_adds_to_its_own_counter_unless_it_is_claimed_for_another_number() {
        let count = SpreadCount::new();
        let add = || {
            count.increment();
            thread_number::known()
        };
        // Threads of other tests have numbers as well, so it is not known which ones these get.
        let mut claimed = [UNCLAIMED; COUNTERS];
        let mut expected = 0;
        for _ in 0..3 * COUNTERS {
            let added = thread::scope(|scope| scope.spawn(add).join());
            let number = added.expect("no panic");
            let claimed_for = &mut claimed[number as usize % COUNTERS];
            if *claimed_for == UNCLAIMED {
                *claimed_for = number;
            }
            expected += u64::from(*claimed_for != number);
        }
        assert_eq!(count.shared.load(Ordering::Relaxed), expected);
    }

    /// Two such threads would lose additions of each other.
    #[test]
    fn threads_without_a_number_claim_no_counter() {
        let count = SpreadCount::new();
        let counter = count.counter_of(thread_number::NONE);
        assert!(!counter.claim(thread_number::NONE));
        assert!(!counter.is_of(thread_number::NONE));
    }

    /// A pool outlives many threads: those that end must not keep the counters.
    #[test]
    fn the_counter_of_a_thread_that_ended_goes_to_the_thread_that_gets_its_number() {
        const THREADS: u64 = 100;
        let count = SpreadCount::new();
        let add = || {
            count.increment();
            let number = thread_number::known();
            (number, count.counter_of(number).is_of(number))
        };
        let (mut numbers, mut with_used_counter) = (BTreeSet::new(), 0);
        for _ in 0..THREADS {
            let added = thread::scope(|scope| scope.spawn(add).join());
            let (number, has_counter) = added.expect("no panic");
            with_used_counter += u64::from(!numbers.insert(number) && has_counter);
        }
        // Threads of other tests can have some of the numbers for some of the time.
        assert!(with_used_counter > 0);
        assert_eq!(count.sum(), THREADS);
    }
}
