//! The bytes that a frame reader has read and not yielded yet.
//!
//! | storage   | where the bytes are                | left by                                                  |
//! |-----------|------------------------------------|----------------------------------------------------------|
//! | `Empty`   | there are none                     | a buffer: `Filling`                                      |
//! | `Filling` | in a sample, at its end            | a frame is split off: `Parsing` or `Empty`; the source has nothing to read: `OnHeap` |
//! | `Parsing` | in a part, behind frames that were split off its sample | more is read behind them: `Parsing`; more is to be read: `Filling` or `OnHeap`; the source has nothing to read: `OnHeap` |
//! | `OnHeap`  | on the heap                        | a buffer: `Filling`                                      |
//!
//! The rest stays where it is, and more is read behind it, in the same buffer. It is moved only if the frame does not fit
//! there, or if the source cannot fill parts or has nothing to read meanwhile (see below): to the front of the sample if it
//! is still there and the frames that were split off are dropped, and otherwise to another sample.
//!
//! # When the bytes are copied to the heap
//!
//! - While the reader waits for another buffer, or for several that a large frame needs. No sample is held during that
//!   wait: readers that held one could wait for each other for ever, each with the start of a frame.
//! - While the source has nothing to read, so that a slow sender does not hold a buffer, and a few of them all buffers.
//!   Up to [`SMALL`] bytes are always copied, which costs less than a wake-up. More are copied only while another get is
//!   queued: the pool wakes the reader for that. So a large frame that arrives in many pieces is not copied for each
//!   piece while there are enough buffers.

#![forbid(unsafe_code)]

use super::heap_copy::HeapCopy;
use crate::{
    quota::poll_pool::PollPool,
    sample::{exclusive::Sample, part::SamplePart, segments::Segments},
    values::{
        error::GetBufferError,
        sample_properties::{EMPTY, SampleProperties},
        status::State,
    },
};
use bytes::{BufMut, Bytes};
use std::{
    mem,
    ops::Range,
    task::{Context, Poll, ready},
};

/// How many bytes are copied to the heap whether or not another get is queued.
const SMALL: usize = 4096;

/// The bytes, and the pool from which their buffers come.
pub(super) struct FrameBuffer {
    pool: PollPool,
    storage: Storage,
    /// Empty unless the storage is `OnHeap`.
    heap: HeapCopy,
}

/// See the table of the module.
enum Storage {
    Empty,
    Filling(Sample),
    Parsing(SamplePart),
    OnHeap,
}

/// Why there is no sample to read into.
pub(super) enum NoSpace {
    GetBuffer(GetBufferError),
    TooLarge { buffer: usize },
}

impl FrameBuffer {
    pub(super) fn new(pool: PollPool) -> Self {
        let heap = HeapCopy::new(pool.pool().engine().wipes());
        FrameBuffer {
            pool,
            storage: Storage::Empty,
            heap,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match &self.storage {
            Storage::Empty => &[],
            Storage::Filling(sample) => sample,
            Storage::Parsing(rest) => rest,
            Storage::OnHeap => self.heap.bytes(),
        }
    }

    /// Returns whether there is a sample to read into. If not, none is needed before the source has something to read.
    pub(super) fn has_space(&self) -> bool {
        matches!(self.storage, Storage::Filling(_))
    }

    /// Returns the bytes without a copy. Their sample is released when they are dropped.
    pub(super) fn into_bytes(self) -> Bytes {
        match self.storage {
            Storage::Empty => Bytes::new(),
            Storage::Filling(sample) => sample.into_bytes(),
            Storage::Parsing(rest) => rest.into_bytes(),
            Storage::OnHeap => self.heap.into_bytes(),
        }
    }

    /// Splits off `frame`, and drops the bytes before `consumed`.
    pub(super) fn split_frame(&mut self, frame: Range<usize>, consumed: usize) -> SamplePart {
        // A decoder is user code. These checks come first, so nothing has changed if it is wrong.
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
        let mut rest = match mem::replace(&mut self.storage, Storage::Empty) {
            Storage::Filling(sample) => sample.into_part(),
            Storage::Parsing(rest) => rest,
            Storage::Empty | Storage::OnHeap => unreachable!("frames are decoded only in samples"),
        };
        let mut first = rest.split_to(consumed);
        self.set_rest(Some(rest));
        first.drop_front(frame.start);
        first.truncate(frame.len());
        first
    }

    /// Keeps the bytes that were read behind a frame. A buffer without such bytes is released.
    pub(super) fn set_rest(&mut self, rest: Option<SamplePart>) {
        let rest = rest.filter(|rest| !rest.is_empty());
        self.storage = rest.map_or(Storage::Empty, Storage::Parsing);
    }

    /// Returns the part that contains the bytes, if frames before them are held and there is space behind them until
    /// there are `needed`.
    pub(super) fn part_with_space(&mut self, needed: usize) -> Option<&mut SamplePart> {
        self.take_sample_back();
        match &mut self.storage {
            Storage::Parsing(part) if needed <= part.capacity() => Some(part),
            _ => None,
        }
    }

    /// Makes the part a sample again, if no frame of it is held.
    fn take_sample_back(&mut self) {
        self.storage = match mem::replace(&mut self.storage, Storage::Empty) {
            Storage::Parsing(rest) => match rest.try_into_sample() {
                Ok(sample) => Storage::Filling(sample),
                Err(rest) => Storage::Parsing(rest),
            },
            storage => storage,
        };
    }

    /// Returns a sample that contains the bytes and has space until there are `needed`, which is more than there are now.
    pub(super) fn poll_space(
        &mut self,
        needed: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<&mut Sample, NoSpace>> {
        self.take_sample_back();
        match &mut self.storage {
            Storage::Filling(sample) => {
                if needed > sample.len() + sample.spare_capacity() {
                    let buffer = sample.capacity();
                    if needed > buffer {
                        return Poll::Ready(Err(NoSpace::TooLarge { buffer }));
                    }
                    sample.move_to_front();
                }
            }
            Storage::Empty | Storage::Parsing(_) | Storage::OnHeap => {
                ready!(self.poll_move(needed, cx))?;
            }
        }
        match &mut self.storage {
            Storage::Filling(sample) => Poll::Ready(Ok(sample)),
            Storage::Empty | Storage::Parsing(_) | Storage::OnHeap => {
                unreachable!("`poll_move` moved the bytes into a sample")
            }
        }
    }

    /// Moves bytes that are on the heap into a sample.
    pub(super) fn poll_leave_heap(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NoSpace>> {
        match self.storage {
            Storage::OnHeap => self.poll_move(self.heap.bytes().len(), cx),
            Storage::Empty | Storage::Filling(_) | Storage::Parsing(_) => Poll::Ready(Ok(())),
        }
    }

    /// Moves the bytes to the start of another sample.
    fn poll_move(&mut self, needed: usize, cx: &mut Context<'_>) -> Poll<Result<(), NoSpace>> {
        // Checked before the wait, which may only end when the caller drops the frames that it holds. A pool that is not
        // committed refuses at once, and can be given larger buffers before it is committed again.
        let pool = self.pool.pool();
        let buffer = pool.properties().size;
        if needed > buffer && pool.state() == State::Committed {
            return Poll::Ready(Err(NoSpace::TooLarge { buffer }));
        }
        let mut sample = match self.pool.poll_get_buffer(cx) {
            Poll::Ready(result) => result.map_err(NoSpace::GetBuffer)?,
            Poll::Pending => {
                // No buffer is held during the wait; see the module.
                self.copy_to_heap();
                return Poll::Pending;
            }
        };
        // The pool can have other properties after the wait.
        if needed > sample.spare_capacity() {
            let buffer = sample.capacity();
            return Poll::Ready(Err(NoSpace::TooLarge { buffer }));
        }
        sample.put_slice(self.bytes());
        if let Some(properties) = self.take_properties() {
            *sample.properties_mut() = properties;
        }
        self.heap.clear();
        self.storage = Storage::Filling(sample);
        Poll::Ready(Ok(()))
    }

    /// Moves the bytes to the start of buffers for a message of `len` bytes, which is more than there are now. Until it is
    /// ready, the caller passes the same `len`.
    pub(super) fn poll_segments(
        &mut self,
        len: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Segments, GetBufferError>> {
        let mut segments = match self.pool.poll_get_segments(len, cx) {
            Poll::Ready(Ok(segments)) => segments,
            not_yet => {
                // No buffer is held during the wait; see the module.
                self.copy_to_heap();
                if !matches!(self.storage, Storage::OnHeap) {
                    // The wait could be for the buffer that this holds.
                    self.pool.cancel();
                    return Poll::Ready(Err(GetBufferError::TooMany));
                }
                return not_yet;
            }
        };
        segments.put_slice(self.bytes());
        if let Some(properties) = self.take_properties() {
            segments.set_properties(properties);
        }
        self.heap.clear();
        self.storage = Storage::Empty;
        Poll::Ready(Ok(segments))
    }

    /// The properties of the sample that the bytes were read into. `None` if none were set.
    fn take_properties(&mut self) -> Option<SampleProperties> {
        let properties = match &self.storage {
            Storage::Empty => return None,
            Storage::OnHeap => return self.heap.take_properties(),
            Storage::Filling(sample) => sample.properties(),
            Storage::Parsing(rest) => rest.properties(),
        };
        (*properties != EMPTY).then(|| properties.clone())
    }

    /// Releases the buffer if another get needs it, because the source has nothing to read. If the buffer is kept, the task
    /// is woken when another get is queued, and calls this again.
    pub(super) fn wait_for_source(&mut self, cx: &mut Context<'_>) {
        let len = self.bytes().len();
        match self.storage {
            Storage::Empty | Storage::OnHeap => {}
            Storage::Filling(_) | Storage::Parsing(_) => {
                if len == 0 {
                    self.clear();
                } else if len <= SMALL || self.pool.poll_reclaim_unbudgeted(cx).is_ready() {
                    self.copy_to_heap();
                }
            }
        }
        self.heap.shrink();
    }

    /// Copies the bytes to the heap and releases the sample. Keeps the sample if the memory cannot be allocated.
    fn copy_to_heap(&mut self) {
        let (bytes, properties) = match &self.storage {
            Storage::Empty | Storage::OnHeap => return,
            Storage::Filling(sample) => (&sample[..], sample.properties()),
            Storage::Parsing(rest) => (&rest[..], rest.properties()),
        };
        let size = self.pool.pool().engine().geometry().size();
        if self.heap.put(bytes, size, properties) {
            self.storage = Storage::OnHeap;
        }
    }

    /// Drops the bytes, and leaves the wait queue.
    pub(super) fn clear(&mut self) {
        self.storage = Storage::Empty;
        self.heap.clear();
        self.pool.cancel();
    }

    /// Releases a buffer that nothing was read into.
    pub(super) fn release_if_empty(&mut self) {
        if self.bytes().is_empty() {
            self.clear();
        }
    }
}
