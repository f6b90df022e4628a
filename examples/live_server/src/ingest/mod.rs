//! A source's body, frame by frame into samples.
//!
//! hyper owns the socket's buffer, so each byte is copied once, here, from hyper's chunk into the sample.
//! From then on nothing is copied. A sample is taken when there are bytes for it, not before, so a source that
//! is idle holds none; with no free sample the source waits, and so do hyper and the sender.
//!
//! What a source sends is recognized by its first bytes: [`jpeg`] or [`mp4`].

mod jpeg;
mod mp4;
mod rejected;

pub(crate) use rejected::Rejected;

use crate::{channel::Source, jpeg::parser::Skipped, limits::fragment_time, mp4::looks_like_mp4};
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
    /// What it sent that is in no frame.
    pub(crate) skipped: Skipped,
}

impl fmt::Display for Ingested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} frames", self.frames)?;
        if self.cut {
            f.write_str(", and one that was cut")?;
        }
        let Skipped { bytes, pictures } = self.skipped;
        if bytes > 0 {
            write!(f, "; {bytes} bytes skipped")?;
        }
        if pictures > 0 {
            write!(f, ", {pictures} broken pictures among them")?;
        }
        Ok(())
    }
}

/// Reads one source.
pub(crate) struct Ingest<'a> {
    pub(crate) pool: &'a Pool,
    pub(crate) source: &'a Source,
    /// How many bytes of a sender fit a buffer.
    pub(crate) most: usize,
    /// How long a picture may take, or the first byte of anything.
    pub(crate) timeout: Duration,
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
    fn too_slow(&self, timeout: Duration) -> Rejected {
        let limit = self.limit(timeout);
        match self {
            Reader::Jpeg(_) => Rejected::TooSlow(limit),
            Reader::Mp4(_) => Rejected::TooSlowFragment(limit),
        }
    }

    /// How long a frame may take if a picture may take `timeout`.
    fn limit(&self, timeout: Duration) -> Duration {
        match self {
            Reader::Jpeg(_) => timeout,
            Reader::Mp4(_) => fragment_time(timeout),
        }
    }

    /// The source has ended. Was it what it seemed to be?
    fn finish(&self) -> Result<(), Rejected> {
        match self {
            Reader::Jpeg(pictures) => pictures.finish(),
            Reader::Mp4(_) => Ok(()),
        }
    }

    /// The source has ended, and nothing can be shown of it. Why not?
    fn nothing(&self) -> Rejected {
        match self {
            // Line breaks alone.
            Reader::Jpeg(pictures) if pictures.is_between() => Rejected::Empty,
            Reader::Jpeg(_) => Rejected::NothingWhole("picture"),
            Reader::Mp4(fragments) if fragments.has_init() => Rejected::NothingWhole("fragment"),
            Reader::Mp4(_) => Rejected::NothingWhole("init segment"),
        }
    }

    fn skipped(&self) -> Skipped {
        match self {
            Reader::Jpeg(pictures) => pictures.skipped(),
            Reader::Mp4(_) => Skipped::default(),
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
        let beginning = time::timeout_at(began + self.timeout, beginning(&mut body)).await;
        let beginning = beginning.map_err(|_elapsed| Rejected::TooSlow(self.timeout))?;
        let (mut reader, first) = beginning.ok_or(Rejected::Empty)?;
        let (limit, mut next) = (reader.limit(self.timeout), Some(first));
        let mut due = began + limit;
        let mut frames = 0;
        while let Some(chunk) = next {
            let progress = reader.read(self, chunk).await?;
            frames += progress.frames;
            due = match progress {
                Progress { frames: 0, waited } => due + waited,
                _ => time::Instant::now() + limit,
            };
            let chunk = time::timeout_at(due, body.next()).await;
            let chunk = chunk.map_err(|_elapsed| reader.too_slow(self.timeout))?;
            // How a source leaves is its own affair.
            next = chunk.and_then(Result::ok);
        }
        reader.finish()?;
        let cut = !reader.is_between_frames();
        if frames == 0 {
            return Err(reader.nothing());
        }
        Ok(Ingested {
            frames,
            cut,
            skipped: reader.skipped(),
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

/// Reads as much as it takes to tell what it is; `None` if there is nothing.
async fn beginning<E>(
    body: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
) -> Option<(Reader, Bytes)> {
    let jpeg = || Reader::Jpeg(jpeg::Pictures::new());
    let mp4 = || Reader::Mp4(mp4::Fragments::new());
    let mut first = body.next().await?.ok()?;
    loop {
        match looks_like_mp4(&first) {
            Some(true) => return Some((mp4(), first)),
            Some(false) => return Some((jpeg(), first)),
            None => {}
        }
        let Some(Ok(more)) = body.next().await else {
            return Some((jpeg(), first));
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
