//! `SampleReader` with `fill_buffers`: a partly filled buffer is not kept while other gets wait for it.

use super::{
    pool,
    script::{Script, Step},
};
use crate::polling::{Polled, at_once};
use futures::StreamExt;
use sample_pool::{
    GetBufferError, PollPool, Pool, Properties,
    stream::{ReadError, SampleReader},
};
use std::{
    io,
    task::{Context, Poll, Waker},
};
use tokio::{
    io::{AsyncWriteExt, DuplexStream, duplex},
    runtime,
    task::coop,
};

type Reader = SampleReader<DuplexStream>;

fn connected(pool: impl Into<PollPool>) -> (DuplexStream, Reader) {
    let (client, server) = duplex(1 << 16);
    (client, SampleReader::new(server, pool).fill_buffers(true))
}

fn send(client: &mut DuplexStream, bytes: &[u8]) {
    at_once(client.write_all(bytes)).expect("there is room");
}

/// A reader of `bytes` that had a buffer and released it, because another get was queued.
fn set_aside(pool: &Pool, bytes: &'static [u8], rest: Step) -> SampleReader<Script> {
    let script = Script::new([Step::Bytes(bytes), Step::Pending, Step::Pending, rest]);
    let mut reader = SampleReader::new(script, pool).fill_buffers(true);
    let mut next = Polled::waiting(reader.next());
    let other = Polled::waiting(pool.get_buffers(pool.properties().buffers));
    next.expect_pending();
    drop(next);
    assert_eq!(other.wakes(), 1, "the buffer is another's now");
    drop(other);
    assert_eq!(pool.free_count(), pool.properties().buffers);
    reader
}

/// Each of them used to keep a buffer from its first byte to its last, however long that took.
#[test]
fn one_slow_source_per_buffer_does_not_stop_the_others() {
    for with_quota in [false, true] {
        let pool = pool(5, 8);
        let quota = pool.quota("slow", 4);
        let source = || match with_quota {
            true => PollPool::from(&quota),
            false => PollPool::new(&pool),
        };
        let kept = (!with_quota).then(|| pool.try_get_buffer().expect("five are free"));
        let mut slow = [(); 4].map(|()| connected(source()));
        let (mut clients, mut polled): (Vec<_>, Vec<_>) = slow
            .iter_mut()
            .map(|(client, reader)| {
                send(client, b"1234");
                (client, Polled::waiting(reader.next()))
            })
            .unzip();
        assert_eq!(
            quota.status().in_use + usize::from(kept.is_some()) * 5,
            4 + usize::from(kept.is_some())
        );
        let (mut fifth, mut reader) = connected(source());
        send(&mut fifth, b"all of i");
        let mut whole = Polled::waiting(reader.next());
        for polled in &mut polled {
            assert_eq!(polled.wakes(), 1, "it is not notified that another waits");
            polled.expect_pending();
        }
        assert_eq!(whole.wakes(), 1);
        let sample = whole
            .expect_ready()
            .expect("not at the end")
            .expect("no error");
        assert_eq!(&sample[..], b"all of i");
        drop((whole, sample));
        for (client, polled) in clients.iter_mut().zip(&mut polled) {
            send(client, b"5678");
            let sample = polled
                .expect_ready()
                .expect("not at the end")
                .expect("no error");
            assert_eq!(&sample[..], b"12345678");
        }
    }
}

/// Bytes that were read come before the end and before an error, wherever they are stored.
#[test]
fn bytes_on_the_heap_are_not_lost_at_the_end_of_the_source() {
    let pool = pool(1, 8);
    let mut reader = set_aside(&pool, b"1234", Step::Bytes(b"56"));
    let sample = at_once(reader.next())
        .expect("not at the end")
        .expect("no error");
    assert_eq!(&sample[..], b"123456");
    drop(sample);
    assert!(at_once(reader.next()).is_none());

    let mut reader = set_aside(&pool, b"1234", Step::Error);
    let sample = at_once(reader.next())
        .expect("not at the end")
        .expect("no error");
    assert_eq!(&sample[..], b"1234");
    drop(sample);
    let error = at_once(reader.next()).expect("an error").unwrap_err();
    assert_eq!(
        io::Error::from(error).kind(),
        io::ErrorKind::ConnectionReset
    );
    assert!(at_once(reader.next()).is_none());

    let reader = set_aside(&pool, b"1234", Step::Bytes(b"56"));
    let (source, begun) = reader.into_parts();
    assert_eq!((source.left(), &begun[..]), (1, &b"1234"[..]));
}

/// A drain is completed by the last sample, and the source of this one may never send the rest.
#[test]
fn a_begun_sample_does_not_hold_up_a_drain_and_goes_on_in_smaller_buffers() {
    let pool = pool(1, 8);
    let script = [
        Step::Bytes(b"1234567"),
        Step::Pending,
        Step::Pending,
        Step::Bytes(b"89"),
    ];
    let mut reader = SampleReader::new(Script::new(script), &pool).fill_buffers(true);
    let mut next = Polled::waiting(reader.next());
    pool.decommit();
    next.expect_pending();
    drop(next);
    at_once(pool.drained());
    let refused = at_once(reader.next()).expect("not at the end").unwrap_err();
    assert!(matches!(
        refused,
        ReadError::GetBuffer(GetBufferError::NotCommitted)
    ));

    let smaller = Properties {
        size: 3,
        ..pool.properties()
    };
    pool.set_properties(smaller).expect("it is drained");
    pool.commit().expect("small");
    for expected in [&b"123"[..], b"456", b"789"] {
        let sample = at_once(reader.next())
            .expect("not at the end")
            .expect("no error");
        assert_eq!(&sample[..], expected);
    }
    assert!(at_once(reader.next()).is_none());
}

/// A reader that takes a spent budget for "nothing is requested" keeps the buffer that other gets wait for.
#[test]
fn a_reader_whose_budget_is_spent_releases_a_buffer_that_others_wait_for() {
    let runtime = runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(async {
        let pool = pool(1, 8);
        let script = Script::new([Step::Bytes(b"abc"), Step::Pending, Step::Pending]);
        let mut reader = SampleReader::new(script, &pool).fill_buffers(true);
        let mut next = Polled::waiting(reader.next());
        let mut other = Polled::waiting(pool.get_buffer());
        while let Poll::Ready(budget) = coop::poll_proceed(&mut Context::from_waker(Waker::noop()))
        {
            budget.made_progress();
        }
        next.expect_pending();
        assert_eq!(other.wakes(), 1, "it was handed the buffer");
        drop(next);
        assert_eq!(reader.into_parts().1, "abc");
        other.expect_pending(); // for want of budget
    });
}
