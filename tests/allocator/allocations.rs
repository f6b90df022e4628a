//! Once warm, the pool allocates nothing per get, release, freeze, clone or slice, with or without a wait.
//!
//! The count is the sum over the threads that take part, since the test harness has threads too. Two tests
//! would count each other's allocations, so everything is one test.
//!
//! Guarantees: 6

use crate::counting::{allocations, take_part};
use crate::polling::poll_once;
use bytes::{Buf, BufMut, Bytes};
use futures::StreamExt;
use sample_pool::{Builder, PollPool, Pool, ReferenceTime, Sample, SharedSample, fan_out::FanOut};
use std::{
    future::Future,
    pin::pin,
    sync::Barrier,
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

const ROUNDS: usize = 50;

/// More often than the longest queue has waiters, so that each queue slot was used in each way.
const WARM_UP: usize = 20;

/// Runs `operation` until it is warm, and then asserts how often it allocates.
#[track_caller]
pub(crate) fn assert_allocates(expected: usize, what: &str, mut operation: impl FnMut()) {
    for _ in 0..WARM_UP {
        operation();
    }
    let before = allocations();
    for _ in 0..ROUNDS {
        operation();
    }
    let counted = allocations() - before;
    assert_eq!(counted, expected * ROUNDS, "{what}, {ROUNDS} times");
}

/// The same for a future, inside a task.
async fn assert_await_allocates_nothing<F: Future>(what: &str, mut operation: impl FnMut() -> F) {
    for _ in 0..WARM_UP {
        operation().await;
    }
    let before = allocations();
    for _ in 0..ROUNDS {
        operation().await;
    }
    let counted = allocations() - before;
    assert_eq!(counted, 0, "{what}, {ROUNDS} times");
}

pub(crate) fn take(pool: &Pool) -> Sample {
    pool.try_get_buffer().expect("one is free")
}

#[track_caller]
fn wait<F: Future + Unpin>(future: &mut F) {
    assert!(poll_once(future).is_pending(), "none is free");
}

#[track_caller]
fn ready<T, E: std::fmt::Debug>(future: &mut (impl Future<Output = Result<T, E>> + Unpin)) -> T {
    match poll_once(future) {
        Poll::Ready(result) => result.expect("it is served"),
        Poll::Pending => panic!("it waits"),
    }
}

fn gets_and_releases(pool: &Pool) {
    assert_allocates(0, "try_get_buffer", || drop(take(pool)));
    assert_allocates(0, "get_buffer", || drop(ready(&mut pool.get_buffer())));
    assert_allocates(0, "get_buffer_owned", || {
        drop(ready(&mut pool.get_buffer_owned()));
    });
    assert_allocates(0, "get_buffer_timeout", || {
        drop(ready(&mut pool.get_buffer_timeout(Duration::MAX)));
    });
    assert_allocates(0, "blocking_get_buffer", || {
        drop(pool.blocking_get_buffer().expect("one is free"));
    });
    assert_allocates(0, "filling and describing", || {
        let mut sample = take(pool);
        sample.put_slice(b"payload");
        sample.prepend(b"head").expect("four bytes of headroom");
        sample.set_len(60).expect("it has 64");
        let start = Some(ReferenceTime(1));
        sample.properties_mut().set_time(start, None);
    });
    assert_allocates(0, "status", || {
        assert_eq!(pool.status().free, pool.free_count());
    });
}

fn sharing(pool: &Pool) {
    assert_allocates(0, "freeze, clone, slice and back", || {
        let mut sample = take(pool);
        sample.put_slice(b"0123456789");
        let mut shared = sample.freeze();
        let clones: [SharedSample; 4] = std::array::from_fn(|_| shared.clone());
        let slice = shared.slice(2..4);
        let front = shared.split_to(3);
        let back = shared.split_off(3);
        drop((clones, slice, front, back));
        let sample = shared.try_into_sample().expect("the only handle");
        assert_eq!(&sample[..], b"345");
    });
    assert_allocates(1, "into_bytes", || {
        let mut sample = take(pool);
        sample.put_slice(b"0123456789");
        let bytes = sample.into_bytes();
        drop((bytes.clone(), bytes.slice(1..4)));
    });
    assert_allocates(0, "into_bytes without a byte", || {
        drop(take(pool).into_bytes());
        let shared = take(pool).freeze();
        drop((shared.clone().into_bytes(), Bytes::from(shared)));
    });
    assert_allocates(1, "a slice into bytes", || {
        let mut sample = take(pool);
        sample.put_slice(b"0123456789");
        drop(Bytes::from(sample.freeze().slice(1..4)));
    });
}

fn waiting(pool: &Pool) {
    assert_allocates(0, "a hand-off", || {
        let held = [take(pool), take(pool)];
        let mut first = pool.get_buffer();
        let mut second = pool.get_buffer_owned();
        wait(&mut first);
        wait(&mut second);
        drop(held);
        drop((ready(&mut first), ready(&mut second)));
    });
    assert_allocates(0, "ten queued", || {
        let held = [take(pool), take(pool)];
        let mut line: [_; 10] = std::array::from_fn(|_| pool.get_buffer());
        line.iter_mut().for_each(wait);
        drop(held);
        for get in &mut line {
            drop(ready(get));
        }
    });
    assert_allocates(0, "refusals", || {
        let _held = [take(pool), take(pool)];
        let _refused = pool.try_get_buffer().expect_err("none is free");
        let _refused = pool.try_get_buffers(2).expect_err("none is free");
        let _refused = pool.try_get_buffers(3).expect_err("it has two");
    });
}

fn cancelling(pool: &Pool) {
    assert_allocates(0, "leaving the queue", || {
        let _held = [take(pool), take(pool)];
        let mut line: [_; 4] = std::array::from_fn(|_| pool.get_buffer());
        line.iter_mut().for_each(wait);
    });
    assert_allocates(0, "dropping what was handed off", || {
        let held = [take(pool), take(pool)];
        let mut get = pool.get_buffer();
        wait(&mut get);
        drop(held);
    });
    assert_allocates(0, "handing on to the next waiter", || {
        let held = [take(pool), take(pool)];
        let mut first = pool.get_buffers(2);
        let mut second = pool.get_buffer();
        let mut third = pool.get_buffer();
        wait(&mut first);
        wait(&mut second);
        wait(&mut third);
        drop(held);
        drop(first);
        drop((ready(&mut second), ready(&mut third)));
    });
    assert_allocates(0, "handing on what was gathered", || {
        let [one, _held] = [take(pool), take(pool)];
        let mut large = pool.get_buffers(2);
        let mut next = pool.get_buffer();
        wait(&mut large);
        wait(&mut next);
        drop(one);
        drop(large);
        drop(ready(&mut next));
    });
}

/// The futures of a quota must be pinned, which allocates nothing.
fn quotas(pool: &Pool) {
    let quota = pool.quota("half", 1);
    assert_allocates(0, "a get and release of a quota", || {
        drop(ready(&mut pin!(quota.get_buffer())));
        drop(ready(&mut pin!(quota.get_buffer_owned())));
        drop(quota.try_get_buffer().expect("free"));
    });
    assert_allocates(0, "waiting for room in a quota", || {
        let held = quota.try_get_buffer().expect("free");
        let mut first = pin!(quota.get_buffer());
        let mut second = pin!(quota.get_buffer());
        wait(&mut first);
        wait(&mut second);
        drop(held);
        drop(ready(&mut first));
        drop(ready(&mut second));
    });
}

fn many(pool: &Pool) {
    let mut samples = Vec::with_capacity(2);
    assert_allocates(0, "get_buffers_into", || {
        ready(&mut pool.get_buffers_into(&mut samples, 2));
        samples.clear();
    });
    assert_allocates(0, "get_buffers_into, waiting", || {
        let held = [take(pool), take(pool)];
        let mut get = pool.get_buffers_into(&mut samples, 2);
        wait(&mut get);
        drop(held);
        ready(&mut get);
        drop(get);
        samples.clear();
    });
    assert_allocates(0, "get_buffers of none", || {
        drop(ready(&mut pool.get_buffers(0)));
    });
    assert_allocates(1, "get_buffers", || {
        drop(ready(&mut pool.get_buffers(2)));
    });
    assert_allocates(1, "try_get_buffers", || {
        drop(pool.try_get_buffers(2).expect("two are free"));
    });
    assert_allocates(1, "get_buffers, waiting", || {
        let held = [take(pool), take(pool)];
        let mut get = pool.get_buffers(2);
        wait(&mut get);
        drop(held);
        drop(ready(&mut get));
    });
}

/// Waits inside a runtime with a paused clock, which only the timers of these waits advance.
/// A list of samples, and one of shared samples if there is more than one.
fn segments(pool: &Pool) {
    let size = pool.properties().size;
    assert_allocates(1, "segments in one buffer, frozen and read", || {
        let mut segments = pool.try_get_segments(size).expect("free");
        segments.put_bytes(7, size);
        let mut frozen = segments.freeze();
        let clone = frozen.clone();
        frozen.advance(size);
        assert_eq!(clone.into_iter().count(), 1);
    });
    assert_allocates(2, "segments in two buffers, frozen and read", || {
        let mut segments = pool.try_get_segments(2 * size).expect("free");
        segments.put_bytes(7, 2 * size);
        let mut frozen = segments.freeze();
        let front = frozen.split_to(size);
        frozen.advance(size);
        assert_eq!(front.into_iter().count(), 1);
    });
}

fn timed(pool: &Pool) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let limit = Duration::from_millis(10);
        assert_await_allocates_nothing("a timed wait that is served", || async {
            let held = [take(pool), take(pool)];
            let mut get = pool.get_buffer_timeout(limit);
            wait(&mut get);
            drop(held);
            drop(get.await.expect("it is served"));
        })
        .await;
        assert_await_allocates_nothing("a timed wait that is cancelled", || async {
            let _held = [take(pool), take(pool)];
            wait(&mut pool.get_buffer_timeout(limit));
        })
        .await;
        assert_await_allocates_nothing("a timed wait that times out", || async {
            let _held = [take(pool), take(pool)];
            let _late = pool.get_buffer_timeout(limit).await.expect_err("too late");
        })
        .await;
    });
}

/// Two threads that hand samples to each other, most of them through the wait queue.
fn between_threads(pool: &Pool) {
    let steps = Barrier::new(3);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                take_part();
                let work = |count: usize| {
                    for _ in 0..count {
                        let both = futures::executor::block_on(pool.get_buffer());
                        drop(both.expect("it comes back").freeze());
                    }
                };
                work(200);
                steps.wait();
                steps.wait();
                work(2000);
                steps.wait();
                steps.wait();
            });
        }
        steps.wait();
        let before = allocations();
        steps.wait();
        steps.wait();
        let counted = allocations() - before;
        steps.wait();
        assert_eq!(counted, 0, "two threads that share two samples");
    });
}

/// Everything between a pool and many readers: nothing per sample except what `Bytes` allocate.
fn fanning_out(pool: &Pool) {
    let mut polled = PollPool::new(pool);
    assert_allocates(0, "a polled pool", || {
        let poll = polled.poll_get_buffer(&mut Context::from_waker(Waker::noop()));
        assert!(poll.is_ready());
    });
    let fan_out = FanOut::new(1, 1);
    let mut subscribers = [fan_out.subscribe(1), fan_out.subscribe(1)];
    assert_allocates(0, "a fan-out to two", || {
        fan_out.send(take(pool).freeze()).expect("open");
        for subscriber in &mut subscribers {
            drop(crate::polling::at_once(subscriber.recv()).expect("it goes on"));
        }
    });
    fan_out.clear();
    assert_allocates(0, "a frame that is sent to two while it arrives", || {
        let mut part = take(pool).into_part();
        let mut frame = fan_out.start_frame(true).expect("open");
        for _ in 0..3 {
            part.put_slice(b"some");
            frame.append(part.split_written()).expect("it is arriving");
            for subscriber in &mut subscribers {
                drop(crate::polling::at_once(subscriber.recv()).expect("it goes on"));
            }
        }
        drop(frame);
        for subscriber in &mut subscribers {
            let end = crate::polling::at_once(subscriber.recv()).expect("it goes on");
            assert!(end.is_aborted());
        }
    });
    fan_out.clear();
    let mut stream = fan_out.subscribe(1);
    assert_allocates(0, "a fan-out to a stream that waits", || {
        let mut next = pin!(stream.next());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(next.as_mut().poll(&mut cx).is_pending());
        fan_out.send(take(pool).freeze()).expect("open");
        let poll = next.as_mut().poll(&mut cx);
        assert!(matches!(poll, Poll::Ready(Some(_))));
    });
    drop(stream);
    assert_allocates(1, "a fan-out to one as bytes", || {
        let mut sample = take(pool);
        sample.put_slice(b"payload");
        fan_out.send(sample.freeze()).expect("open");
        let received = crate::polling::at_once(subscribers[0].recv()).expect("it goes on");
        drop(received.into_bytes());
    });
    fan_out.clear();
}

/// Sockets on loopback, inside a runtime on this thread.
#[cfg(feature = "net")]
fn receiving(pool: &Pool) {
    use sample_pool::stream::{
        BatchReceiver, DatagramReceiver, DatagramSender, ReadableFirst, SampleReader,
    };
    use tokio::{
        io::AsyncWriteExt,
        net::{UdpSocket, UnixStream},
    };

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
        let address = socket.local_addr().expect("it is bound");
        let sender = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
        let mut datagrams = DatagramReceiver::new(socket, pool);
        let joining = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
        let joining_at = joining.local_addr().expect("it is bound");
        let mut batches = BatchReceiver::new(joining, pool, 4);
        let frames = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
        let mut frames = DatagramSender::new(frames).expect("loopback");
        let mut received_batches = Vec::with_capacity(2);
        let (mut client, server) = UnixStream::pair().expect("a pair");
        let mut reads = SampleReader::new(ReadableFirst::new(server), pool);
        let mut batch = Vec::with_capacity(2);
        let mut before = 0;
        for round in 0..WARM_UP + ROUNDS {
            if round == WARM_UP {
                before = allocations();
            }
            sender.send_to(b"one", address).await.expect("loopback");
            drop(datagrams.next().await.expect("endless").expect("no error"));
            sender.send_to(b"two", address).await.expect("loopback");
            let received = datagrams.receive_many(&mut batch, 2).await;
            assert_eq!(received.expect("no error"), 1);
            batch.clear();
            for many in [false, true] {
                frames
                    .send_to(b"four", 4, joining_at)
                    .await
                    .expect("loopback");
                match many {
                    true => {
                        let received = batches.receive_many(&mut received_batches, 2).await;
                        assert_eq!(received.expect("no error"), 1);
                    }
                    false => {
                        let batch = batches.next().await.expect("endless");
                        received_batches.push(batch.expect("no error"));
                    }
                }
                received_batches.drain(..).for_each(|batch| {
                    assert_eq!(batch.into_parts().len(), 1);
                });
            }
            client.write_all(b"three").await.expect("it is open");
            drop(reads.next().await.expect("it is open").expect("no error"));
        }
        let counted = allocations() - before;
        assert_eq!(counted, 0, "datagrams and reads, {ROUNDS} times");
    });
}

fn small() -> Builder {
    Pool::builder().buffers(2).size(64).prefix(4)
}

/// A pool exists so that a busy server does not allocate. One hidden allocation for each packet would be as
/// slow as no pool, and no other test would show it.
#[test]
fn a_warm_pool_allocates_only_what_a_vec_and_bytes_need() {
    take_part();
    let configurations = [
        ("plain", small()),
        ("with a callback", small().on_release(|_pool| {})),
        (
            "with everything on",
            small()
                .track_holders(true)
                .measure_waits(true)
                .zero_on_release(true),
        ),
    ];
    for (name, builder) in configurations {
        println!("{name}");
        let pool = builder.build().expect("small");
        let _watch = pool.detect_stalls(Duration::ZERO, |_| {});
        gets_and_releases(&pool);
        sharing(&pool);
        waiting(&pool);
        many(&pool);
        segments(&pool);
        timed(&pool);
        between_threads(&pool);
        cancelling(&pool);
        quotas(&pool);
        fanning_out(&pool);
        #[cfg(feature = "stream")]
        crate::adapting::readers_and_writers(&pool);
        #[cfg(feature = "net")]
        receiving(&pool);
    }
}
