//! Shared handles: the last one releases the sample, and only a sole handle becomes writable again.
//!
//! Guarantees: 12

use super::{spawn, use_exclusively};
use crate::checks::shared::{assert_all_free, pool};

/// Two handles are dropped at the same time: the slot is returned once, and after both have read it.
#[test]
fn the_last_of_two_handles_releases() {
    loom::model(|| {
        let pool = pool(1);
        let mut sample = pool.try_get_buffer().unwrap();
        use_exclusively(&mut sample);
        let one = sample.freeze();
        let two = one.clone();
        let thread = spawn(move || assert_eq!(one.properties().user(), 7));
        assert_eq!(two.properties().user(), 7);
        drop(two);
        if let Ok(mut sample) = pool.try_get_buffer() {
            use_exclusively(&mut sample);
        }
        thread.join().unwrap();
        assert_all_free(&pool);
    });
}

/// One handle is cloned and dropped while the other tries to become the owner.
#[test]
fn try_into_sample_meets_another_handle() {
    loom::model(|| {
        let pool = pool(1);
        let mut sample = pool.try_get_buffer().unwrap();
        use_exclusively(&mut sample);
        let one = sample.freeze();
        let two = one.clone();
        let thread = spawn(move || {
            let three = two.clone();
            drop(two);
            assert_eq!(three.properties().user(), 7);
        });
        if let Ok(mut sample) = one.try_into_sample() {
            sample.properties_mut().set_user(8);
        }
        thread.join().unwrap();
        assert_all_free(&pool);
    });
}

/// Both handles try to become the owner: at most one does, and the slot is returned once.
#[test]
fn two_handles_try_to_become_the_owner() {
    loom::model(|| {
        let pool = pool(1);
        let mut sample = pool.try_get_buffer().unwrap();
        use_exclusively(&mut sample);
        let one = sample.freeze();
        let two = one.clone();
        let thread = spawn(move || {
            if let Ok(mut sample) = two.try_into_sample() {
                sample.properties_mut().set_user(8);
            }
        });
        if let Ok(mut sample) = one.try_into_sample() {
            sample.properties_mut().set_user(9);
        }
        thread.join().unwrap();
        assert!(pool.try_get_buffer().is_ok());
        assert_all_free(&pool);
    });
}
