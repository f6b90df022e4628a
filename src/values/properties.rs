//! What a pool is asked for, and what it makes of it.
//!
//! Every slot is `prefix + size` bytes, rounded up to the alignment: the *stride*. What the rounding
//! adds is given to the user as size, so nothing of a slot lies idle.
//!
//! ```text
//!  |<---------- stride, a multiple of align ---------->|
//!  | prefix |             actual size                  | prefix | ...
//!  ^ aligned                                           ^ aligned
//! ```

#![forbid(unsafe_code)]

use crate::values::error::SetPropertiesError;

/// How many buffers a pool has, how large they are, and how they lie in memory.
///
/// A plain value. [`Pool::set_properties`](crate::Pool::set_properties) takes the properties that
/// are wanted and returns the actual ones, in which only [`size`](Self::size) may have grown. All
/// zero, the default, is what a new pool has.
///
/// Mirrors `ALLOCATOR_PROPERTIES`.
///
/// # Examples
///
/// A buffer for 1316 bytes of transport stream behind 12 bytes for an RTP header, in whole cache
/// lines:
///
/// ```
/// use sample_pool::{Pool, Properties};
///
/// let wanted = Properties { buffers: 8, size: 1316, align: 64, prefix: 12 };
/// let actual = Pool::new().set_properties(wanted)?;
/// assert_eq!(actual.size, 1332); // 12 + 1316 rounds up to 1344 = 21 * 64
/// assert_eq!(actual, Properties { size: 1332, ..wanted });
/// # Ok::<(), sample_pool::SetPropertiesError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// How many buffers the pool has; at most [`u32::MAX`].
    ///
    /// Mirrors `ALLOCATOR_PROPERTIES::cBuffers`.
    pub buffers: usize,
    /// How many bytes a buffer takes, the prefix not counted.
    ///
    /// Mirrors `ALLOCATOR_PROPERTIES::cbBuffer`.
    pub size: usize,
    /// Of how many bytes the address of each buffer is a multiple; any number but zero, not only a
    /// power of two.
    ///
    /// It is the start of the *prefix* that is aligned. For bytes that are aligned themselves, let
    /// the prefix be zero or a multiple of this.
    ///
    /// Mirrors `ALLOCATOR_PROPERTIES::cbAlign`.
    pub align: usize,
    /// How many bytes are kept free in front of each buffer, for a header that is
    /// [prepended](crate::Sample::prepend) when the rest is already there.
    ///
    /// Mirrors `ALLOCATOR_PROPERTIES::cbPrefix`.
    pub prefix: usize,
}

impl Properties {
    /// From the start of one slot to the start of the next, in bytes. Of *actual* properties only,
    /// for which it cannot overflow.
    pub(crate) fn stride(&self) -> usize {
        self.prefix + self.size
    }
}

/// The check that comes before those of the pool's state.
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

/// The actual properties: `size` grown until the stride is a multiple of `align`, the other three
/// as they were. Rounding what is rounded changes nothing.
///
/// Comes after the checks of the pool's state, and expects `check_align` to have passed.
///
/// # Errors
///
/// `TooLarge` if one stride does not fit a `usize`, all of them together do not fit an `isize`, or a
/// slot number does not fit a `u32`.
pub(crate) fn round(requested: Properties) -> Result<Properties, SetPropertiesError> {
    debug_assert_ne!(requested.align, 0, "check_align comes first");
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
    // No object may be larger than this, and pointer offsets could not reach its end.
    isize::try_from(total).ok()?;
    // The free list and the line count slots in 32 bits. Only where `usize` is wider can this fail,
    // and then also for a stride of zero, which takes no memory at all.
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
    fn only_an_alignment_of_zero_is_a_bad_one() {
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
        // A prefix alone already fills slots; the rest of the last one is size.
        assert_eq!(actual_size(0, 64, 70), 58);
        assert_eq!(actual_size(0, 64, 0), 0);

        let asked = properties(5, 61, 64, 4);
        assert_eq!(round(asked), Ok(Properties { size: 124, ..asked }));
    }

    /// A pool is often given what another one answered; the layout must not creep.
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
        // The sum overflows, and with one byte less it does not. No buffers, so that only the
        // stride is at stake.
        assert_eq!(round(properties(0, usize::MAX, 1, 1)), TOO_LARGE);
        assert_eq!(round(properties(0, 1, 1, usize::MAX)), TOO_LARGE);
        let edge = properties(0, usize::MAX - 1, 1, 1);
        assert_eq!(round(edge), Ok(edge));
        // The sum fits, and rounding it up does not.
        assert_eq!(round(properties(0, usize::MAX, 2, 0)), TOO_LARGE);
        assert_eq!(round(properties(0, usize::MAX - 1, 64, 1)), TOO_LARGE);
        let edge = properties(0, usize::MAX - 1, 2, 0);
        assert_eq!(round(edge), Ok(edge));
        // The largest alignment of all: one step up is possible, a second is not.
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
        // Rounding up alone takes it over the edge: isize::MAX is odd.
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
