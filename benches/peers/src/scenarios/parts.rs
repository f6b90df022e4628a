//! *Parts*: a batch of 60,000 bytes is cut into 50 messages, and all of them are dropped.
//!
//! Time per batch. A batch is made before the clock starts, except where its bytes are copied: that is what a server does
//! that receives into a buffer of its own. What the last message frees or returns is measured.

use crate::{
    contenders::{Contender, SamplePool},
    table::{Base, Bound, OURS, Outcome, Table},
};
use bytes::{BufMut, Bytes, BytesMut};
use sample_pool::Sample;
use std::{
    hint::black_box,
    rc::Rc,
    time::{Duration, Instant},
};

const SIZE: usize = 60_000;
const MESSAGES: usize = 50;
const MESSAGE: usize = SIZE / MESSAGES;
/// How many batches are made before the clock starts.
const PREPARED: usize = 16;
const FILLED_WITH: u8 = 0x5a;

/// Read-only pieces of a sample, which are what a part becomes when it is frozen.
const SHARED: &str = "sample-pool, SharedSample::split_to";
const COPIED: &str = "BytesMut::split_to of a copy";
const BYTES: &str = "Bytes::split_to";

pub(crate) fn tables() -> Vec<Table> {
    let table = Table::new("parts", "60,000 bytes into 50 messages")
        .row_for_each_allocator(OURS, parts)
        .reference(SHARED, shared)
        .row_for_each_allocator(COPIED, copied)
        .row_for_each_allocator(BYTES, bytes)
        .target(OURS, Base::FastestPeer, Bound::AtMost(1.0));
    vec![table]
}

fn parts() -> impl FnMut(u64) -> Outcome {
    of_samples(|sample, messages| {
        let mut batch = sample.into_part();
        messages.extend((0..MESSAGES).map(|_| batch.split_to(MESSAGE)));
    })
}

fn shared() -> impl FnMut(u64) -> Outcome {
    of_samples(|sample, messages| {
        let mut batch = sample.freeze();
        messages.extend((0..MESSAGES).map(|_| batch.split_to(MESSAGE)));
    })
}

fn copied() -> impl FnMut(u64) -> Outcome {
    let received: Rc<[u8]> = vec![FILLED_WITH; SIZE].into();
    batches(
        move || received.clone(),
        |received, messages: &mut Vec<BytesMut>| {
            let mut batch = BytesMut::from(black_box(&received[..]));
            messages.extend((0..MESSAGES).map(|_| batch.split_to(MESSAGE)));
        },
        || {},
    )
}

fn bytes() -> impl FnMut(u64) -> Outcome {
    batches(
        || Bytes::from(vec![FILLED_WITH; SIZE]),
        |mut batch, messages: &mut Vec<Bytes>| {
            messages.extend((0..MESSAGES).map(|_| batch.split_to(MESSAGE)));
        },
        || {},
    )
}

/// Batches that are samples of one pool.
fn of_samples<Message: AsRef<[u8]>>(
    cut: impl Fn(Sample, &mut Vec<Message>),
) -> impl FnMut(u64) -> Outcome {
    let pool = Rc::new(SamplePool::with_buffers(2 * PREPARED, SIZE));
    let filled = {
        let pool = pool.clone();
        move || {
            let mut sample = pool.0.try_get_buffer().expect("a buffer is free");
            sample.put_bytes(FILLED_WITH, SIZE);
            sample
        }
    };
    batches(filled, cut, move || pool.assert_all_free())
}

/// Makes batches, and measures how long it takes to `cut` them and to drop the messages of each.
fn batches<Batch, Message: AsRef<[u8]>>(
    make: impl Fn() -> Batch,
    cut: impl Fn(Batch, &mut Vec<Message>),
    at_the_end: impl Fn(),
) -> impl FnMut(u64) -> Outcome {
    let mut messages = Vec::with_capacity(MESSAGES);
    let mut prepared = Vec::with_capacity(PREPARED);
    move |operations| {
        let (mut elapsed, mut left) = (Duration::ZERO, operations);
        while left > 0 {
            let count = left.min(PREPARED as u64);
            prepared.extend((0..count).map(|_| make()));
            let begin = Instant::now();
            for batch in prepared.drain(..) {
                cut(batch, &mut messages);
                assert_eq!(black_box(&messages).len(), MESSAGES);
                assert_is_message(messages[MESSAGES - 1].as_ref());
                messages.clear();
            }
            elapsed += begin.elapsed();
            left -= count;
        }
        at_the_end();
        Outcome::per_operation(elapsed, operations)
    }
}

/// Looks at the ends alone: reading all of it would be measured.
#[inline]
fn assert_is_message(message: &[u8]) {
    assert_eq!(message.len(), MESSAGE);
    assert_eq!(
        (message[0], message[MESSAGE - 1]),
        (FILLED_WITH, FILLED_WITH)
    );
}
