//! A source's body, frame by frame into samples.
//!
//! hyper owns the socket's buffer, so each byte is copied once, from hyper's chunk into a sample. [`frames`] says which bytes
//! that are. The samples of pictures are taken from the quota of the source by a [`SampleReader`], those of fragments by
//! [`fragment`], which gives them to viewers while they are filled. From then on nothing is copied. A sample is taken when there are bytes for it, not before, so a source that is idle holds none; with
//! no sample free the source waits, and so do hyper and the sender.
//!
//! What a source sends is recognized by its first bytes: [`jpeg`] or [`mp4`].

mod fragment;
mod frames;
mod jpeg;
mod mp4;
mod rejected;

pub(crate) use rejected::Rejected;

use crate::{
    channel::{Kind, Source, Unavailable},
    jpeg::parser::Skipped,
    limits::fragment_time,
    mp4::looks_like_mp4,
};
use bytes::{Bytes, BytesMut};
use fragment::Fragment;
use frames::{Ended, Found, Frames};
use futures::{Stream, StreamExt};
use sample_pool::{
    Quota, ReferenceTime, Sample,
    stream::{ReadSample, SampleReader},
};
use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
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
    pub(crate) source: &'a Source,
    /// How many bytes of a sender fit a buffer.
    pub(crate) most: usize,
    /// How long a picture may take, or the first byte of anything.
    pub(crate) timeout: Duration,
    /// What the times of frames are counted from.
    pub(crate) epoch: Instant,
}

/// What a source sends.
enum Reader {
    Jpeg(jpeg::Pictures),
    Mp4(mp4::Fragments),
}

impl Reader {
    /// What comes next; `None` once the chunk is used up.
    fn find(&mut self, ingest: &Ingest<'_>, chunk: &mut Bytes) -> Result<Option<Found>, Rejected> {
        match self {
            Reader::Jpeg(pictures) => pictures.find(ingest, chunk),
            Reader::Mp4(fragments) => fragments.find(ingest, chunk),
        }
    }

    /// Where the samples come from. There is room for all that the source may hold, or it is refused.
    fn quota(&self, source: &Source) -> Result<Quota, Unavailable> {
        match self {
            Reader::Jpeg(_) => Ok(source.pictures().clone()),
            Reader::Mp4(_) => source.reserve_fragments(),
        }
    }

    /// What the channel becomes with a frame that is whole, if that has changed.
    fn kind(&mut self, frames_before: u64) -> Option<Kind> {
        match self {
            Reader::Jpeg(_) => (frames_before == 0).then_some(Kind::Jpeg),
            Reader::Mp4(fragments) => fragments.init.take().map(|init| Kind::Mp4(Arc::new(init))),
        }
    }

    /// Whether viewers get a frame before it is whole.
    fn gives_parts(&self) -> bool {
        match self {
            Reader::Jpeg(_) => false,
            Reader::Mp4(fragments) => fragments.init.is_none(),
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
            Reader::Mp4(fragments) if fragments.init.is_some() => {
                Rejected::NothingWhole("fragment")
            }
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
        let (reader, first) = beginning.ok_or(Rejected::Empty)?;
        let mut body = Frames::new(self, body, reader, first, began);
        // Up to the first bytes of a frame: an init segment says how much the source may hold.
        poll_fn(|cx| Pin::new(&mut body).poll_readable(cx)).await?;
        let mut frames = 0;
        if body.has_found() {
            (frames, body) = match body.reader() {
                Reader::Jpeg(_) => self.publish_pictures(body).await?,
                Reader::Mp4(_) => self.publish_fragments(body).await?,
            };
        }
        let reader = body.reader();
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

    /// Reads pictures to the end of the body, publishes each when it is whole, and tells how many there were.
    async fn publish_pictures<'a, B, E>(
        &'a self,
        body: Frames<'a, B>,
    ) -> Result<(u64, Frames<'a, B>), Rejected>
    where
        B: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let quota = body.reader().quota(self.source)?;
        let mut samples = SampleReader::new(body, &quota).fill_buffers(true);
        let mut frames = 0;
        while let Some(sample) = samples.next().await {
            let sample = sample?;
            // Of another picture nothing more comes.
            if let Some(Ended::Picture) = samples.get_ref().ended() {
                let body = samples.get_mut();
                if let Some(kind) = body.reader_mut().kind(frames) {
                    self.source.begin(kind)?;
                }
                self.source.room(1).await;
                self.source.publish(sample);
                frames += 1;
                body.restart();
            }
        }
        Ok((frames, samples.into_inner()))
    }

    /// Reads fragments to the end of the body, publishes each while it arrives, and tells how many were whole.
    async fn publish_fragments<'a, B, E>(
        &'a self,
        mut body: Frames<'a, B>,
    ) -> Result<(u64, Frames<'a, B>), Rejected>
    where
        B: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let quota = body.reader().quota(self.source)?;
        let mut fragment = Fragment::new(self, &quota);
        let mut frames = 0;
        loop {
            let Some(found) = body.find()? else {
                // Nothing more of it is there.
                fragment.give();
                match body.more().await? {
                    true => continue,
                    false => break,
                }
            };
            match found {
                Found::Bytes(bytes) => body.excuse(fragment.append(bytes).await?),
                Found::Media { bytes, sync } if body.reader().gives_parts() => {
                    fragment.start(bytes, sync).await;
                }
                // Not before the first whole one: who sends nonsense must not end a channel's viewers.
                Found::Media { .. } => {}
                Found::Whole { sync } => {
                    if let Some(kind) = body.reader_mut().kind(frames) {
                        self.source.begin(kind)?;
                    }
                    fragment.finish(sync).await;
                    frames += 1;
                    body.restart();
                }
                Found::Abandoned => fragment.abandon(),
            }
        }
        Ok((frames, body))
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
mod fragment_tests;
#[cfg(test)]
mod tests;
