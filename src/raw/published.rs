//! A value that is read without a lock and replaced now and then, and whose old versions stay.
//!
//! A get may stall between looking at a version and using it. There is no way to know, short of a
//! line that every get writes, so old versions are kept until the owner goes. Versions grow in
//! powers of two, so there are few of them.

use crate::sync::{AtomicPtr, Ordering};

/// The current version of a `T`, and all earlier ones.
#[derive(Debug)]
pub(crate) struct Published<T> {
    current: AtomicPtr<Version<T>>,
}

#[derive(Debug)]
struct Version<T> {
    value: T,
    earlier: *mut Version<T>,
}

// SAFETY: versions are owned by the `Published` and shared by reference, as a `Box<T>` would be.
unsafe impl<T: Send + Sync> Send for Published<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Published<T> {}

impl<T> Published<T> {
    pub(crate) fn new(value: T) -> Self {
        let version = Version {
            value,
            earlier: std::ptr::null_mut(),
        };
        Published {
            current: AtomicPtr::new(Box::into_raw(Box::new(version))),
        }
    }

    /// The current version.
    #[inline]
    pub(crate) fn get(&self) -> &T {
        let version = self.current.load(Ordering::Acquire);
        // SAFETY: `current` is never null, and no version goes before `self` does (P1).
        let version = unsafe { &*version };
        &version.value
    }

    /// Makes `value` the current version. Called under the pool's lock, so by one thread at a time.
    pub(crate) fn publish(&self, value: T) {
        let earlier = self.current.load(Ordering::Relaxed);
        let version = Version { value, earlier };
        let version = Box::into_raw(Box::new(version));
        self.current.store(version, Ordering::Release);
    }
}

impl<T> Drop for Published<T> {
    fn drop(&mut self) {
        let mut version = self.current.load(Ordering::Acquire);
        while !version.is_null() {
            // SAFETY: each version came from `Box::into_raw`, is reached once through the chain,
            // and `&mut self` proves that nobody holds a reference into it (P1).
            let owned = unsafe { Box::from_raw(version) };
            version = owned.earlier;
        }
    }
}
