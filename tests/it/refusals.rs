//! Calls that are ready at once, above all with an error, still let other tasks of their thread run.
//!
//! Guarantees: 5

#![forbid(unsafe_code)]

use futures::{FutureExt, StreamExt, future::poll_fn};
use sample_pool::{GetBufferError, PollPool, Pool, Quota, Sample, fan_out::FanOut};
use std::{future::Future, ops::AsyncFnMut, sync::mpsc, task::Poll, thread, time::Duration};
use tokio::{runtime::Builder, task::coop};

/// How long a test waits for what should happen at once before it fails.
const HANG: Duration = Duration::from_secs(20);

fn pool() -> Pool {
    Pool::builder().buffers(4).size(64).build().expect("small")
}

async fn exhaust_budget() {
    poll_fn(|cx| {
        while let Poll::Ready(budget) = coop::poll_proceed(cx) {
            budget.made_progress();
        }
        Poll::Ready(())
    })
    .await;
}

/// Repeats `step` until it is served, which is after another task of this thread has ended the flush.
async fn until_the_flush_ends<T>(
    pool: &Pool,
    mut step: impl AsyncFnMut() -> Result<T, GetBufferError>,
) {
    pool.set_flushing(true);
    let ends = tokio::spawn({
        let pool = pool.clone();
        async move { pool.set_flushing(false) }
    });
    while let Err(refused) = step().await.map(drop) {
        assert_eq!(refused, GetBufferError::Flushing);
    }
    assert!(!pool.is_flushing());
    ends.await.expect("no panic");
}

/// Repeats `step`, which is ready at once, until another task of this thread has run.
async fn until_another_task_runs(mut step: impl AsyncFnMut()) {
    let other = tokio::spawn(async {});
    while !other.is_finished() {
        step().await;
    }
    other.await.expect("no panic");
}

/// Runs a test on a runtime with one thread. If it never yields that thread, the test fails.
#[track_caller]
fn on_one_thread<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(test());
        let _receiver_is_gone = send.send(());
    });
    receive
        .recv_timeout(HANG)
        .expect("it neither hangs nor panics");
}

/// The errors are ready at once, and so was a task that repeats the call until it is served: it never yielded
/// its thread.
#[test]
fn a_loop_of_refused_gets_lets_the_task_run_that_ends_the_flush() {
    on_one_thread(async || {
        let pool = &pool();
        until_the_flush_ends(pool, async || pool.get_buffer().await).await;
        until_the_flush_ends(pool, async || pool.get_buffer_owned().await).await;
        until_the_flush_ends(pool, async || pool.get_buffer_timeout(HANG).await).await;
        until_the_flush_ends(pool, async || pool.get_buffers(2).await).await;
        let into = async || pool.get_buffers_into(&mut Vec::new(), 2).await;
        until_the_flush_ends(pool, into).await;
    });
}

/// The gets of the pool and the wait of the quota fail at different places in the code.
#[test]
fn a_loop_of_gets_that_a_quota_refuses_lets_the_task_run_that_ends_the_flush() {
    async fn each_get(pool: &Pool, quota: &Quota) {
        until_the_flush_ends(pool, async || quota.get_buffer().await).await;
        until_the_flush_ends(pool, async || quota.get_buffer_owned().await).await;
        until_the_flush_ends(pool, async || quota.get_buffer_timeout(HANG).await).await;
        until_the_flush_ends(pool, async || quota.get_buffers(1).await).await;
        let into = async || quota.get_buffers_into(&mut Vec::new(), 1).await;
        until_the_flush_ends(pool, into).await;
    }
    on_one_thread(async || {
        let pool = &pool();
        each_get(pool, &pool.quota("with room", 2)).await;
        let full = pool.quota("full", 1);
        let held = full.get_buffer().await.expect("four are free");
        let mut held = Some(held);
        // It fails during the flush, and then has to wait for room.
        until_the_flush_ends(pool, async || match pool.is_flushing() {
            true => full.get_buffer().await,
            false => Ok(held.take().expect("taken once")),
        })
        .await;
    });
}

/// Each of them starts a new get when it is polled again after an error.
#[test]
fn an_adapter_that_is_refused_lets_the_task_run_that_ends_the_flush() {
    on_one_thread(async || {
        let pool = &pool();
        let quota = pool.quota("with room", 2);
        for mut polled in [PollPool::new(pool), PollPool::from(&quota)] {
            let get = async || poll_fn(|cx| polled.poll_get_buffer(cx)).await;
            until_the_flush_ends(pool, get).await;
            let next = async || polled.next().await.expect("it never ends");
            until_the_flush_ends(pool, next).await;
        }
    });
}

/// Otherwise the task that the drain or the queued get waits for would never run.
#[test]
fn a_loop_that_is_asked_for_its_sample_lets_other_tasks_run() {
    on_one_thread(async || {
        let pool = &pool();
        let quota = pool.quota("full", 1);
        let held = quota.get_buffer().await.expect("four are free");
        let mut waiting = Box::pin(quota.get_buffer());
        assert!((&mut waiting).now_or_never().is_none());
        let mut polled = PollPool::from(&quota);
        let asked = async || poll_fn(|cx| polled.poll_reclaim_requested(cx)).await;
        until_another_task_runs(asked).await;
        drop(waiting);
        pool.decommit();
        let mut polled = PollPool::new(pool);
        let asked = async || poll_fn(|cx| polled.poll_reclaim_requested(cx)).await;
        until_another_task_runs(asked).await;
        drop(held);
    });
}

/// As above, for adapters that read into the sample.
#[cfg(feature = "net")]
#[test]
fn a_reader_that_is_refused_lets_the_task_run_that_ends_the_flush() {
    use sample_pool::stream::{
        BatchReceiver, DatagramReceiver, DecodeFrame, Decoded, FrameError, FrameReader, ReadError,
        SampleReader,
    };
    use std::convert::Infallible;

    struct Everything;

    impl DecodeFrame for Everything {
        type Error = Infallible;

        fn decode(&mut self, bytes: &[u8]) -> Result<Decoded, Infallible> {
            Ok(Decoded::Frame {
                frame: 0..bytes.len(),
                consumed: bytes.len(),
            })
        }
    }

    fn refusal(error: ReadError) -> GetBufferError {
        match error {
            ReadError::GetBuffer(refusal) => refusal,
            other => panic!("the source does not fail: {other}"),
        }
    }

    on_one_thread(async || {
        let pool = &pool();
        for fill_buffers in [false, true] {
            let source = tokio::io::repeat(7);
            let mut reader = SampleReader::new(source, pool).fill_buffers(fill_buffers);
            let next = async || reader.next().await.expect("endless").map_err(refusal);
            until_the_flush_ends(pool, next).await;
        }

        let mut frames = FrameReader::new(tokio::io::repeat(7), pool, Everything);
        until_the_flush_ends(pool, async || {
            let frame = frames.next().await.expect("endless");
            frame.map_err(|error| match error {
                FrameError::Read(error) => refusal(error),
                other => panic!("the source does not fail: {other}"),
            })
        })
        .await;

        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        for _ in 0..4 {
            socket.send_to(b"one", address).await.unwrap();
        }
        let mut receiver = DatagramReceiver::new(socket, pool);
        let next = async || receiver.next().await.expect("endless").map_err(refusal);
        until_the_flush_ends(pool, next).await;
        let batch = async || {
            let received = receiver.receive_many(&mut Vec::new(), 1).await;
            received.map_err(refusal)
        };
        until_the_flush_ends(pool, batch).await;

        let mut receiver = BatchReceiver::new(receiver.into_inner(), pool, 16);
        let next = async || receiver.next().await.expect("endless").map_err(refusal);
        until_the_flush_ends(pool, next).await;
        let batches = async || {
            let received = receiver.receive_many(&mut Vec::new(), 1).await;
            received.map_err(refusal)
        };
        until_the_flush_ends(pool, batches).await;
    });
}

/// Every error is ready at once.
#[test]
fn a_get_that_fails_for_any_reason_lets_others_run() {
    on_one_thread(async || {
        let pool = &Pool::builder()
            .buffers(2)
            .size(8)
            .max_waiters(0)
            .build()
            .unwrap();
        let fails = async |get: Box<dyn Fn() -> Get>, why| {
            until_another_task_runs(async || assert_eq!(get().await.err(), Some(why))).await;
        };
        type Get = std::pin::Pin<Box<dyn Future<Output = Result<Vec<Sample>, GetBufferError>>>>;
        let many = |count| {
            let pool = pool.clone();
            Box::new(move || {
                let pool = pool.clone();
                async move { pool.get_buffers(count).await }.boxed_local()
            })
        };
        let from_quota = |limit, count| {
            let quota = pool.quota("one", limit);
            Box::new(move || {
                let quota = quota.clone();
                async move { quota.get_buffers(count).await }.boxed_local()
            })
        };
        fails(many(3), GetBufferError::TooMany).await;
        fails(from_quota(1, 2), GetBufferError::TooMany).await;
        fails(from_quota(0, 1), GetBufferError::TooMany).await;
        let held = pool.get_buffer().await.unwrap();
        fails(many(2), GetBufferError::TooManyWaiters).await;
        let quota = pool.quota("full", 1);
        let charged = quota.get_buffer().await.unwrap();
        let full = Box::new(move || {
            let quota = quota.clone();
            async move { quota.get_buffers(1).await }.boxed_local()
        });
        fails(full, GetBufferError::TooManyWaiters).await;
        drop((held, charged));
        pool.decommit();
        fails(many(1), GetBufferError::NotCommitted).await;
        fails(from_quota(1, 1), GetBufferError::NotCommitted).await;
        let at_once = Duration::ZERO;
        until_another_task_runs(async || {
            let refused = pool.get_buffer_timeout(at_once).await.map(drop);
            assert_eq!(refused, Err(GetBufferError::NotCommitted));
        })
        .await;
    });
}

/// A call that has nothing to wait for is ready at once as well.
#[test]
fn what_is_ready_without_a_sample_lets_others_run() {
    on_one_thread(async || {
        let pool = &pool();
        let quota = pool.quota("one", 1);
        until_another_task_runs(async || {
            assert_eq!(pool.get_buffers(0).await.unwrap().len(), 0);
        })
        .await;
        until_another_task_runs(async || {
            pool.get_buffers_into(&mut Vec::new(), 0).await.unwrap();
        })
        .await;
        until_another_task_runs(async || {
            assert_eq!(quota.get_buffers(0).await.unwrap().len(), 0);
        })
        .await;
        until_another_task_runs(async || {
            quota.get_buffers_into(&mut Vec::new(), 0).await.unwrap();
        })
        .await;

        let uncommitted = Pool::new();
        until_another_task_runs(async || uncommitted.drained().await).await;
        let sample = pool.get_buffer().await.unwrap();
        let mut held = Some(sample);
        until_another_task_runs(async || {
            let released = pool.released();
            drop(held.take());
            held = pool.try_get_buffer().ok();
            released.await;
        })
        .await;
    });
}

/// A source that is not a socket may always be ready, and one buffer may take as many reads as it has bytes.
#[cfg(feature = "net")]
#[test]
fn a_reader_lets_others_run_between_the_reads_for_one_buffer_and_after_its_end() {
    use sample_pool::stream::{DecodeFrame, Decoded, FrameReader, ReadSample, SampleReader};
    use std::{convert::Infallible, io, pin::Pin, task::Context};

    const BYTES: usize = 10_000;

    /// One byte at each read, until another task has run.
    struct Trickle(tokio::task::JoinHandle<()>);

    impl ReadSample for Trickle {
        fn poll_read_sample(
            self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            sample: &mut Sample,
        ) -> Poll<io::Result<usize>> {
            if self.0.is_finished() {
                return Poll::Ready(Ok(0));
            }
            bytes::BufMut::put_u8(sample, 7);
            Poll::Ready(Ok(1))
        }
    }

    struct Whole;

    impl DecodeFrame for Whole {
        type Error = Infallible;

        fn decode(&mut self, _bytes: &[u8]) -> Result<Decoded, Infallible> {
            Ok(Decoded::Incomplete { needed: None })
        }

        fn decode_eof(&mut self, bytes: &[u8]) -> Result<Decoded, Infallible> {
            Ok(Decoded::Frame {
                frame: 0..bytes.len(),
                consumed: bytes.len(),
            })
        }
    }

    on_one_thread(async || {
        let pool = &Pool::builder().buffers(1).size(BYTES).build().unwrap();
        let source = Trickle(tokio::spawn(async {}));
        let mut reader = SampleReader::new(source, pool).fill_buffers(true);
        let sample = reader.next().await.expect("one sample").unwrap();
        assert!(sample.len() < BYTES, "the other task ran too late");
        drop(sample);
        until_another_task_runs(async || assert!(reader.next().await.is_none())).await;

        let source = Trickle(tokio::spawn(async {}));
        let mut frames = FrameReader::new(source, pool, Whole);
        let frame = frames.next().await.expect("one frame").unwrap();
        assert!(frame.len() < BYTES, "the other task ran too late");
        drop(frame);
        until_another_task_runs(async || assert!(frames.next().await.is_none())).await;
    });
}

/// A writer that accepts everything, and an empty write, are always ready.
#[cfg(feature = "net")]
#[test]
fn a_writer_that_is_always_ready_lets_others_run() {
    use futures::SinkExt;
    on_one_thread(async || {
        for bytes in ["", "bytes"] {
            let mut writer = sample_pool::stream::SampleWriter::new(Vec::new(), 2);
            until_another_task_runs(async || writer.feed(bytes.as_bytes()).await.unwrap()).await;
            until_another_task_runs(async || writer.send(bytes.as_bytes()).await.unwrap()).await;
            until_another_task_runs(async || {
                SinkExt::<&[u8]>::flush(&mut writer).await.unwrap();
            })
            .await;
        }
    });
}

/// A subscriber that has its permit already takes nothing from the semaphore.
#[test]
fn a_subscriber_that_is_ready_at_once_lets_others_run() {
    on_one_thread(async || {
        let pool = &pool();
        let channel = FanOut::new(2, 1);
        let mut subscriber = channel.subscribe(1);
        until_another_task_runs(async || subscriber.ready().await).await;
        let mut slow = channel.subscribe(1);
        channel
            .send(pool.get_buffer().await.unwrap().freeze())
            .expect("open");
        let delivery = slow.recv().await.expect("it was sent");
        channel
            .send(pool.get_buffer().await.unwrap().freeze())
            .expect("open");
        drop(subscriber.recv().await);
        assert!(
            subscriber.recv().now_or_never().is_none(),
            "the only place is taken"
        );
        until_another_task_runs(async || delivery.reclaim_requested().await).await;
        drop((channel, delivery));
        while subscriber.recv().await.is_some() {}
        until_another_task_runs(async || assert!(subscriber.recv().await.is_none())).await;
    });
}

/// If the error were forgotten, the next poll could find the flush over and not report it.
#[test]
fn a_refusal_without_budget_is_returned_at_the_next_poll() {
    on_one_thread(async || {
        let pool = &pool();
        let quota = pool.quota("full", 1);
        let _charged = quota.get_buffer().await.expect("four are free");
        let mut polled = PollPool::new(pool);
        let mut gets = [
            pool.get_buffer().map(|got| got.map(drop)).boxed(),
            pool.get_buffer_owned().map(|got| got.map(drop)).boxed(),
            pool.get_buffer_timeout(Duration::ZERO)
                .map(|got| got.map(drop))
                .boxed(),
            pool.get_buffers(2).map(|got| got.map(drop)).boxed(),
            quota.get_buffer().map(|got| got.map(drop)).boxed(),
            quota.get_buffer_owned().map(|got| got.map(drop)).boxed(),
            quota
                .get_buffer_timeout(HANG)
                .map(|got| got.map(drop))
                .boxed(),
            poll_fn(|cx| polled.poll_get_buffer(cx))
                .map(|got| got.map(drop))
                .boxed(),
        ];
        pool.set_flushing(true);
        exhaust_budget().await;
        poll_fn(|cx| {
            for get in &mut gets {
                assert!(get.as_mut().poll(cx).is_pending());
            }
            Poll::Ready(())
        })
        .await;
        pool.set_flushing(false);
        tokio::task::yield_now().await;
        for get in gets {
            assert_eq!(get.await, Err(GetBufferError::Flushing));
        }
        assert_eq!(pool.free_count(), 3);
        assert_eq!(pool.status().waiting, 0);
    });
}

/// The error is ready at once without the timer, so exhausted budget must not make the get need a runtime with
/// time.
#[test]
fn a_timed_get_that_is_refused_without_budget_needs_no_timer() {
    let without_timers = Builder::new_current_thread().build().expect("a runtime");
    without_timers.block_on(async {
        let pool = &pool();
        let quota = pool.quota("none", 0);
        pool.set_flushing(true);
        exhaust_budget().await;
        let refused = pool.get_buffer_timeout(HANG).await.map(drop);
        assert_eq!(refused, Err(GetBufferError::Flushing));
        exhaust_budget().await;
        let refused = quota.get_buffer_timeout(HANG).await.map(drop);
        assert_eq!(refused, Err(GetBufferError::Flushing));
    });
}
