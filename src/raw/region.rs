//! The mapped memory that the samples' bytes lie in.

use std::{io, ptr::NonNull};

/// `slots` times `stride` bytes in one piece, aligned as asked, lazily backed.
#[derive(Debug)]
pub(crate) struct Region {
    map: memmap2::MmapRaw,
    base: NonNull<u8>,
    stride: usize,
    slots: usize,
}

// SAFETY: the bytes are reached through raw pointers, by whoever owns their slot (M2, S1).
unsafe impl Send for Region {}
// SAFETY: as above; a shared region gives out addresses only.
unsafe impl Sync for Region {}

impl Region {
    /// Maps memory for `slots` slots of `stride` bytes whose first byte is a multiple of `align`.
    ///
    /// No swap is reserved: a large pool costs address space, and memory only once it is used.
    pub(crate) fn map(
        slots: usize,
        stride: usize,
        align: usize,
        huge_pages: bool,
    ) -> io::Result<Self> {
        // A mapping starts at a page, so only a larger or an odd alignment needs room to move.
        let slack = align - 1;
        let len = slots
            .checked_mul(stride)
            .and_then(|bytes| bytes.checked_add(slack))
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let map = memmap2::MmapOptions::new()
            .len(len)
            .no_reserve_swap()
            .map_anon()?;
        let map = memmap2::MmapRaw::from(map);
        #[cfg(target_os = "linux")]
        if huge_pages {
            // A hint: a kernel without huge pages refuses it, and the pool works without.
            let _refused = map.advise(memmap2::Advice::HugePage);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = huge_pages;
        let start = map.as_mut_ptr();
        let skip = start.addr().next_multiple_of(align) - start.addr();
        let base = NonNull::new(start.wrapping_add(skip)).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Region {
            map,
            base,
            stride,
            slots,
        })
    }

    /// The first byte of slot `index`, its prefix included.
    pub(crate) fn slot(&self, index: usize) -> NonNull<u8> {
        debug_assert!(index < self.slots);
        // SAFETY: `index < slots`, and `base` is the start of `slots * stride` mapped bytes (M2).
        unsafe { self.base.add(index * self.stride) }
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    pub(crate) fn len(&self) -> usize {
        self.slots * self.stride
    }

    /// Makes the system back every byte now. Called while every slot is home.
    pub(crate) fn prefault(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            let skip = self.base.addr().get() - self.map.as_mut_ptr().addr();
            let populate = memmap2::Advice::PopulateWrite;
            match self.map.advise_range(populate, skip, self.len()) {
                Ok(()) => return Ok(()),
                // A kernel that does not know this advice calls it invalid.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                Err(error) => return Err(error),
            }
        }
        let last = self.len() - 1;
        for offset in (0..last).step_by(4096).chain([last]) {
            // SAFETY: `offset < len`, so the byte is one of the region's (M2).
            let byte = unsafe { self.base.add(offset) };
            // SAFETY: no slot is out, so nobody else touches the region's bytes (S1).
            unsafe { byte.write_volatile(0) };
        }
        Ok(())
    }

    /// Gives the physical memory back to the system and keeps the addresses. Called while every
    /// slot is home and none can be taken.
    ///
    /// Where the system has no such call the memory stays as it is: nothing relies on zeroes here.
    pub(crate) fn give_back(&self) {
        #[cfg(unix)]
        {
            // SAFETY: the bytes belong to nobody while every slot is home (S1), and no reference to
            // them exists (M2), so it does not matter what they read as afterwards.
            let _kept = unsafe {
                self.map
                    .unchecked_advise(memmap2::UncheckedAdvice::DontNeed)
            };
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_first_slot_is_aligned_to_any_number() {
        for align in [1, 3, 64, 100, 4096, 10_000, 1 << 20] {
            let stride = 5 * align;
            let region = Region::map(3, stride, align, false).expect("small");
            for index in 0..3 {
                assert_eq!(region.slot(index).addr().get() % align, 0, "align {align}");
            }
            assert_eq!(region.len(), 3 * stride);
        }
    }

    #[test]
    fn a_size_that_overflows_is_refused() {
        assert!(Region::map(usize::MAX / 2, 4, 1, false).is_err());
    }
}
