//! Memory that is locked, on Linux: which of it is backed, and giving it back nevertheless.

use std::io;

/// Gives pages back although they are locked, and leaves the addresses locked. Since Linux 5.18; from its
/// `uapi/asm-generic/mman-common.h`, which is the same on all of Rust's targets, and which libc does not have yet.
const MADV_DONTNEED_LOCKED: libc::c_int = 24;

/// How many pages are asked for at a time. Few, as the answers are on the stack of a task's thread.
const PAGES: usize = 512;

/// Whether every page of the mapping's `len` bytes from `skip` on is in memory.
// Not inlined, so that the answers take no stack where nothing is locked.
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
    // From the end, where a page that was never used is found first: low slots are preferred.
    while end > begin {
        let start = end.saturating_sub(PAGES).max(begin);
        let first = map.as_mut_ptr().wrapping_add(start * page);
        let bytes = (end - start) * page;
        // SAFETY: the pages are mapped (M2), and `pages` has room for as many answers as there are pages.
        let failed = unsafe { libc::mincore(first.cast(), bytes, pages.as_mut_ptr().cast()) };
        // The other bits of an answer are undefined.
        if failed != 0 || pages[..end - start].iter().any(|answer| answer & 1 == 0) {
            return false;
        }
        end = start;
    }
    true
}

/// Gives the pages of the mapping back. Called while every slot is home and none can be taken.
pub(super) fn discard(map: &memmap2::MmapRaw) -> io::Result<()> {
    let start = map.as_mut_ptr().cast();
    // SAFETY: the mapping is the region's own, its bytes belong to nobody while every slot is home (S1), and no
    // reference to them exists (M2).
    let failed = unsafe { libc::madvise(start, map.len(), MADV_DONTNEED_LOCKED) };
    match failed {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
