//! A source of bytes as a stream of samples.
//!
//! | what was begun | where the bytes are | left by                                                               |
//! |----------------|---------------------|-----------------------------------------------------------------------|
//! | `Nothing`      | there are none      | a buffer: `Filling`                                                   |
//! | `Filling`      | in a sample         | yielded: `Nothing`; the source waits, and so does another get: `Aside` |
//! | `Aside`        | on the heap         | a buffer: `Filling`                                                   |
//!
//! An empty sample is not kept while the source has nothing: it is released, and the next poll takes one. One that has
//! bytes is kept only as long as no other get waits for it. The end of the source, and its error, come after the bytes.

use super::{
    heap_copy::Aside,
    read_sample::{ReadError, ReadSample},
};
use crate::{coop::spend, error::GetBufferError, poll_pool::PollPool, sample::Sample};
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
/// The source is any [`AsyncRead`](tokio::io::AsyncRead), or another [`ReadSample`]. A sample is yielded
/// as soon as there is something in it, or when it is full, as [asked](SampleReader::whole_buffers).
/// Then it is yours: set its properties, freeze it, send it.
///
/// With no buffer free it waits in the pool's queue, reads nothing meanwhile, and so slows the source down. While
/// it waits for the source it holds no buffer, unless it has begun to fill one that no other get waits for. To learn that
/// the source has ended it needs a buffer as well.
///
/// The stream ends at the end of the source, or after the source failed; what was read before comes
/// first. When the pool refuses, it yields the error and goes on when it is polled again.
///
/// # A consumer that keeps a sample while it asks for the next
///
/// Such a consumer needs one buffer more than it keeps; with fewer it waits for itself, and no error tells it.
/// `tokio_util::io::StreamReader` is one: it keeps the chunk that was read last until it has the next. Over a pool, or
/// a [`Quota`](crate::Quota), of one buffer it hangs after the first chunk: give each such reader at least two.
/// [`Pool::report`](crate::Pool::report) then shows the line that made this reader as the holder of the sample, if
/// [`track_holders`](crate::Builder::track_holders) is set.
///
/// # Cancel safety
///
/// Dropping the future of `next()` loses nothing: what was read, and a place in line, stay in the
/// reader. Dropping the reader loses the bytes of a sample that was begun, which
/// [`into_parts`](SampleReader::into_parts) gives out.
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
/// let mut samples = SampleReader::new(source, &pool).whole_buffers(true);
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
    whole_buffers: bool,
    begun: Begun,
    aside: Aside,
    end: End,
}

/// See the module's documentation.
#[derive(Debug)]
enum Begun {
    Nothing,
    Filling(Sample),
    Aside,
}

/// How far the source is.
#[derive(Debug)]
enum End {
    NotYet,
    Failed(io::Error),
    Ended,
}

impl<S: ReadSample> SampleReader<S> {
    /// Reads `source` into samples of `pool`: a [`&Pool`](crate::Pool), or a [`&Quota`](crate::Quota).
    #[track_caller]
    pub fn new(source: S, pool: impl Into<PollPool>) -> Self {
        let pool = pool.into();
        SampleReader {
            source,
            whole_buffers: false,
            begun: Begun::Nothing,
            aside: Aside::new(pool.pool().engine().wipes()),
            end: End::NotYet,
            pool,
        }
    }
}

impl<S> SampleReader<S> {
    /// Whether a sample is yielded only when it is full, or the source at its end. Otherwise, and by
    /// default, each read is a sample of its own.
    ///
    /// A slow source would keep the buffer that it began, and a few of them all buffers. So when another get is queued, or the
    /// pool drains, while the source has nothing to read, the bytes are copied to the heap and the buffer is released. The
    /// reader waits for one again, at the end of the queue, when there is more to read. That memory is a buffer's size at
    /// most, is not counted by the pool, and is wiped with [`zero_on_release`](crate::Builder::zero_on_release).
    pub fn whole_buffers(mut self, yes: bool) -> Self {
        self.whole_buffers = yes;
        self
    }

    /// The source. Bytes that are read from it here are missing in the samples.
    pub fn get_ref(&self) -> &S {
        &self.source
    }

    /// The source. Bytes that are read from it here are missing in the samples.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// The source, pinned. Bytes that are read from it here are missing in the samples.
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut S> {
        self.project().source
    }

    /// The source. The bytes of a sample that was begun are lost; [`into_parts`](SampleReader::into_parts) returns them.
    pub fn into_inner(self) -> S {
        self.source
    }

    /// The source, and the bytes of a sample that was begun. An error of the source that was not yielded yet, because the
    /// bytes before it were first, is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// use sample_pool::stream::SampleReader;
    ///
    /// let (source, begun) = SampleReader::new(&b"all of it"[..], &pool).into_parts();
    /// assert_eq!(source, b"all of it");
    /// assert!(begun.is_empty());
    /// ```
    pub fn into_parts(self) -> (S, Bytes) {
        let begun = match self.begun {
            Begun::Nothing => Bytes::new(),
            Begun::Filling(sample) => sample.into_bytes(),
            Begun::Aside => self.aside.into_bytes(),
        };
        (self.source, begun)
    }
}

impl<S> SampleReaderProjection<'_, S> {
    /// Takes a sample, with the bytes that were set aside.
    fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), GetBufferError>> {
        let mut sample = ready!(self.pool.poll_get_buffer(cx))?;
        if let Begun::Aside = self.begun {
            self.aside.move_to(&mut sample);
        }
        *self.begun = Begun::Filling(sample);
        Poll::Ready(Ok(()))
    }

    /// The sample that was filled, unless it is empty.
    fn finish(&mut self) -> Option<Sample> {
        // The pool may have been given smaller buffers since the bytes were set aside.
        let rest = match self.aside.bytes() {
            [] => Begun::Nothing,
            _ => Begun::Aside,
        };
        match mem::replace(self.begun, rest) {
            Begun::Filling(sample) => Some(sample).filter(|sample| !sample.is_empty()),
            Begun::Nothing | Begun::Aside => None,
        }
    }

    /// Keeps no buffer that is empty, and none that another get needs, while the source has nothing to read. If one is
    /// kept, the task is woken when another get queues.
    fn wait_for_source(&mut self, cx: &mut Context<'_>) {
        let Begun::Filling(sample) = &*self.begun else {
            return;
        };
        if sample.is_empty() {
            *self.begun = Begun::Nothing;
        } else if self.pool.poll_reclaim_unbudgeted(cx).is_ready() {
            let size = self.pool.pool().engine().geometry().size();
            // Without memory for a copy it keeps the buffer.
            if self.aside.put(sample, size, sample.properties()) {
                *self.begun = Begun::Aside;
            }
        }
        self.aside.shrink();
    }
}

impl<S: ReadSample> Stream for SampleReader<S> {
    type Item = Result<Sample, ReadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        loop {
            if !matches!(this.begun, Begun::Filling(_)) {
                if let End::NotYet = this.end {
                    if let Err(error) = ready!(this.source.as_mut().poll_readable(cx)) {
                        *this.end = End::Failed(error);
                    }
                }
                if let (Begun::Nothing, End::Failed(_) | End::Ended) = (&*this.begun, &*this.end) {
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
            let Begun::Filling(sample) = &mut *this.begun else {
                unreachable!("a sample was taken if there was none");
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
            // A source is user code. What counts is what it appended, not what it says.
            let appended = sample.len() > had;
            match read {
                Poll::Ready(Err(error)) => *this.end = End::Failed(error),
                Poll::Ready(Ok(_)) if !appended => *this.end = End::Ended,
                Poll::Pending if !appended => {
                    this.wait_for_source(cx);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(_)) | Poll::Pending => {
                    if !*this.whole_buffers || sample.spare_capacity() == 0 {
                        return Poll::Ready(this.finish().map(Ok));
                    }
                    // A source may be ready for ever, and the buffer takes many reads.
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
        matches!((&self.begun, &self.end), (Begun::Nothing, End::Ended))
    }
}

/// Says how much of a sample was read; never prints the bytes.
impl<S> fmt::Debug for SampleReader<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SampleReader")
            .field("begun", &self.begun)
            .field("aside", &self.aside.bytes().len())
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
