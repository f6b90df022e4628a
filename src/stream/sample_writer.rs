//! A writer as a sink of samples.

#![forbid(unsafe_code)]

use bytes::Buf;
use futures::Sink;
use pin_project::pin_project;
use std::{
    collections::VecDeque,
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{io::AsyncWrite, task::coop};

/// Writes samples, or `Bytes`, in order: a [`Sink`] over any [`AsyncWrite`].
///
/// The samples wait in a queue of a fixed length, and are written without copying, with vectored writes if the writer
/// supports them. A sample is dropped when the writer has taken its last byte. When the queue is full, the sink is not
/// ready until the first sample was written. So a slow reader at the other end holds at most the samples of the queue.
///
/// Any [`Buf`] can be an item, also one of several chunks. If its [`chunks_vectored`](Buf::chunks_vectored) returns all
/// chunks, they are written together. If it returns fewer, as the provided method does, the chunks are written one at a
/// time, and the items behind it wait for its last chunk.
///
/// Nothing is written before the queue is full or flushed: `send` flushes, `feed` does not. `close` flushes and shuts the
/// writer down.
///
/// # Cancel safety
///
/// Dropping the future of `feed` or `send` can lose its item, as with every sink. Dropping the future of `flush` or `close`
/// loses nothing. Dropping the writer loses the items in the queue.
///
/// # Examples
///
/// ```
/// use bytes::BufMut;
/// use futures::SinkExt;
/// use sample_pool::{Pool, stream::SampleWriter};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().buffers(2).size(64).build()?;
/// let mut written = Vec::new();
/// let mut writer = SampleWriter::new(&mut written, 2);
/// for word in ["hello, ", "world"] {
///     let mut sample = pool.get_buffer().await?;
///     sample.put_slice(word.as_bytes());
///     writer.feed(sample.freeze()).await?;
/// }
/// writer.flush().await?;
/// assert_eq!(pool.free_count(), 2);
/// # drop(writer);
/// assert_eq!(written, b"hello, world");
/// # Ok(())
/// # }
/// ```
#[pin_project]
pub struct SampleWriter<W, B> {
    #[pin]
    writer: W,
    queue: Queue<B>,
}

/// How many slices one write is given, at most.
const SLICES: usize = 64;

/// The items that are not written yet, in order. None of them is empty.
struct Queue<B> {
    waiting: VecDeque<B>,
    limit: usize,
}

impl<W: AsyncWrite, B: Buf> SampleWriter<W, B> {
    /// Creates a sink that writes to `writer`, with a queue of at most `limit` buffers.
    ///
    /// # Panics
    ///
    /// If `limit` is zero, or if the memory for the queue cannot be allocated. It is allocated here.
    pub fn new(writer: W, limit: usize) -> Self {
        assert!(limit > 0, "the limit of the queue must not be zero");
        let mut waiting = VecDeque::new();
        // The number is the user's, so refused memory is a panic and does not abort the process.
        if let Err(error) = waiting.try_reserve_exact(limit) {
            panic!("no memory for a queue of {limit} buffers: {error}");
        }
        SampleWriter {
            writer,
            queue: Queue { waiting, limit },
        }
    }
}

impl<W, B> SampleWriter<W, B> {
    /// Returns how many buffers are in the queue. The one that is being written counts.
    pub fn queued(&self) -> usize {
        self.queue.waiting.len()
    }

    /// Returns a reference to the writer. Bytes that you write to it come before those of the queue, and possibly in the
    /// middle of a buffer.
    pub fn get_ref(&self) -> &W {
        &self.writer
    }

    /// Returns a mutable reference to the writer. Bytes that you write to it come before those of the queue, and possibly
    /// in the middle of a buffer.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.writer
    }

    /// Returns a pinned reference to the writer. Bytes that you write to it come before those of the queue, and possibly
    /// in the middle of a buffer.
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut W> {
        self.project().writer
    }

    /// Returns the writer. The buffers in the queue are dropped; [`into_parts`](SampleWriter::into_parts) returns them.
    pub fn into_inner(self) -> W {
        self.writer
    }

    /// Returns the writer, and the buffers in the queue in their order. Bytes that were written are no longer in them.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::Bytes;
    /// use futures::{FutureExt, SinkExt};
    /// use sample_pool::stream::SampleWriter;
    ///
    /// let mut writer = SampleWriter::new(Vec::new(), 2);
    /// writer.feed(Bytes::from("not yet")).now_or_never().expect("the queue has room")?;
    /// let (written, queued) = writer.into_parts();
    /// assert_eq!(written, b"");
    /// assert_eq!(queued, ["not yet"]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_parts(self) -> (W, VecDeque<B>) {
        (self.writer, self.queue.waiting)
    }
}

impl<W: AsyncWrite, B: Buf> SampleWriter<W, B> {
    /// Writes until at most `most` buffers are in the queue.
    fn poll_write_down_to(
        self: Pin<&mut Self>,
        most: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut this = self.project();
        while this.queue.waiting.len() > most {
            ready!(this.queue.poll_write_some(this.writer.as_mut(), cx))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<W: AsyncWrite, B: Buf> Sink<B> for SampleWriter<W, B> {
    type Error = io::Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // With a free entry in the queue, or a writer that is always ready, this never waits. A task that only feeds must
        // let other tasks run.
        let proceed = ready!(coop::poll_proceed(cx));
        let most = self.queue.limit - 1;
        let result = ready!(self.poll_write_down_to(most, cx));
        proceed.made_progress();
        Poll::Ready(result)
    }

    fn start_send(self: Pin<&mut Self>, item: B) -> io::Result<()> {
        let queue = self.project().queue;
        assert!(
            queue.waiting.len() < queue.limit,
            "`start_send` was called before the sink was ready"
        );
        if item.remaining() > 0 {
            queue.waiting.push_back(item);
        }
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let proceed = ready!(coop::poll_proceed(cx));
        let mut result = ready!(self.as_mut().poll_write_down_to(0, cx));
        if result.is_ok() {
            result = ready!(self.project().writer.poll_flush(cx));
        }
        proceed.made_progress();
        Poll::Ready(result)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_write_down_to(0, cx))?;
        self.project().writer.poll_shutdown(cx)
    }
}

impl<B: Buf> Queue<B> {
    /// Writes at least one byte from the front of the queue.
    fn poll_write_some<W: AsyncWrite>(
        &mut self,
        writer: Pin<&mut W>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let most = if writer.is_write_vectored() {
            SLICES
        } else {
            1
        };
        let slices = self.fill(&mut slices[..most]);
        let shown: usize = slices.iter().map(|slice| slice.len()).sum();
        if shown == 0 {
            return Poll::Ready(Err(broken(
                "a buffer has remaining bytes, and its chunk is empty",
            )));
        }
        let written = match slices {
            [one] => writer.poll_write(cx, one),
            many => writer.poll_write_vectored(cx, many),
        };
        match ready!(written)? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            // Advancing by so much would skip bytes that the writer was never given.
            taken if taken > shown => Poll::Ready(Err(broken(
                "the writer returned more bytes than it was given",
            ))),
            taken => {
                self.advance(taken);
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Fills `slices` with the next bytes, in order and without a gap.
    ///
    /// A `Buf` is user code. `chunks_vectored` may leave out the bytes after its first slices, and that of a composed buffer
    /// even bytes in between. So its slices are used only if they are all that remains. Otherwise `chunk` is the next
    /// slice, and the last one of this write.
    fn fill<'s, 'a>(&'a self, slices: &'s mut [IoSlice<'a>]) -> &'s [IoSlice<'a>] {
        let mut filled = 0;
        for buffer in &self.waiting {
            let free = &mut slices[filled..];
            if free.is_empty() {
                break;
            }
            let remaining = buffer.remaining();
            let count = match free.len() {
                1 => 0,
                most => buffer.chunks_vectored(free).min(most),
            };
            let shown = free[..count].iter().map(|slice| slice.len());
            if count > 0 && shown.sum::<usize>() == remaining {
                filled += count;
                continue;
            }
            let chunk = buffer.chunk();
            free[0] = IoSlice::new(&chunk[..chunk.len().min(remaining)]);
            filled += 1;
            if chunk.len() < remaining {
                break;
            }
        }
        &slices[..filled]
    }

    /// Drops the first `count` bytes.
    fn advance(&mut self, mut count: usize) {
        while let Some(first) = self.waiting.front_mut() {
            let from_first = count.min(first.remaining());
            first.advance(from_first);
            count -= from_first;
            if first.remaining() > 0 {
                break;
            }
            self.waiting.pop_front();
            if count == 0 {
                break;
            }
        }
    }
}

/// An error of user code that broke the contract of its trait.
#[cold]
fn broken(what: &'static str) -> io::Error {
    io::Error::other(what)
}

/// Shows how many buffers are in the queue; never the bytes.
impl<W, B> fmt::Debug for SampleWriter<W, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SampleWriter")
            .field("queued", &self.queued())
            .field("limit", &self.queue.limit)
            .finish_non_exhaustive()
    }
}
