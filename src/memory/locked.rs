//! Locked memory on Linux: whether it is backed, and how to give it back to the system although it is locked.

use std::io;

/// Advice that discards pages although they are locked, and leaves the addresses locked. Since Linux 5.18.
///
/// The value is from Linux's `uapi/asm-generic/mman-common.h` and is the same on all of Rust's targets. The libc crate
/// does not define it yet.
const MADV_DONTNEED_LOCKED: libc::c_int = 24;

/// The number of pages for each call of `mincore`. It is small, because the results are on the stack of a task's
/// thread.
const PAGES: usize = 512;

/// Returns `true` if every page of the mapping's `len` bytes from `skip` on is in memory.
// Not inlined, so that the results take no stack space in a caller whose memory is not locked.
#[cold]
#[inline(never)]
pub(super) fn is_backed(map: &memmap2::MmapRaw, skip: usize, len: usize) -> bool {
    // SAFETY: no pointer is passed.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let Ok(page) = usize::try_from(page) else {
        return false;
    };
    let mut pages = [0u8; PAGES];
    let begin = skip / page;
    let mut end = (skip + len).div_ceil(page);
    // From the end to the start: low slots are used first, so a page that was never used is found sooner.
    while end > begin {
        let start = end.saturating_sub(PAGES).max(begin);
        let first = map.as_mut_ptr().wrapping_add(start * page);
        let bytes = (end - start) * page;
        // SAFETY: the pages are mapped (M2), and `pages` has one byte for each of them, as `end - start <= PAGES`.
        let failed = unsafe { libc::mincore(first.cast(), bytes, pages.as_mut_ptr().cast()) };
        // Only the lowest bit of a result is defined.
        if failed != 0 || pages[..end - start].iter().any(|result| result & 1 == 0) {
            return false;
        }
        end = start;
    }
    true
}

/// Gives the pages of the mapping back to the system. Called while every slot is free and none can be taken.
pub(super) fn discard(map: &memmap2::MmapRaw) -> io::Result<()> {
    let start = map.as_mut_ptr().cast();
    // SAFETY: the mapping belongs to the region alone. While every slot is free, its bytes have no owner (S1), and no
    // reference to them exists (M2).
    let failed = unsafe { libc::madvise(start, map.len(), MADV_DONTNEED_LOCKED) };
    match failed {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
