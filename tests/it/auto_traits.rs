//! Types: which of them are `Send` and `Sync`, that no future of the pool needs pinning, and how many words
//! each takes.

#![forbid(unsafe_code)]

use bytes::{Buf, BufMut, Bytes};
use sample_pool::*;
use std::{
    error::Error,
    fmt::{Debug, Display},
    future::Future,
    hash::Hash,
    io::Write,
    mem::size_of,
    ops::{Deref, DerefMut},
    panic::{RefUnwindSafe, UnwindSafe},
};

fn moves<T: Send + Sync + Unpin + Debug>() {}
fn owns<T: 'static>() {}
fn is_plain<T: Copy + Debug + PartialEq + Eq + Send + Sync + Unpin + 'static>() {}
fn is_error<T: Error + Display + Copy + PartialEq + Eq + Send + Sync + 'static>() {}
fn is_caused<T: Error + Display + Clone + Send + Sync + 'static>() {}
fn is_future<T: Future + Send + Sync + Unpin + Debug>() {}

/// One raw pointer in the wrong place removes all of these traits, and from every task that holds such a type.
#[test]
fn every_type_goes_to_other_threads_and_is_shared_between_them() {
    moves::<Pool>();
    moves::<WeakPool>();
    moves::<Builder>();
    moves::<Sample>();
    moves::<SamplePart>();
    moves::<SharedSample>();
    moves::<Segments>();
    moves::<SharedSegments>();
    moves::<IntoSegments>();
    moves::<SampleProperties>();
    moves::<MediaType>();
    moves::<NotifyGuard>();
    moves::<Status>();
    moves::<Holder>();
    moves::<Report>();
    moves::<CallSite>();
    moves::<WaitHistogram>();
    moves::<Stall>();
    moves::<PollPool>();
    moves::<Quota>();
    moves::<QuotaStatus>();
    moves::<fan_out::FanOut>();
    moves::<fan_out::HoldLimit>();
    moves::<fan_out::Subscriber>();
    moves::<fan_out::Delivery>();
    moves::<fan_out::ArrivingFrame>();
    owns::<(
        PollPool,
        fan_out::FanOut,
        fan_out::SendError,
        fan_out::AppendError,
        fan_out::ArrivingFrame,
        fan_out::HoldLimit,
        fan_out::Subscriber,
        fan_out::Delivery,
    )>();
    owns::<(Pool, WeakPool, Builder, Sample, SamplePart, SharedSample)>();
    owns::<(Segments, SharedSegments, IntoSegments)>();
    owns::<(SampleProperties, MediaType, NotifyGuard, Status, Holder)>();
    owns::<(Report, CallSite, WaitHistogram, Stall)>();
    owns::<(GetBufferOwned, GetBufferOwned<Quota>)>();
    owns::<(Drained, Quota, QuotaStatus)>();
    owns::<StallDetector<fn(Stall)>>();
}

/// A server's connection is one task, and it runs on any thread of the runtime.
#[cfg(feature = "net")]
#[test]
fn every_adapter_goes_to_other_threads_with_what_it_adapts() {
    use sample_pool::stream::*;
    use tokio::net::{TcpStream, tcp};
    moves::<SampleReader<TcpStream>>();
    moves::<FrameReader<ReadableFirst<tcp::OwnedReadHalf>, ()>>();
    moves::<MessageReader<ReadableFirst<tcp::OwnedReadHalf>, ()>>();
    moves::<SampleWriter<TcpStream, SharedSample>>();
    moves::<SampleWriter<TcpStream, SharedSegments>>();
    moves::<ReadableFirst<TcpStream>>();
    moves::<DatagramReceiver>();
    moves::<ReadError>();
    moves::<FrameError<std::convert::Infallible>>();
    moves::<Decoded>();
    moves::<(Lines, LengthDelimited)>();
    is_error::<LineTooLong>();
    is_error::<LengthError>();
    moves::<Datagram>();
    moves::<ReceiveMany<'_>>();
    is_future::<ReceiveMany<'_>>();
    moves::<(BatchReceiver, DatagramBatch, Ecn)>();
    moves::<(
        Datagrams<&[u8]>,
        Datagrams<SamplePart>,
        Datagrams<SharedSample>,
    )>();
    is_future::<ReceiveBatches<'_>>();
    moves::<(DatagramSender, DatagramSink<SharedSample>, SendError)>();
    is_future::<SendTo<'_>>();
    fn goes<T: Send>(_: &T) {}
    fn next(subscriber: &mut fan_out::Subscriber) {
        goes(&subscriber.recv());
    }
    fn part(reader: &mut FrameReader<TcpStream, Lines>) {
        goes(&reader.next_part());
    }
    let _compiled = (next, part);
}

/// A task that records metrics moves between threads like any other.
#[cfg(feature = "metrics")]
#[test]
fn what_records_a_pool_goes_to_other_threads() {
    use sample_pool::metrics::{PoolMetrics, RecordEvery};
    moves::<PoolMetrics>();
    owns::<(PoolMetrics, RecordEvery)>();
    is_future::<RecordEvery>();
}

/// Code that logs these values stores, compares and sends them.
#[test]
fn what_a_pool_answers_is_plain_values() {
    is_plain::<Properties>();
    is_plain::<State>();
    is_plain::<ReferenceTime>();
    is_plain::<Region>();
    is_error::<SetPropertiesError>();
    is_caused::<CommitError>();
    is_error::<GetBufferError>();
    is_caused::<BuildError>();
    is_error::<fan_out::SendError>();
    is_error::<fan_out::AppendError>();
    is_error::<BufferOverflow>();
    fn orders<T: Ord + Hash>() {}
    orders::<ReferenceTime>();
    fn compares<T: Clone + PartialEq + Eq + Debug>() {}
    compares::<SampleProperties>();
    compares::<Status>();
    compares::<CallSite>();
    compares::<WaitHistogram>();
}

/// A future that must be pinned cannot be polled by reference in a `select!`.
#[test]
fn every_future_moves_between_threads_and_needs_no_pinning() {
    is_future::<GetBuffer<'_>>();
    is_future::<GetBufferOwned>();
    is_future::<GetSegments<'_>>();
    is_future::<GetSegments<'_, Quota>>();
    is_future::<GetBufferTimeout<'_>>();
    is_future::<GetBuffers<'_>>();
    is_future::<GetBuffersInto<'_>>();
    is_future::<GetBuffer<'_, Quota>>();
    is_future::<GetBufferOwned<Quota>>();
    is_future::<GetBufferTimeout<'_, Quota>>();
    is_future::<GetBuffers<'_, Quota>>();
    is_future::<GetBuffersInto<'_, Quota>>();
    is_future::<Released<'_>>();
    is_future::<Drained>();
    is_future::<StallDetector<fn(Stall)>>();
    fn gives<F: Future<Output = T>, T>() {}
    gives::<GetBuffer<'_>, Result<Sample, GetBufferError>>();
    gives::<GetBufferOwned, Result<Sample, GetBufferError>>();
    gives::<GetBufferTimeout<'_>, Result<Sample, GetBufferError>>();
    gives::<GetBuffers<'_>, Result<Vec<Sample>, GetBufferError>>();
    gives::<GetBuffersInto<'_>, Result<(), GetBufferError>>();
    gives::<GetBuffer<'_, Quota>, Result<Sample, GetBufferError>>();
    gives::<GetBufferOwned<Quota>, Result<Sample, GetBufferError>>();
    gives::<GetBuffers<'_, Quota>, Result<Vec<Sample>, GetBufferError>>();
    gives::<Released<'_>, ()>();
    gives::<Drained, ()>();
    gives::<StallDetector<fn(Stall)>, ()>();
}

/// With these traits a sample can be used wherever a buffer is expected.
#[test]
fn samples_have_the_traits_of_buffers() {
    fn fills<T: BufMut + Write + DerefMut<Target = [u8]> + AsRef<[u8]> + AsMut<[u8]>>() {}
    fills::<Sample>();
    fills::<SamplePart>();
    fn reads<T: Buf + Clone + Deref<Target = [u8]> + AsRef<[u8]> + Eq + Hash>() {}
    reads::<SharedSample>();
    fn converts<T: Into<Bytes>>() {}
    converts::<Sample>();
    converts::<SamplePart>();
    converts::<SharedSample>();
    fn shares<T: Into<SharedSample>>() {}
    shares::<Sample>();
    shares::<SamplePart>();
    fn copies<T: Clone>() {}
    copies::<Pool>();
    copies::<WeakPool>();
    fn calls_back<T: NotifyRelease + ?Sized>() {}
    calls_back::<fn(&Pool)>();
    calls_back::<dyn NotifyRelease>();
}

/// When a task that holds a pool panics, the join returns an error, and the pool still works.
#[test]
fn handles_may_be_used_after_a_panic() {
    fn unwinds<T: UnwindSafe + RefUnwindSafe>() {}
    unwinds::<Properties>();
    unwinds::<GetBufferError>();
    let pool = Pool::builder().buffers(1).size(8).build().expect("small");
    let inner = pool.clone();
    let task = std::thread::spawn(move || {
        let _held = inner.try_get_buffer();
        panic!("a task");
    });
    assert!(task.join().is_err());
    assert_eq!(pool.free_count(), 1);
}

/// Handles are moved for each packet. In profiles of other crates such moves took a tenth of the time.
#[test]
fn handles_are_a_few_words() {
    const WORD: usize = size_of::<usize>();
    assert_eq!(size_of::<Sample>(), WORD);
    assert_eq!(size_of::<Option<Sample>>(), size_of::<Sample>());
    assert_eq!(size_of::<Result<Sample, GetBufferError>>(), 2 * WORD);
    assert_eq!(size_of::<SharedSample>(), 3 * WORD);
    assert_eq!(size_of::<SamplePart>(), 4 * WORD);
    assert_eq!(size_of::<Option<SamplePart>>(), 4 * WORD);
    assert_eq!(size_of::<Option<SharedSample>>(), 3 * WORD);
    assert_eq!(size_of::<Pool>(), WORD);
    assert_eq!(size_of::<Option<Pool>>(), WORD);
    assert_eq!(size_of::<WeakPool>(), WORD);
    assert!(size_of::<GetBuffer<'_>>() <= 6 * WORD);
    assert!(size_of::<GetBufferOwned>() <= 6 * WORD);
    assert!(size_of::<SampleProperties>() <= 64);
}

/// Code that does not know the callback's type stores it as an object, so the trait must be object-safe.
#[test]
fn a_callback_is_kept_as_an_object() {
    fn keeps(_: Option<std::sync::Arc<dyn NotifyRelease>>) {}
    keeps(Some(std::sync::Arc::new(|_: &Pool| {})));
    let pool = Pool::new();
    assert!(pool.set_notify(None).is_none());
}
