//! What a fragment has of each track.

use mp4_atom::{Tfdt, Tfhd, Trun};

use super::{Mp4Error, boxes, boxes::Child, init::Track};

/// `sample_is_non_sync_sample`, in the flags of a sample.
const NOT_SYNC: u32 = 0x1_0000;

/// What a fragment has of one track: at least one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) track: Track,
    /// Whether its first sample can be decoded without another.
    pub(super) sync: bool,
    /// When it begins, in the track's units of time.
    pub(super) start: Option<u64>,
}

/// Reads a `moof` without its header: what it has of `tracks`, in its own order.
///
/// Decoding takes memory for the samples of one run that states something of each: 40 bytes for 4 that are
/// there, so that a `moof` is bounded before it comes here.
pub(super) fn runs(moof: &[u8], tracks: &[Track]) -> Result<Vec<Run>, Mp4Error> {
    let mut runs = Vec::new();
    for child in boxes::children(moof).map_err(Mp4Error::BrokenMoof)? {
        if child.kind.0 != *b"traf" {
            continue;
        }
        let header: Tfhd = child
            .child(b"tfhd")
            .and_then(|tfhd| tfhd.decode())
            .map_err(Mp4Error::BrokenMoof)?;
        if header.base_data_offset.is_some() {
            return Err(Mp4Error::AbsoluteOffsets);
        }
        if let Some(&track) = tracks.iter().find(|track| track.id == header.track_id) {
            let run = run(&child, &header, track).map_err(Mp4Error::BrokenMoof)?;
            runs.extend(run);
        }
    }
    Ok(runs)
}

/// `None` if there is no sample.
fn run(traf: &Child<'_>, header: &Tfhd, track: Track) -> Result<Option<Run>, String> {
    let sync = match track.video {
        // What is only counted need not be decoded.
        None => has_samples(traf)?.then_some(true),
        // The flags are those that the run has for its first sample, else the default of the fragment, else the one of
        // the track.
        Some(default) => {
            let default = header.default_sample_flags.unwrap_or(default);
            let first = first_sample_flags(traf)?;
            first.map(|flags| flags.unwrap_or(default) & NOT_SYNC == 0)
        }
    };
    let start = traf.child(b"tfdt").and_then(|time| time.decode::<Tfdt>());
    let start = start.ok().map(|time| time.base_media_decode_time);
    Ok(sync.map(|sync| Run { track, sync, start }))
}

/// Whether any run has a sample, by what it says of their number behind its version and flags.
fn has_samples(traf: &Child<'_>) -> Result<bool, String> {
    let runs = traf.children(0)?;
    let mut runs = runs.iter().filter(|child| child.kind.0 == *b"trun");
    Ok(runs.any(|run| run.content.get(4..8).is_some_and(|count| count != [0; 4])))
}

/// What the first run with a sample says of that sample's flags; `None` if there is no sample.
fn first_sample_flags(traf: &Child<'_>) -> Result<Option<Option<u32>>, String> {
    for child in traf.children(0)? {
        if child.kind.0 == *b"trun" {
            let run: Trun = child.decode()?;
            if let Some(first) = run.samples.get(0) {
                return Ok(Some(first.flags));
            }
        }
    }
    Ok(None)
}
