//! The number of a thread, which another thread gets when this one has ended.
//!
//! No two threads have the same number at the same time. The numbers stay small, and what was made for a number is used again.

#![forbid(unsafe_code)]

use std::{
    cell::Cell,
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

/// Of a thread that has no number, because it has not asked for one, or because it is being torn down.
pub(super) const NONE: u64 = u64::MAX;

thread_local! {
    // No destructor, so this can be read while the thread is being torn down.
    static NUMBER: Cell<u64> = const { Cell::new(NONE) };

    static LENT: Lent = Lent::new();
}

/// The numbers that are lent to no thread.
///
/// Its lock also publishes what a thread wrote by its number to the next thread that has the number.
static NUMBERS: Mutex<Numbers> = Mutex::new(Numbers::new());

/// The number of this thread, if it has asked for one before.
#[inline]
pub(super) fn known() -> u64 {
    NUMBER.get()
}

/// The number of this thread. [`NONE`] while the thread is being torn down.
pub(super) fn of_this_thread() -> u64 {
    // Makes it at the first call, and fails if it is gone already.
    let _ = LENT.try_with(|_| ());
    NUMBER.get()
}

/// The number of a thread until the thread ends.
struct Lent(u64);

impl Lent {
    fn new() -> Self {
        let number = with_numbers(Numbers::lend);
        NUMBER.set(number);
        Lent(number)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // Before it is returned: from then on another thread has it.
        NUMBER.set(NONE);
        with_numbers(|numbers| numbers.returned.insert(self.0));
    }
}

fn with_numbers<T>(f: impl FnOnce(&mut Numbers) -> T) -> T {
    f(&mut NUMBERS.lock().unwrap_or_else(PoisonError::into_inner))
}

struct Numbers {
    returned: BTreeSet<u64>,
    /// The highest number that was ever lent. The first one is 1.
    highest: u64,
}

impl Numbers {
    const fn new() -> Self {
        Numbers {
            returned: BTreeSet::new(),
            highest: 0,
        }
    }

    /// The lowest number that no thread has.
    fn lend(&mut self) -> u64 {
        self.returned.pop_first().unwrap_or_else(|| {
            self.highest += 1;
            self.highest
        })
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
    fn the_lowest_number_that_was_returned_is_lent_next() {
        let mut numbers = Numbers::new();
        assert_eq!([(); 3].map(|()| numbers.lend()), [1, 2, 3]);
        numbers.returned.extend([3, 1]);
        assert_eq!([(); 3].map(|()| numbers.lend()), [1, 3, 4]);
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
