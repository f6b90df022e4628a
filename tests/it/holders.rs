//! `holders()` names the line that called, for every way to get a sample: with and without a quota, at once and
//! after a wait.

#![forbid(unsafe_code)]

use crate::polling::Polled;
use futures::{FutureExt, StreamExt, future::LocalBoxFuture, future::poll_fn};
use sample_pool::{Holder, PollPool, Pool, Quota};
use std::{any::Any, thread, time::Duration};

const BUFFERS: usize = 4;
const LIMIT: usize = 3;

/// What a way to get samples is called on.
struct Source {
    pool: Pool,
    quota: Option<Quota>,
}

/// The line that called, and the samples that it got.
type Asked<'a> = (u32, LocalBoxFuture<'a, Box<dyn Any>>);

/// A way to get samples that may have to wait.
type Way = fn(&Source) -> Asked<'_>;

impl Source {
    fn new(with_quota: bool) -> Self {
        let pool = Pool::builder()
            .buffers(BUFFERS)
            .size(64)
            .track_holders(true);
        let pool = pool.build().expect("small");
        Source {
            quota: with_quota.then(|| pool.quota("user", LIMIT)),
            pool,
        }
    }

    /// Takes samples so that a get has to wait: for a buffer, or for room in the quota.
    fn occupy(&self, whole_pool: bool) -> Box<dyn Any> {
        match &self.quota {
            Some(quota) if !whole_pool => Box::new(quota.try_get_buffers(LIMIT)),
            _ => Box::new(self.pool.try_get_buffers(BUFFERS)),
        }
    }

    #[track_caller]
    fn assert_all_held_are_from(&self, line: u32, name: &str) {
        let holders = self.pool.holders();
        assert!(!holders.is_empty(), "{name}: it holds something");
        for Holder { location, .. } in holders {
            let got = (location.file(), location.line());
            assert_eq!(got, (file!(), line), "{name}, quota: {:?}", self.quota);
        }
    }
}

/// Calls a method of the quota if there is a quota, and otherwise of the pool. The line of both is that of the
/// macro.
macro_rules! call {
    ($source:ident, $method:ident($($argument:expr),*) => $got:ident, $use:expr) => {{
        match &$source.quota {
            Some(quota) => {
                let $got = quota.$method($($argument),*);
                (line!(), $use)
            }
            None => {
                let $got = $source.pool.$method($($argument),*);
                (line!(), $use)
            }
        }
    }};
}

/// A future that resolves to samples, whatever its type.
macro_rules! wait {
    ($source:ident.$method:ident($($argument:expr),*)) => {
        call!($source, $method($($argument),*) => get, async move {
            Box::new(get.await.expect("it is committed")) as Box<dyn Any>
        }.boxed_local())
    };
}

/// A future that appends samples. It is created at the first poll.
macro_rules! into {
    ($source:ident.$method:ident($count:expr)) => {{
        let get = async move {
            let mut into = Vec::new();
            let appended = match &$source.quota {
                Some(quota) => quota.$method(&mut into, $count).await,
                None => $source.pool.$method(&mut into, $count).await,
            };
            appended.expect("it is committed");
            Box::new(into) as Box<dyn Any>
        };
        (line!(), get.boxed_local())
    }};
}

/// Returns samples at once, or an error.
macro_rules! try_ {
    ($source:ident.$method:ident($($argument:expr),*)) => {
        call!($source, $method($($argument),*) => got, {
            Box::new(got.expect("some are free")) as Box<dyn Any>
        })
    };
}

/// Adapters that take samples from a polled pool are named by the line that made the polled pool.
macro_rules! polled {
    ($source:ident, |$polled:ident| $use:expr) => {{
        let $polled = match &$source.quota {
            Some(quota) => PollPool::from(quota),
            None => PollPool::new(&$source.pool),
        };
        (
            line!(),
            async move { Box::new($use) as Box<dyn Any> }.boxed_local(),
        )
    }};
}

/// An adapter takes the pool, the quota, or a pool that is polled already.
#[cfg(feature = "net")]
macro_rules! adapter {
    ($source:ident, $adapter:ident::new($first:expr, _ $(, $last:expr)?) => |$made:ident| $use:expr) => {{
        let $made = match &$source.quota {
            Some(quota) => sample_pool::stream::$adapter::new($first, quota $(, $last)?),
            None => sample_pool::stream::$adapter::new($first, &$source.pool $(, $last)?),
        };
        (line!(), async move { Box::new($use) as Box<dyn Any> }.boxed_local())
    }};
}

/// Each way that waits: without a wait, after a wait for a buffer, and after a wait for room in the quota.
#[track_caller]
fn assert_each_wait_is_named(ways: &[(&str, Way)]) {
    for (name, way) in ways {
        for (with_quota, whole_pool) in [(false, true), (true, true), (true, false)] {
            let source = Source::new(with_quota);
            let (line, get) = way(&source);
            let held = Polled::new(get).expect_ready();
            source.assert_all_held_are_from(line, name);
            drop(held);

            let occupied = source.occupy(whole_pool);
            let (line, get) = way(&source);
            let mut get = Polled::waiting(get);
            drop(occupied);
            let held = get.expect_ready();
            source.assert_all_held_are_from(line, name);
            drop(held);
            assert_eq!(source.pool.holders().len(), 0, "{name}");
        }
    }
}

/// `#[track_caller]` has no effect on an `async fn`: the line would be one of the crate or of the executor.
#[tokio::test]
async fn a_get_that_waits_is_named_by_its_call_site() {
    assert_each_wait_is_named(&[
        ("get_buffer", |from| wait!(from.get_buffer())),
        ("get_buffer_owned", |from| wait!(from.get_buffer_owned())),
        ("get_buffer_timeout", |from| {
            wait!(from.get_buffer_timeout(Duration::MAX))
        }),
        ("get_buffers", |from| wait!(from.get_buffers(2))),
        ("get_buffers of one", |from| wait!(from.get_buffers(1))),
        ("get_buffers_into", |from| into!(from.get_buffers_into(2))),
    ]);
}

/// The future of a polled pool is created inside the crate, at whichever poll comes first.
#[test]
fn a_polled_pool_is_named_by_the_call_site_that_made_it() {
    assert_each_wait_is_named(&[
        ("poll_get_buffer", |from| {
            polled!(from, |pool| {
                let mut pool = pool;
                poll_fn(|cx| pool.poll_get_buffer(cx))
                    .await
                    .expect("it is committed")
            })
        }),
        ("next", |from| {
            polled!(from, |pool| {
                let mut pool = pool;
                pool.next()
                    .await
                    .expect("endless")
                    .expect("it is committed")
            })
        }),
        ("clone", |from| {
            polled!(from, |pool| pool.clone().next().await.expect("endless"))
        }),
    ]);
}

/// No future exists that could have lost the line.
#[test]
fn a_get_that_does_not_wait_is_named_by_its_call_site() {
    type AtOnce = fn(&Source) -> (u32, Box<dyn Any>);
    let ways: &[(&str, AtOnce)] = &[
        ("try_get_buffer", |from| try_!(from.try_get_buffer())),
        ("try_get_buffers", |from| try_!(from.try_get_buffers(2))),
        ("try_get_buffers of one", |from| {
            try_!(from.try_get_buffers(1))
        }),
        ("try_get_up_to", |from| try_!(from.try_get_up_to(9))),
        ("blocking_get_buffer", |from| {
            try_!(from.blocking_get_buffer())
        }),
    ];
    for (name, way) in ways {
        for with_quota in [false, true] {
            let source = Source::new(with_quota);
            let (line, held) = way(&source);
            source.assert_all_held_are_from(line, name);
            drop(held);
        }
    }
}

/// A blocked thread runs an executor of the crate.
#[test]
fn a_blocking_get_that_had_to_wait_is_named_by_its_call_site() {
    for (with_quota, whole_pool) in [(false, true), (true, true), (true, false)] {
        let source = Source::new(with_quota);
        let occupied = source.occupy(whole_pool);
        thread::scope(|scope| {
            let get = scope.spawn(
                || call!(source, blocking_get_buffer() => got, got.expect("it is committed")),
            );
            let waiting = || {
                let of_quota = source
                    .quota
                    .as_ref()
                    .map_or(0, |quota| quota.status().waiting);
                source.pool.status().waiting + of_quota
            };
            while waiting() == 0 {
                thread::yield_now();
            }
            drop(occupied);
            let (line, held) = get.join().expect("no panic");
            source.assert_all_held_are_from(line, "blocking_get_buffer");
            drop(held);
        });
    }
}

#[cfg(feature = "net")]
mod adapters {
    use super::*;
    use sample_pool::stream::{DatagramReceiver, DecodeFrame, Decoded, SampleReader};
    use std::convert::Infallible;
    use tokio::net::UdpSocket;

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

    /// All connections of a server read at one line of the crate, so that line would identify none of them.
    #[test]
    fn a_reader_is_named_by_the_call_site_that_made_it() {
        assert_each_wait_is_named(&[
            ("SampleReader", |from| {
                adapter!(from, SampleReader::new(&b"bytes"[..], _) => |reader| {
                    let mut reader = reader;
                    reader.next().await.expect("there are bytes").expect("no error")
                })
            }),
            ("FrameReader", |from| {
                adapter!(from, FrameReader::new(&b"bytes"[..], _, Everything) => |reader| {
                    let mut reader = reader;
                    reader.next().await.expect("there are bytes").expect("no error")
                })
            }),
            ("a reader of a polled pool", |from| {
                polled!(from, |pool| {
                    let mut reader = SampleReader::new(&b"bytes"[..], pool);
                    reader
                        .next()
                        .await
                        .expect("there are bytes")
                        .expect("no error")
                })
            }),
        ]);
    }

    async fn socket_with(datagrams: usize) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
        let address = socket.local_addr().expect("it is bound");
        for _ in 0..datagrams {
            socket
                .send_to(b"datagram", address)
                .await
                .expect("loopback");
        }
        socket.readable().await.expect("there are some");
        socket
    }

    /// A batch has its own line even if the stream was queued before it, and the stream has its own even after
    /// a batch.
    #[tokio::test]
    async fn a_receiver_is_named_by_the_call_site_that_made_it_and_a_batch_by_its_own() {
        for (with_quota, whole_pool) in [(false, true), (true, true), (true, false)] {
            let source = Source::new(with_quota);
            let socket = socket_with(4).await;
            let (made, mut receiver) = match &source.quota {
                Some(quota) => (line!(), DatagramReceiver::new(socket, quota)),
                None => (line!(), DatagramReceiver::new(socket, &source.pool)),
            };
            let one = receiver.next().await.expect("endless").expect("no error");
            source.assert_all_held_are_from(made, "next");
            drop(one);

            // Without a wait: of the three that are left, as many as the system delivers together.
            let mut batch = Vec::new();
            let (asked, many) = (line!(), receiver.receive_many(&mut batch, 2));
            many.await.expect("no error");
            source.assert_all_held_are_from(asked, "receive_many");
            batch.clear();

            receiver.get_ref().readable().await.expect("one is left");
            let occupied = source.occupy(whole_pool);
            drop(Polled::waiting(receiver.next()));
            let (asked, many) = (line!(), receiver.receive_many(&mut batch, 1));
            let mut many = Polled::waiting(many);
            drop(occupied);
            assert_eq!(many.expect_ready().expect("no error"), 1);
            drop(many);
            source.assert_all_held_are_from(asked, "receive_many after a wait");
            batch.clear();

            let address = receiver.get_ref().local_addr().expect("it is bound");
            let sent = receiver.get_ref().send_to(b"another", address).await;
            sent.expect("loopback");
            receiver.get_ref().readable().await.expect("one is there");
            let occupied = source.occupy(whole_pool);
            drop(Polled::waiting(receiver.receive_many(&mut batch, 2)));
            let mut next = Polled::waiting(receiver.next());
            drop(occupied);
            let one = next.expect_ready();
            drop(next);
            source.assert_all_held_are_from(made, "next after a wait");
            drop(one);
        }
    }
}
