//! A source's body, frame by frame into samples.
//!
//! hyper owns the socket's buffer, so each byte is copied once, here, from hyper's chunk into the sample.
//! From then on nothing is copied. A sample is taken when there are bytes for it, not before, so a source that
//! is idle holds none; with no sample home the source waits, and so do hyper and the sender.
//!
//! What a source sends is told apart by its first bytes: [`jpeg`] or [`mp4`].

mod jpeg;
mod mp4;
mod rejected;

pub(crate) use rejected::Rejected;

use crate::{
    channel::Source,
    limits::{FRAGMENT_TIME, FRAME_TIME},
    mp4::looks_like_mp4,
};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use sample_pool::{Pool, ReferenceTime, Sample};
use std::{
    fmt,
    time::{Duration, Instant},
};
use tokio::time;

/// What came of a source.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ingested {
    pub(crate) frames: u64,
    /// Whether it ended in the middle of a frame.
    pub(crate) cut: bool,
}

impl fmt::Display for Ingested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = if self.cut {
            ", and one that was cut"
        } else {
            ""
        };
        write!(f, "{} frames{cut}", self.frames)
    }
}

/// Reads one source.
pub(crate) struct Ingest<'a> {
    pub(crate) pool: &'a Pool,
    pub(crate) source: &'a Source,
    /// How many bytes of a sender fit a buffer.
    pub(crate) most: usize,
    /// What the times of frames are counted from.
    pub(crate) epoch: Instant,
}

/// What came of a chunk.
#[derive(Debug, Default)]
struct Progress {
    /// How many frames were finished.
    frames: u64,
    /// How long it waited for samples and viewers, which is not the source's doing.
    waited: Duration,
}

/// What a source sends, and the frame that is in the making.
enum Reader {
    Jpeg(jpeg::Pictures),
    Mp4(mp4::Fragments),
}

impl Reader {
    async fn read(&mut self, ingest: &Ingest<'_>, chunk: Bytes) -> Result<Progress, Rejected> {
        match self {
            Reader::Jpeg(pictures) => pictures.read(ingest, chunk).await,
            Reader::Mp4(fragments) => fragments.read(ingest, chunk).await,
        }
    }

    fn is_between_frames(&self) -> bool {
        match self {
            Reader::Jpeg(pictures) => pictures.is_between(),
            Reader::Mp4(fragments) => fragments.is_between(),
        }
    }

    /// That no frame was finished for as long as one may take.
    fn too_slow(&self) -> Rejected {
        match self {
            Reader::Jpeg(_) => Rejected::TooSlow(self.limit()),
            Reader::Mp4(_) => Rejected::TooSlowFragment(self.limit()),
        }
    }

    /// How long a frame may take.
    fn limit(&self) -> Duration {
        match self {
            Reader::Jpeg(_) => FRAME_TIME,
            Reader::Mp4(_) => FRAGMENT_TIME,
        }
    }
}

impl Ingest<'_> {
    /// Reads the body to its end. A source that vanishes in the middle of a frame loses that frame only.
    pub(crate) async fn read<E>(
        &self,
        mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<Ingested, Rejected> {
        // A deadline, and not a limit for each piece: a source that sends a byte now and then would keep
        // its channel and a sample for ever.
        let began = time::Instant::now();
        let beginning = time::timeout_at(began + FRAME_TIME, beginning(&mut body)).await;
        let (mut reader, mut next) = beginning.map_err(|_elapsed| Rejected::TooSlow(FRAME_TIME))?;
        let mut due = began + reader.limit();
        let mut frames = 0;
        while let Some(chunk) = next {
            let progress = reader.read(self, chunk).await?;
            frames += progress.frames;
            due = match progress {
                Progress { frames: 0, waited } => due + waited,
                _ => time::Instant::now() + reader.limit(),
            };
            let chunk = time::timeout_at(due, body.next()).await;
            let chunk = chunk.map_err(|_elapsed| reader.too_slow())?;
            // How a source leaves is its own affair.
            next = chunk.and_then(Result::ok);
        }
        Ok(Ingested {
            frames,
            cut: !reader.is_between_frames(),
        })
    }

    /// A fresh sample, and how long it was waited for.
    async fn sample(&self) -> Result<(Sample, Duration), Rejected> {
        let asked = time::Instant::now();
        let mut sample = self.pool.get_buffer().await?;
        stamp(&mut sample, self.epoch);
        Ok((sample, asked.elapsed()))
    }
}

/// Reads as much as it takes to tell what it is; `None` behind it if there is nothing.
async fn beginning<E>(
    body: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
) -> (Reader, Option<Bytes>) {
    let jpeg = || Reader::Jpeg(jpeg::Pictures::new());
    let mp4 = || Reader::Mp4(mp4::Fragments::new());
    let Some(Ok(first)) = body.next().await else {
        return (jpeg(), None);
    };
    let mut first = first;
    loop {
        match looks_like_mp4(&first) {
            Some(true) => return (mp4(), Some(first)),
            Some(false) => return (jpeg(), Some(first)),
            None => {}
        }
        let Some(Ok(more)) = body.next().await else {
            return (jpeg(), Some(first));
        };
        let mut both = BytesMut::from(first);
        both.extend_from_slice(&more);
        first = both.freeze();
    }
}

/// Writes down when a frame came. Each JPEG can be shown without another, so each is a sync point; a fragment's samples
/// are marked when it is published.
pub(crate) fn stamp(sample: &mut Sample, epoch: Instant) {
    let now = ReferenceTime::from_duration(epoch.elapsed());
    let properties = sample.properties_mut();
    properties.set_time(Some(now), None);
    properties.set_sync_point(true);
}

#[cfg(test)]
mod tests;
