//! The mapped memory that contains the bytes of the samples.

use std::{io, ptr::NonNull};

#[cfg(target_os = "linux")]
use super::locked;

/// The result of giving memory back to the system.
#[derive(Debug)]
pub(crate) enum GivenBack {
    /// The system took it back.
    Taken,
    /// The system took it back. All of it was locked in memory, so the next commit must
    /// [lock it again](Region::back_again).
    Locked(Relock),
    /// The system refused, for this reason: the process still has the memory.
    Failed(io::Error),
}

/// How a commit gets memory back that was locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relock {
    /// The addresses are still locked: a page is locked as soon as it is backed.
    #[cfg(target_os = "linux")]
    Kept,
    /// The addresses were unlocked.
    #[cfg(unix)]
    Lost,
}

/// `slots` times `stride` bytes in one mapping, with the requested alignment, backed on first use.
#[derive(Debug)]
pub(crate) struct Region {
    map: memmap2::MmapRaw,
    base: NonNull<u8>,
    stride: usize,
    slots: usize,
    /// Why the system refused huge pages, if they were requested and refused.
    no_huge_pages: Option<io::Error>,
}

// SAFETY: the bytes are accessed only through raw pointers (M2), and only by the owner of their slot (S1).
unsafe impl Send for Region {}
// SAFETY: as above. The methods of a shared region return only addresses.
unsafe impl Sync for Region {}

impl Region {
    /// Maps memory for `slots` slots of `stride` bytes. The address of the first byte is a multiple of `align`.
    ///
    /// No swap is reserved. A large pool takes address space at once, and memory only when it is used.
    ///
    /// # Errors
    ///
    /// `OutOfMemory` if the size overflows, or the error of the system.
    pub(crate) fn map(
        slots: usize,
        stride: usize,
        align: usize,
        huge_pages: bool,
    ) -> io::Result<Self> {
        // A mapping starts at a page. An alignment that does not divide the page size needs these bytes to skip to the
        // next multiple.
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
        // A hint. A kernel without huge pages refuses it, and the pool works without them.
        #[cfg(target_os = "linux")]
        let no_huge_pages = huge_pages
            .then(|| map.advise(memmap2::Advice::HugePage).err())
            .flatten();
        #[cfg(not(target_os = "linux"))]
        let no_huge_pages = huge_pages.then(|| io::ErrorKind::Unsupported.into());
        let start = map.as_mut_ptr();
        let skip = start.addr().next_multiple_of(align) - start.addr();
        let base = NonNull::new(start.wrapping_add(skip)).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Region {
            map,
            base,
            stride,
            slots,
            no_huge_pages,
        })
    }

    /// Why the system refused huge pages, if they were requested and refused.
    pub(crate) fn no_huge_pages(&self) -> Option<&io::Error> {
        self.no_huge_pages.as_ref()
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

    /// The number of bytes of the mapping before the first slot, which is aligned.
    #[cfg(target_os = "linux")]
    fn skip(&self) -> usize {
        self.base.addr().get() - self.map.as_mut_ptr().addr()
    }

    /// Makes the system back every byte now. Called while every slot is free.
    pub(crate) fn prefault(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            let populate = memmap2::Advice::PopulateWrite;
            match self.map.advise_range(populate, self.skip(), self.len()) {
                Ok(()) => return Ok(()),
                // A kernel before 5.14 does not know this advice and returns `EINVAL`. Then each page is written below.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                Err(error) => return Err(error),
            }
        }
        let last = self.len() - 1;
        for offset in (0..last).step_by(4096).chain([last]) {
            // SAFETY: `offset < len`, so the byte is one of the region's (M2).
            let byte = unsafe { self.base.add(offset) };
            // SAFETY: no slot is checked out, so no other code accesses the region's bytes (S1).
            unsafe { byte.write_volatile(0) };
        }
        Ok(())
    }

    /// Gives the physical memory back to the system and keeps the addresses. Called while every slot is free and none
    /// can be taken.
    ///
    /// The contents of the bytes afterwards do not matter: no code relies on zeroes here.
    #[cfg(unix)]
    pub(crate) fn give_back(&self) -> GivenBack {
        let refused = match self.discard() {
            Ok(()) => return GivenBack::Taken,
            Err(refused) => refused,
        };
        // `EINVAL` is the result for pages that are locked in memory, by `mlockall` or by `mlock` on the pool's region.
        if refused.kind() != io::ErrorKind::InvalidInput {
            return GivenBack::Failed(refused);
        }
        #[cfg(target_os = "linux")]
        {
            // With `MCL_ONFAULT`, or if only a part is locked, pages that were not used are not backed. Then the next
            // commit must not back them either. So this is read before the pages are discarded.
            let is_backed = locked::is_backed(&self.map, self.skip(), self.len());
            if locked::discard(&self.map).is_ok() {
                return match is_backed {
                    true => GivenBack::Locked(Relock::Kept),
                    false => GivenBack::Taken,
                };
            }
            // The kernel is older than 5.18, so the memory must be unlocked, and the commit must lock it again. That
            // would back all of it, which is wrong if only a part was backed.
            if !is_backed {
                return GivenBack::Failed(refused);
            }
        }
        if let Err(refused) = self.map.unlock() {
            return GivenBack::Failed(refused);
        }
        match self.discard() {
            Ok(()) => GivenBack::Locked(Relock::Lost),
            Err(refused) => {
                // Restores the lock. It was allowed before, so the result is ignored.
                let _locked = self.map.lock();
                GivenBack::Failed(refused)
            }
        }
    }

    /// Always refused: the crate uses no such call on this system.
    #[cfg(not(unix))]
    pub(crate) fn give_back(&self) -> GivenBack {
        GivenBack::Failed(io::ErrorKind::Unsupported.into())
    }

    #[cfg(unix)]
    fn discard(&self) -> io::Result<()> {
        // SAFETY: while every slot is free, the bytes have no owner (S1), and no reference to them exists (M2). So
        // their contents may change.
        unsafe {
            self.map
                .unchecked_advise(memmap2::UncheckedAdvice::DontNeed)
        }
    }

    /// Backs and locks all of the memory, as it was before it was given back. Called while every slot is free.
    pub(crate) fn back_again(&self, relock: Relock) -> io::Result<()> {
        match relock {
            #[cfg(target_os = "linux")]
            Relock::Kept => self.prefault(),
            #[cfg(unix)]
            Relock::Lost => self.map.lock(),
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
