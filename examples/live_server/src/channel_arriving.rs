//! Fragments on their way through a channel, which viewers get while they arrive.

use super::{Channel, Source, Stream, lock};
use crate::{pace::Pace, piece::Piece};
use sample_pool::{Sample, SharedSample, fan_out::ArrivingFrame};
use std::sync::Arc;

impl Source {
    /// Numbers a fragment, and gives all of its pieces to everybody who follows. With `sync` it can be shown
    /// without another.
    pub(crate) fn publish_fragment(
        &self,
        pieces: impl IntoIterator<Item = Sample, IntoIter: ExactSizeIterator>,
        sync: bool,
    ) {
        let mut pieces = pieces.into_iter();
        let count = u16::try_from(pieces.len()).unwrap_or(u16::MAX);
        let Some(mut fragment) = self.start_fragment(count, sync) else {
            return;
        };
        while let Some(mut sample) = pieces.next() {
            fragment.mark(&mut sample);
            if pieces.len() == 0 {
                fragment.finish(sample.freeze(), true);
                return;
            }
            fragment.give(sample.freeze(), true);
        }
    }

    /// Numbers a fragment of so many pieces, which is given to everybody who follows while it arrives. `None` if the stream
    /// has ended.
    pub(crate) fn start_fragment(&self, pieces: u16, sync: bool) -> Option<Arriving> {
        let state = lock(&self.channel.state);
        let Stream::Begun { frames, pace, .. } = &state.stream else {
            return None;
        };
        let next = Piece {
            index: 0,
            pieces,
            ..Piece::whole(state.sequence + 1)
        };
        Some(Arriving {
            channel: self.channel.clone(),
            frame: frames.start_frame(sync).ok()?,
            pace: pace.clone(),
            next,
        })
    }
}

/// A fragment that is given to viewers while it arrives. If it is dropped before it is whole, it loses its number, and the
/// responses of the viewers that got a part of it end with an error.
pub(crate) struct Arriving {
    channel: Arc<Channel>,
    frame: ArrivingFrame,
    pace: Arc<Pace>,
    next: Piece,
}

impl Arriving {
    /// Makes a sample its next piece.
    pub(crate) fn mark(&mut self, sample: &mut Sample) {
        self.next.write(sample.properties_mut());
        // Of a fragment only its beginning can be, which the fan-out knows.
        sample.properties_mut().set_sync_point(false);
        self.next.index += 1;
    }

    /// Gives bytes behind those before them, which are the first of their sample or not.
    pub(crate) fn give(&mut self, bytes: SharedSample, is_new: bool) {
        // A new viewer must not come in between, and count it twice or not at all.
        let _state = lock(&self.channel.state);
        if is_new {
            self.pace.count();
        }
        // The stream may have ended.
        let _given = self.frame.append(bytes);
    }

    /// Gives the last bytes.
    pub(crate) fn finish(self, bytes: SharedSample, is_new: bool) {
        let mut state = lock(&self.channel.state);
        if is_new {
            self.pace.count();
        }
        let _given = self.frame.finish_with(bytes);
        state.sequence = self.next.sequence;
    }
}
