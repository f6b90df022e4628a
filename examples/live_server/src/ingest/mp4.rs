//! Fragmented MP4: the fragments in a body, as they are. Each takes as many samples as it needs.

use super::{Ingest, Rejected, frames::Found};
use crate::{
    memory::MOST_PIECES,
    mp4::{Event, FragmentParser, InitSegment},
};
use bytes::Bytes;

pub(super) struct Fragments {
    parser: FragmentParser,
    /// The init segment that no whole fragment has followed yet.
    pub(super) init: Option<InitSegment>,
}

impl Fragments {
    pub(super) fn new() -> Self {
        Fragments {
            parser: FragmentParser::new(),
            init: None,
        }
    }

    pub(super) fn is_between(&self) -> bool {
        self.parser.is_between_fragments()
    }

    /// What comes next; `None` once the chunk is used up.
    pub(super) fn find(
        &mut self,
        ingest: &Ingest<'_>,
        chunk: &mut Bytes,
    ) -> Result<Option<Found>, Rejected> {
        let most = MOST_PIECES as u64 * ingest.most as u64;
        while let Some(event) = self.parser.next(chunk)? {
            match event {
                Event::Init(init) => self.init = Some(init),
                Event::Announced { bytes, .. } if bytes > most => {
                    return Err(Rejected::TooLarge {
                        what: "fragment",
                        bytes: Some(bytes),
                        most,
                    });
                }
                Event::Announced {
                    bytes,
                    media: Some(sync),
                } => return Ok(Some(Found::Media { bytes, sync })),
                Event::Begin | Event::Announced { media: None, .. } => {}
                Event::Piece(piece) => return Ok(Some(Found::Bytes(piece))),
                Event::End { sync } => return Ok(Some(Found::Whole { sync })),
            }
        }
        Ok(None)
    }
}
