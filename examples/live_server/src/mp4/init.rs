//! The init segment: which tracks there are, and what a player must be able to decode.

use std::num::NonZeroU64;

use bytes::Bytes;
use mp4_atom::{Hdlr, Tkhd, Trex};

use super::{Mp4Error, boxes, boxes::Child, codecs};

/// More tracks than any live stream has: their codecs stand in one line of a response.
const MOST_TRACKS: usize = 32;

/// What a player needs before it can take any fragment: the boxes up to and with `moov`.
#[derive(Clone, Debug)]
pub(crate) struct InitSegment {
    /// As they were sent.
    pub(crate) bytes: Bytes,
    /// For the content type of a response: `video/mp4; codecs="avc1.64001f, mp4a.40.2"`.
    pub(crate) media_type: String,
    /// What decides whether a fragment begins with a sync sample.
    pub(crate) tracks: Vec<Track>,
}

/// A track, as far as it matters to the fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Track {
    pub(crate) id: u32,
    /// Units of time in a second, if it says so.
    pub(crate) timescale: Option<NonZeroU64>,
    /// If it is video: the flags of a sample of which nothing else tells them. All samples of other tracks can be
    /// decoded without another.
    pub(crate) video: Option<u32>,
}

/// The rest is read from the bytes.
impl PartialEq for InitSegment {
    fn eq(&self, other: &InitSegment) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for InitSegment {}

impl InitSegment {
    /// Reads the tracks in the `moov` that ends `bytes`.
    pub(crate) fn parse(bytes: Bytes) -> Result<InitSegment, Mp4Error> {
        let (media_type, tracks) = {
            let boxes = boxes::children(&bytes).map_err(Mp4Error::BrokenMoov)?;
            let moov = boxes.iter().find(|child| child.kind.0 == *b"moov");
            let moov = moov.ok_or_else(|| Mp4Error::BrokenMoov("it is not there".to_owned()))?;
            // A film that is not fragmented has tracks, too, but no sample of it will come in a fragment.
            let children = moov.children(0).map_err(Mp4Error::BrokenMoov)?;
            let extends = children.iter().find(|child| child.kind.0 == *b"mvex");
            let extends = extends.ok_or(Mp4Error::NotFragmented)?;
            read(&children, extends)?
        };
        Ok(InitSegment {
            bytes,
            media_type,
            tracks,
        })
    }
}

/// The media type and the tracks of what is in a `moov`.
fn read(moov: &[Child<'_>], extends: &Child<'_>) -> Result<(String, Vec<Track>), Mp4Error> {
    let tracks = moov.iter().filter(|child| child.kind.0 == *b"trak");
    let tracks: Vec<Described> = tracks
        .map(Described::read)
        .collect::<Result<_, String>>()
        .map_err(Mp4Error::BrokenMoov)?;
    if tracks.is_empty() {
        return Err(Mp4Error::NoTrack);
    }
    if tracks.len() > MOST_TRACKS {
        let tracks = tracks.len();
        let why = format!("it has {tracks} tracks, and the most are {MOST_TRACKS}");
        return Err(Mp4Error::BrokenMoov(why));
    }
    let codecs: usize = tracks.iter().map(|track| track.codecs.len()).sum();
    if codecs > MOST_TRACKS {
        let why = format!("it has {codecs} sample descriptions, and the most are {MOST_TRACKS}");
        return Err(Mp4Error::BrokenMoov(why));
    }
    let media_type = media_type(&tracks);
    let tracks = tracks.iter().map(|track| track.extended(extends));
    let tracks = tracks.collect::<Result<_, String>>();
    Ok((media_type, tracks.map_err(Mp4Error::BrokenMoov)?))
}

/// What is asked of a `trak`.
#[derive(Debug)]
struct Described {
    id: u32,
    timescale: Option<NonZeroU64>,
    handler: [u8; 4],
    /// Whether it is the cover of an album, and not a film.
    is_cover: bool,
    /// Each once.
    codecs: Vec<String>,
}

impl Described {
    fn read(trak: &Child<'_>) -> Result<Described, String> {
        let header: Tkhd = trak.child(b"tkhd")?.decode()?;
        let media = trak.child(b"mdia")?;
        let handler: Hdlr = media.child(b"hdlr")?.decode()?;
        let descriptions = media.child(b"minf")?.child(b"stbl")?.child(b"stsd")?;
        // Version, flags and the number of entries, which the boxes tell again.
        let entries = descriptions.children(8)?;
        if entries.is_empty() {
            return Err("stsd: it describes no samples".to_owned());
        }
        let mut codecs = Vec::new();
        for codec in entries.iter().map(codecs::codec) {
            if !codecs.contains(&codec) {
                codecs.push(codec);
            }
        }
        Ok(Described {
            id: header.track_id,
            timescale: media.child(b"mdhd").ok().as_ref().and_then(timescale),
            handler: *handler.handler.as_ref(),
            is_cover: entries.iter().all(codecs::is_cover),
            codecs,
        })
    }

    /// This track with its defaults, which the `mvex` tells.
    fn extended(&self, extends: &Child<'_>) -> Result<Track, String> {
        let video = self.handler == *b"vide" && !self.is_cover;
        Ok(Track {
            id: self.id,
            timescale: self.timescale,
            video: video.then(|| self.default_flags(extends)).transpose()?,
        })
    }

    fn default_flags(&self, extends: &Child<'_>) -> Result<u32, String> {
        for child in extends.children(0)? {
            if child.kind.0 != *b"trex" {
                continue;
            }
            let defaults: Trex = child.decode()?;
            if defaults.track_id == self.id {
                return Ok(defaults.default_sample_flags);
            }
        }
        Err(format!("mvex: there is no trex for track {}", self.id))
    }
}

/// Read here, because the rest of the box, as its language, may be nonsense.
fn timescale(header: &Child<'_>) -> Option<NonZeroU64> {
    // Version 1 has 64 bits for each of the two times that stand in front.
    let at = match header.content.first()? {
        1 => 20,
        _ => 12,
    };
    let units = header.content.get(at..)?.first_chunk()?;
    NonZeroU64::new(u32::from_be_bytes(*units).into())
}

/// The media type of the tracks together, the codecs of each: a browser wants an entry for each track that the init
/// segment has, even if two have the same codec.
///
/// Beside video and sound other tracks are not listed: a player asks whether it can play all that is listed,
/// and a clock or a line of text that it would only leave out must not make it refuse the film.
fn media_type(tracks: &[Described]) -> String {
    let of = |handler: &[u8; 4]| tracks.iter().any(|track| track.handler == *handler);
    let main = match (of(b"vide"), of(b"soun")) {
        (true, _) => "video",
        (false, true) => "audio",
        (false, false) => "application",
    };
    let listed = tracks
        .iter()
        .filter(|track| main == "application" || matches!(&track.handler, b"vide" | b"soun"));
    let codecs: Vec<&str> = listed
        .flat_map(|track| &track.codecs)
        .map(String::as_str)
        .collect();
    format!("{main}/mp4; codecs=\"{}\"", codecs.join(", "))
}
