//! Messages into samples, and whole frames to viewers: what an edge has of one channel.
//!
//! Each payload is copied once, from the client's buffer into a sample of the edge's own pool. A sample is taken when a
//! message is there for it. A frame is given to viewers when all of it is there.

use crate::{
    channel::{Kind, Source, Unavailable},
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
use sample_pool::{GetBufferError, ReferenceTime, Sample};
use std::sync::Arc;
use thiserror::Error;

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
    Ending(#[from] GetBufferError),
    #[error("a frame of more than {most} bytes; see --size")]
    TooLarge { most: usize },
    #[error("a frame of no bytes")]
    Empty,
    #[error("an init segment in parts: the broker's max_payload is too small for it")]
    InitInParts,
    #[error("an init segment: {0}")]
    BrokenInit(Mp4Error),
    #[error("{0}")]
    Unavailable(Unavailable),
}

/// What comes of a channel, from one origin.
#[derive(Debug)]
pub(crate) struct Incoming {
    source: Source,
    order: Order,
    /// The frame that is in the making.
    filling: Vec<Sample>,
    /// The init segment that came last, and the stream that it belongs to.
    init: Option<(u64, Bytes)>,
    /// The stream that the viewers see.
    begun: Option<u64>,
}

impl Incoming {
    pub(crate) fn new(source: Source) -> Self {
        Incoming {
            source,
            order: Order::default(),
            filling: Vec::new(),
            init: None,
            begun: None,
        }
    }

    /// Takes a message. One that is not taken leaves nothing behind.
    pub(crate) async fn take(
        &mut self,
        server: &Server,
        numbers: &mut Numbers,
        label: &Label,
        payload: Bytes,
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
        let done = match self.append(server, label, payload).await {
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

    /// Copies to the end of the last sample, and goes on in another.
    async fn append(
        &mut self,
        server: &Server,
        label: &Label,
        mut from: Bytes,
    ) -> Result<(), Untaken> {
        let samples = match label.kind {
            label::Kind::Mp4 => MOST_PIECES,
            label::Kind::Jpeg | label::Kind::Init => 1,
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
            let mut sample = server.pool.get_buffer().await?;
            let properties = sample.properties_mut();
            properties.set_time(label.time.map(ReferenceTime), None);
            properties.set_sync_point(true);
            self.filling.push(sample);
        }
        Ok(())
    }

    /// Gives the frame to viewers, if it can be shown; and tells how many are missing before it.
    fn show(&mut self, numbers: &mut Numbers, label: &Label) -> Result<Option<u64>, Untaken> {
        let pieces = std::mem::take(&mut self.filling);
        if pieces.is_empty() {
            return Err(Untaken::Empty);
        }
        let kind = match label.kind {
            _ if self.begun == Some(label.stream) => None,
            label::Kind::Jpeg | label::Kind::Init => Some(Kind::Jpeg),
            label::Kind::Mp4 => match &self.init {
                Some((stream, init)) if *stream == label.stream => {
                    let init = InitSegment::parse(init.clone()).map_err(Untaken::BrokenInit)?;
                    Some(Kind::Mp4(Arc::new(init)))
                }
                // It comes with the next fragment that can be shown alone.
                _ => return Ok(None),
            },
        };
        let Some(admitted) = numbers.admit(label.stream, label.sequence, label.sync) else {
            return Ok(None);
        };
        if let Some(kind) = kind {
            self.source.begin(kind).map_err(Untaken::Unavailable)?;
            self.begun = Some(label.stream);
        }
        self.source.number_from(admitted.number);
        match label.kind {
            label::Kind::Mp4 => self.source.publish_fragment(pieces, label.sync),
            label::Kind::Jpeg | label::Kind::Init => {
                let picture = pieces.into_iter().next();
                picture
                    .into_iter()
                    .for_each(|picture| self.source.publish(picture));
            }
        }
        Ok(Some(admitted.missing))
    }
}
