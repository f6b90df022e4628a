//! The properties of a pool, as requested and as rounded.
//!
//! Every slot takes `prefix + size` bytes, rounded up to the alignment. This is the *stride*. The bytes that the
//! rounding adds are part of the actual size, so the user can use every byte of a slot.
//!
//! ```text
//!  |<---------- stride, a multiple of align ---------->|
//!  | prefix |             actual size                  | prefix | ...
//!  ^ aligned                                           ^ aligned
//! ```

#![forbid(unsafe_code)]

use crate::values::error::SetPropertiesError;

/// The number of buffers in a pool, their size and their layout in memory.
///
/// A plain value. [`Pool::set_properties`](crate::Pool::set_properties) takes the requested properties and returns
/// the actual ones, in which only [`size`](Self::size) can be larger. A new pool has the default: all are zero.
///
/// Mirrors `ALLOCATOR_PROPERTIES`.
///
/// # Examples
///
/// Buffers for 1316 bytes of transport stream after 12 bytes for an RTP header, in whole cache lines:
///
/// ```
/// use sample_pool::{Pool, Properties};
///
/// let requested = Properties { buffers: 8, size: 1316, align: 64, prefix: 12 };
/// let actual = Pool::new().set_properties(requested)?;
/// assert_eq!(actual.size, 1332); // 12 + 1316 rounds up to 1344 = 21 * 64
/// assert_eq!(actual, Properties { size: 1332, ..requested });
/// # Ok::<(), sample_pool::SetPropertiesError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// The number of buffers; at most [`u32::MAX`].
    ///
    /// Mirrors `ALLOCATOR_PROPERTIES::cBuffers`.
    pub buffers: usize,
    /// The size of a buffer in bytes, without the prefix.
    ///
    /// Mirrors `ALLOCATOR_PROPERTIES::cbBuffer`.
    pub size: usize,
    /// The alignment in bytes: any number except zero, not only a power of two.
    ///
    /// The start of the *prefix* is at a multiple of this. To align the start of the buffer as well, use a prefix of
    /// zero or of a multiple of the alignment.
    ///
    /// Mirrors `ALLOCATOR_PROPERTIES::cbAlign`.
    pub align: usize,
    /// The number of bytes before each buffer, for a header that is [prepended](crate::Sample::prepend) after the
    /// payload was written.
    ///
    /// Mirrors `ALLOCATOR_PROPERTIES::cbPrefix`.
    pub prefix: usize,
}

impl Properties {
    /// The distance from the start of one slot to the start of the next, in bytes.
    ///
    /// For *actual* properties only: for those the sum cannot overflow.
    pub(crate) fn stride(&self) -> usize {
        self.prefix + self.size
    }
}

/// Checks the alignment. This check comes before the checks of the pool's state.
///
/// # Errors
///
/// `BadAlign` if the alignment is zero.
pub(crate) fn check_align(requested: Properties) -> Result<(), SetPropertiesError> {
    if requested.align == 0 {
        Err(SetPropertiesError::BadAlign)
    } else {
        Ok(())
    }
}

/// Returns the actual properties: `size` grows until the stride is a multiple of `align`, and the other three stay the
/// same. Rounding actual properties changes nothing.
///
/// This comes after the checks of the pool's state. `check_align` must have passed before.
///
/// # Errors
///
/// `TooLarge` if the stride does not fit into a `usize`, all strides together do not fit into an `isize`, or the number
/// of slots does not fit into a `u32`.
pub(crate) fn round(requested: Properties) -> Result<Properties, SetPropertiesError> {
    debug_assert_ne!(
        requested.align, 0,
        "check_align must pass before the properties are rounded"
    );
    rounded(requested).ok_or(SetPropertiesError::TooLarge)
}

fn rounded(requested: Properties) -> Option<Properties> {
    let Properties {
        buffers,
        size,
        align,
        prefix,
    } = requested;
    let stride = prefix.checked_add(size)?.checked_next_multiple_of(align)?;
    let total = buffers.checked_mul(stride)?;
    // No object may be larger than `isize::MAX` bytes: pointer offsets could not reach its end.
    isize::try_from(total).ok()?;
    // The free list and the wait queue count slots in 32 bits. This fails only where `usize` is wider, and there also
    // for a stride of zero, which takes no memory and so passes the check above.
    u32::try_from(buffers).ok()?;
    Some(Properties {
        size: stride - prefix,
        ..requested
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOO_LARGE: Result<Properties, SetPropertiesError> = Err(SetPropertiesError::TooLarge);
    const MAX: usize = isize::MAX as usize;

    fn properties(buffers: usize, size: usize, align: usize, prefix: usize) -> Properties {
        Properties {
            buffers,
            size,
            align,
            prefix,
        }
    }

    fn actual_size(size: usize, align: usize, prefix: usize) -> usize {
        round(properties(1, size, align, prefix))
            .expect("small")
            .size
    }

    #[test]
    fn only_an_alignment_of_zero_is_refused() {
        assert_eq!(
            check_align(properties(1, 1, 0, 0)),
            Err(SetPropertiesError::BadAlign)
        );
        for align in [1, 2, 3, 7, 188, 4096, usize::MAX] {
            assert_eq!(check_align(properties(1, 1, align, 0)), Ok(()), "{align}");
        }
    }

    #[test]
    fn prefix_and_size_together_are_rounded_up_and_only_the_size_grows() {
        assert_eq!(actual_size(64, 64, 0), 64);
        assert_eq!(actual_size(65, 64, 0), 128);
        assert_eq!(actual_size(60, 64, 4), 60);
        assert_eq!(actual_size(61, 64, 4), 124);
        assert_eq!(actual_size(10, 1, 3), 10);
        // 188 is the size of a transport packet, and no power of two.
        assert_eq!(actual_size(1300, 188, 12), 1304);
        // An alignment above the size makes each slot as large as the alignment.
        assert_eq!(actual_size(1, 4096, 0), 4096);
        // The prefix alone is larger than the alignment; the bytes that the rounding adds are size.
        assert_eq!(actual_size(0, 64, 70), 58);
        assert_eq!(actual_size(0, 64, 0), 0);

        let asked = properties(5, 61, 64, 4);
        assert_eq!(round(asked), Ok(Properties { size: 124, ..asked }));
    }

    /// A pool often gets the actual properties of another pool; the size must not grow each time.
    #[test]
    fn rounding_twice_is_rounding_once_and_the_stride_is_a_multiple_of_the_alignment() {
        for align in [1, 2, 3, 7, 64, 188] {
            for prefix in [0, 1, 12, 64, 189] {
                for size in 0..400 {
                    let once = round(properties(3, size, align, prefix)).expect("small");
                    assert_eq!(round(once), Ok(once));
                    assert_eq!(once.stride() % align, 0);
                    assert_eq!(once.stride(), prefix + once.size);
                    assert!(once.size >= size && once.size - size < align);
                }
            }
        }
    }

    #[test]
    fn a_stride_that_no_usize_can_hold_is_too_large() {
        // The sum overflows, and with one byte less it does not. There are no buffers, so only the stride can be too
        // large.
        assert_eq!(round(properties(0, usize::MAX, 1, 1)), TOO_LARGE);
        assert_eq!(round(properties(0, 1, 1, usize::MAX)), TOO_LARGE);
        let edge = properties(0, usize::MAX - 1, 1, 1);
        assert_eq!(round(edge), Ok(edge));
        // The sum fits, and rounding it up does not.
        assert_eq!(round(properties(0, usize::MAX, 2, 0)), TOO_LARGE);
        assert_eq!(round(properties(0, usize::MAX - 1, 64, 1)), TOO_LARGE);
        let edge = properties(0, usize::MAX - 1, 2, 0);
        assert_eq!(round(edge), Ok(edge));
        // The largest alignment: one multiple of it fits, and a second does not.
        let one_step = round(properties(0, 1, usize::MAX, 0)).expect("exactly one step");
        assert_eq!(one_step.size, usize::MAX);
        assert_eq!(
            round(properties(0, 1, usize::MAX / 2 + 1, usize::MAX / 2 + 1)),
            TOO_LARGE
        );
    }

    #[test]
    fn together_the_buffers_may_take_isize_max_bytes_and_not_one_more() {
        let edge = properties(1, MAX, 1, 0);
        assert_eq!(round(edge), Ok(edge));
        assert_eq!(round(properties(1, MAX, 1, 1)), TOO_LARGE);
        // Only the rounding makes it too large: `isize::MAX` is odd.
        assert_eq!(round(properties(1, MAX, 2, 0)), TOO_LARGE);
        let edge = properties(2, MAX / 2, 1, 0);
        assert_eq!(round(edge), Ok(edge));
        assert_eq!(round(properties(2, MAX / 2 + 1, 1, 0)), TOO_LARGE);
        // The product overflows a usize: by a little, and by a lot.
        assert_eq!(round(properties(2, usize::MAX / 2 + 1, 1, 0)), TOO_LARGE);
        assert_eq!(round(properties(usize::MAX, usize::MAX, 1, 0)), TOO_LARGE);
    }

    #[test]
    fn slots_are_counted_in_32_bits_even_if_they_take_no_memory() {
        let most = properties(u32::MAX as usize, 0, 1, 0);
        assert_eq!(round(most), Ok(most));
        // Where a usize has 32 bits there is no such number of buffers.
        if let Some(one_more) = (u32::MAX as usize).checked_add(1) {
            assert_eq!(round(properties(one_more, 0, 1, 0)), TOO_LARGE);
            assert_eq!(round(properties(one_more, 1, 1, 0)), TOO_LARGE);
            assert_eq!(round(properties(usize::MAX, 0, 1, 0)), TOO_LARGE);
        }
    }
}
