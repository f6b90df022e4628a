//! The address of a pool's memory, for code that registers it with a device or the kernel.

#![forbid(unsafe_code)]

/// The memory of a committed pool: one contiguous block with a slot every [`stride`](Self::stride) bytes.
///
/// Use it to register the memory once, with `io_uring`, RDMA or a graphics card, instead of once for each buffer. It
/// is the location at the time of the call of [`Pool::region`](crate::Pool::region). It does not keep the memory
/// alive, and it gives no right to read or write it.
///
/// Unregister the memory before the pool is decommitted, before its properties are set (also to the same values), and
/// before it is dropped. A completed drain returns the physical memory to the system. The next commit uses the same
/// addresses, unless properties were set in between, but with other pages. A device that keeps the old pages reads
/// and writes memory that the program does not see. So register again after each such commit. A commit that cancels a
/// drain keeps both the addresses and the pages.
///
/// DirectShow has no counterpart: there each sample reports its own address.
///
/// # Examples
///
/// ```
/// use sample_pool::Pool;
///
/// let pool = Pool::builder().buffers(4).size(4096).align(4096).build()?;
/// let region = pool.region().expect("the pool is committed");
/// assert_eq!(region.len(), 4 * region.stride());
/// assert_eq!(region.base().addr() % 4096, 0);
/// # Ok::<(), sample_pool::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    // An integer, because a pointer is neither `Send` nor `Sync`, and implementing both would need unsafe code only
    // to carry an address.
    base: usize,
    len: usize,
    stride: usize,
}

impl Region {
    /// `len` bytes at `base`, divided into slots of `stride` bytes.
    pub(crate) fn new(base: *const u8, len: usize, stride: usize) -> Self {
        // Exposed, because the user passes the address to devices and to the kernel.
        Self {
            base: base.expose_provenance(),
            len,
            stride,
        }
    }

    /// Returns the address of the first byte of the first slot.
    ///
    /// Slot `index` begins at `base() + index * stride()`, with its prefix. Its buffer follows the prefix.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let pool = Pool::builder().size(1000).align(64).prefix(12).build()?;
    /// let region = pool.region().expect("the pool is committed");
    /// let mut sample = pool.try_get_buffer()?;
    /// sample.set_len(1)?;
    /// let slot = region.base().addr() + sample.index() * region.stride();
    /// assert_eq!(sample.as_ptr().addr(), slot + 12);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn base(&self) -> *const u8 {
        std::ptr::with_exposed_provenance(self.base)
    }

    /// Returns the size of all slots together, in bytes: `buffers * stride()`.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let pool = Pool::builder().buffers(10).size(188).align(1).build()?;
    /// assert_eq!(pool.region().map(|region| region.len()), Some(1880));
    /// # Ok::<(), sample_pool::BuildError>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns `true` if the region has no bytes. The region of a committed pool is never empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let pool = Pool::builder().build()?;
    /// assert_eq!(pool.region().map(|region| region.is_empty()), Some(false));
    /// # Ok::<(), sample_pool::BuildError>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the distance from the start of one slot to the start of the next, in bytes: the prefix plus the actual
    /// size.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let pool = Pool::builder().size(1000).align(64).prefix(12).build()?;
    /// assert_eq!(pool.region().map(|region| region.stride()), Some(1024));
    /// # Ok::<(), sample_pool::BuildError>(())
    /// ```
    #[must_use]
    pub fn stride(&self) -> usize {
        self.stride
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_returns_what_it_was_given_and_its_pointer_reaches_the_memory() {
        let memory = [7_u8; 24];
        let region = Region::new(memory.as_ptr(), memory.len(), 8);
        assert_eq!(region.base(), memory.as_ptr());
        assert_eq!((region.len(), region.stride()), (24, 8));
        assert!(!region.is_empty());
        assert!(Region::new(memory.as_ptr(), 0, 0).is_empty());
    }

    /// The memory is often registered on another thread than the one that made the pool.
    #[test]
    fn a_region_goes_to_other_threads() {
        fn goes_to_other_threads<T: Send + Sync + 'static>(_: &T) {}
        goes_to_other_threads(&Region::new(std::ptr::null(), 0, 0));
    }
}
