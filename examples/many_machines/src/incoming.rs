//! Messages into samples, and whole frames to viewers: what an edge has of one channel.
//!
//! Each payload is copied once, from the client's buffer into a sample of the edge's own pool. A sample is taken when a
//! message is there for it, and none for a frame that could not be shown anyway. A frame is given to viewers when all of
//! it is there.

use crate::{
    channel::{Kind, Source, Unavailable},
    limits::fragment_time,
    memory::MOST_PIECES,
    mp4::{InitSegment, Mp4Error},
    server::Server,
};
use bytes::{Buf, BufMut, Bytes};
use many_machines::{
    label::{self, Label, Place},
    numbers::Numbers,
    order::{Order, Step},
};
use sample_pool::{GetBufferError, Quota, ReferenceTime, Sample};
use std::{sync::Arc, time::Duration};
use thiserror::Error;
use tokio::time::Instant;

/// How long to wait for a sample. Channels and viewers have halves of the pool that they cannot exceed, so one is free; but
/// all channels wait here together, and must not do so for good.
const SAMPLE_TIME: Duration = Duration::from_secs(1);

/// What became of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// A frame was given to viewers with it.
    pub(crate) shown: bool,
    /// So many are missing before that one.
    pub(crate) missing: u64,
    /// A frame that had begun is lost.
    pub(crate) torn: bool,
}

/// Why a message, and the frame that it belongs to, is not taken.
#[derive(Debug, Error)]
pub(crate) enum Untaken {
    #[error("the server is ending")]
    Ending,
    #[error("no buffer was free for {} s", SAMPLE_TIME.as_secs())]
    NoSample,
    #[error("a frame of more than {most} bytes; see --size")]
    TooLarge { most: usize },
    #[error("another origin publishes it")]
    OfAnotherOrigin,
    #[error("a frame of no bytes")]
    Empty,
    #[error("an init segment in parts: the broker's max_payload is too small for it")]
    InitInParts,
    #[error("an init segment: {0}")]
    BrokenInit(Mp4Error),
    #[error("{0}")]
    Unavailable(Unavailable),
}

impl From<Unavailable> for Untaken {
    fn from(unavailable: Unavailable) -> Self {
        Untaken::Unavailable(unavailable)
    }
}

impl From<GetBufferError> for Untaken {
    fn from(error: GetBufferError) -> Self {
        match error {
            GetBufferError::TimedOut => Untaken::NoSample,
            _ => Untaken::Ending,
        }
    }
}

/// An edge gives a silent channel up after the origin has.
const AFTER_THE_ORIGIN: Duration = Duration::from_secs(2);

/// What comes of a channel, from one origin.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// From the first frame that can be shown: what came twice does not make a channel live.
    source: Option<Source>,
    /// Where the samples of its fragments come from.
    fragments: Option<Quota>,
    order: Order,
    /// The frame that is in the making.
    filling: Vec<Sample>,
    /// The init segment that came last, and the stream that it belongs to.
    init: Option<(u64, Bytes)>,
    /// The stream that the viewers see.
    begun: Option<u64>,
    shown: Instant,
}

impl Incoming {
    pub(crate) fn new() -> Self {
        Incoming {
            source: None,
            fragments: None,
            order: Order::default(),
            filling: Vec::new(),
            init: None,
            begun: None,
            shown: Instant::now(),
        }
    }

    /// Whether nothing was shown for longer than an origin lets a source of this kind be silent.
    pub(crate) fn is_silent(&self, source_timeout: Duration) -> bool {
        let most = match self.init {
            Some(_) => fragment_time(source_timeout),
            None => source_timeout,
        };
        self.shown.elapsed() >= most + AFTER_THE_ORIGIN
    }

    /// Takes a message of channel `name`. One that is not taken leaves nothing behind. Where there is no room for the channel,
    /// `make_room` may remove another, and tells whether it has.
    pub(crate) async fn take(
        &mut self,
        server: &Server,
        name: &str,
        numbers: &mut Numbers,
        label: &Label,
        payload: Bytes,
        make_room: impl FnMut() -> bool,
    ) -> Result<Taken, Untaken> {
        if label.kind == label::Kind::Init {
            if label.part != Place::ONLY {
                return Err(Untaken::InitInParts);
            }
            // A copy, or some KiB would keep the block that they came in.
            self.init = Some((label.stream, Bytes::copy_from_slice(&payload)));
            return Ok(Taken::default());
        }
        let was_in_a_frame = self.order.is_in_a_frame();
        let step = self.order.take(label);
        let mut taken = Taken {
            torn: was_in_a_frame && !matches!(step, Step::GoOn { .. }),
            ..Taken::default()
        };
        if !matches!(step, Step::GoOn { .. }) {
            self.filling.clear();
        }
        let (Step::Begin { whole } | Step::GoOn { whole }) = step else {
            return Ok(taken);
        };
        if matches!(step, Step::Begin { .. }) && !self.is_wanted(numbers, label) {
            self.order.give_up();
            return Ok(taken);
        }
        let done = match self.admit(server, name, label, make_room) {
            Ok(()) => self.append(server, label, payload).await,
            Err(refused) => Err(refused.into()),
        };
        let done = match done {
            Ok(()) if whole => self.show(numbers, label),
            appended => appended.map(|()| None),
        };
        if done.is_err() {
            self.order.give_up();
            self.filling.clear();
        }
        if let Some(missing) = done? {
            taken.shown = true;
            taken.missing = missing;
        }
        Ok(taken)
    }

    /// Whether a frame that begins can be shown, if all of it comes.
    fn is_wanted(&self, numbers: &mut Numbers, label: &Label) -> bool {
        let can_be_played = match &self.init {
            _ if label.kind == label::Kind::Jpeg => true,
            Some((stream, _)) => *stream == label.stream,
            // It comes with the next fragment that can be shown alone.
            None => false,
        };
        let mut after = numbers.clone();
        let admitted = after.admit(label.stream, label.sequence, label.sync);
        if can_be_played && admitted.is_none() {
            // That it came twice is worth knowing; that it can be shown is not yet true.
            *numbers = after;
        }
        can_be_played && admitted.is_some()
    }

    /// Opens the channel, with room for what it carries now. Another stream of the same channel may need more.
    fn admit(
        &mut self,
        server: &Server,
        name: &str,
        label: &Label,
        mut make_room: impl FnMut() -> bool,
    ) -> Result<(), Unavailable> {
        if self.source.is_some() && self.begun == Some(label.stream) {
            return Ok(());
        }
        loop {
            match self.try_admit(server, name, label) {
                Err(Unavailable::NoRoom { .. }) if make_room() => {}
                admitted => return admitted,
            }
        }
    }

    fn try_admit(&mut self, server: &Server, name: &str, label: &Label) -> Result<(), Unavailable> {
        let source = match self.source.take() {
            Some(source) => source,
            None => server.channels.open(name)?,
        };
        let reserved = match label.kind {
            label::Kind::Mp4 => source.reserve_fragments().map(Some),
            _ => Ok(None),
        };
        self.source = Some(source);
        self.fragments = reserved?;
        Ok(())
    }

    /// Copies to the end of the last sample, and goes on in another.
    async fn append(
        &mut self,
        server: &Server,
        label: &Label,
        mut from: Bytes,
    ) -> Result<(), Untaken> {
        let (samples, quota) = match (&self.fragments, &self.source) {
            (Some(fragments), _) => (MOST_PIECES, fragments),
            (None, Some(source)) => (1, source.pictures()),
            (None, None) => return Err(Untaken::Empty),
        };
        while from.has_remaining() {
            let taken = self.filling.len();
            if let Some(last) = self
                .filling
                .last_mut()
                .filter(|last| last.len() < server.most)
            {
                let room = server.most - last.len();
                last.put(from.split_to(room.min(from.len())));
                continue;
            }
            if taken == samples {
                let most = samples * server.most;
                return Err(Untaken::TooLarge { most });
            }
            let mut sample = quota.get_buffer_timeout(SAMPLE_TIME).await?;
            let properties = sample.properties_mut();
            properties.set_time(label.time.map(ReferenceTime), None);
            properties.set_sync_point(true);
            self.filling.push(sample);
        }
        Ok(())
    }

    /// Gives a whole frame to viewers, and tells how many are missing before it.
    ///
    /// Not as an origin does, which waits for viewers that read at once: all channels come through one task here, and
    /// the viewers of one would hold up the others.
    fn show(&mut self, numbers: &mut Numbers, label: &Label) -> Result<Option<u64>, Untaken> {
        let pieces = std::mem::take(&mut self.filling);
        if pieces.is_empty() {
            return Err(Untaken::Empty);
        }
        let (Some(source), Some(admitted)) = (
            &self.source,
            numbers.admit(label.stream, label.sequence, label.sync),
        ) else {
            return Ok(None);
        };
        if self.begun != Some(label.stream) {
            let kind = match (&self.init, label.kind) {
                (Some((_, init)), label::Kind::Mp4) => {
                    let init = InitSegment::parse(init.clone()).map_err(Untaken::BrokenInit)?;
                    Kind::Mp4(Arc::new(init))
                }
                _ => Kind::Jpeg,
            };
            source.begin(kind)?;
            self.begun = Some(label.stream);
        }
        source.number_from(admitted.number);
        match label.kind {
            label::Kind::Mp4 => source.publish_fragment(pieces, label.sync),
            _ => pieces
                .into_iter()
                .for_each(|picture| source.publish(picture)),
        }
        self.shown = Instant::now();
        Ok(Some(admitted.missing))
    }
}
