//! `SampleReader` over a source that ends samples itself: `ReadSample::ends_sample`.

use super::pool;
use crate::polling::{Polled, at_once};
use bytes::BufMut;
use futures::StreamExt;
use sample_pool::{
    Pool, Sample,
    stream::{ReadSample, SampleReader},
};
use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll},
};

/// One call each.
#[derive(Clone, Copy)]
enum Step {
    /// Bytes that fit.
    Bytes(&'static [u8]),
    /// Bytes that fit, or none, and the sample ends.
    Ends(&'static [u8]),
    Pending,
}

/// Appends as the steps say; after the last one comes the end.
struct Messages {
    steps: VecDeque<Step>,
    ends: bool,
}

impl ReadSample for Messages {
    fn poll_read_sample(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        sample: &mut Sample,
    ) -> Poll<io::Result<usize>> {
        let step = self.steps.pop_front();
        let (Some(Step::Bytes(bytes) | Step::Ends(bytes)), ends) =
            (step, matches!(step, Some(Step::Ends(_))))
        else {
            if step.is_none() {
                self.ends = false;
                return Poll::Ready(Ok(0));
            }
            // It still says `ends` of the read before.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        self.ends = ends;
        sample.put_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn ends_sample(&self) -> bool {
        self.ends
    }
}

fn reader(pool: &Pool, fill: bool, steps: impl Into<VecDeque<Step>>) -> SampleReader<Messages> {
    let steps = steps.into();
    let messages = Messages { steps, ends: false };
    SampleReader::new(messages, pool).fill_buffers(fill)
}

/// All samples, each of which is dropped before the next.
fn samples(mut reader: SampleReader<Messages>) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| at_once(reader.next()))
        .map(|sample| sample.expect("no error").to_vec())
        .collect()
}

/// A message in two reads would otherwise be joined with the next one, or yielded in halves.
#[test]
fn a_sample_ends_where_its_source_says_however_many_reads_it_took() {
    let steps = [
        Step::Bytes(b"on"),
        Step::Ends(b"e"),
        Step::Ends(b"two"),
        Step::Bytes(b"re"),
        Step::Bytes(b"st"),
    ];
    let read = samples(reader(&pool(1, 8), true, steps));
    assert_eq!(read, [&b"one"[..], b"two", b"rest"]);
}

/// The end of a message is often known only when the next one begins. Zero bytes would be the end of the source.
#[test]
fn a_read_that_ends_a_sample_may_append_nothing() {
    for (fill, expected) in [
        (true, &[&b"one"[..], b"two"][..]),
        (false, &[b"on", b"e", b"two"]),
    ] {
        let steps = [
            Step::Ends(b""),
            Step::Bytes(b"on"),
            Step::Bytes(b"e"),
            Step::Ends(b""),
            Step::Ends(b""),
            Step::Bytes(b"two"),
        ];
        let pool = pool(1, 8);
        let read = samples(reader(&pool, fill, steps));
        assert_eq!(read, expected, "fill_buffers({fill})");
        assert_eq!(pool.free_count(), 1);
    }
}

/// A message larger than a buffer, whose end comes with its last bytes, or after the sample was yielded because it is full.
#[test]
fn a_message_that_fills_its_buffer_ends_once() {
    for end in [
        vec![Step::Ends(b"4567")],
        vec![Step::Bytes(b"4567"), Step::Ends(b"")],
    ] {
        let steps = [vec![Step::Bytes(b"0123")], end, vec![Step::Ends(b"next")]].concat();
        let read = samples(reader(&pool(1, 8), true, steps));
        assert_eq!(read, [&b"01234567"[..], b"next"]);
    }
}

/// What the source said of an earlier read must not end a sample that has begun since.
#[test]
fn a_read_that_waits_ends_no_sample() {
    let pool = pool(1, 8);
    let steps = [
        Step::Ends(b"one"),
        Step::Pending,
        Step::Bytes(b"tw"),
        Step::Pending,
        Step::Ends(b"o"),
    ];
    let mut reader = reader(&pool, true, steps);
    drop(at_once(reader.next()));
    drop(Polled::waiting(reader.next()));
    drop(Polled::waiting(reader.next()));
    let two = at_once(reader.next()).expect("it was read");
    assert_eq!(&two.expect("no error")[..], b"two");
}

/// It would spin in one poll for ever, and no other task of its thread would run.
#[tokio::test]
async fn a_source_that_always_ends_empty_samples_lets_other_tasks_run() {
    let steps = vec![Step::Ends(b""); 100_000];
    let mut reader = reader(&pool(1, 8), true, steps);
    let reading = tokio::spawn(async move { reader.next().await.is_none() });
    let other = tokio::spawn(async {});
    other.await.expect("no panic");
    assert!(!reading.is_finished(), "it yielded to the other task");
    assert!(reading.await.expect("no panic"));
}
