//! The headers of boxes, and the boxes inside a box.
//!
//! A box is its size, counted from its own first byte, a four-character code that says what it is, and what
//! the code says follows. The walk over the boxes in a box is ours, and not that of the crate that decodes
//! them: that one goes into every box that it knows, wherever it stands, so that a few kilobytes of boxes
//! in boxes exhaust the stack. This one goes to the places that are asked for and nowhere else.

use std::fmt;

use mp4_atom::Atom;

/// The longest header: size, code, and the size once more in 64 bits.
pub(super) const LONGEST_HEADER: usize = 16;

/// What a box of a kind that is not known may have: less than 16 MiB, which no text says of itself.
const LARGEST_UNKNOWN: u64 = (1 << 24) - 1;

/// Whether boxes of this kind stand at the top of a film, fragmented or not.
pub(super) fn is_known(kind: &[u8; 4]) -> bool {
    matches!(
        kind,
        b"ftyp"
            | b"styp"
            | b"moov"
            | b"moof"
            | b"mdat"
            | b"mfra"
            | b"sidx"
            | b"ssix"
            | b"prft"
            | b"emsg"
            | b"free"
            | b"skip"
            | b"wide"
            | b"pdin"
            | b"meta"
            | b"udta"
            | b"uuid"
    )
}

/// A four-character code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind(pub(super) [u8; 4]);

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What stands before the content of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Size and code as they stand there.
    pub(super) beginning: [u8; 8],
    pub(super) kind: Kind,
    /// Of the header itself.
    pub(super) length: usize,
    pub(super) size: Size,
}

/// What a header says of the size of its box, which it is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Bytes(u64),
    /// Less than the header that says so.
    TooSmall(u64),
    /// As long as the file.
    ToTheEnd,
}

impl Header {
    /// How many bytes a header takes that begins with these, as far as they tell.
    pub(super) fn length(beginning: &[u8]) -> usize {
        match beginning {
            [0, 0, 0, 1, _, _, _, _, ..] => LONGEST_HEADER,
            _ => 8,
        }
    }

    /// The header at the beginning of `bytes`, if all of it is there.
    pub(super) fn read(bytes: &[u8]) -> Option<Header> {
        let length = Header::length(bytes);
        let header = bytes.get(..length)?;
        let (&beginning, long): (&[u8; 8], _) = header.split_first_chunk()?;
        let [a, b, c, d, kind @ ..] = beginning;
        let size = match (u32::from_be_bytes([a, b, c, d]), long.first_chunk()) {
            (0, _) => Size::ToTheEnd,
            (_, Some(long)) => Size::bytes(u64::from_be_bytes(*long), length),
            (short, None) => Size::bytes(short.into(), length),
        };
        Some(Header {
            beginning,
            kind: Kind(kind),
            length,
            size,
        })
    }
}

impl Header {
    /// Whether this can be the header of a box at all, and not text or noise between two of them.
    pub(super) fn is_plausible(&self) -> bool {
        let printable = |&byte: &u8| matches!(byte, b' '..=b'~' | 0xA9);
        let small = match self.size {
            Size::Bytes(bytes) => bytes <= LARGEST_UNKNOWN,
            Size::TooSmall(_) | Size::ToTheEnd => true,
        };
        is_known(&self.kind.0) || small && self.kind.0.iter().all(printable)
    }
}

impl Size {
    fn bytes(bytes: u64, header: usize) -> Size {
        if bytes < header as u64 {
            Size::TooSmall(bytes)
        } else {
            Size::Bytes(bytes)
        }
    }
}

/// A box inside another one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Child<'a> {
    pub(super) kind: Kind,
    pub(super) content: &'a [u8],
}

impl<'a> Child<'a> {
    /// The content as the box that its code says it is. What follows what is known of such a box is ignored.
    pub(super) fn decode<A: Atom>(&self) -> Result<A, String> {
        let mut content = self.content;
        // It may quote the code of a box as it stands in the file.
        let escaped = |error: mp4_atom::Error| error.to_string().escape_debug().to_string();
        A::decode_body(&mut content).map_err(|error| format!("{}: {}", self.kind, escaped(error)))
    }

    /// The boxes in this one, `skipped` bytes into its content.
    pub(super) fn children(&self, skipped: usize) -> Result<Vec<Child<'a>>, String> {
        let content = self.content.get(skipped..);
        let content = content.ok_or_else(|| format!("{}: it ends too early", self.kind))?;
        children(content).map_err(|error| format!("{}: {error}", self.kind))
    }

    /// The first box of a kind in this one.
    pub(super) fn child(&self, kind: &[u8; 4]) -> Result<Child<'a>, String> {
        let children = self.children(0)?;
        let child = children.into_iter().find(|child| child.kind.0 == *kind);
        child.ok_or_else(|| format!("{}: there is no {} in it", self.kind, Kind(*kind)))
    }
}

/// The boxes in `content`. Fewer bytes at its end than a header has are padding, as QuickTime writes it.
pub(super) fn children(mut content: &[u8]) -> Result<Vec<Child<'_>>, String> {
    let mut children = Vec::new();
    while let Some(header) = Header::read(content) {
        let Size::Bytes(bytes) = header.size else {
            return Err(format!("the size of {} makes no sense", header.kind));
        };
        let split = usize::try_from(bytes).ok();
        let Some((child, rest)) = split.and_then(|bytes| content.split_at_checked(bytes)) else {
            return Err(format!("{} ends outside of it", header.kind));
        };
        children.push(Child {
            kind: header.kind,
            content: &child[header.length..],
        });
        content = rest;
    }
    Ok(children)
}
