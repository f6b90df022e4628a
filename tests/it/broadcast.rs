//! The sizing rule for a `tokio::sync::broadcast` channel of samples, as the README gives it.
//!
//! A producer never waits if *capacity, rounded up to a power of two, + samples that subscribers hold + 1* is
//! at most the number of buffers.

use crate::polling::Polled;
use bytes::{BufMut, Bytes};
use sample_pool::{GetBufferError, Pool};
use tokio::sync::broadcast;

const BUFFERS: usize = 8;

/// Sends until the pool is exhausted, at most `most` samples. Returns how many were sent.
fn send(pool: &Pool, packets: &broadcast::Sender<Bytes>, most: usize) -> usize {
    for sent in 0..most {
        let mut sample = match pool.try_get_buffer() {
            Ok(sample) => sample,
            Err(GetBufferError::Exhausted) => return sent,
            Err(error) => panic!("{error}"),
        };
        sample.put_u8(0);
        let _receivers = packets.send(sample.into_bytes());
    }
    most
}

/// Whether a producer has to wait that sends to a subscriber which holds `held` packets and receives no more.
fn producer_waits(capacity: usize, held: usize) -> bool {
    let pool = Pool::builder().buffers(BUFFERS).size(64).build().unwrap();
    let packets = broadcast::Sender::new(capacity);
    let mut slow = packets.subscribe();
    assert_eq!(send(&pool, &packets, held), held, "there is room for these");
    let taken: Vec<Bytes> = (0..held).map(|_| slow.try_recv().unwrap()).collect();

    let sent = send(&pool, &packets, 10 * BUFFERS);
    let waits = sent < 10 * BUFFERS;
    if waits {
        Polled::waiting(pool.get_buffer());
    }
    drop(taken);
    waits
}

/// Tokio rounds the capacity up, so a channel of five keeps eight packets: all buffers of the pool.
#[test]
fn a_capacity_below_the_number_of_buffers_can_stop_the_producer() {
    assert!(producer_waits(5, 0));
}

/// The rule is exact: one sample more, held or kept by the channel, and the producer waits.
#[test]
fn a_producer_waits_only_if_rounded_capacity_and_held_samples_leave_no_buffer() {
    for capacity in 1..=BUFFERS {
        let kept = capacity.next_power_of_two();
        for held in 0..kept.min(BUFFERS - 1) {
            let waits = kept + held + 1 > BUFFERS;
            assert_eq!(
                producer_waits(capacity, held),
                waits,
                "capacity {capacity}, {held} held"
            );
        }
    }
}
