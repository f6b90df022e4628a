//! Parts of samples on many threads.
//!
//! Guarantees: 12

use super::*;
use bytes::BufMut;

/// How many bytes each part of a batch has.
const BYTES: usize = 16;
/// The parts of a batch.
const PARTS: usize = 4;

/// A batch is cut into parts that are written on threads of their own. Some are frozen there, some are dropped, and two
/// come back and are joined. No byte is written by two of them, and the last handle of any kind returns the slot.
#[test]
fn parts_of_a_batch_are_written_on_many_threads() {
    play(|| {
        let stage = Stage::new(1);
        let mut sample = stage.take_all().pop().expect("one");
        stage.enter(&mut sample);
        sample.set_len(0).expect("fewer bytes");
        sample.put_bytes(0, PARTS * BYTES);
        stage.leave(&sample);
        let mut batch = sample.into_part();
        let (send, receive) = shuttle::sync::mpsc::channel();
        let mut threads: Vec<_> = (0..PARTS)
            .map(|_| batch.split_to(BYTES))
            .enumerate()
            .map(|(number, mut part)| {
                let send = send.clone();
                start(move || {
                    let mark = u8::try_from(number).expect("a few") + 1;
                    assert_eq!(part[..], [0; BYTES], "another part wrote here");
                    part.fill(mark);
                    thread::yield_now();
                    assert_eq!(part[..], [mark; BYTES], "another part wrote here");
                    assert_eq!(part.properties().user(), 7);
                    match number {
                        0 | 1 => send.send(part).expect("received below"),
                        2 => assert_eq!(part.freeze(), [mark; BYTES]),
                        _ => drop(part),
                    }
                })
            })
            .collect();
        drop((batch, send));
        threads.push(start(move || {
            let mut parts: Vec<_> = receive.into_iter().collect();
            parts.sort_by_key(|part| part[0]);
            let second = parts.pop().expect("two were sent");
            let mut first = parts.pop().expect("two were sent");
            first.try_join(second).expect("they touch");
            let joined = first.freeze();
            assert_eq!(joined[..BYTES], [1; BYTES]);
            assert_eq!(joined[BYTES..], [2; BYTES]);
        }));
        let getter = stage.pool.clone();
        threads.push(start(move || {
            let sample = block_on(getter.get_buffer()).expect("it is committed");
            assert!(sample.is_empty(), "the last owner's length");
            assert_eq!(sample.properties().user(), 0, "the last owner's properties");
        }));
        join_all(threads);
        stage.assert_all_free();
    });
}

/// A part that is the only handle left becomes a sample, at whatever moment the others are dropped; and only then.
#[test]
fn the_last_part_becomes_a_sample() {
    play(|| {
        let stage = Stage::new(1);
        let mut sample = stage.take_all().pop().expect("one");
        stage.enter(&mut sample);
        stage.leave(&sample);
        let mut rest = sample.into_part();
        let read = rest.split_written();
        let reader = start(move || {
            assert_eq!(read.properties().user(), 7);
            drop(read);
        });
        let spare = rest.split_spare_off();
        let writer = start(move || {
            let mut spare = spare;
            spare.put_bytes(1, 4);
            drop(spare);
        });
        let last = start(move || match rest.try_into_sample() {
            Ok(mut sample) => {
                assert!(sample.is_empty());
                assert_eq!(sample.properties().user(), 7);
                sample.properties_mut().set_user(8);
                sample.put_bytes(2, 8);
            }
            Err(rest) => drop(rest),
        });
        join_all(vec![reader, writer, last]);
        stage.assert_all_free();
    });
}
