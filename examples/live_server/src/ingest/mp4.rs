//! Fragmented MP4 into samples, as it is: a fragment in as many as it takes.
//!
//! A fragment is given to viewers when all of it is there, so no viewer is ever sent half of one. A muxer writes it in one
//! go, so that costs next to nothing; the picture is as late as a fragment is long with any relay.

use super::{Ingest, Progress, Rejected};
use crate::{
    channel::Kind,
    memory::MOST_PIECES,
    mp4::{Event, FragmentParser},
};
use bytes::{BufMut, Bytes};
use sample_pool::Sample;
use std::sync::Arc;

/// Fragments in the making.
pub(super) struct Fragments {
    parser: FragmentParser,
    /// What the channel will be, until the first whole fragment.
    coming: Option<Kind>,
    pieces: Vec<Sample>,
}

impl Fragments {
    pub(super) fn new() -> Self {
        Fragments {
            parser: FragmentParser::new(),
            coming: None,
            pieces: Vec::new(),
        }
    }

    pub(super) fn is_between(&self) -> bool {
        self.parser.is_between_fragments()
    }

    /// Whether an init segment has come, and no fragment behind it.
    pub(super) fn has_init(&self) -> bool {
        self.coming.is_some()
    }

    pub(super) async fn read(
        &mut self,
        ingest: &Ingest<'_>,
        mut chunk: Bytes,
    ) -> Result<Progress, Rejected> {
        let mut progress = Progress::default();
        while let Some(event) = self.parser.next(&mut chunk)? {
            match event {
                Event::Init(init) => {
                    ingest.source.reserve_fragments()?;
                    self.coming = Some(Kind::Mp4(Arc::new(init)));
                }
                Event::Begin => {}
                Event::Announced { bytes } => {
                    let most = MOST_PIECES as u64 * ingest.most as u64;
                    if bytes > most {
                        return Err(Rejected::TooLarge {
                            what: "fragment",
                            bytes: Some(bytes),
                            most,
                        });
                    }
                }
                Event::Piece(piece) => self.append(ingest, piece, &mut progress).await?,
                Event::End { sync } => {
                    progress.frames += 1;
                    if let Some(kind) = self.coming.take() {
                        // Not before the first whole fragment: who sends nonsense must not end a channel's viewers.
                        ingest.source.begin(kind)?;
                    }
                    progress.waited += ingest.source.room(self.pieces.len()).await;
                    ingest.source.publish_fragment(self.pieces.drain(..), sync);
                }
            }
        }
        Ok(progress)
    }

    /// Copies to the end of the last sample, and goes on in another. As much as was announced has room.
    async fn append(
        &mut self,
        ingest: &Ingest<'_>,
        mut from: Bytes,
        progress: &mut Progress,
    ) -> Result<(), Rejected> {
        while !from.is_empty() {
            let room = self
                .pieces
                .last()
                .map_or(0, |last| ingest.most - last.len());
            match self.pieces.last_mut() {
                Some(last) if room > 0 => last.put_slice(&from.split_to(room.min(from.len()))),
                _ => {
                    let (sample, waited) = ingest.sample().await?;
                    self.pieces.push(sample);
                    progress.waited += waited;
                }
            }
        }
        Ok(())
    }
}
