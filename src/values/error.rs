//! Why an operation was refused, one type per family of operations.
//!
//! All can be cloned, kept and sent, and each variant says whether trying again can help. Those that never have a
//! cause of the system's are plain values that can be compared too. A message never repeats that of its
//! [`source`](std::error::Error::source), so that a reporter that prints the chain prints each reason once.

#![forbid(unsafe_code)]

use std::io;

use thiserror::Error;

/// Why [`Pool::set_properties`](crate::Pool::set_properties) changed nothing.
///
/// The checks are made in the order of the variants, so the first that applies is the one reported.
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
    /// The pool is committed, and its layout is fixed until it is not.
    ///
    /// Trying again helps once the pool was [decommitted](crate::Pool::decommit) and has
    /// [drained](crate::Pool::drained).
    ///
    /// Mirrors `VFW_E_ALREADY_COMMITTED`.
    #[error("the pool is committed")]
    AlreadyCommitted,
    /// The pool was decommitted, but samples of it are still out and keep the old layout.
    ///
    /// Trying again helps once the last one is home: wait for
    /// [`Pool::drained`](crate::Pool::drained).
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

/// Why [`Pool::commit`](crate::Pool::commit) left the pool without memory.
///
/// # Examples
///
/// ```
/// use sample_pool::{CommitError, Pool};
///
/// // A new pool has no properties yet: nothing says how much memory it should take.
/// assert!(matches!(Pool::new().commit(), Err(CommitError::SizeNotSet)));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Error)]
pub enum CommitError {
    /// The number of buffers, their size or their alignment is zero.
    ///
    /// Trying again helps after [`Pool::set_properties`](crate::Pool::set_properties), and only
    /// then.
    ///
    /// Mirrors `VFW_E_SIZENOTSET`.
    #[error("the number of buffers, their size or their alignment is zero")]
    SizeNotSet,
    /// The system refused the memory.
    ///
    /// Trying again may help when other memory was freed; asking for less with
    /// [`Pool::set_properties`](crate::Pool::set_properties) is the surer way, and is allowed at
    /// once.
    ///
    /// Mirrors `E_OUTOFMEMORY`.
    #[error("the system refused the memory")]
    OutOfMemory,
}

/// Why a get returned no sample.
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
    /// The pool is not committed, or was decommitted while this get waited.
    ///
    /// Trying again helps only after a [`Pool::commit`](crate::Pool::commit).
    ///
    /// Mirrors `VFW_E_NOT_COMMITTED`.
    #[error("the pool is not committed")]
    NotCommitted,
    /// The pool is flushing, or began to flush while this get waited.
    ///
    /// Trying again helps only after [`Pool::set_flushing(false)`](crate::Pool::set_flushing).
    #[error("the pool is flushing")]
    Flushing,
    /// No sample could be had without waiting: none is home but those of the reserve, others are in line for
    /// it, or the quota has no room.
    ///
    /// Trying again helps when samples come home, and waiting in line is the fair way to do it.
    ///
    /// Mirrors `VFW_E_TIMEOUT`, which DirectShow returns under `AM_GBF_NOWAIT`.
    #[error("no sample is free without waiting")]
    Exhausted,
    /// The time limit passed first.
    ///
    /// Trying again can help, from the end of the line.
    #[error("no sample came home within the time limit")]
    TimedOut,
    /// The line, of the pool or of the quota, is as long as
    /// [`Builder::max_waiters`](crate::Builder::max_waiters) lets it be.
    ///
    /// Trying again helps when the line is shorter.
    #[error("too many are waiting in line already")]
    TooManyWaiters,
    /// More samples were asked for at once than the pool has buffers, those of the reserve not counted unless
    /// the get is of high priority; or than the quota has.
    ///
    /// Also if the system refuses memory for a `Vec` of so many.
    ///
    /// Trying again with the same number cannot help, or only when other memory was freed.
    #[error("more samples were requested at once than can ever be had at once")]
    TooMany,
}

impl GetBufferError {
    /// Whether the same get can succeed later with no more than samples coming home.
    ///
    /// True for [`Exhausted`](Self::Exhausted), [`TimedOut`](Self::TimedOut) and
    /// [`TooManyWaiters`](Self::TooManyWaiters): the pool is busy, so shed load or come back.
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

    /// Whether somebody stopped the pool, so that a loop that fills samples should stop too.
    ///
    /// True for [`NotCommitted`](Self::NotCommitted) and [`Flushing`](Self::Flushing). Both can be
    /// undone, by [`Pool::commit`](crate::Pool::commit) and by
    /// [`Pool::set_flushing(false)`](crate::Pool::set_flushing); no sample coming home undoes
    /// either.
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

    /// The kind of an [`io::Error`] that is made of it.
    pub(crate) fn io_kind(self) -> io::ErrorKind {
        match self {
            Self::TimedOut => io::ErrorKind::TimedOut,
            Self::NotCommitted | Self::Flushing => io::ErrorKind::BrokenPipe,
            Self::Exhausted | Self::TooManyWaiters => io::ErrorKind::ResourceBusy,
            Self::TooMany => io::ErrorKind::InvalidInput,
        }
    }
}

/// As [`TimedOut`](io::ErrorKind::TimedOut) if the time limit passed; as [`BrokenPipe`](io::ErrorKind::BrokenPipe)
/// if the pool [was stopped](GetBufferError::is_closed); as [`ResourceBusy`](io::ErrorKind::ResourceBusy) if it is
/// exhausted or too many wait; as [`InvalidInput`](io::ErrorKind::InvalidInput) if too many were requested. The error
/// itself is inside.
///
/// An exhausted pool is not a [`WouldBlock`](io::ErrorKind::WouldBlock): that would tell Tokio's `try_io` that the
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

/// Which of the two steps of [`Builder::build`](crate::Builder::build) failed, and why.
///
/// The reason is the [`source`](std::error::Error::source), and the message does not repeat it.
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
    /// The properties were refused. Trying again can help if it can for the error inside.
    #[error("the properties of the pool were refused")]
    SetProperties(#[from] SetPropertiesError),
    /// The memory was refused. Trying again can help if it can for the error inside.
    #[error("the pool could not be committed")]
    Commit(#[from] CommitError),
}

/// The fan-out was closed: [`FanOut::send`](crate::fan_out::FanOut::send) dropped the sample.
///
/// Trying again cannot help: a closed fan-out stays closed. The error does not carry the sample, as an error that is
/// kept would keep its buffer from the pool.
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

/// As [`BrokenPipe`](io::ErrorKind::BrokenPipe); the error itself is inside.
impl From<SendError> for io::Error {
    fn from(error: SendError) -> Self {
        Self::new(io::ErrorKind::BrokenPipe, error)
    }
}

/// More bytes than the buffer has room for.
///
/// Trying again can help only with fewer bytes: a sample never grows.
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
    /// How many bytes were asked for.
    pub requested: usize,
    /// How many there is room for.
    pub capacity: usize,
}

/// As [`WriteZero`](io::ErrorKind::WriteZero), the kind that `write_all` reports for a full buffer;
/// the overflow itself is inside.
impl From<BufferOverflow> for io::Error {
    fn from(overflow: BufferOverflow) -> Self {
        Self::new(io::ErrorKind::WriteZero, overflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expectations stand in a `match`, so a new variant does not compile until it has its own.
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
