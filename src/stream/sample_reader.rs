//! A source of bytes as a stream of samples.
//!
//! | state      | holds                      | left by                                                   |
//! |------------|----------------------------|-----------------------------------------------------------|
//! | `Reading`  | what was read, if anything | a sample's end: `Reading`; the source's end: `Ended`; an error: `Failed` |
//! | `Failed`   | the error                  | poll: `Ended`                                             |
//! | `Ended`    | nothing                    | –                                                         |
//!
//! An empty sample is not kept while the source has nothing: it goes home, and the next poll takes one.

use super::read_sample::{ReadError, ReadSample};
use crate::{acquire::spend, poll_pool::PollPool, sample::Sample};
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
/// With no buffer home it waits in line, reads nothing meanwhile, and so slows the source down. While
/// it waits for the source it holds no buffer, unless it has begun to fill one. To learn that the source
/// has ended it needs a buffer as well.
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
#[pin_project]
#[must_use = "a stream does nothing until it is polled"]
pub struct SampleReader<S> {
    #[pin]
    source: S,
    pool: PollPool,
    whole_buffers: bool,
    state: State,
}

enum State {
    Reading(Option<Sample>),
    Failed(io::Error),
    Ended,
}

impl<S: ReadSample> SampleReader<S> {
    /// Reads `source` into samples of `pool`: a [`&Pool`](crate::Pool), or a [`&Quota`](crate::Quota).
    #[track_caller]
    pub fn new(source: S, pool: impl Into<PollPool>) -> Self {
        SampleReader {
            source,
            pool: pool.into(),
            whole_buffers: false,
            state: State::Reading(None),
        }
    }
}

impl<S> SampleReader<S> {
    /// Whether a sample is yielded only when it is full, or the source at its end. Otherwise, and by
    /// default, each read is a sample of its own.
    ///
    /// A sample that was begun keeps its buffer for as long as the source takes, also while other gets wait. So ask
    /// for whole buffers of files and of sources that you trust; read others without, or through a
    /// [`Quota`](crate::Quota).
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

    /// The source, and the sample that was begun, if any. An error of the source that was not yielded yet, because the
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
    /// assert!(begun.is_none());
    /// ```
    pub fn into_parts(self) -> (S, Option<Sample>) {
        let begun = match self.state {
            State::Reading(begun) => begun,
            State::Failed(_) | State::Ended => None,
        };
        (self.source, begun)
    }
}

impl<S: ReadSample> Stream for SampleReader<S> {
    type Item = Result<Sample, ReadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        loop {
            let begun = match this.state {
                State::Reading(begun) => begun,
                State::Failed(_) | State::Ended => {
                    if !spend(cx) {
                        return Poll::Pending;
                    }
                    return Poll::Ready(match mem::replace(this.state, State::Ended) {
                        State::Failed(error) => Some(Err(error.into())),
                        State::Reading(_) | State::Ended => None,
                    });
                }
            };
            if begun.is_none() {
                if let Err(error) = ready!(this.source.as_mut().poll_readable(cx)) {
                    *this.state = State::Failed(error);
                    continue;
                }
            }
            let mut sample = match begun.take() {
                Some(sample) => sample,
                None => ready!(this.pool.poll_get_buffer(cx))?,
            };
            let had = sample.len();
            let read = this.source.as_mut().poll_read_sample(cx, &mut sample);
            // A source is user code. What counts is what it appended, not what it says.
            let appended = sample.len() > had;
            let ended = match read {
                Poll::Ready(Err(error)) => State::Failed(error),
                Poll::Ready(Ok(_)) if !appended => State::Ended,
                Poll::Pending if !appended => {
                    *begun = Some(sample).filter(|sample| !sample.is_empty());
                    return Poll::Pending;
                }
                Poll::Ready(Ok(_)) | Poll::Pending => {
                    if !*this.whole_buffers || sample.spare_capacity() == 0 {
                        return Poll::Ready(Some(Ok(sample)));
                    }
                    *begun = Some(sample);
                    // A source may be ready for ever, and the buffer takes many reads.
                    if !spend(cx) {
                        return Poll::Pending;
                    }
                    continue;
                }
            };
            *this.state = ended;
            if !sample.is_empty() {
                return Poll::Ready(Some(Ok(sample)));
            }
        }
    }
}

impl<S: ReadSample> FusedStream for SampleReader<S> {
    fn is_terminated(&self) -> bool {
        matches!(self.state, State::Ended)
    }
}

/// Says how much of a sample was read; never prints the bytes.
impl<S> fmt::Debug for SampleReader<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut reader = f.debug_struct("SampleReader");
        match &self.state {
            State::Reading(begun) => reader.field("begun", begun),
            State::Failed(error) => reader.field("failed", error),
            State::Ended => reader.field("ended", &true),
        };
        reader.finish_non_exhaustive()
    }
}
