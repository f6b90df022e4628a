//! The wait queue: a waiter queues during a release, and leaves while it is served.
//!
//! Guarantees: 1, 2, 3

use super::{get_and_release, spawn, take_two, use_exclusively, with_two_preemptions};
use crate::{
    GetBufferError,
    checks::shared::{assert_all_free, poll_once, pool},
    get::acquire::Acquire,
    sync::{Ordering, StatisticBool},
    wait::request::{Rank, Wanted},
};
use loom::{future::block_on, thread};
use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

fn wanted(slots: usize) -> Wanted {
    let rank = Rank::Ordinary;
    Wanted { slots, rank }
}

/// A waker that records that it was woken.
#[derive(Default)]
struct Flag(StatisticBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A waiter queues while the last sample is released. Under loom a lost wake-up is a deadlock.
#[test]
fn no_slot_is_free_while_a_waiter_is_queued() {
    loom::model(|| {
        let pool = pool(1);
        let mut sample = pool.try_get_buffer().unwrap();
        use_exclusively(&mut sample);
        let thread = spawn(move || drop(sample));
        get_and_release(&pool).unwrap();
        thread.join().unwrap();
        assert_all_free(&pool);
    });
}

/// Two samples are released before a queued waiter is polled again. With one shared `Notify`, the pool would
/// remember only one of the releases.
#[test]
fn two_releases_wake_two_waiters() {
    loom::model(|| {
        let pool = pool(2);
        let samples = take_two(&pool);
        let mut first = pool.get_buffer();
        let mut second = pool.get_buffer();
        assert!(poll_once(&mut first).is_pending());
        assert!(poll_once(&mut second).is_pending());
        let thread = spawn(move || drop(samples));
        let first = block_on(first).unwrap();
        let second = block_on(second).unwrap();
        assert_ne!(first.index(), second.index());
        drop((first, second));
        thread.join().unwrap();
        assert_all_free(&pool);
    });
}

/// A waiter is dropped while it is handed the slot: the slot must go to the next waiter, which no other event
/// wakes.
#[test]
fn cancel_meets_hand_off() {
    loom::model(|| {
        let pool = pool(1);
        let mut sample = pool.try_get_buffer().unwrap();
        use_exclusively(&mut sample);
        let mut cancelled = pool.get_buffer();
        let mut next = pool.get_buffer();
        assert!(poll_once(&mut cancelled).is_pending());
        assert!(poll_once(&mut next).is_pending());
        let thread = spawn(move || drop(sample));
        drop(cancelled);
        let mut sample = block_on(next).unwrap();
        use_exclusively(&mut sample);
        drop(sample);
        thread.join().unwrap();
        assert_all_free(&pool);
    });
}

/// A waiter is dropped while it is handed the slot, and no waiter is behind it: the slot is returned to the
/// pool.
#[test]
fn cancel_of_the_only_waiter_meets_hand_off() {
    loom::model(|| {
        let pool = pool(1);
        let sample = pool.try_get_buffer().unwrap();
        let mut cancelled = pool.get_buffer();
        assert!(poll_once(&mut cancelled).is_pending());
        let thread = spawn(move || drop(sample));
        drop(cancelled);
        thread.join().unwrap();
        assert!(pool.try_get_buffer().is_ok());
        assert_all_free(&pool);
    });
}

/// A request for two gathers at the head of the queue while a request for one waits behind it.
#[test]
fn a_large_request_is_served_before_a_small_one_behind_it() {
    loom::model(|| {
        let pool = pool(2);
        let samples = take_two(&pool);
        let mut large = pool.get_buffers(2);
        let mut small = pool.get_buffer();
        assert!(poll_once(&mut large).is_pending());
        assert!(poll_once(&mut small).is_pending());
        let thread = spawn(move || drop(samples));
        let two = block_on(large).unwrap();
        assert!(poll_once(&mut small).is_pending(), "the large one has both");
        drop(two);
        drop(block_on(small).unwrap());
        thread.join().unwrap();
        assert_all_free(&pool);
    });
}

/// A large request releases what it gathered while another sample is released: the waiter behind it is served.
#[test]
fn cancel_of_a_large_request_meets_a_release() {
    loom::model(|| {
        let pool = pool(2);
        let mut samples = take_two(&pool);
        let mut large = pool.get_buffers(2);
        let mut small = pool.get_buffer();
        assert!(poll_once(&mut large).is_pending());
        assert!(poll_once(&mut small).is_pending());
        drop(samples.pop());
        let thread = spawn(move || drop(samples));
        drop(large);
        drop(block_on(small).unwrap());
        thread.join().unwrap();
        assert_all_free(&pool);
    });
}

/// A waiter is polled with a second waker while it is served: it sees its result at this poll, or the second
/// waker is woken. If only the first waker were woken, the task would sleep for ever.
#[test]
fn a_second_waker_meets_a_hand_off() {
    loom::model(|| {
        let pool = pool(1);
        let mut sample = pool.try_get_buffer().unwrap();
        use_exclusively(&mut sample);
        let mut get = pool.get_buffer();
        assert!(poll_once(&mut get).is_pending());
        let thread = spawn(move || drop(sample));
        let second = Arc::new(Flag::default());
        let waker = Waker::from(second.clone());
        match Pin::new(&mut get).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(sample) => {
                use_exclusively(&mut sample.unwrap());
                thread.join().unwrap();
            }
            Poll::Pending => {
                thread.join().unwrap();
                assert!(second.0.load(Ordering::Relaxed), "it is woken");
                assert!(poll_once(&mut get).is_ready(), "and was served");
            }
        }
        drop(get);
        assert_all_free(&pool);
    });
}

/// A second waker during a decommit, which notifies all waiters.
#[test]
fn a_second_waker_meets_a_decommit() {
    loom::model(|| {
        let pool = pool(1);
        let sample = pool.try_get_buffer().unwrap();
        let mut get = pool.get_buffer();
        assert!(poll_once(&mut get).is_pending());
        let other = pool.clone();
        let thread = spawn(move || other.decommit());
        assert_eq!(block_on(get).unwrap_err(), GetBufferError::NotCommitted);
        thread.join().unwrap();
        drop(sample);
        assert_all_free(&pool);
    });
}

/// The queue slot of a waiter that was served is put among the unused ones, and the waiter's future is polled
/// while another waiter takes a queue slot.
#[test]
fn a_queue_slot_is_reused_after_its_waiter_got_the_result() {
    with_two_preemptions(|| {
        let pool = pool(1);
        let mut sample = pool.try_get_buffer().unwrap();
        use_exclusively(&mut sample);
        let mut notified = pool.get_buffer_owned();
        assert!(poll_once(&mut notified).is_pending());
        drop(sample);
        let thread = spawn(move || {
            let Poll::Ready(Ok(mut sample)) = poll_once(notified) else {
                panic!("it was served");
            };
            use_exclusively(&mut sample);
        });
        let mut next = pool.get_buffer();
        let at_once = poll_once(&mut next).map(Result::unwrap);
        thread.join().unwrap();
        match at_once {
            Poll::Ready(mut sample) => use_exclusively(&mut sample),
            Poll::Pending => use_exclusively(&mut block_on(next).unwrap()),
        }
        assert_all_free(&pool);
    });
}

/// The second waiter leaves while the head of the queue is served: the head gets its sample all the same.
#[test]
fn cancel_of_the_second_waiter_meets_a_hand_off_to_the_first() {
    loom::model(|| {
        let pool = pool(1);
        let sample = pool.try_get_buffer().unwrap();
        let mut first = pool.get_buffer();
        let mut second = pool.get_buffer();
        assert!(poll_once(&mut first).is_pending());
        assert!(poll_once(&mut second).is_pending());
        let thread = spawn(move || drop(sample));
        drop(second);
        drop(block_on(first).unwrap());
        thread.join().unwrap();
        assert_all_free(&pool);
    });
}

/// The time limit expires while the slot is handed off: the slot goes to this waiter or to the next one.
#[test]
fn time_out_meets_a_hand_off() {
    loom::model(|| {
        let pool = pool(1);
        let sample = pool.try_get_buffer().unwrap();
        let mut late = Acquire::New(wanted(1));
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(late.poll(pool.engine(), cx).is_pending());
        let mut next = pool.get_buffer();
        assert!(poll_once(&mut next).is_pending());
        let thread = spawn(move || drop(sample));
        let timed_out = match late.time_out(pool.engine()) {
            Ok(()) => {
                assert!(!late.is_done(), "the slot is its own");
                late.cancel(pool.engine());
                0
            }
            Err(error) => {
                assert_eq!(error, GetBufferError::TimedOut);
                1
            }
        };
        drop(block_on(next).unwrap());
        thread.join().unwrap();
        assert_eq!(pool.status().timed_out, timed_out);
        assert_all_free(&pool);
    });
}

/// The time limit expires while a decommit notifies all waiters.
#[test]
fn time_out_meets_a_decommit() {
    loom::model(|| {
        let pool = pool(1);
        let sample = pool.try_get_buffer().unwrap();
        let mut late = Acquire::New(wanted(1));
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(late.poll(pool.engine(), cx).is_pending());
        let other = pool.clone();
        let thread = spawn(move || other.decommit());
        let error = late.time_out(pool.engine()).unwrap_err();
        thread.join().unwrap();
        let timed_out = u64::from(error == GetBufferError::TimedOut);
        assert!(timed_out == 1 || error == GetBufferError::NotCommitted);
        assert_eq!(pool.status().timed_out, timed_out);
        drop(sample);
        assert_all_free(&pool);
    });
}

/// The second of the two samples that a request waits for is released, while another thread tries to take it.
#[test]
fn a_large_request_meets_a_release_and_a_single_get() {
    loom::model(|| {
        let pool = pool(2);
        let mut samples = take_two(&pool);
        drop(samples.pop());
        let mut large = pool.get_buffers(2);
        assert!(poll_once(&mut large).is_pending());
        let thread = spawn(move || drop(samples));
        let refused = pool.try_get_buffer().unwrap_err();
        assert_eq!(refused, GetBufferError::Exhausted);
        let mut two = block_on(large).unwrap();
        two.iter_mut().for_each(use_exclusively);
        assert_ne!(two[0].index(), two[1].index());
        drop(two);
        thread.join().unwrap();
        assert_all_free(&pool);
    });
}

/// Each may find half of its samples without the lock, and the second one gives its half to the first. If both
/// queued with their halves, neither would be served.
#[test]
fn two_large_requests_do_not_hold_half_each() {
    with_two_preemptions(|| {
        let pool = pool(2);
        drop(take_two(&pool));
        let cx = &mut Context::from_waker(Waker::noop());
        let other = pool.clone();
        let thread = thread::spawn(move || {
            let mut get = Acquire::New(wanted(2));
            let cx = &mut Context::from_waker(Waker::noop());
            let polled = get.poll(other.engine(), cx);
            (get, polled)
        });
        let mut get = Acquire::New(wanted(2));
        let polled = get.poll(pool.engine(), cx);
        let mut gets = [(get, polled), thread.join().unwrap()];
        // Two rounds, because one request may wait for the samples that the other releases.
        for _ in 0..2 {
            for (get, polled) in &mut gets {
                if polled.is_pending() {
                    *polled = get.poll(pool.engine(), cx);
                }
                if let Poll::Ready(both) = polled {
                    let both = both.as_mut().map(mem::take).unwrap();
                    pool.engine().put_back(both);
                }
            }
        }
        assert!(gets.iter().all(|(_get, polled)| polled.is_ready()));
        assert_eq!(pool.status().waiting, 0);
    });
}

/// A small request queues behind a large one while two samples are released on two threads.
#[test]
fn two_releases_fill_a_large_request_before_a_small_one() {
    loom::model(|| {
        let pool = pool(2);
        let mut samples = take_two(&pool);
        let (one, two) = (samples.pop(), samples.pop());
        let mut large = pool.get_buffers(2);
        let mut small = pool.get_buffer();
        assert!(poll_once(&mut large).is_pending());
        assert!(poll_once(&mut small).is_pending());
        let thread = spawn(move || drop(one));
        drop(two);
        thread.join().unwrap();
        let Poll::Ready(Ok(both)) = poll_once(&mut large) else {
            panic!("it has both");
        };
        assert!(poll_once(&mut small).is_pending());
        drop(both);
        drop(block_on(small).unwrap());
        assert_all_free(&pool);
    });
}
