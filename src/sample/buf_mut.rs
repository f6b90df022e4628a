//! What needs `unsafe` in [`Sample`], [`SamplePart`] and [`Segments`]: [`BufMut`], and a length that is not checked.

#![allow(unsafe_code, reason = "listed in scripts/layers")]

use crate::sample::{exclusive::Sample, part::SamplePart, segments::Segments};
use bytes::{BufMut, buf::UninitSlice};

impl Sample {
    /// Sets the length without touching the bytes, for memory that a device or other code has filled.
    ///
    /// # Safety
    ///
    /// `len` is at most [`len`](Sample::len) plus [`spare_capacity`](Sample::spare_capacity), and the first `len` bytes
    /// were written since this sample was taken from the pool.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// let mut sample = pool.try_get_buffer()?;
    /// let address = sample.spare_capacity_mut().as_mut_ptr().cast::<u8>();
    /// // SAFETY: the buffer has room for four bytes; this stands for a device that writes them.
    /// unsafe { address.copy_from_nonoverlapping(b"data".as_ptr(), 4) };
    /// // SAFETY: they were written just now.
    /// unsafe { sample.set_len_unchecked(4) };
    /// assert_eq!(&sample[..], b"data");
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    pub unsafe fn set_len_unchecked(&mut self, len: usize) {
        // SAFETY: the caller promises what this function requires (S4).
        unsafe { self.bytes_mut().set_len_unchecked(len) };
    }
}

impl SamplePart {
    /// Sets the length without touching the bytes, for memory that a device or other code has filled.
    ///
    /// # Safety
    ///
    /// `len` is at most the part's [`capacity`](SamplePart::capacity), and the first `len` bytes were written since the
    /// sample was taken from the pool.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// let mut part = pool.try_get_buffer()?.into_part();
    /// for (spare, byte) in part.spare_capacity_mut().iter_mut().zip(*b"data") {
    ///     spare.write(byte);
    /// }
    /// // SAFETY: four bytes were written just now.
    /// unsafe { part.set_len_unchecked(4) };
    /// assert_eq!(&part[..], b"data");
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    pub unsafe fn set_len_unchecked(&mut self, len: usize) {
        // SAFETY: the caller promises what this function requires (S4).
        unsafe { self.bytes_mut().set_len_unchecked(len) };
    }
}

/// The same for both: they differ in where the start and the lengths are kept.
macro_rules! append_by_buf_mut {
    ($owner:ty) => {
        /// Appends to the bytes that were written. The `put_*` methods panic if the spare capacity is too small; check
        /// [`remaining_mut`](BufMut::remaining_mut) first.
        // SAFETY: `chunk_mut` returns all the spare bytes, and `advance_mut` counts them as written.
        unsafe impl BufMut for $owner {
            #[inline]
            fn remaining_mut(&self) -> usize {
                self.spare_capacity()
            }

            #[inline]
            unsafe fn advance_mut(&mut self, count: usize) {
                let spare = self.spare_capacity();
                assert!(
                    count <= spare,
                    "cannot advance by {count} bytes, only {spare} are spare"
                );
                // SAFETY: the caller has written this many bytes, and at most as many are spare (S4).
                unsafe { self.bytes_mut().advance(count) };
            }

            #[inline]
            fn chunk_mut(&mut self) -> &mut UninitSlice {
                UninitSlice::uninit(self.bytes_mut().spare_mut())
            }

            #[inline]
            fn put_slice(&mut self, from: &[u8]) {
                let spare = self.spare_capacity();
                assert!(
                    from.len() <= spare,
                    "{} bytes do not fit into {spare}",
                    from.len()
                );
                let _all = self.bytes_mut().append(from);
            }
        }
    };
}

append_by_buf_mut!(Sample);
append_by_buf_mut!(SamplePart);

/// Appends to the bytes that were written, in one buffer after another. The `put_*` methods panic if there is not enough
/// room; check [`remaining_mut`](BufMut::remaining_mut) first.
// SAFETY: `chunk_mut` returns the spare bytes of one buffer, and `advance_mut` counts them as written.
unsafe impl BufMut for Segments {
    fn remaining_mut(&self) -> usize {
        self.spare_capacity()
    }

    unsafe fn advance_mut(&mut self, count: usize) {
        // Only these can have been written: the caller has not seen the spare bytes of the next buffer.
        let spare = self.spare_mut().len();
        assert!(
            count <= spare,
            "cannot advance by {count} bytes, only {spare} are spare in this buffer"
        );
        if let Some(sample) = self.filling() {
            // SAFETY: the caller has written this many bytes, and at most as many are spare (S4).
            unsafe { sample.bytes_mut().advance(count) };
        }
        self.pass_full();
    }

    fn chunk_mut(&mut self) -> &mut UninitSlice {
        UninitSlice::uninit(self.spare_mut())
    }

    fn put_slice(&mut self, from: &[u8]) {
        let spare = self.spare_capacity();
        assert!(
            from.len() <= spare,
            "{} bytes do not fit into {spare}",
            from.len()
        );
        let _all = self.append(from);
    }
}
