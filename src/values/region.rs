//! Where a pool's memory lies, for whoever must announce it before use.

#![forbid(unsafe_code)]

/// The memory of a committed pool: one contiguous block, with a buffer every
/// [`stride`](Self::stride) bytes.
///
/// Made for registering the memory once, with `io_uring`, RDMA or a graphics card, rather than
/// buffer by buffer. It only says where the memory was when
/// [`Pool::region`](crate::Pool::region) was called: it keeps no memory alive, and gives no right to
/// read or write it.
///
/// What is registered must be unregistered before the pool is decommitted, given properties (the same
/// ones as well) or dropped. A drain that completes gives the physical memory back: the next commit has
/// the same addresses, unless properties were set in between, but other pages behind them, and a device
/// that keeps the old ones reads and writes what nobody else sees. So register again after each such
/// commit. A commit that cancels a drain keeps both.
///
/// DirectShow has no counterpart: there each sample tells its own address.
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
    // A pointer would make this neither `Send` nor `Sync`, and saying that it is both would be
    // unsafe code to read an address.
    base: usize,
    len: usize,
    stride: usize,
}

impl Region {
    /// `len` bytes at `base`, which are slots of `stride` bytes.
    pub(crate) fn new(base: *const u8, len: usize, stride: usize) -> Self {
        // Exposed, because the address leaves for foreign hands: that is what it is for.
        Self {
            base: base.expose_provenance(),
            len,
            stride,
        }
    }

    /// The first byte of the first slot.
    ///
    /// Every slot begins at `base() + index * stride()` with its prefix, and its buffer follows.
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

    /// How many bytes the slots take together: `buffers * stride()`.
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

    /// Whether there is no byte in it, which the region of a committed pool never is.
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

    /// From the start of one slot to the start of the next, in bytes: prefix and actual size
    /// together.
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
    fn a_region_tells_what_it_was_given_and_its_pointer_reaches_the_memory() {
        let memory = [7_u8; 24];
        let region = Region::new(memory.as_ptr(), memory.len(), 8);
        assert_eq!(region.base(), memory.as_ptr());
        assert_eq!((region.len(), region.stride()), (24, 8));
        assert!(!region.is_empty());
        assert!(Region::new(memory.as_ptr(), 0, 0).is_empty());
    }

    /// Registration often happens on another thread than the one that made the pool.
    #[test]
    fn a_region_goes_to_other_threads() {
        fn goes_to_other_threads<T: Send + Sync + 'static>(_: &T) {}
        goes_to_other_threads(&Region::new(std::ptr::null(), 0, 0));
    }
}
