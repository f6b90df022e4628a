//! What was read and is not parsed yet.
//!
//! | place     | where the bytes are                     | left by                                              |
//! |-----------|-----------------------------------------|------------------------------------------------------|
//! | `Nowhere` | there are none                          | a buffer is home: `Filling`                          |
//! | `Filling` | in a sample, at its end                 | a frame is cut off: `Parsing` or `Nowhere`           |
//! | `Parsing` | in a sample that frames were cut off    | more is to be read: `Filling` or `Carried`           |
//! | `Carried` | on the heap                             | a buffer is home: `Filling`                          |
//!
//! If the frames that were cut off are gone, the rest stays in its sample, and is moved to the front when
//! there is no room behind it. Otherwise it is moved to another sample. Nobody holds one here while waiting
//! for another: readers that did could wait for each other for ever, each with the beginning of a frame. So
//! it is carried on the heap for that time.

use crate::{
    error::GetBufferError, poll_pool::PollPool, sample::Sample, shared::SharedSample, status::State,
};
use bytes::{Buf, BufMut, Bytes};
use std::{
    mem,
    ops::Range,
    task::{Context, Poll, ready},
};

/// Makes room behind the bytes of a sample that others were cut off in front of.
fn move_to_front(sample: &mut Sample, carried: &mut Vec<u8>, needed: usize) -> Result<(), NoRoom> {
    let buffer = sample.capacity();
    if needed > buffer {
        return Err(NoRoom::TooLarge { buffer });
    }
    carried.extend_from_slice(sample);
    sample.clear();
    sample.put_slice(carried);
    carried.clear();
    Ok(())
}

/// See the module's documentation.
pub(super) struct Unparsed {
    pool: PollPool,
    place: Place,
    /// Empty, but while the place is `Carried`. It keeps its memory, a buffer's size at most.
    carried: Vec<u8>,
}

enum Place {
    Nowhere,
    Filling(Sample),
    Parsing(SharedSample),
    Carried,
}

/// Why there is nothing to read into.
pub(super) enum NoRoom {
    GetBuffer(GetBufferError),
    TooLarge { buffer: usize },
}

impl Unparsed {
    pub(super) fn new(pool: PollPool) -> Self {
        Unparsed {
            pool,
            place: Place::Nowhere,
            carried: Vec::new(),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match &self.place {
            Place::Nowhere => &[],
            Place::Filling(sample) => sample,
            Place::Parsing(rest) => rest,
            Place::Carried => &self.carried,
        }
    }

    /// The bytes, without a copy. A sample of which only these are left is released with them.
    pub(super) fn into_bytes(self) -> Bytes {
        match self.place {
            Place::Nowhere => Bytes::new(),
            Place::Filling(sample) => sample.into_bytes(),
            Place::Parsing(rest) => rest.into_bytes(),
            Place::Carried => self.carried.into(),
        }
    }

    /// Gives a frame out, and forgets the bytes up to its end.
    pub(super) fn cut(&mut self, frame: Range<usize>, consumed: usize) -> SharedSample {
        assert!(
            frame.end <= consumed && consumed > 0,
            "a frame that ends at {} consumes {consumed} bytes",
            frame.end
        );
        let mut rest = match mem::replace(&mut self.place, Place::Nowhere) {
            Place::Filling(sample) => sample.freeze(),
            Place::Parsing(rest) => rest,
            Place::Nowhere | Place::Carried => panic!("frames are found in samples"),
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
                if needed - sample.len() > sample.spare_capacity() {
                    move_to_front(sample, &mut self.carried, needed)?;
                }
            }
            Place::Nowhere | Place::Parsing(_) | Place::Carried => {
                ready!(self.poll_move(needed, cx))?;
            }
        }
        match &mut self.place {
            Place::Filling(sample) => Poll::Ready(Ok(sample)),
            Place::Nowhere | Place::Parsing(_) | Place::Carried => {
                unreachable!("the bytes were moved into a sample that is filled")
            }
        }
    }

    /// Moves the bytes to the start of a fresh sample.
    fn poll_move(&mut self, needed: usize, cx: &mut Context<'_>) -> Poll<Result<(), NoRoom>> {
        // Told before the wait, which could be for frames that the caller keeps; but one that is not committed may be
        // given larger buffers first, and refuses at once.
        let pool = self.pool.pool();
        let buffer = pool.properties().size;
        if needed > buffer && pool.state() == State::Committed {
            return Poll::Ready(Err(NoRoom::TooLarge { buffer }));
        }
        let mut sample = match self.pool.poll_get_buffer(cx) {
            Poll::Ready(result) => result.map_err(NoRoom::GetBuffer)?,
            Poll::Pending => {
                self.carry();
                return Poll::Pending;
            }
        };
        // The pool may have been given other properties during the wait.
        if needed > sample.spare_capacity() {
            let buffer = sample.capacity();
            return Poll::Ready(Err(NoRoom::TooLarge { buffer }));
        }
        sample.put_slice(self.bytes());
        self.carried.clear();
        self.place = Place::Filling(sample);
        Poll::Ready(Ok(()))
    }

    /// Holds no buffer from now on.
    fn carry(&mut self) {
        if let Place::Parsing(rest) = &self.place {
            self.carried.extend_from_slice(rest);
            self.place = Place::Carried;
        }
    }

    /// Brings a buffer home that nothing was read into.
    pub(super) fn let_go_if_empty(&mut self) {
        if self.bytes().is_empty() {
            self.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        self.place = Place::Nowhere;
        self.carried.clear();
        self.pool.cancel();
    }
}
