//! Motion JPEG: the pictures in a body.

use super::{Ingest, Rejected, frames::Found};
use crate::jpeg::parser::{Event, FrameParser, Skipped};
use bytes::Bytes;

pub(super) struct Pictures {
    parser: FrameParser,
    /// How much of what was skipped the channel has counted.
    counted: Skipped,
}

impl Pictures {
    pub(super) fn new() -> Self {
        Pictures {
            parser: FrameParser::new(),
            counted: Skipped::default(),
        }
    }

    pub(super) fn is_between(&self) -> bool {
        self.parser.is_between_frames()
    }

    /// The source has ended. Was there anything, and was it motion JPEG?
    pub(super) fn finish(&self) -> Result<(), Rejected> {
        Ok(self.parser.finish()?)
    }

    /// What was in the stream and in no picture.
    pub(super) fn skipped(&self) -> Skipped {
        self.parser.skipped()
    }

    /// What comes next; `None` once the chunk is used up.
    pub(super) fn find(
        &mut self,
        ingest: &Ingest<'_>,
        chunk: &mut Bytes,
    ) -> Result<Option<Found>, Rejected> {
        let found = self.next(ingest, chunk);
        if !matches!(found, Ok(Some(Found::Bytes(_)))) {
            let skipped = self.skipped();
            ingest.source.skip(skipped.since(self.counted));
            self.counted = skipped;
        }
        found
    }

    fn next(&mut self, ingest: &Ingest<'_>, chunk: &mut Bytes) -> Result<Option<Found>, Rejected> {
        while let Some(event) = self.parser.next(chunk)? {
            match event {
                Event::Begin { length } if length.is_some_and(|length| length > ingest.most) => {
                    return Err(too_large(length, ingest.most));
                }
                Event::Begin { .. } => {}
                Event::Piece(piece) => return Ok(Some(Found::Bytes(piece))),
                Event::Abandoned => return Ok(Some(Found::Abandoned)),
                Event::End => return Ok(Some(Found::Whole { sync: true })),
            }
        }
        Ok(None)
    }
}

pub(super) fn too_large(length: Option<usize>, most: usize) -> Rejected {
    Rejected::TooLarge {
        what: "frame",
        bytes: length.map(|length| length as u64),
        most: most as u64,
    }
}
