//! Which fragments a viewer can begin with.
//!
//! Only video has samples that need others, so a fragment of a film without a video track is always one to begin with. In
//! a film with video one track *leads*: the first video track that has samples. A fragment of which the leading track's
//! first sample is a sync sample can be the first; one that has nothing of the leading track cannot, because a viewer
//! that begins with it sees nothing.
//!
//! A video track may have no samples at all, as the cover of an album, or none any more, as that of a camera that has
//! lost its picture and keeps its sound. Such a track must not keep viewers from the others. So when the other tracks have
//! gone on for [`TIME_WITHOUT`] without it, another video track leads, or none: then every fragment with a sample
//! is one to begin with, until a video track has samples again.
//!
//! A track may also be alive and have a sample now and then only, as that of a camera that sends a picture each two
//! seconds. So one that has led is waited for twice as long as the longest time between two of its fragments, up to
//! [`LONGEST_GAP`]: one that was away for longer had ended.
//!
//! Tracks may have fragments of their own, one after the other. So one fragment of another track says nothing,
//! however long it is: the other track has to have begun a second one.

use super::{fragment::Run, init::Track};

/// Milliseconds of the film's own time.
const TIME_WITHOUT: u64 = 1_000;
/// Milliseconds of a track's own time.
const LONGEST_GAP: u64 = 30_000;
/// In place of that, where fragments do not tell their time: so many of one track.
const FRAGMENTS_WITHOUT: u32 = 8;

#[derive(Debug, Default)]
pub(super) struct SyncPoints {
    pub(super) tracks: Vec<Track>,
    /// The track that leads.
    lead: Option<u32>,
    /// When its last fragment began, in its units, and the longest time between two of them, in milliseconds.
    last: Option<u64>,
    gap: u64,
    /// The other tracks that had samples since the leading one had some, or since the beginning.
    since: Vec<Since>,
}

/// How far a track has gone on by itself.
#[derive(Debug)]
struct Since {
    track: u32,
    fragments: u32,
    /// When the first of them began, and how many milliseconds before the newest that was.
    start: Option<u64>,
    time: Option<u64>,
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
                self.follow(run);
                self.since.clear();
                run.sync
            }
            None => self.has_ended() && !runs.is_empty() && runs.iter().all(|run| run.sync),
        }
    }

    /// Notes that the leading track, perhaps another one than before, has samples.
    fn follow(&mut self, run: &Run) {
        if self.lead != Some(run.track.id) {
            self.lead = Some(run.track.id);
            (self.last, self.gap) = (None, 0);
        }
        let units = run.start.zip(self.last);
        // Its clock may have been set back.
        let units = units.and_then(|(now, last)| now.checked_sub(last));
        let gap = units.and_then(|units| milliseconds(units, run.track));
        let gap = gap.filter(|&gap| gap <= LONGEST_GAP);
        self.gap = self.gap.max(gap.unwrap_or(0));
        self.last = run.start;
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
                    time: None,
                });
                self.since.len() - 1
            });
            let since = &mut self.since[index];
            since.fragments = since.fragments.saturating_add(1);
            // Its clock may have been set back.
            since.start = since.start.min(run.start);
            let units = run.start.zip(since.start).map(|(now, start)| now - start);
            since.time = units.and_then(|units| milliseconds(units, run.track));
        }
    }

    /// Whether the track that leads, or should, has no samples any more.
    fn has_ended(&self) -> bool {
        let enough = TIME_WITHOUT.max(2 * self.gap);
        self.since.iter().any(|of| match of.time {
            Some(time) => of.fragments > 1 && time >= enough,
            None => of.fragments >= FRAGMENTS_WITHOUT,
        })
    }
}

/// So many units of the track's time; `None` if it does not say what they are.
fn milliseconds(units: u64, track: Track) -> Option<u64> {
    Some(units.saturating_mul(1_000) / track.timescale?)
}
