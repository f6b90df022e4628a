//! A task that waits for a sample that it holds itself: no pool can resolve this, so the report names the line.

use crate::polling::Polled;
use futures::TryStreamExt;
use sample_pool::{Pool, Sample, stream::SampleReader};
use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};
use tokio::io::AsyncReadExt;
use tokio_util::io::StreamReader;

fn pool(buffers: usize) -> Pool {
    let builder = Pool::builder().buffers(buffers).size(8).align(1);
    builder.track_holders(true).build().expect("small")
}

/// `StreamReader` keeps a chunk until it has the next one, read or not. The documentation of `SampleReader` says so.
#[test]
fn a_stream_reader_needs_two_buffers_and_the_report_names_the_reader_of_one_that_hangs() {
    for buffers in [1, 2] {
        let pool = pool(buffers);
        let source = &b"eight by"[..];
        let mut expected = source.to_vec();
        let (samples, line) = (SampleReader::new(source.chain(&b"tes"[..]), &pool), line!());
        expected.extend(b"tes");
        let mut reader = StreamReader::new(samples.map_ok(Sample::freeze));
        let mut read = Vec::new();
        let mut reading = Polled::new(reader.read_to_end(&mut read));
        match reading.poll() {
            Poll::Ready(result) => assert_eq!((buffers, result.expect("no error")), (2, 11)),
            Poll::Pending => {
                assert_eq!((buffers, pool.status().waiting), (1, 1));
                let said = pool.report().to_string();
                let holder = format!(": tests/it/stream/self_deadlock.rs:{line}:");
                assert!(said.contains(&holder), "{said}");
                continue;
            }
        }
        drop(reading);
        assert_eq!(read, expected);
    }
}

/// Beside the loop of a `select!` the first get is in the queue, is served, and is not polled: the second waits for it.
#[test]
fn a_get_that_is_kept_while_another_is_awaited_is_named_by_the_report() {
    let pool = pool(1);
    let held = pool.try_get_buffer().expect("one is free");
    let (mut first, line) = (pin!(pool.get_buffer()), line!());
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(Pin::as_mut(&mut first).poll(cx).is_pending());
    let second = Polled::waiting(pool.get_buffer());
    drop(held);
    assert_eq!(second.wakes(), 0);
    let said = pool.report().to_string();
    let named = format!(
        "1 sample on the way, handed to a get that was not polled since: tests/it/stream/self_deadlock.rs:{line}:"
    );
    assert!(said.contains(&named), "{said}");
}
