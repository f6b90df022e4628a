//! Which fragments a viewer can begin with.
//!
//! Only video has samples that need others, so a fragment of a film without a video track is always one to begin with. In
//! a film with video one track *leads*: the first video track that has samples. A fragment of which the leading track's
//! first sample is a sync sample can be the first; one that has nothing of the leading track cannot, because a viewer
//! that begins with it sees nothing.
//!
//! A video track may have no samples at all, as the cover of an album, or none any more, as that of a camera that has
//! lost its picture and keeps its sound. Such a track must not keep viewers from the others. So when the other tracks have
//! gone on for [`SECONDS_WITHOUT`] without it, another video track leads, or none: then every fragment with a sample
//! is one to begin with, until a video track has samples again.
//!
//! Tracks may have fragments of their own, one after the other. So one fragment of another track says nothing,
//! however long it is: the other track has to have begun a second one.

use super::{fragment::Run, init::Track};

/// Seconds of the film's own time.
const SECONDS_WITHOUT: u64 = 1;
/// In place of that, where fragments do not tell their time: so many of one track.
const FRAGMENTS_WITHOUT: u32 = 8;

#[derive(Debug, Default)]
pub(super) struct SyncPoints {
    pub(super) tracks: Vec<Track>,
    /// The track that leads.
    lead: Option<u32>,
    /// The other tracks that had samples since the leading one had some, or since the beginning.
    since: Vec<Since>,
}

/// How far a track has gone on by itself.
#[derive(Debug)]
struct Since {
    track: u32,
    fragments: u32,
    /// When the first of them began, and how many seconds before the newest that was.
    start: Option<u64>,
    seconds: Option<u64>,
}

impl SyncPoints {
    pub(super) fn new(tracks: Vec<Track>) -> Self {
        SyncPoints {
            tracks,
            ..SyncPoints::default()
        }
    }

    /// Whether the next fragment, which has these samples, can be the first that a viewer is sent.
    pub(super) fn begins_with_sync(&mut self, runs: &[Run]) -> bool {
        if self.tracks.iter().all(|track| track.video.is_none()) {
            return true;
        }
        let lead = runs.iter().find(|run| Some(run.track.id) == self.lead);
        let lead = lead.or_else(|| {
            self.note(runs);
            let may_change = self.lead.is_none() || self.has_ended();
            let mut video = self.tracks.iter().filter(|track| track.video.is_some());
            let first = video.find_map(|track| runs.iter().find(|run| run.track.id == track.id));
            first.filter(|_| may_change)
        });
        match lead {
            Some(run) => {
                self.lead = Some(run.track.id);
                self.since.clear();
                run.sync
            }
            None => self.has_ended() && !runs.is_empty() && runs.iter().all(|run| run.sync),
        }
    }

    /// Notes that these tracks go on without the one that leads.
    fn note(&mut self, runs: &[Run]) {
        for run in runs {
            let index = self.since.iter().position(|of| of.track == run.track.id);
            let index = index.unwrap_or_else(|| {
                self.since.push(Since {
                    track: run.track.id,
                    fragments: 0,
                    start: run.start,
                    seconds: None,
                });
                self.since.len() - 1
            });
            let since = &mut self.since[index];
            since.fragments = since.fragments.saturating_add(1);
            // Its clock may have been set back.
            since.start = since.start.min(run.start);
            let units = run.start.zip(since.start).map(|(now, start)| now - start);
            let scale = run.track.timescale;
            since.seconds = units.zip(scale).map(|(units, scale)| units / scale);
        }
    }

    /// Whether the track that leads, or should, has no samples any more.
    fn has_ended(&self) -> bool {
        self.since.iter().any(|of| match of.seconds {
            Some(seconds) => of.fragments > 1 && seconds >= SECONDS_WITHOUT,
            None => of.fragments >= FRAGMENTS_WITHOUT,
        })
    }
}
