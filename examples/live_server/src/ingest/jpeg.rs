//! Motion JPEG into samples, a picture in each.

use super::{Ingest, Progress, Rejected};
use crate::{
    channel::Kind,
    jpeg::parser::{Event, FrameParser, Skipped},
};
use bytes::{BufMut, Bytes};
use sample_pool::Sample;
use std::time::Duration;

/// Pictures in the making.
pub(super) struct Pictures {
    parser: FrameParser,
    filling: Option<Sample>,
    begun: bool,
    /// How much of what was skipped the channel has counted.
    counted: Skipped,
}

impl Pictures {
    pub(super) fn new() -> Self {
        Pictures {
            parser: FrameParser::new(),
            filling: None,
            begun: false,
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

    pub(super) async fn read(
        &mut self,
        ingest: &Ingest<'_>,
        chunk: Bytes,
    ) -> Result<Progress, Rejected> {
        let progress = self.read_pictures(ingest, chunk).await;
        let skipped = self.skipped();
        ingest.source.skip(skipped.since(self.counted));
        self.counted = skipped;
        progress
    }

    async fn read_pictures(
        &mut self,
        ingest: &Ingest<'_>,
        mut chunk: Bytes,
    ) -> Result<Progress, Rejected> {
        let mut progress = Progress::default();
        while let Some(event) = self.parser.next(&mut chunk)? {
            match event {
                Event::Begin { length } => {
                    if length.is_some_and(|length| length > ingest.most) {
                        return Err(too_large(ingest, length));
                    }
                    let (sample, waited) = ingest.sample().await?;
                    self.filling = Some(sample);
                    progress.waited += waited;
                }
                Event::Piece(piece) => self.append(ingest, &piece)?,
                Event::Abandoned => self.filling = None,
                Event::End => {
                    progress.frames += 1;
                    if let Some(picture) = self.filling.take() {
                        progress.waited += self.publish(ingest, picture).await?;
                    }
                }
            }
        }
        Ok(progress)
    }

    fn append(&mut self, ingest: &Ingest<'_>, piece: &[u8]) -> Result<(), Rejected> {
        if let Some(sample) = &mut self.filling {
            if piece.len() > ingest.most - sample.len() {
                return Err(too_large(ingest, None));
            }
            sample.put_slice(piece);
        }
        Ok(())
    }

    /// Publishes a picture, and tells how long it waited for viewers that read at once.
    async fn publish(
        &mut self,
        ingest: &Ingest<'_>,
        picture: Sample,
    ) -> Result<Duration, Rejected> {
        if !self.begun {
            // Not before the first whole picture: who sends nonsense must not end a channel's viewers.
            ingest.source.begin(Kind::Jpeg)?;
            self.begun = true;
        }
        let waited = ingest.source.room(1).await;
        ingest.source.publish(picture);
        Ok(waited)
    }
}

fn too_large(ingest: &Ingest<'_>, length: Option<usize>) -> Rejected {
    Rejected::TooLarge {
        what: "frame",
        bytes: length.map(|length| length as u64),
        most: ingest.most as u64,
    }
}
