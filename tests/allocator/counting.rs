//! The system's allocator, with counters of its calls and bytes.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering},
};

struct Counting;

/// How often the threads that take part have allocated, all together.
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    // Neither creating nor dropping one of these allocates.
    /// Whether this thread takes part.
    static COUNTED: Cell<bool> = const { Cell::new(false) };
    /// The bytes that this thread has allocated and not freed.
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

/// From now on this thread takes part.
pub(crate) fn take_part() {
    COUNTED.set(true);
}

pub(crate) fn allocations() -> usize {
    ALLOCATIONS.load(Ordering::SeqCst)
}

pub(crate) fn live() -> isize {
    LIVE.get()
}

fn add(bytes: usize) {
    if COUNTED.get() {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
    LIVE.set(LIVE.get() + isize::try_from(bytes).expect("as layouts promise"));
}

fn subtract(bytes: usize) {
    LIVE.set(LIVE.get() - isize::try_from(bytes).expect("as layouts promise"));
}

// SAFETY: every call goes to the system's allocator, which keeps the promises of the trait, with the
// arguments that came from the caller, who keeps those of each method.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller promises what the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(size);
        subtract(layout.size());
        // SAFETY: as above, and `at` came from the system's allocator.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        subtract(layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
