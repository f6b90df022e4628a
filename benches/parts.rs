//! A batch of 60,000 bytes is cut into 50 messages, and all are dropped.
//!
//! Time per batch. Not measured, except where the name says it: filling the batch, and taking the buffer. One thread
//! uses all of it; parts that are dropped on several threads write one line of memory in turn.

mod measured;

use bytes::{BufMut, Bytes, BytesMut};
use criterion::Criterion;
use measured::{Measured, ready};
use sample_pool::{Pool, Sample};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

const SIZE: usize = 60_000;
const MESSAGES: usize = 50;
const MESSAGE: usize = SIZE / MESSAGES;
/// How many batches are filled before the clock starts.
const BATCHES: usize = 16;

fn filled(pool: &Pool) -> Sample {
    let mut sample = ready(pool.get_buffer()).expect("committed");
    sample.put_bytes(7, SIZE);
    sample
}

/// The time of `iterations` batches, each made by `make` before the clock starts. `cut` fills the `Vec`, which has
/// enough capacity; all messages are dropped together.
fn time<Batch, Message: AsRef<[u8]>>(
    iterations: u64,
    mut make: impl FnMut() -> Batch,
    cut: impl Fn(Batch, &mut Vec<Message>),
) -> Duration {
    let mut messages = Vec::with_capacity(MESSAGES);
    let mut batches = Vec::with_capacity(BATCHES);
    let (mut spent, mut left) = (Duration::ZERO, iterations);
    while left > 0 {
        let count = left.min(BATCHES as u64);
        batches.extend((0..count).map(|_| make()));
        let start = Instant::now();
        for batch in batches.drain(..) {
            cut(batch, &mut messages);
            assert_eq!(black_box(&messages).len(), MESSAGES);
            assert_eq!(messages[MESSAGES - 1].as_ref().len(), MESSAGE);
            messages.clear();
        }
        spent += start.elapsed();
        left -= count;
    }
    spent
}

/// One bench with batches that are samples.
fn of_samples<Message: AsRef<[u8]>>(
    criterion: &mut Criterion,
    name: &str,
    cut: impl Fn(Sample, &mut Vec<Message>),
) {
    let mut measured = Measured::of(BATCHES * 2, SIZE);
    criterion.bench_function(&format!("split_50_drop_all/{name}"), |bencher| {
        bencher.iter_custom(|iterations| {
            measured.takes(iterations);
            let pool = measured.pool();
            time(iterations, || filled(pool), &cut)
        });
    });
    measured.finish();
}

/// Nanoseconds per batch: `into_part`, 50 times `split_to`.
fn parts(criterion: &mut Criterion) {
    of_samples(criterion, "sample_part", |sample, messages| {
        let mut batch = sample.into_part();
        messages.extend((0..MESSAGES).map(|_| batch.split_to(MESSAGE)));
    });
}

/// Nanoseconds per batch: `freeze`, 50 times `split_to`. The messages are read-only.
fn shared(criterion: &mut Criterion) {
    of_samples(criterion, "shared_sample", |sample, messages| {
        let mut batch = sample.freeze();
        messages.extend((0..MESSAGES).map(|_| batch.split_to(MESSAGE)));
    });
}

/// Nanoseconds per batch: `into_bytes`, 50 times `Bytes::split_to`. The messages are read-only.
fn bytes_of_a_sample(criterion: &mut Criterion) {
    of_samples(criterion, "bytes_of_a_sample", |sample, messages| {
        let mut batch = sample.into_bytes();
        messages.extend((0..MESSAGES).map(|_| batch.split_to(MESSAGE)));
    });
}

/// Nanoseconds per batch: 50 times `Bytes::split_to`, of bytes on the heap.
fn bytes(criterion: &mut Criterion) {
    criterion.bench_function("split_50_drop_all/bytes", |bencher| {
        bencher.iter_custom(|iterations| {
            let batch = || Bytes::from(vec![7; SIZE]);
            time(iterations, batch, |mut batch, messages| {
                messages.extend((0..MESSAGES).map(|_| batch.split_to(MESSAGE)));
            })
        });
    });
}

/// Nanoseconds per batch: the batch is copied into a new `BytesMut`, and 50 times `BytesMut::split_to`. It is what a
/// server does that receives into a buffer of its own. The allocation and the copy are measured.
fn bytes_mut_copied(criterion: &mut Criterion) {
    let received = vec![7; SIZE];
    criterion.bench_function("split_50_drop_all/bytes_mut_copied", |bencher| {
        bencher.iter_custom(|iterations| {
            time(
                iterations,
                || (),
                |(), messages| {
                    let mut batch = BytesMut::from(black_box(&received[..]));
                    messages.extend((0..MESSAGES).map(|_| batch.split_to(MESSAGE)));
                },
            )
        });
    });
}

fn main() {
    let mut criterion = measured::criterion();
    parts(&mut criterion);
    shared(&mut criterion);
    bytes_of_a_sample(&mut criterion);
    bytes(&mut criterion);
    bytes_mut_copied(&mut criterion);
    criterion.final_summary();
}
