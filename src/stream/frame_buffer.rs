//! What was read and is not parsed yet.
//!
//! | place     | where the bytes are                     | left by                                              |
//! |-----------|-----------------------------------------|------------------------------------------------------|
//! | `Nowhere` | there are none                          | a buffer: `Filling`                                  |
//! | `Filling` | in a sample, at its end                 | a frame is cut off: `Parsing` or `Nowhere`; the source waits: `Aside` |
//! | `Parsing` | in a sample that frames were cut off    | more is to be read: `Filling` or `Aside`; the source waits: `Aside` |
//! | `Aside`   | on the heap                             | a buffer: `Filling`                                  |
//!
//! If the frames that were cut off are gone, the rest stays in its sample, and is moved to the front when
//! there is no room behind it. Otherwise it is moved to another sample. No sample is held here while waiting
//! for another: readers that did could wait for each other for ever, each with the beginning of a frame. So
//! the bytes are set aside for that time.
//!
//! They are set aside as well while the source has nothing to read. A slow sender would otherwise keep a buffer, and a
//! few of them all buffers. Up to [`SMALL`] bytes always are: to copy them costs less than to be woken. More are if
//! another get is queued, or as soon as one is: the pool wakes the reader then. So a large frame that arrives in
//! many pieces is not copied for each piece while there are buffers for all.

use super::heap_copy::Aside;
use crate::{
    error::GetBufferError, poll_pool::PollPool, sample::Sample, sample_properties::EMPTY,
    shared::SharedSample, status::State,
};
use bytes::{Buf, BufMut, Bytes};
use std::{
    mem,
    ops::Range,
    task::{Context, Poll, ready},
};

/// How many bytes are set aside whether or not another get is queued.
const SMALL: usize = 4096;

/// See the module's documentation.
pub(super) struct Unparsed {
    pool: PollPool,
    place: Place,
    /// Empty, but while the place is `Aside`.
    aside: Aside,
}

enum Place {
    Nowhere,
    Filling(Sample),
    Parsing(SharedSample),
    Aside,
}

/// Why there is nothing to read into.
pub(super) enum NoRoom {
    GetBuffer(GetBufferError),
    TooLarge { buffer: usize },
}

impl Unparsed {
    pub(super) fn new(pool: PollPool) -> Self {
        let aside = Aside::new(pool.pool().engine().wipes());
        Unparsed {
            pool,
            place: Place::Nowhere,
            aside,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match &self.place {
            Place::Nowhere => &[],
            Place::Filling(sample) => sample,
            Place::Parsing(rest) => rest,
            Place::Aside => self.aside.bytes(),
        }
    }

    /// Whether there is a sample that can be read into. If not, a source that has nothing to read needs none.
    pub(super) fn has_room(&self) -> bool {
        matches!(self.place, Place::Filling(_))
    }

    /// The bytes, without a copy. A sample of which only these are left is released with them.
    pub(super) fn into_bytes(self) -> Bytes {
        match self.place {
            Place::Nowhere => Bytes::new(),
            Place::Filling(sample) => sample.into_bytes(),
            Place::Parsing(rest) => rest.into_bytes(),
            Place::Aside => self.aside.into_bytes(),
        }
    }

    /// Gives a frame out, and forgets the bytes up to its end.
    pub(super) fn cut(&mut self, frame: Range<usize>, consumed: usize) -> SharedSample {
        // A decoder is foreign. Nothing has changed yet if it is wrong.
        assert!(
            frame.end <= consumed && consumed > 0,
            "a frame that ends at {} consumes {consumed} bytes",
            frame.end
        );
        assert!(
            frame.start <= frame.end,
            "a frame from {} to {}",
            frame.start,
            frame.end
        );
        let found = self.bytes().len();
        assert!(
            consumed <= found,
            "a frame consumes {consumed} bytes of {found}"
        );
        let mut rest = match mem::replace(&mut self.place, Place::Nowhere) {
            Place::Filling(sample) => sample.freeze(),
            Place::Parsing(rest) => rest,
            Place::Nowhere | Place::Aside => unreachable!("frames are looked for in samples"),
        };
        let mut first = rest.split_to(consumed);
        if !rest.is_empty() {
            self.place = Place::Parsing(rest);
        }
        first.advance(frame.start);
        first.split_to(frame.len())
    }

    /// A sample that has the bytes, and room until there are `needed`, which is more than there are now.
    pub(super) fn poll_room(
        &mut self,
        needed: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<&mut Sample, NoRoom>> {
        self.place = match mem::replace(&mut self.place, Place::Nowhere) {
            Place::Parsing(rest) => match rest.try_into_sample() {
                Ok(sample) => Place::Filling(sample),
                Err(rest) => Place::Parsing(rest),
            },
            place => place,
        };
        match &mut self.place {
            Place::Filling(sample) => {
                if needed > sample.len() + sample.spare_capacity() {
                    let buffer = sample.capacity();
                    if needed > buffer {
                        return Poll::Ready(Err(NoRoom::TooLarge { buffer }));
                    }
                    sample.move_to_front();
                }
            }
            Place::Nowhere | Place::Parsing(_) | Place::Aside => {
                ready!(self.poll_move(needed, cx))?;
            }
        }
        match &mut self.place {
            Place::Filling(sample) => Poll::Ready(Ok(sample)),
            Place::Nowhere | Place::Parsing(_) | Place::Aside => {
                unreachable!("the bytes were moved into a sample that is filled")
            }
        }
    }

    /// Moves the bytes to the start of a fresh sample.
    fn poll_move(&mut self, needed: usize, cx: &mut Context<'_>) -> Poll<Result<(), NoRoom>> {
        // Checked before the wait, which could be for frames that the caller keeps. But a pool that is not committed may be
        // given larger buffers first, and refuses at once.
        let pool = self.pool.pool();
        let buffer = pool.properties().size;
        if needed > buffer && pool.state() == State::Committed {
            return Poll::Ready(Err(NoRoom::TooLarge { buffer }));
        }
        let mut sample = match self.pool.poll_get_buffer(cx) {
            Poll::Ready(result) => result.map_err(NoRoom::GetBuffer)?,
            Poll::Pending => {
                self.set_aside();
                return Poll::Pending;
            }
        };
        // The pool may have been given other properties during the wait.
        if needed > sample.spare_capacity() {
            let buffer = sample.capacity();
            return Poll::Ready(Err(NoRoom::TooLarge { buffer }));
        }
        sample.put_slice(self.bytes());
        let properties = match &self.place {
            Place::Parsing(rest) if *rest.properties() != EMPTY => Some(rest.properties().clone()),
            _ => self.aside.take_properties(),
        };
        if let Some(properties) = properties {
            *sample.properties_mut() = properties;
        }
        self.aside.clear();
        self.place = Place::Filling(sample);
        Poll::Ready(Ok(()))
    }

    /// Keeps no buffer that another get needs, while the source has nothing to read. If one is kept, the task is woken
    /// when another get queues, and calls this again.
    pub(super) fn wait_for_source(&mut self, cx: &mut Context<'_>) {
        let len = self.bytes().len();
        match self.place {
            Place::Nowhere | Place::Aside => {}
            Place::Filling(_) | Place::Parsing(_) => {
                if len == 0 {
                    self.clear();
                } else if len <= SMALL || self.pool.poll_reclaim_unbudgeted(cx).is_ready() {
                    self.set_aside();
                }
            }
        }
        self.aside.shrink();
    }

    /// Releases the sample, and keeps the bytes; or keeps both, if memory for the bytes is refused.
    fn set_aside(&mut self) {
        let (bytes, properties) = match &self.place {
            Place::Nowhere | Place::Aside => return,
            Place::Filling(sample) => (&sample[..], sample.properties()),
            Place::Parsing(rest) => (&rest[..], rest.properties()),
        };
        let size = self.pool.pool().engine().geometry().size();
        if self.aside.put(bytes, size, properties) {
            self.place = Place::Aside;
        }
    }

    pub(super) fn clear(&mut self) {
        self.place = Place::Nowhere;
        self.aside.clear();
        self.pool.cancel();
    }

    /// Releases a buffer that nothing was read into.
    pub(super) fn let_go_if_empty(&mut self) {
        if self.bytes().is_empty() {
            self.clear();
        }
    }
}
