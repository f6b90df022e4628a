//! Parts: owners of disjoint ranges of one slot, on several threads.
//!
//! Loom does not see the bytes. The slot's properties, which every part reads and the next owner writes, take their
//! place.
//!
//! Guarantees: 12

use super::{spawn, use_exclusively};
use crate::{
    Pool, SamplePart,
    checks::shared::{assert_all_free, pool},
};
use bytes::BufMut;

/// The part of a used sample of a pool that has no other: 16 bytes were written.
fn part(pool: &Pool) -> SamplePart {
    let mut sample = pool.try_get_buffer().unwrap();
    use_exclusively(&mut sample);
    sample.put_bytes(1, 16);
    sample.into_part()
}

/// Writes a part, as its owner may while the other owners do what they want.
fn write(part: &mut SamplePart) {
    let len = part.len();
    part.fill(2);
    part.put_bytes(3, 4.min(part.spare_capacity()));
    assert!(part[..len].iter().all(|&byte| byte == 2));
    assert_eq!(part.properties().user(), 7);
}

/// Both parts are written and dropped at the same time: the last of them returns the slot, once, and the next owner
/// comes after both writers.
#[test]
fn two_writers_of_one_slot_release_it_once() {
    loom::model(|| {
        let pool = pool(1);
        let mut one = part(&pool);
        let mut two = one.split_off(8);
        let thread = spawn(move || write(&mut two));
        write(&mut one);
        drop(one);
        if let Ok(mut sample) = pool.try_get_buffer() {
            use_exclusively(&mut sample);
        }
        thread.join().unwrap();
        assert_all_free(&pool);
        assert_eq!(pool.status().released, pool.status().acquired);
    });
}

/// A thread reads what was frozen, while the part goes on behind it, and is frozen too.
#[test]
fn a_part_is_frozen_while_another_is_written() {
    loom::model(|| {
        let pool = pool(1);
        let mut rest = part(&pool);
        let written = rest.split_written();
        let thread = spawn(move || {
            assert_eq!(written, [1; 16]);
            assert_eq!(written.properties().user(), 7);
        });
        write(&mut rest);
        let rest = rest.freeze();
        assert_eq!(rest, [3; 4]);
        drop(rest);
        if let Ok(mut sample) = pool.try_get_buffer() {
            use_exclusively(&mut sample);
        }
        thread.join().unwrap();
        assert_all_free(&pool);
    });
}

/// Parts are joined while a reader drops what was frozen before them. The joined part becomes a sample only after the
/// reader is done.
#[test]
fn parts_are_joined_while_a_reader_leaves() {
    loom::model(|| {
        let pool = pool(1);
        let mut one = part(&pool);
        let read = one.split_to(4).freeze();
        let two = one.split_off(6);
        let thread = spawn(move || {
            assert_eq!(read, [1; 4]);
            assert_eq!(read.properties().user(), 7);
        });
        one.try_join(two).expect("they were one");
        write(&mut one);
        if let Ok(mut sample) = one.try_into_sample() {
            assert_eq!(sample.headroom(), 4);
            sample.properties_mut().set_user(8);
        }
        thread.join().unwrap();
        assert_all_free(&pool);
    });
}

/// Both parts want to be the sample: at most one is, and then the other is gone.
#[test]
fn two_parts_try_to_become_the_sample() {
    loom::model(|| {
        let pool = pool(1);
        let mut one = part(&pool);
        let two = one.split_off(8);
        let thread = spawn(move || {
            if let Ok(mut sample) = two.try_into_sample() {
                sample.properties_mut().set_user(8);
            }
        });
        if let Ok(mut sample) = one.try_into_sample() {
            sample.properties_mut().set_user(9);
        }
        thread.join().unwrap();
        let mut sample = pool.try_get_buffer().unwrap();
        use_exclusively(&mut sample);
        drop(sample);
        assert_all_free(&pool);
    });
}

/// Both parts are frozen at the same time, and the pool counts what both wrote.
#[test]
fn what_two_parts_wrote_is_counted_when_both_are_frozen() {
    loom::model(|| {
        let pool = pool(1);
        let mut one = pool.try_get_buffer().unwrap().into_part();
        let mut two = one.split_off(8);
        one.put_bytes(1, 3);
        let thread = spawn(move || {
            two.put_bytes(2, 5);
            two.freeze()
        });
        let one = one.freeze();
        let two = thread.join().unwrap();
        assert_eq!(pool.status().bytes_used, 8);
        drop((one, two));
        assert_eq!(pool.status().bytes_used, 0);
    });
}
