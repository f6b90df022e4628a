//! The flags of a sample's properties: which of them are set, and those that are a flag themselves.

#![forbid(unsafe_code)]

/// One flag of [`Flags`].
#[derive(Clone, Copy)]
#[repr(u16)]
pub(super) enum Flag {
    /// `start` and `stop` are set. Without `StopTime`, `stop` is `start + 1`.
    Time = 1 << 0,
    /// A stop time was given. Never set without `Time`.
    StopTime = 1 << 1,
    /// `media_start` and `media_stop` are set.
    MediaTime = 1 << 2,
    SyncPoint = 1 << 3,
    Preroll = 1 << 4,
    Discontinuity = 1 << 5,
    TimeDiscontinuity = 1 << 6,
    EndOfStream = 1 << 7,
}

/// A set of flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags(u16);

impl Flags {
    pub(super) const NONE: Flags = Flags(0);

    pub(super) fn has(self, flag: Flag) -> bool {
        self.0 & flag as u16 != 0
    }

    pub(super) fn put(&mut self, flag: Flag, on: bool) {
        if on {
            self.0 |= flag as u16;
        } else {
            self.0 &= !(flag as u16);
        }
    }
}
