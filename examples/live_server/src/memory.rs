//! The server's memory: one pool, and how its buffers are divided.
//!
//! | who               | holds at most                                                                | limited by            |
//! |-------------------|------------------------------------------------------------------------------|-----------------------|
//! | a channel of JPEG | its backlog, [`BACKLOG`] pictures, and the one that is being filled          | fan-out and quota     |
//! | a channel of MP4  | its backlog, [`MOST_PIECES`] pieces of fragments, and as many that viewers do not get yet | fan-out and quota     |
//! | all channels      | half of the pool                                                             | [`crate::channel`]    |
//! | all viewers       | the other half: the frames that are on their way to them ([`crate::viewers`]) | the fan-outs' hold limit |
//!
//! So neither can ever exhaust it, ingest never waits for good, and two sources that fill large fragments
//! at once cannot wait for each other.
//!
//! A source has no pool. It gets its samples from a [`Quota`](sample_pool::Quota) in the name of its channel, so it cannot take
//! what is another's, and the pool's report and `/status` say how many samples each channel has. A sample counts against the
//! quota until its last handle is dropped, which may be a viewer's. So the limit of the quota is the share of the channel and,
//! beside it, all that viewers may hold.
//!
//! A quota limits and reserves nothing: the limits of all quotas are more than the pool. That each channel can have its share
//! is decided when it is opened, or begins to send fragments: the shares are added up, and a source for which there is no room
//! gets 503. This rule is the server's. The pool would let the source wait, and a source that waits for another channel to be
//! removed is better answered at once.
//!
//! A fragment that arrives is a part of the backlog. Viewers do not get it before its `mdat` is announced, and the first one of a
//! source not before it is whole, so a source may hold as many samples as a fragment can have beside the backlog.
//!
//! The backlog is there so that two frames in one packet do not look like a lag; when more come at once, the source waits a
//! moment for its viewers, with what is counted for it already (see [`crate::pace`]). That of MP4 holds the largest
//! fragment that is accepted, so that a new viewer finds a whole one. It is counted in samples and not in seconds: when
//! fragments are so short that none in it can be shown by itself, a new viewer waits for the next that can.

use crate::jpeg::part;
use sample_pool::{BuildError, Pool};

/// How many pictures a viewer may be behind before it skips.
pub(crate) const BACKLOG: usize = 4;

/// How many samples a fragment may take, and so how large it may be.
pub(crate) const MOST_PIECES: usize = 8;

/// What a channel of JPEG can hold.
pub(crate) const PICTURE_SAMPLES: usize = BACKLOG + 1;

/// What a channel of MP4 can hold.
pub(crate) const FRAGMENT_SAMPLES: usize = 2 * MOST_PIECES;

/// The fewest buffers with which one channel, whatever it carries, and its viewers work. Beside the test pattern that one
/// can carry pictures; one of fragments needs ten more.
pub(crate) const FEWEST_BUFFERS: usize = 2 * FRAGMENT_SAMPLES;

/// More would only make a number that was mistyped end the program later, and with another message.
pub(crate) const MOST_BUFFERS: usize = 1_000_000;

/// How many samples all channels of a pool of `buffers` may hold.
pub(crate) fn for_channels(buffers: usize) -> usize {
    buffers / 2
}

/// How many samples all viewers may hold.
pub(crate) fn for_viewers(buffers: usize) -> usize {
    buffers / 2
}

/// A pool whose buffers hold `size` bytes of a sender, and what is put around a picture.
pub(crate) fn pool(buffers: usize, size: usize) -> Result<Pool, BuildError> {
    Pool::builder()
        .buffers(buffers)
        .size(size.saturating_add(part::TAILROOM))
        .prefix(part::HEADROOM)
        .track_holders(true)
        .measure_waits(true)
        .build()
}
