use bytes::Bytes;
#[derive(Debug, Clone)]
pub(crate) struct InitSegment {
    pub(crate) bytes: Bytes,
    pub(crate) media_type: String,
}
impl PartialEq for InitSegment {
    fn eq(&self, o: &Self) -> bool {
        self.bytes == o.bytes
    }
}
#[cfg(test)]
impl InitSegment {
    pub(crate) fn for_tests(b: &'static [u8]) -> Self {
        InitSegment {
            bytes: Bytes::from_static(b),
            media_type: "video/mp4".into(),
        }
    }
}
#[derive(Debug)]
pub(crate) enum Mp4Error {
    TooLarge {
        what: &'static str,
        bytes: u64,
        most: u64,
    },
    Other,
}
impl std::fmt::Display for Mp4Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "mp4")
    }
}
pub(crate) enum Event {
    Init(InitSegment),
    Begin,
    Announced { bytes: u64 },
    Piece(Bytes),
    End { sync: bool },
}
pub(crate) struct FragmentParser;
impl FragmentParser {
    pub(crate) fn new() -> Self {
        FragmentParser
    }
    pub(crate) fn next(&mut self, _c: &mut Bytes) -> Result<Option<Event>, Mp4Error> {
        Ok(None)
    }
    pub(crate) fn is_between_fragments(&self) -> bool {
        true
    }
}
pub(crate) fn looks_like_mp4(b: &[u8]) -> Option<bool> {
    Some(b.len() > 8 && &b[4..8] == b"ftyp")
}
