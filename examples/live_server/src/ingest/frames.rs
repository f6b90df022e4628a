//! The bytes of a source's frames: the body without what is in no frame.
//!
//! Of fragments they are taken as they come ([`find`](Frames::find), [`more`](Frames::more)). Pictures are read by a
//! [`SampleReader`](sample_pool::stream::SampleReader), which is shown where each sample ends:
//!
//! | a sample ends because           | what it is                                                          |
//! |---------------------------------|---------------------------------------------------------------------|
//! | [`Ended::Picture`]              | a picture                                                           |
//! | [`Ended::Abandoned`]            | a part of a broken picture                                          |
//! | the body has ended, or an error | a part of a picture whose rest does not come                        |

use super::{Ingest, Reader, Rejected, jpeg, stamp};
use bytes::{BufMut, Bytes};
use futures::{Stream, StreamExt};
use sample_pool::{Sample, stream::ReadSample};
use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// What comes next in the body.
#[derive(Debug)]
pub(super) enum Found {
    /// Bytes of a frame: a slice of the chunk.
    Bytes(Bytes),
    /// The media of a fragment begin, which has so many bytes in all. `sync` as below.
    Media { bytes: u64, sync: bool },
    /// The frame is whole. `sync` if it can be shown without another.
    Whole { sync: bool },
    /// The frame is broken, and what came of it is none.
    Abandoned,
}

/// Why a sample ends before it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Picture,
    Abandoned,
}

/// A source's body, as a reader takes it.
pub(super) struct Frames<'a, B> {
    ingest: &'a Ingest<'a>,
    body: B,
    /// What is left of the chunk that came last.
    chunk: Bytes,
    reader: Reader,
    /// What was found, and is in no sample yet.
    next: Option<Found>,
    ended: Option<Ended>,
    body_has_ended: bool,
    /// Since when the reader waits for a sample.
    asked: Option<Instant>,
    due: Due,
}

impl<'a, B, E> Frames<'a, B>
where
    B: Stream<Item = Result<Bytes, E>> + Unpin,
{
    /// A body that began with `chunk`, and whose first frame is due one limit after `began`.
    pub(super) fn new(
        ingest: &'a Ingest<'a>,
        body: B,
        reader: Reader,
        chunk: Bytes,
        began: Instant,
    ) -> Self {
        let due = Due::new(began + reader.limit(ingest.timeout));
        Frames {
            ingest,
            body,
            chunk,
            reader,
            next: None,
            ended: None,
            body_has_ended: false,
            asked: None,
            due,
        }
    }

    pub(super) fn reader(&self) -> &Reader {
        &self.reader
    }

    pub(super) fn reader_mut(&mut self) -> &mut Reader {
        &mut self.reader
    }

    /// Whether a frame has begun, or was found, after [`poll_readable`](ReadSample::poll_readable).
    pub(super) fn has_found(&self) -> bool {
        self.next.is_some()
    }

    /// Why the sample ended that was yielded last; `None` if nothing more comes of its frame.
    pub(super) fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// What comes next in the chunk that is there; `None` once it is used up.
    pub(super) fn find(&mut self) -> Result<Option<Found>, Rejected> {
        self.asked = None;
        match self.next.take() {
            Some(found) => Ok(Some(found)),
            None => self.reader.find(self.ingest, &mut self.chunk),
        }
    }

    /// Waits for another chunk; `false` if the body has ended. Cancel safe.
    pub(super) async fn more(&mut self) -> Result<bool, Rejected> {
        poll_fn(|cx| self.poll_more(cx)).await
    }

    /// The source was kept waiting for so long.
    pub(super) fn excuse(&mut self, waited: Duration) {
        self.due.at += waited;
    }

    /// A frame was finished: the next one has all of its time.
    pub(super) fn restart(&mut self) {
        let limit = self.reader.limit(self.ingest.timeout);
        self.due.at = Instant::now() + limit;
    }

    /// What comes next; `None` at the end of the body.
    fn poll_find(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Found>, Rejected>> {
        loop {
            if let Some(found) = self.reader.find(self.ingest, &mut self.chunk)? {
                return Poll::Ready(Ok(Some(found)));
            }
            if !ready!(self.poll_more(cx))? {
                return Poll::Ready(Ok(None));
            }
        }
    }

    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Rejected>> {
        if self.body_has_ended {
            return Poll::Ready(Ok(false));
        }
        match self.body.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(chunk))) => self.chunk = chunk,
            // How a source leaves is its own affair.
            Poll::Ready(Some(Err(_)) | None) => self.body_has_ended = true,
            Poll::Pending => {
                ready!(self.due.poll(cx));
                return Poll::Ready(Err(self.reader.too_slow(self.ingest.timeout)));
            }
        }
        Poll::Ready(Ok(!self.body_has_ended))
    }

    /// Appends bytes of a picture, which is no larger than a sample.
    fn append(&self, sample: &mut Sample, bytes: Bytes) -> Result<(), Rejected> {
        let most = self.ingest.most;
        if bytes.len() > most - sample.len() {
            return Err(jpeg::too_large(None, most));
        }
        if sample.is_empty() {
            stamp(sample, self.ingest.epoch);
        }
        sample.put(bytes);
        Ok(())
    }
}

impl<B, E> ReadSample for Frames<'_, B>
where
    B: Stream<Item = Result<Bytes, E>> + Unpin,
{
    /// No sample is taken before there are bytes of a frame for it, so a source that is idle holds none.
    fn poll_readable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.next.is_none() {
            this.next = ready!(this.poll_find(cx)).map_err(io::Error::other)?;
        }
        this.asked.get_or_insert_with(Instant::now);
        Poll::Ready(Ok(()))
    }

    fn poll_read_sample(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        sample: &mut Sample,
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Some(asked) = this.asked.take() {
            // That there was no sample is not the source's doing.
            this.due.at += asked.elapsed();
        }
        this.ended = None;
        let had = sample.len();
        while this.ended.is_none() {
            let found = match this.next.take() {
                Some(found) => found,
                None => match this.poll_find(cx) {
                    Poll::Pending if sample.len() > had => break,
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(found) => match found.map_err(io::Error::other)? {
                        Some(found) => found,
                        None => break,
                    },
                },
            };
            match found {
                Found::Bytes(bytes) => this.append(sample, bytes).map_err(io::Error::other)?,
                // Only fragments have media.
                Found::Media { .. } => {}
                Found::Whole { .. } => this.ended = Some(Ended::Picture),
                Found::Abandoned => this.ended = Some(Ended::Abandoned),
            }
        }
        Poll::Ready(Ok(sample.len() - had))
    }

    fn ends_sample(&self) -> bool {
        self.ended.is_some()
    }
}

/// When a frame must be whole.
struct Due {
    at: Instant,
    /// Set anew only when it has run out: most frames come long before.
    timer: Pin<Box<Sleep>>,
}

impl Due {
    fn new(at: Instant) -> Self {
        let timer = Box::pin(sleep_until(at));
        Due { at, timer }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            if self.at <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(self.at);
        }
    }
}
