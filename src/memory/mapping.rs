//! A mapped array of zeroed elements. It takes address space at once, and memory only for the pages that are touched.

use std::{fmt, io, ops::Deref, ptr::NonNull};

/// A type for which all-zero bytes are a valid value, and which needs no drop.
///
/// # Safety
///
/// All-zero bytes must be a valid value of the type, and it must need no drop.
pub(crate) unsafe trait Zeroed: Sync + Send {
    /// The value with all-zero bytes. Loom tests use it, because they map no memory.
    #[cfg(all(test, loom))]
    fn zero() -> Self;
}

/// `len` elements of zeroed memory, accessed only through shared references (M1).
pub(crate) struct Mapping<T> {
    #[cfg(not(all(test, loom)))]
    map: memmap2::MmapRaw,
    #[cfg(all(test, loom))]
    elements: Vec<T>,
    #[cfg(not(all(test, loom)))]
    len: usize,
    #[cfg(not(all(test, loom)))]
    _elements: std::marker::PhantomData<T>,
}

#[cfg(not(all(test, loom)))]
impl<T: Zeroed> Mapping<T> {
    /// Maps `len` elements. At least one element is mapped, so that an empty mapping has an address too.
    ///
    /// # Errors
    ///
    /// `OutOfMemory` if the size overflows, or the error of the system.
    pub(crate) fn new(len: usize) -> io::Result<Self> {
        // A mapping begins at a page. If `T` has a larger alignment, its first element begins further in.
        let bytes = size_of::<T>()
            .checked_mul(len.max(1))
            .and_then(|bytes| bytes.checked_add(align_of::<T>()))
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let map = memmap2::MmapOptions::new()
            .len(bytes)
            .no_reserve_swap()
            .map_anon()?;
        Ok(Mapping {
            map: map.into(),
            len,
            _elements: std::marker::PhantomData,
        })
    }
}

#[cfg(not(all(test, loom)))]
impl<T> Mapping<T> {
    /// The address of the first element, as a pointer that can access all elements.
    #[inline]
    pub(crate) fn first(&self) -> NonNull<T> {
        let map = self.map.as_mut_ptr();
        let first = map.map_addr(|address| address.next_multiple_of(align_of::<T>()));
        NonNull::new(first.cast()).expect("a mapping never contains address zero")
    }
}

#[cfg(not(all(test, loom)))]
impl<T> Deref for Mapping<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: `len` zeroed elements are mapped at this address, which is a multiple of their alignment. Only shared
        // references to them are ever made (M1).
        unsafe { std::slice::from_raw_parts(self.first().as_ptr(), self.len) }
    }
}

#[cfg(all(test, loom))]
impl<T: Zeroed> Mapping<T> {
    pub(crate) fn new(len: usize) -> io::Result<Self> {
        Ok(Mapping {
            elements: std::iter::repeat_with(T::zero).take(len).collect(),
        })
    }
}

#[cfg(all(test, loom))]
impl<T> Mapping<T> {
    pub(crate) fn first(&self) -> NonNull<T> {
        NonNull::from(&self.elements[..]).cast()
    }
}

#[cfg(all(test, loom))]
impl<T> Deref for Mapping<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.elements
    }
}

impl<T> fmt::Debug for Mapping<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::{AtomicU64, Ordering};

    // SAFETY: all-zero bytes are an atomic integer of value zero, and it needs no drop.
    unsafe impl Zeroed for AtomicU64 {}

    #[test]
    fn every_element_starts_as_zero_and_keeps_what_is_written() {
        let mapping = Mapping::<AtomicU64>::new(10_000).expect("80 kB");
        assert!(mapping.iter().all(|n| n.load(Ordering::Relaxed) == 0));
        mapping[9_999].store(7, Ordering::Relaxed);
        assert_eq!(mapping[9_999].load(Ordering::Relaxed), 7);
        assert_eq!(mapping.len(), 10_000);
    }

    #[test]
    fn a_size_that_overflows_is_refused() {
        assert!(Mapping::<AtomicU64>::new(usize::MAX / 4).is_err());
    }
}
