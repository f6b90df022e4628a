//! A sink of samples that are written, many at a time.

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
use tokio_util::io::poll_write_buf;

/// Writes samples, or `Bytes`, in order: a [`Sink`] over any [`AsyncWrite`].
///
/// What was put in waits in a queue of a fixed length, and is written without copying, with
/// vectored writes where the writer takes them. A sample is let go of when its last byte was taken by
/// the writer. When the queue is full, the sink is not ready until the first of it was written: a slow
/// reader at the other end holds at most the queue.
///
/// Nothing is written before the queue is full or it is flushed: `send` flushes, `feed` does not.
/// `close` flushes and shuts the writer down.
///
/// # Cancel safety
///
/// Dropping the futures of `feed` and `send` can lose the item that was not put in yet, as with every
/// sink; dropping those of `flush` and `close` loses nothing. Dropping the writer loses what is in the
/// queue.
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

/// Buffers one after another; none of them is empty.
struct Queue<B> {
    waiting: VecDeque<B>,
    limit: usize,
}

impl<W: AsyncWrite, B: Buf> SampleWriter<W, B> {
    /// Writes to `writer`, with at most `limit` buffers in the queue. The queue is allocated here.
    ///
    /// # Panics
    ///
    /// If `limit` is zero.
    pub fn new(writer: W, limit: usize) -> Self {
        assert!(limit > 0, "a queue of no buffers takes nothing");
        SampleWriter {
            writer,
            queue: Queue {
                waiting: VecDeque::with_capacity(limit),
                limit,
            },
        }
    }
}

impl<W, B> SampleWriter<W, B> {
    /// How many buffers are in the queue, the one that is being written included.
    pub fn queued(&self) -> usize {
        self.queue.waiting.len()
    }

    /// The writer. What is written to it here stands in the middle of the queue's bytes.
    pub fn get_ref(&self) -> &W {
        &self.writer
    }

    /// The writer. What is written to it here stands in the middle of the queue's bytes.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.writer
    }

    /// The writer, pinned. What is written to it here stands in the middle of the queue's bytes.
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut W> {
        self.project().writer
    }

    /// The writer. The buffers in the queue are dropped; [`into_parts`](SampleWriter::into_parts) returns them.
    pub fn into_inner(self) -> W {
        self.writer
    }

    /// The writer, and the buffers in the queue, the first to be written first. Bytes that were written already are not in
    /// them.
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
    /// Writes until at most `most` buffers are left.
    fn poll_write_down_to(
        self: Pin<&mut Self>,
        most: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut this = self.project();
        while this.queue.waiting.len() > most {
            let written = ready!(poll_write_buf(this.writer.as_mut(), cx, this.queue))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<W: AsyncWrite, B: Buf> Sink<B> for SampleWriter<W, B> {
    type Error = io::Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // With room in the queue, or a writer that never waits, this is ready at once: a task that only feeds must
        // let others run.
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
            "an item was put in before the sink was ready"
        );
        if item.has_remaining() {
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

impl<B: Buf> Buf for Queue<B> {
    fn remaining(&self) -> usize {
        self.waiting.iter().map(Buf::remaining).sum()
    }

    fn has_remaining(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn chunk(&self) -> &[u8] {
        self.waiting.front().map_or(&[], Buf::chunk)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for buffer in &self.waiting {
            if filled == slices.len() {
                break;
            }
            filled += buffer.chunks_vectored(&mut slices[filled..]);
        }
        filled
    }

    fn advance(&mut self, mut count: usize) {
        while count > 0 {
            let Some(first) = self.waiting.front_mut() else {
                panic!("cannot advance {count} bytes beyond the end");
            };
            let from_first = count.min(first.remaining());
            first.advance(from_first);
            count -= from_first;
            if !first.has_remaining() {
                self.waiting.pop_front();
            }
        }
    }
}

/// Says how much is in the queue; never prints the bytes.
impl<W, B> fmt::Debug for SampleWriter<W, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SampleWriter")
            .field("queued", &self.queued())
            .field("limit", &self.queue.limit)
            .finish_non_exhaustive()
    }
}
