//! The mapped memory that the samples' bytes lie in.

use std::{io, ptr::NonNull};

#[cfg(target_os = "linux")]
use super::locked;

/// What became of memory that was to be given back to the system.
#[derive(Debug)]
pub(crate) enum GivenBack {
    /// The system has it.
    Taken,
    /// The system has it; it was locked in memory as a whole, so a commit must [bring it back](Region::back_again).
    Locked(Relock),
    /// It is still this process's memory, for this reason.
    Refused(io::Error),
}

/// How to get back what was locked in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relock {
    /// The addresses are still locked: pages are locked as soon as they are backed.
    #[cfg(target_os = "linux")]
    Kept,
    /// The addresses were unlocked.
    #[cfg(unix)]
    Lost,
}

/// `slots` times `stride` bytes in one piece, aligned as asked, lazily backed.
#[derive(Debug)]
pub(crate) struct Region {
    map: memmap2::MmapRaw,
    base: NonNull<u8>,
    stride: usize,
    slots: usize,
    /// Why the system refused huge pages, if it was asked for them.
    no_huge_pages: Option<io::Error>,
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
        // A hint: a kernel without huge pages refuses it, and the pool works without.
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

    /// How many bytes of the mapping are before the first slot, which is aligned.
    #[cfg(target_os = "linux")]
    fn skip(&self) -> usize {
        self.base.addr().get() - self.map.as_mut_ptr().addr()
    }

    /// Makes the system back every byte now. Called while every slot is home.
    pub(crate) fn prefault(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            let populate = memmap2::Advice::PopulateWrite;
            match self.map.advise_range(populate, self.skip(), self.len()) {
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
    /// What the bytes read as afterwards does not matter: nothing relies on zeroes here.
    #[cfg(unix)]
    pub(crate) fn give_back(&self) -> GivenBack {
        let refused = match self.discard() {
            Ok(()) => return GivenBack::Taken,
            Err(refused) => refused,
        };
        // The answer for pages that are locked in memory, by `mlockall` or by `mlock` on the pool's region.
        if refused.kind() != io::ErrorKind::InvalidInput {
            return GivenBack::Refused(refused);
        }
        #[cfg(target_os = "linux")]
        {
            // With `MCL_ONFAULT`, or if a part was locked, pages that were not used are not backed, and must not be
            // by a commit either.
            let is_backed = locked::is_backed(&self.map, self.skip(), self.len());
            if locked::discard(&self.map).is_ok() {
                return match is_backed {
                    true => GivenBack::Locked(Relock::Kept),
                    false => GivenBack::Taken,
                };
            }
            // A kernel before 5.18. Locking again would back all of it.
            if !is_backed {
                return GivenBack::Refused(refused);
            }
        }
        if let Err(refused) = self.map.unlock() {
            return GivenBack::Refused(refused);
        }
        match self.discard() {
            Ok(()) => GivenBack::Locked(Relock::Lost),
            Err(refused) => {
                // As it was; that it was locked until now says that it may be.
                let _locked = self.map.lock();
                GivenBack::Refused(refused)
            }
        }
    }

    /// This system has no such call.
    #[cfg(not(unix))]
    pub(crate) fn give_back(&self) -> GivenBack {
        GivenBack::Refused(io::ErrorKind::Unsupported.into())
    }

    #[cfg(unix)]
    fn discard(&self) -> io::Result<()> {
        // SAFETY: the bytes belong to nobody while every slot is home (S1), and no reference to
        // them exists (M2), so it does not matter what they read as afterwards.
        unsafe {
            self.map
                .unchecked_advise(memmap2::UncheckedAdvice::DontNeed)
        }
    }

    /// Backs and locks all of the memory, as it was before it was given back. Called while every slot is home.
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
