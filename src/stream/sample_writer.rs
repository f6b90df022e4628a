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

/// Writes samples, or `Bytes`, in order: a [`Sink`] over any [`AsyncWrite`].
///
/// What was put in waits in a queue of a fixed length, and is written without copying, with
/// vectored writes where the writer takes them. A sample is dropped when its last byte was taken by
/// the writer. When the queue is full, the sink is not ready until the first of it was written: a slow
/// reader at the other end holds at most the queue.
///
/// Any [`Buf`] can be an item, also one of several chunks. Those of one that shows all its chunks through
/// [`chunks_vectored`](Buf::chunks_vectored) are written together. One that shows fewer than all of them, as the
/// provided method does, is written one chunk at a time, and what is behind it in the queue waits for its last.
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

/// How many slices one write is given at most.
const SLICES: usize = 64;

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
    /// If `limit` is zero, or so large that memory for the queue is refused.
    pub fn new(writer: W, limit: usize) -> Self {
        assert!(limit > 0, "a queue of no buffers takes nothing");
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
            ready!(this.queue.poll_write_some(this.writer.as_mut(), cx))?;
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
    /// Writes at least one byte, of those that are first in the queue.
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
        let slices = self.show(&mut slices[..most]);
        let shown: usize = slices.iter().map(|slice| slice.len()).sum();
        if shown == 0 {
            return Poll::Ready(Err(broken("a buffer has bytes left and shows none")));
        }
        let written = match slices {
            [one] => writer.poll_write(cx, one),
            many => writer.poll_write_vectored(cx, many),
        };
        match ready!(written)? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            // To go on from there would leave out bytes that were never shown.
            taken if taken > shown => Poll::Ready(Err(broken(
                "the writer says that it took more than it was given",
            ))),
            taken => {
                self.advance(taken);
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Fills `slices` with the next bytes in order, without a gap.
    ///
    /// Buffers are foreign. What they promise is `remaining`, `chunk` and `advance`: `chunks_vectored` may leave out
    /// what follows its first slices, and that of a composed buffer even something in between. So it counts only if
    /// its slices are all that remains; otherwise `chunk` is the next bytes, and nothing follows it in this write.
    fn show<'s, 'a>(&'a self, slices: &'s mut [IoSlice<'a>]) -> &'s [IoSlice<'a>] {
        let mut filled = 0;
        for buffer in &self.waiting {
            let room = &mut slices[filled..];
            if room.is_empty() {
                break;
            }
            let remaining = buffer.remaining();
            let count = match room.len() {
                1 => 0,
                most => buffer.chunks_vectored(room).min(most),
            };
            let shown = room[..count].iter().map(|slice| slice.len());
            if count > 0 && shown.sum::<usize>() == remaining {
                filled += count;
                continue;
            }
            let chunk = buffer.chunk();
            room[0] = IoSlice::new(&chunk[..chunk.len().min(remaining)]);
            filled += 1;
            if chunk.len() < remaining {
                break;
            }
        }
        &slices[..filled]
    }

    /// Drops the first `count` bytes, of those that were shown.
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

/// An error of foreign code that broke the contract of its trait.
#[cold]
fn broken(what: &'static str) -> io::Error {
    io::Error::other(what)
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
