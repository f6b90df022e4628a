//! A source of bytes as a stream of samples.
//!
//! | partial sample | where the bytes are | left by                                                                    |
//! |----------------|---------------------|----------------------------------------------------------------------------|
//! | `None`         | there are none      | a buffer: `Filling`                                                        |
//! | `Filling`      | in a sample         | yielded: `None`; nothing to read, and another get is queued: `OnHeap`      |
//! | `OnHeap`       | on the heap         | a buffer: `Filling`                                                        |
//!
//! While the source has nothing to read, an empty sample is released, and the next poll gets another one. A sample that
//! contains bytes is kept only as long as no other get waits. The end or the error of the source comes after the bytes.

#![forbid(unsafe_code)]

use super::{
    heap_copy::HeapCopy,
    read_sample::{ReadError, ReadSample},
};
use crate::{
    quota::poll_pool::PollPool, sample::exclusive::Sample, sync::coop::spend,
    values::error::GetBufferError,
};
use bytes::Bytes;
use futures::{Stream, stream::FusedStream};
use pin_project::pin_project;
use std::{
    fmt, io, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// Reads a source into samples: a [`Stream`] of them.
///
/// The source is any [`AsyncRead`](tokio::io::AsyncRead), or another [`ReadSample`]. A sample is yielded as soon as bytes
/// were read into it, or only when it is full: see [`fill_buffers`](SampleReader::fill_buffers). Samples are yielded in
/// the order of the bytes, and none is empty. You can set the properties of a sample, freeze it and send it.
///
/// When the pool is exhausted, the reader waits in the wait queue and reads nothing. This is backpressure for the source.
/// While it waits for the source it holds no buffer, except one that is partly filled and that no other get waits for.
/// The reader also needs a buffer to find the end of the source.
///
/// # A consumer that keeps a sample while it asks for the next one
///
/// Such a consumer needs one buffer more than it keeps. With fewer it waits for itself for ever, without an error.
/// `tokio_util::io::StreamReader` is one: it keeps the last chunk until it has the next one. With a pool, or a
/// [`Quota`](crate::Quota), of one buffer it hangs after the first chunk: give each such reader at least two.
/// [`Pool::report`](crate::Pool::report) then shows the line that created this reader as the holder of the sample, if
/// [`track_holders`](crate::Builder::track_holders) is set.
///
/// # Errors
///
/// The stream ends at the end of the source and after an error of the source; the bytes that were read before are yielded
/// first. If the pool refuses a buffer, it yields that error and continues when it is polled again.
///
/// # Cancel safety
///
/// Dropping the future of `next()` loses nothing: the bytes and the position in the wait queue stay in the reader.
/// Dropping the reader loses the bytes of a partial sample. [`into_parts`](SampleReader::into_parts) returns them.
///
/// # Examples
///
/// ```
/// use futures::StreamExt;
/// use sample_pool::{Pool, stream::SampleReader};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().buffers(2).size(64).build()?;
/// let source: &[u8] = &[7; 100];
/// let mut samples = SampleReader::new(source, &pool).fill_buffers(true);
/// let mut lengths = Vec::new();
/// while let Some(sample) = samples.next().await {
///     lengths.push(sample?.len());
/// }
/// assert_eq!(lengths, [64, 36]);
/// # Ok(())
/// # }
/// ```
///
/// As the body of an HTTP message, with `StreamBody` of the crate `http-body-util`:
///
/// ```
/// use futures::TryStreamExt;
/// use http_body_util::{BodyExt, StreamBody};
/// use hyper::body::Frame;
/// use sample_pool::{Pool, stream::SampleReader};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().buffers(4).size(64).build()?;
/// let file: &[u8] = &[7; 100];
/// let samples = SampleReader::new(file, &pool);
/// let body = StreamBody::new(samples.map_ok(|sample| Frame::data(sample.into_bytes())));
/// assert_eq!(body.collect().await?.to_bytes().len(), 100);
/// # Ok(())
/// # }
/// ```
#[pin_project(project = SampleReaderProjection)]
#[must_use = "a stream does nothing until it is polled"]
pub struct SampleReader<S> {
    #[pin]
    source: S,
    pool: PollPool,
    fill_buffers: bool,
    partial: Partial,
    heap: HeapCopy,
    end: End,
}

/// See the table of the module.
#[derive(Debug)]
enum Partial {
    None,
    Filling(Sample),
    OnHeap,
}

/// Whether the source has ended.
#[derive(Debug)]
enum End {
    NotYet,
    Failed(io::Error),
    Ended,
}

impl<S: ReadSample> SampleReader<S> {
    /// Creates a reader from `source` into samples of `pool`, which is a [`&Pool`](crate::Pool) or a
    /// [`&Quota`](crate::Quota).
    #[track_caller]
    pub fn new(source: S, pool: impl Into<PollPool>) -> Self {
        let pool = pool.into();
        SampleReader {
            source,
            fill_buffers: false,
            partial: Partial::None,
            heap: HeapCopy::new(pool.pool().engine().wipes()),
            end: End::NotYet,
            pool,
        }
    }
}

impl<S> SampleReader<S> {
    /// Sets whether a sample is yielded only when it is full, when the source [ends it](ReadSample::ends_sample), or when
    /// the source ends. The default is `false`: each read yields a sample of its own.
    ///
    /// A few slow sources could hold all buffers with partly filled samples. So when the source has nothing to read, and
    /// another get is queued or the pool drains, the bytes are copied to the heap and the buffer is released. When there is
    /// more to read, the reader waits for a buffer again, at the end of the queue. The memory is at most one buffer's size.
    /// The pool does not count it, and [`zero_on_release`](crate::Builder::zero_on_release) wipes it.
    pub fn fill_buffers(mut self, yes: bool) -> Self {
        self.fill_buffers = yes;
        self
    }

    /// Returns a reference to the source. Bytes that you read from it are missing in the samples.
    pub fn get_ref(&self) -> &S {
        &self.source
    }

    /// Returns a mutable reference to the source. Bytes that you read from it are missing in the samples.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// Returns a pinned reference to the source. Bytes that you read from it are missing in the samples.
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut S> {
        self.project().source
    }

    /// Returns the source. The bytes of a partial sample are lost; [`into_parts`](SampleReader::into_parts) returns them.
    pub fn into_inner(self) -> S {
        self.source
    }

    /// Returns the source, and the bytes of a partial sample. An error of the source that was not yielded yet is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// use sample_pool::stream::SampleReader;
    ///
    /// let (source, partial) = SampleReader::new(&b"all of it"[..], &pool).into_parts();
    /// assert_eq!(source, b"all of it");
    /// assert!(partial.is_empty());
    /// ```
    pub fn into_parts(self) -> (S, Bytes) {
        let partial = match self.partial {
            Partial::None => Bytes::new(),
            Partial::Filling(sample) => sample.into_bytes(),
            Partial::OnHeap => self.heap.into_bytes(),
        };
        (self.source, partial)
    }
}

impl<S> SampleReaderProjection<'_, S> {
    /// Gets a sample, and moves the bytes from the heap into it.
    fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), GetBufferError>> {
        let mut sample = ready!(self.pool.poll_get_buffer(cx))?;
        if let Partial::OnHeap = self.partial {
            self.heap.move_to(&mut sample);
        }
        *self.partial = Partial::Filling(sample);
        Poll::Ready(Ok(()))
    }

    /// Takes the sample, unless it is empty.
    fn finish(&mut self) -> Option<Sample> {
        // The pool can have smaller buffers than when the bytes were copied to the heap. Some are then still there.
        let rest = match self.heap.bytes() {
            [] => Partial::None,
            _ => Partial::OnHeap,
        };
        match mem::replace(self.partial, rest) {
            Partial::Filling(sample) => Some(sample).filter(|sample| !sample.is_empty()),
            Partial::None | Partial::OnHeap => None,
        }
    }

    /// Releases the buffer if it is empty or another get needs it, because the source has nothing to read. If the buffer is
    /// kept, the task is woken when another get is queued.
    fn wait_for_source(&mut self, cx: &mut Context<'_>) {
        let Partial::Filling(sample) = &*self.partial else {
            return;
        };
        if sample.is_empty() {
            *self.partial = Partial::None;
        } else if self.pool.poll_reclaim_unbudgeted(cx).is_ready() {
            let size = self.pool.pool().engine().geometry().size();
            // Keeps the buffer if the memory cannot be allocated.
            if self.heap.put(sample, size, sample.properties()) {
                *self.partial = Partial::OnHeap;
            }
        }
        self.heap.shrink();
    }
}

impl<S: ReadSample> Stream for SampleReader<S> {
    type Item = Result<Sample, ReadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        loop {
            if !matches!(this.partial, Partial::Filling(_)) {
                if let End::NotYet = this.end {
                    if let Err(error) = ready!(this.source.as_mut().poll_readable(cx)) {
                        *this.end = End::Failed(error);
                    }
                }
                if let (Partial::None, End::Failed(_) | End::Ended) = (&*this.partial, &*this.end) {
                    if !spend(cx) {
                        return Poll::Pending;
                    }
                    return Poll::Ready(match mem::replace(this.end, End::Ended) {
                        End::Failed(error) => Some(Err(error.into())),
                        End::NotYet | End::Ended => None,
                    });
                }
                ready!(this.poll_begin(cx))?;
            }
            let Partial::Filling(sample) = &mut *this.partial else {
                unreachable!("`poll_begin` got a sample");
            };
            let is_over = !matches!(this.end, End::NotYet);
            if is_over || sample.spare_capacity() == 0 {
                match this.finish() {
                    Some(sample) => return Poll::Ready(Some(Ok(sample))),
                    None => continue,
                }
            }
            let had = sample.len();
            let read = this.source.as_mut().poll_read_sample(cx, sample);
            // A source is user code. What it appended counts, not what it returned.
            let appended = sample.len() > had;
            let ends_sample = this.source.ends_sample();
            match read {
                Poll::Ready(Err(error)) => *this.end = End::Failed(error),
                Poll::Ready(Ok(_)) if !appended && !ends_sample => *this.end = End::Ended,
                Poll::Pending if !appended => {
                    this.wait_for_source(cx);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(_)) | Poll::Pending => {
                    let is_whole =
                        !*this.fill_buffers || ends_sample || sample.spare_capacity() == 0;
                    // A read that ends a sample may have appended nothing, and an empty sample is not yielded.
                    if is_whole && !sample.is_empty() {
                        return Poll::Ready(this.finish().map(Ok));
                    }
                    // The source can always be ready, and a buffer takes many reads.
                    if !spend(cx) {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl<S: ReadSample> FusedStream for SampleReader<S> {
    fn is_terminated(&self) -> bool {
        matches!((&self.partial, &self.end), (Partial::None, End::Ended))
    }
}

/// Shows how much of a partial sample was read; never the bytes.
impl<S> fmt::Debug for SampleReader<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SampleReader")
            .field("partial", &self.partial)
            .field("on_heap", &self.heap.bytes().len())
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
