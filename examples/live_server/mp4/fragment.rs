//! Whether a fragment begins with a sample that can be shown without another.

use mp4_atom::{Tfhd, Trun};

use super::{Mp4Error, boxes, boxes::Child, init::VideoTrack};

/// `sample_is_non_sync_sample`, in the flags of a sample.
const NOT_SYNC: u32 = 0x1_0000;

/// Reads a `moof` without its header: does its fragment begin with a sync sample?
///
/// Only video has samples that need others, so without a video track every fragment does. One that has
/// nothing of the video track does not: whoever begins with it sees nothing. The flags of the first sample
/// are those that its run has for it, else the default of the fragment, else the one of the track.
///
/// Decoding takes memory for the samples of one run that states something of each: 40 bytes for 4 that are
/// there, so that a `moof` is bounded before it comes here.
pub(super) fn begins_with_sync(moof: &[u8], video: Option<VideoTrack>) -> Result<bool, Mp4Error> {
    let mut sync = video.is_none().then_some(true);
    for child in boxes::children(moof).map_err(Mp4Error::BrokenMoof)? {
        if child.kind.0 != *b"traf" {
            continue;
        }
        let track: Tfhd = child
            .child(b"tfhd")
            .and_then(|tfhd| tfhd.decode())
            .map_err(Mp4Error::BrokenMoof)?;
        if track.base_data_offset.is_some() {
            return Err(Mp4Error::AbsoluteOffsets);
        }
        let Some(video) = video.filter(|video| video.id == track.track_id) else {
            continue;
        };
        let default = track.default_sample_flags.unwrap_or(video.default_flags);
        let first = first_sample_flags(&child).map_err(Mp4Error::BrokenMoof)?;
        let first = first.map(|flags| flags.unwrap_or(default) & NOT_SYNC == 0);
        sync = sync.or(first);
    }
    Ok(sync.unwrap_or(false))
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
