//! The errors: one type for each family of operations.
//!
//! Each type is `Clone`, `Send` and `Sync`, and each variant says whether trying again can help. A type that never
//! carries a reason from the operating system is also `Copy` and `PartialEq`. A message does not repeat the message of
//! its [`source`](std::error::Error::source), so a reporter that prints all sources prints each reason once.

#![forbid(unsafe_code)]

use std::io;

use thiserror::Error;

/// The error of [`Pool::set_properties`](crate::Pool::set_properties), which then changes nothing.
///
/// The checks are made in the order of the variants. If several apply, the first one is returned.
///
/// # Examples
///
/// ```
/// use sample_pool::{Pool, Properties, SetPropertiesError};
///
/// let pool = Pool::new();
/// let refused = pool.set_properties(Properties { buffers: 4, size: 188, align: 0, prefix: 0 });
/// assert_eq!(refused, Err(SetPropertiesError::BadAlign));
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SetPropertiesError {
    /// The alignment was zero. Trying again with the same properties cannot help.
    ///
    /// Mirrors `VFW_E_BADALIGN`.
    #[error("the alignment must not be zero")]
    BadAlign,
    /// The pool is committed. Its layout cannot change while it is.
    ///
    /// Trying again helps after the pool is [decommitted](crate::Pool::decommit) and has
    /// [drained](crate::Pool::drained).
    ///
    /// Mirrors `VFW_E_ALREADY_COMMITTED`.
    #[error("the pool is committed")]
    AlreadyCommitted,
    /// The pool is decommitted, but some of its samples are still outstanding and keep the old layout.
    ///
    /// Trying again helps after the last one is returned: wait for [`Pool::drained`](crate::Pool::drained).
    ///
    /// Mirrors `VFW_E_BUFFERS_OUTSTANDING`.
    #[error("samples are still outstanding")]
    BuffersOutstanding,
    /// The buffers together would take more than [`isize::MAX`] bytes, there would be more than
    /// [`u32::MAX`] of them, or one alone cannot be rounded up to its alignment.
    ///
    /// Trying again with the same properties cannot help.
    #[error("the buffers together would be too large or too many to address")]
    TooLarge,
}

/// The error of [`Pool::commit`](crate::Pool::commit), which then leaves the pool without memory.
///
/// # Examples
///
/// ```
/// use sample_pool::{CommitError, Pool};
///
/// // A new pool has no properties yet, so the amount of memory is unknown.
/// assert!(matches!(Pool::new().commit(), Err(CommitError::SizeNotSet)));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Error)]
pub enum CommitError {
    /// The number of buffers, their size or their alignment is zero.
    ///
    /// Trying again helps only after [`Pool::set_properties`](crate::Pool::set_properties).
    ///
    /// Mirrors `VFW_E_SIZENOTSET`.
    #[error("the number of buffers, their size or their alignment is zero")]
    SizeNotSet,
    /// The system refused the memory.
    ///
    /// Trying again may help after other memory is freed. It is more certain to ask for less with
    /// [`Pool::set_properties`](crate::Pool::set_properties), which is allowed at once.
    ///
    /// Mirrors `E_OUTOFMEMORY`.
    #[error("the system refused the memory")]
    OutOfMemory,
}

/// The error of a get: it returned no sample.
///
/// # Examples
///
/// ```
/// use sample_pool::{GetBufferError, Pool};
///
/// assert_eq!(Pool::new().try_get_buffer().unwrap_err(), GetBufferError::NotCommitted);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GetBufferError {
    /// The pool is not committed, or it was decommitted while this get waited.
    ///
    /// Trying again helps only after a [`Pool::commit`](crate::Pool::commit).
    ///
    /// Mirrors `VFW_E_NOT_COMMITTED`.
    #[error("the pool is not committed")]
    NotCommitted,
    /// The pool is flushing, or it began to flush while this get waited.
    ///
    /// Trying again helps only after [`Pool::set_flushing(false)`](crate::Pool::set_flushing).
    #[error("the pool is flushing")]
    Flushing,
    /// No sample is available without waiting: none is free except the [priority
    /// buffers](crate::Builder::priority_buffers), other gets are queued, or the quota has no room.
    ///
    /// Trying again helps after samples are returned. A get that waits keeps its position in the queue, and one that
    /// tries again does not.
    ///
    /// Mirrors `VFW_E_TIMEOUT`, which DirectShow returns under `AM_GBF_NOWAIT`.
    #[error("no sample is available without waiting")]
    Exhausted,
    /// The time limit passed before a sample became available.
    ///
    /// Trying again can help. The new get joins the queue at its tail.
    #[error("no sample became available within the time limit")]
    TimedOut,
    /// The wait queue of the pool or of the quota is full: it has reached
    /// [`Builder::max_waiters`](crate::Builder::max_waiters).
    ///
    /// Trying again helps when the queue is shorter.
    #[error("the wait queue is full")]
    TooManyWaiters,
    /// The get requested more samples at once than the pool has buffers or than the quota allows.
    ///
    /// The [priority buffers](crate::Builder::priority_buffers) count only for a get of high priority.
    ///
    /// Also returned if the system refuses memory for a `Vec` of that many samples. Then trying again may help after
    /// other memory is freed. Otherwise trying again with the same number cannot help.
    #[error("more samples were requested at once than the pool or the quota allows")]
    TooMany,
}

impl GetBufferError {
    /// Returns `true` if the same get can succeed later, when samples are returned and nothing else changes.
    ///
    /// True for [`Exhausted`](Self::Exhausted), [`TimedOut`](Self::TimedOut) and
    /// [`TooManyWaiters`](Self::TooManyWaiters): the pool is busy, so shed load or try again later.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::GetBufferError;
    ///
    /// assert!(GetBufferError::Exhausted.is_retryable());
    /// assert!(!GetBufferError::TooMany.is_retryable());
    /// ```
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Exhausted | Self::TimedOut | Self::TooManyWaiters => true,
            Self::NotCommitted | Self::Flushing | Self::TooMany => false,
        }
    }

    /// Returns `true` if the pool was stopped, so a loop that fills samples should stop too.
    ///
    /// True for [`NotCommitted`](Self::NotCommitted) and [`Flushing`](Self::Flushing).
    /// [`Pool::commit`](crate::Pool::commit) ends the first and
    /// [`Pool::set_flushing(false)`](crate::Pool::set_flushing) the second. Returned samples end neither.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::GetBufferError;
    ///
    /// assert!(GetBufferError::Flushing.is_closed());
    /// assert!(!GetBufferError::TimedOut.is_closed());
    /// ```
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        match self {
            Self::NotCommitted | Self::Flushing => true,
            Self::Exhausted | Self::TimedOut | Self::TooManyWaiters | Self::TooMany => false,
        }
    }

    /// The kind of the [`io::Error`] that this converts into.
    pub(crate) fn io_kind(self) -> io::ErrorKind {
        match self {
            Self::TimedOut => io::ErrorKind::TimedOut,
            Self::NotCommitted | Self::Flushing => io::ErrorKind::BrokenPipe,
            Self::Exhausted | Self::TooManyWaiters => io::ErrorKind::ResourceBusy,
            Self::TooMany => io::ErrorKind::InvalidInput,
        }
    }
}

/// Converts a get error into an [`io::Error`] that wraps it.
///
/// | error                         | kind                                          |
/// |-------------------------------|-----------------------------------------------|
/// | `TimedOut`                    | [`TimedOut`](io::ErrorKind::TimedOut)         |
/// | `NotCommitted`, `Flushing`    | [`BrokenPipe`](io::ErrorKind::BrokenPipe)     |
/// | `Exhausted`, `TooManyWaiters` | [`ResourceBusy`](io::ErrorKind::ResourceBusy) |
/// | `TooMany`                     | [`InvalidInput`](io::ErrorKind::InvalidInput) |
///
/// `Exhausted` is not a [`WouldBlock`](io::ErrorKind::WouldBlock): Tokio's `try_io` would take that to mean that the
/// socket is not ready.
///
/// # Examples
///
/// ```
/// use sample_pool::{GetBufferError, Pool};
/// use std::io;
///
/// fn read(pool: &Pool) -> io::Result<()> {
///     let _sample = pool.try_get_buffer()?;
///     Ok(())
/// }
///
/// let error = read(&Pool::new()).unwrap_err();
/// assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
/// assert_eq!(error.downcast::<GetBufferError>().unwrap(), GetBufferError::NotCommitted);
/// ```
impl From<GetBufferError> for io::Error {
    fn from(error: GetBufferError) -> Self {
        Self::new(error.io_kind(), error)
    }
}

/// The error of [`Builder::build`](crate::Builder::build): which of its two steps failed, and why.
///
/// The reason is the [`source`](std::error::Error::source). The message does not repeat it.
///
/// # Examples
///
/// ```
/// use sample_pool::{BuildError, Pool, SetPropertiesError};
/// use std::error::Error;
///
/// let error = Pool::builder().align(0).build().unwrap_err();
/// assert!(matches!(error, BuildError::SetProperties(SetPropertiesError::BadAlign)));
/// assert_eq!(error.to_string(), "the properties of the pool were refused");
/// assert_eq!(error.source().unwrap().to_string(), "the alignment must not be zero");
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Error)]
pub enum BuildError {
    /// The properties were refused. Trying again can help if it can help for the inner error.
    #[error("the properties of the pool were refused")]
    SetProperties(#[from] SetPropertiesError),
    /// The commit failed. Trying again can help if it can help for the inner error.
    #[error("the pool could not be committed")]
    Commit(#[from] CommitError),
}

/// The error of [`FanOut::send`](crate::fan_out::FanOut::send): the fan-out is closed, and the sample was dropped.
///
/// Trying again cannot help: a closed fan-out stays closed. The error does not carry the sample, because an error
/// that is stored would keep its buffer out of the pool.
///
/// # Examples
///
/// ```
/// use sample_pool::{Pool, fan_out::FanOut};
///
/// let pool = Pool::builder().buffers(1).build()?;
/// let video = FanOut::new(4, 3);
/// video.close();
/// let refused = video.send(pool.try_get_buffer()?.freeze()).unwrap_err();
/// assert_eq!(refused.to_string(), "the fan-out is closed");
/// assert_eq!(pool.free_count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the fan-out is closed")]
pub struct SendError {}

impl SendError {
    pub(crate) fn new() -> Self {
        SendError {}
    }
}

/// Converts a send error into an [`io::Error`] of kind [`BrokenPipe`](io::ErrorKind::BrokenPipe) that wraps it.
impl From<SendError> for io::Error {
    fn from(error: SendError) -> Self {
        Self::new(io::ErrorKind::BrokenPipe, error)
    }
}

/// The error of [`ArrivingFrame::append`](crate::fan_out::ArrivingFrame::append): nothing more of the frame is sent.
///
/// Trying again cannot help. The bytes were dropped.
///
/// # Examples
///
/// ```
/// use sample_pool::fan_out::{AppendError, FanOut};
///
/// let video = FanOut::new(4, 3);
/// let frame = video.start_frame(true)?;
/// video.close();
/// let refused = frame.finish().unwrap_err();
/// assert_eq!(refused, AppendError::Closed);
/// assert_eq!(refused.to_string(), "the fan-out was closed before the frame was complete");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AppendError {
    /// The fan-out is closed, or was dropped. Another frame cannot be started either.
    #[error("the fan-out was closed before the frame was complete")]
    Closed,
    /// Another frame was started, a sample was sent whole, or the backlog was cleared. Another frame can be started.
    #[error("the frame was aborted, because another took its place or the backlog was cleared")]
    Aborted,
}

/// Converts an append error into an [`io::Error`] of kind [`BrokenPipe`](io::ErrorKind::BrokenPipe) that wraps it.
impl From<AppendError> for io::Error {
    fn from(error: AppendError) -> Self {
        Self::new(io::ErrorKind::BrokenPipe, error)
    }
}

/// The error of a write of more bytes than fit into the buffer.
///
/// Trying again helps only with fewer bytes: a sample never grows.
///
/// Mirrors `VFW_E_BUFFER_OVERFLOW`.
///
/// # Examples
///
/// ```
/// use sample_pool::BufferOverflow;
///
/// let overflow = BufferOverflow { requested: 200, capacity: 188 };
/// assert_eq!(overflow.to_string(), "200 bytes do not fit into 188");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{requested} bytes do not fit into {capacity}")]
pub struct BufferOverflow {
    /// How many bytes were requested.
    pub requested: usize,
    /// How many bytes fit.
    pub capacity: usize,
}

/// Converts an overflow into an [`io::Error`] of kind [`WriteZero`](io::ErrorKind::WriteZero) that wraps it.
///
/// `write_all` returns the same kind for a full buffer.
impl From<BufferOverflow> for io::Error {
    fn from(overflow: BufferOverflow) -> Self {
        Self::new(io::ErrorKind::WriteZero, overflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(is_retryable, is_closed)`. It is a `match`, so a new variant does not compile until it has an expectation.
    fn expected(error: GetBufferError) -> (bool, bool) {
        match error {
            GetBufferError::NotCommitted => (false, true),
            GetBufferError::Flushing => (false, true),
            GetBufferError::Exhausted => (true, false),
            GetBufferError::TimedOut => (true, false),
            GetBufferError::TooManyWaiters => (true, false),
            GetBufferError::TooMany => (false, false),
        }
    }

    const GET_BUFFER_ERRORS: [GetBufferError; 6] = [
        GetBufferError::NotCommitted,
        GetBufferError::Flushing,
        GetBufferError::Exhausted,
        GetBufferError::TimedOut,
        GetBufferError::TooManyWaiters,
        GetBufferError::TooMany,
    ];

    #[test]
    fn every_get_buffer_error_says_whether_to_retry_and_whether_the_pool_was_stopped() {
        for error in GET_BUFFER_ERRORS {
            assert_eq!(
                (error.is_retryable(), error.is_closed()),
                expected(error),
                "{error:?}"
            );
        }
    }

    #[test]
    fn an_overflow_becomes_the_io_error_that_write_all_gives_and_stays_inside_it() {
        let overflow = BufferOverflow {
            requested: 9,
            capacity: 8,
        };
        let error = io::Error::from(overflow);
        let full = io::Write::write_all(&mut [0_u8; 8].as_mut_slice(), &[0; 9]).unwrap_err();
        assert_eq!(error.kind(), full.kind());
        assert_eq!(
            error.get_ref().and_then(|e| e.downcast_ref()),
            Some(&overflow)
        );
        assert!(error.to_string().contains('9') && error.to_string().contains('8'));
    }
}
