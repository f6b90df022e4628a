//! The init segment: which tracks there are, and what a player must be able to decode.

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
    /// The track that decides whether a fragment begins with a sync sample.
    pub(crate) video: Option<VideoTrack>,
}

/// The first video track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VideoTrack {
    pub(crate) id: u32,
    /// The flags of a sample of which nothing else tells them.
    pub(crate) default_flags: u32,
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
        let (media_type, video) = {
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
            video,
        })
    }
}

/// The media type and the first video track of what is in a `moov`.
fn read(moov: &[Child<'_>], extends: &Child<'_>) -> Result<(String, Option<VideoTrack>), Mp4Error> {
    let tracks = moov.iter().filter(|child| child.kind.0 == *b"trak");
    let tracks: Vec<Track> = tracks
        .map(Track::read)
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
    let video = tracks.iter().find(|track| track.handler == *b"vide");
    let video = video
        .map(|track| track.video(extends))
        .transpose()
        .map_err(Mp4Error::BrokenMoov)?;
    Ok((media_type(&tracks), video))
}

/// What is asked of a `trak`.
#[derive(Debug)]
struct Track {
    id: u32,
    handler: [u8; 4],
    codecs: Vec<String>,
}

impl Track {
    fn read(trak: &Child<'_>) -> Result<Track, String> {
        let header: Tkhd = trak.child(b"tkhd")?.decode()?;
        let media = trak.child(b"mdia")?;
        let handler: Hdlr = media.child(b"hdlr")?.decode()?;
        let descriptions = media.child(b"minf")?.child(b"stbl")?.child(b"stsd")?;
        let handler = *handler.handler.as_ref();
        // Version, flags and the number of entries, which the boxes tell again.
        let entries = descriptions.children(8)?;
        if entries.is_empty() {
            return Err("stsd: it describes no samples".to_owned());
        }
        let codecs = entries.iter().map(codecs::codec).collect();
        Ok(Track {
            id: header.track_id,
            handler,
            codecs,
        })
    }

    /// This track with its defaults, which the `mvex` tells.
    fn video(&self, extends: &Child<'_>) -> Result<VideoTrack, String> {
        for child in extends.children(0)? {
            if child.kind.0 != *b"trex" {
                continue;
            }
            let defaults: Trex = child.decode()?;
            if defaults.track_id == self.id {
                return Ok(VideoTrack {
                    id: self.id,
                    default_flags: defaults.default_sample_flags,
                });
            }
        }
        Err(format!("mvex: there is no trex for track {}", self.id))
    }
}

/// The media type of the tracks together, each codec once.
///
/// Beside video and sound other tracks are not told: a player asks whether it can play all that is listed,
/// and a clock or a line of text that it would only leave out must not make it refuse the film.
fn media_type(tracks: &[Track]) -> String {
    let of = |handler: &[u8; 4]| tracks.iter().any(|track| track.handler == *handler);
    let main = match (of(b"vide"), of(b"soun")) {
        (true, _) => "video",
        (false, true) => "audio",
        (false, false) => "application",
    };
    let told = tracks
        .iter()
        .filter(|track| main == "application" || matches!(&track.handler, b"vide" | b"soun"));
    let mut codecs: Vec<&str> = Vec::new();
    for codec in told.flat_map(|track| &track.codecs) {
        if !codecs.contains(&codec.as_str()) {
            codecs.push(codec);
        }
    }
    format!("{main}/mp4; codecs=\"{}\"", codecs.join(", "))
}
