//! Gets against releases.
//!
//! Guarantees: 13, 15

use super::{spawn, use_exclusively};
use crate::checks::shared::{assert_all_free, poll_once, pool};
use std::task::Poll;

/// Two threads take and release the only slot without waiting.
#[test]
fn a_slot_has_one_owner() {
    loom::model(|| {
        let pool = pool(1);
        let other = pool.clone();
        let thread = spawn(move || {
            if let Ok(mut sample) = other.try_get_buffer() {
                use_exclusively(&mut sample);
            }
        });
        if let Ok(mut sample) = pool.try_get_buffer() {
            use_exclusively(&mut sample);
        }
        thread.join().unwrap();
        assert_all_free(&pool);
    });
}

/// The words are open already, so gets and releases run without the lock, and move on to other words.
#[test]
fn open_words_give_each_slot_to_one_get() {
    loom::model(|| {
        let pool = pool(2);
        drop(pool.try_get_buffers(2).unwrap());
        let other = pool.clone();
        let thread = spawn(move || {
            let mut sample = other.try_get_buffer().expect("one for each");
            use_exclusively(&mut sample);
        });
        let mut sample = pool.try_get_buffer().expect("one for each");
        use_exclusively(&mut sample);
        drop(sample);
        thread.join().unwrap();
        assert_all_free(&pool);
    });
}

/// A get that finds the pool empty parks the word to which the release is about to return its slot.
#[test]
fn a_get_that_finds_no_slot_meets_a_release() {
    loom::model(|| {
        let pool = pool(1);
        let sample = pool.try_get_buffer().unwrap();
        let thread = spawn(move || drop(sample));
        for _ in 0..2 {
            if let Ok(mut sample) = pool.try_get_buffer() {
                use_exclusively(&mut sample);
            }
        }
        thread.join().unwrap();
        assert!(pool.try_get_buffer().is_ok(), "it is free, and found");
        assert_all_free(&pool);
    });
}

/// A try that sees no free slot leaves the words open, so the release does not take the lock. A get that waits after
/// it parks them, and must not miss the release.
#[test]
fn a_try_that_sees_no_slot_and_a_get_that_waits_meet_a_release() {
    loom::model(|| {
        let pool = pool(2);
        drop(pool.try_get_buffers(2).unwrap());
        let held = [(); 2].map(|()| pool.try_get_buffer().expect("two are free"));
        let [kept, released] = held;
        let thread = spawn(move || drop(released));
        let tried = pool.try_get_buffer();
        let was_free = tried.is_ok();
        drop(tried);
        let mut get = pool.get_buffer();
        let first = poll_once(&mut get);
        thread.join().unwrap();
        let sample = match first {
            Poll::Pending => poll_once(&mut get),
            ready => ready,
        };
        let Poll::Ready(Ok(mut sample)) = sample else {
            panic!("the release was missed; the try had found it: {was_free}");
        };
        use_exclusively(&mut sample);
        drop((sample, kept, get));
        assert_all_free(&pool);
    });
}

/// A slot is free all the while, in a word that is parked. The other thread parks the word that is full, so that there
/// are as many words that can have a free slot as there were words without one.
#[test]
fn a_try_finds_the_free_slot_while_words_are_parked() {
    loom::model(|| {
        let pool = pool(2);
        let held = pool.try_get_buffer().expect("two are free");
        let other = pool.clone();
        let thread = spawn(move || drop(other.released()));
        let sample = pool.try_get_buffer().expect("one is free all the while");
        thread.join().unwrap();
        drop((held, sample));
        assert_all_free(&pool);
    });
}

/// The request takes free slots without the lock, and then takes the lock for the rest, while a slot is
/// released.
#[test]
fn a_get_up_to_meets_a_release() {
    loom::model(|| {
        let pool = pool(2);
        let held = pool.try_get_up_to(1).expect("both are free");
        let thread = spawn(move || drop(held));
        let mut samples = pool.try_get_up_to(3).expect("one is free");
        samples.iter_mut().for_each(use_exclusively);
        thread.join().unwrap();
        let rest = pool.try_get_up_to(3).map_or(0, |rest| rest.len());
        assert_eq!(samples.len() + rest, 2, "what is free is found");
        drop(samples);
        assert_all_free(&pool);
    });
}

/// Several slots are taken in one step while single ones are taken and released.
#[test]
fn many_meet_a_single_get() {
    loom::model(|| {
        let pool = pool(2);
        drop(pool.try_get_buffer().unwrap());
        let other = pool.clone();
        let thread = spawn(move || {
            if let Ok(mut samples) = other.try_get_buffers(2) {
                samples.iter_mut().for_each(use_exclusively);
            }
        });
        if let Ok(mut sample) = pool.try_get_buffer() {
            use_exclusively(&mut sample);
        }
        thread.join().unwrap();
        assert_eq!(pool.try_get_buffers(2).expect("all are free").len(), 2);
        assert_all_free(&pool);
    });
}
