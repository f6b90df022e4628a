//! The number of a thread, which another thread gets when this one has ended.
//!
//! No two threads have the same number at the same time. At most 64 threads have one.
//!
//! A number orders what is written by it: the return of a number is a `Release`, and the lending of it an `Acquire`. So a
//! thread sees all that the threads wrote that had its number before.

#![forbid(unsafe_code)]

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
};

/// Of a thread that has no number: it has not asked for one, or none was left, or it is being torn down.
pub(super) const NONE: u64 = u64::MAX;

thread_local! {
    // No destructor, so this can be read while the thread is being torn down.
    static NUMBER: Cell<u64> = const { Cell::new(NONE) };

    static BORROWED: Borrowed = Borrowed::new();
}

static NUMBERS: Numbers = Numbers::new();

/// The number of this thread, if it has asked for one before.
#[inline]
pub(super) fn known() -> u64 {
    NUMBER.get()
}

/// The number of this thread. It asks for one at the first call.
pub(super) fn of_this_thread() -> u64 {
    // An error means that the thread is being torn down, and `NUMBER` says so.
    let _ = BORROWED.try_with(|_| ());
    NUMBER.get()
}

/// The number of a thread until the thread ends.
struct Borrowed(u64);

impl Borrowed {
    fn new() -> Self {
        let number = NUMBERS.lend();
        NUMBER.set(number);
        Borrowed(number)
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        // Before it is returned: from then on another thread may have it.
        NUMBER.set(NONE);
        NUMBERS.take_back(self.0);
    }
}

/// The numbers from 1 to 64. Each has a bit, which is set while a thread has the number.
struct Numbers(AtomicU64);

impl Numbers {
    const fn new() -> Self {
        Numbers(AtomicU64::new(0))
    }

    /// The lowest number that no thread has, or [`NONE`].
    fn lend(&self) -> u64 {
        let mut lent = self.0.load(Ordering::Relaxed);
        loop {
            let bit = lent.trailing_ones();
            if bit == u64::BITS {
                return NONE;
            }
            let with_it = lent | 1 << bit;
            let exchanged =
                self.0
                    .compare_exchange_weak(lent, with_it, Ordering::Acquire, Ordering::Relaxed);
            match exchanged {
                Ok(_) => return u64::from(bit) + 1,
                Err(now) => lent = now,
            }
        }
    }

    fn take_back(&self, number: u64) {
        if number != NONE {
            self.0.fetch_and(!(1 << (number - 1)), Ordering::Release);
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use std::{
        sync::{Barrier, mpsc},
        thread,
    };

    #[test]
    fn the_lowest_number_that_no_thread_has_is_lent() {
        let numbers = Numbers::new();
        for number in 1..=64 {
            assert_eq!(numbers.lend(), number);
        }
        assert_eq!(numbers.lend(), NONE);
        numbers.take_back(NONE);
        assert_eq!(numbers.lend(), NONE);
        for returned in [64, 3, 1] {
            numbers.take_back(returned);
        }
        assert_eq!([(); 4].map(|()| numbers.lend()), [1, 3, 64, NONE]);
    }

    #[test]
    fn threads_that_live_at_the_same_time_have_different_numbers() {
        let all_there = Barrier::new(4);
        let mut numbers = thread::scope(|scope| {
            let threads = [(); 4].map(|()| {
                scope.spawn(|| {
                    let number = of_this_thread();
                    all_there.wait();
                    assert_eq!((known(), of_this_thread()), (number, number));
                    number
                })
            });
            threads.map(|thread| thread.join().expect("no panic"))
        });
        numbers.sort_unstable();
        assert_ne!(numbers[3], NONE);
        assert!(numbers.windows(2).all(|two| two[0] < two[1]), "{numbers:?}");
    }

    /// Asks for the number when it is dropped.
    struct AsksLate(mpsc::Sender<u64>);

    impl Drop for AsksLate {
        fn drop(&mut self) {
            self.0.send(of_this_thread()).expect("a receiver");
        }
    }

    /// The next thread may have its number already.
    #[test]
    fn a_thread_that_is_torn_down_has_no_number() {
        thread_local!(static LATE: Cell<Option<AsksLate>> = const { Cell::new(None) });
        let (send, receive) = mpsc::channel();
        thread::spawn(move || {
            // Made first, so it is dropped after the number.
            LATE.set(Some(AsksLate(send)));
            assert_ne!(of_this_thread(), NONE);
        })
        .join()
        .expect("no panic");
        assert_eq!(receive.recv(), Ok(NONE));
    }
}
