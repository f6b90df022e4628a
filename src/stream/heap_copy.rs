//! The bytes of a partial frame or sample, on the heap while no buffer holds them.

#![forbid(unsafe_code)]

use crate::{
    memory::wiped,
    sample::exclusive::Sample,
    values::sample_properties::{EMPTY, SampleProperties},
};
use bytes::{BufMut, Bytes};
use std::{hint, mem};

/// How many bytes of memory a reader that waits for its source keeps for its next frame.
const KEPT: usize = 4096;

/// A copy of the bytes that were read, and of the properties of the sample that they were read into.
pub(super) struct HeapCopy {
    bytes: Vec<u8>,
    properties: SampleProperties,
    /// Whether the memory is overwritten with zeroes before it is freed or used again.
    wipes: bool,
}

impl HeapCopy {
    pub(super) fn new(wipes: bool) -> Self {
        HeapCopy {
            bytes: Vec::new(),
            properties: EMPTY.clone(),
            wipes,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Copies `bytes`, which fit into a buffer of `size`, and the properties of their sample.
    ///
    /// Returns `false`, and copies nothing, if the memory cannot be allocated. The size of a buffer is the user's, so
    /// refused memory must not abort the process.
    #[must_use]
    pub(super) fn put(&mut self, bytes: &[u8], size: usize, properties: &SampleProperties) -> bool {
        self.clear();
        if bytes.len() > self.bytes.capacity() {
            // Not `reserve`: it may move old bytes, and the memory that it frees could not be wiped.
            let room = bytes.len().max(64).next_power_of_two();
            let mut fresh = Vec::new();
            let room = room.min(size.max(bytes.len()));
            if fresh.try_reserve_exact(room).is_err() {
                return false;
            }
            self.bytes = fresh;
        }
        self.bytes.extend_from_slice(bytes);
        if *properties != EMPTY {
            self.properties = properties.clone();
        }
        true
    }

    /// Moves as many bytes as fit into `sample`, with the properties. The rest stays here.
    pub(super) fn move_to(&mut self, sample: &mut Sample) {
        let fit = self.bytes.len().min(sample.spare_capacity());
        sample.put_slice(&self.bytes[..fit]);
        if let Some(properties) = self.take_properties() {
            *sample.properties_mut() = properties;
        }
        self.bytes.copy_within(fit.., 0);
        let rest = self.bytes.len() - fit;
        self.wipe(rest);
        self.bytes.truncate(rest);
    }

    /// Takes the properties. `None` if none were set.
    pub(super) fn take_properties(&mut self) -> Option<SampleProperties> {
        let properties = mem::replace(&mut self.properties, EMPTY.clone());
        (properties != EMPTY).then_some(properties)
    }

    /// Drops the bytes and keeps the memory for the next frame.
    pub(super) fn clear(&mut self) {
        self.wipe(0);
        self.bytes.clear();
        self.properties = EMPTY.clone();
    }

    /// Frees the memory of a large frame, if it is empty.
    pub(super) fn shrink(&mut self) {
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT {
            self.bytes = Vec::new();
        }
    }

    /// Returns the bytes. They are wiped when the caller drops the last handle to them, if the pool wipes its memory.
    pub(super) fn into_bytes(mut self) -> Bytes {
        wiped::into_bytes(mem::take(&mut self.bytes), self.wipes)
    }

    /// Overwrites the bytes from `first` on, if the pool wipes its memory.
    fn wipe(&mut self, first: usize) {
        if self.wipes {
            self.bytes[first..].fill(0);
            // Counts as a read of the zeroes, so the compiler cannot leave the writes out.
            hint::black_box(&mut self.bytes);
        }
    }
}

impl Drop for HeapCopy {
    fn drop(&mut self) {
        self.wipe(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of a megabyte must not leave a megabyte allocated for each idle connection.
    #[test]
    fn memory_of_a_large_frame_is_freed_and_that_of_a_small_one_is_kept() {
        let mut copy = HeapCopy::new(false);
        for (len, kept) in [(10, true), (KEPT, true), (KEPT + 1, false)] {
            assert!(
                copy.put(&vec![7; len], usize::MAX, &EMPTY),
                "there is memory"
            );
            copy.shrink();
            assert_eq!(copy.bytes().len(), len, "it is in use");
            copy.clear();
            copy.shrink();
            assert_eq!(copy.bytes.capacity() > 0, kept, "{len}");
        }
    }

    /// The documentation promises less than one buffer's size.
    #[test]
    fn the_memory_is_not_larger_than_a_buffer() {
        let mut copy = HeapCopy::new(false);
        assert!(copy.put(&[7; 100], 120, &EMPTY), "there is memory");
        assert!(copy.bytes.capacity() <= 120);
        assert!(copy.put(&[7; 119], 120, &EMPTY), "there is memory");
        assert!(copy.bytes.capacity() <= 120);
    }

    /// The properties of a frame must not be set on the next one.
    #[test]
    fn properties_are_taken_once() {
        let mut properties = SampleProperties::default();
        properties.set_user(7);
        let mut copy = HeapCopy::new(false);
        assert!(copy.put(b"one", 8, &properties), "there is memory");
        assert_eq!(copy.take_properties(), Some(properties.clone()));
        assert_eq!(copy.take_properties(), None);
        assert!(copy.put(b"two", 8, &properties), "there is memory");
        assert!(copy.put(b"three", 8, &EMPTY), "there is memory");
        assert_eq!(copy.take_properties(), None);
    }

    /// The pool can have smaller buffers by now. The bytes that were moved must not stay in the memory behind the rest.
    #[test]
    fn bytes_that_do_not_fit_stay_and_those_that_fit_are_wiped() {
        let pool = crate::Pool::builder()
            .buffers(1)
            .size(3)
            .align(1)
            .build()
            .unwrap();
        let mut sample = pool.try_get_buffer().unwrap();
        let mut copy = HeapCopy::new(true);
        assert!(copy.put(b"12345", 5, &EMPTY));
        copy.move_to(&mut sample);
        assert_eq!((&sample[..], copy.bytes()), (&b"123"[..], &b"45"[..]));
        copy.bytes.resize(5, 7);
        sample.clear();
        copy.move_to(&mut sample);
        assert_eq!(
            (&sample[..], copy.bytes()),
            (&[b'4', b'5', 7][..], &[7, 7][..])
        );
    }

    /// Wiping costs time, and a pool that wipes must get it.
    #[test]
    fn bytes_are_wiped_only_if_the_pool_wipes() {
        for (wipes, expected) in [(true, [0; 3]), (false, [7; 3])] {
            let mut copy = HeapCopy::new(wipes);
            assert!(copy.put(&[7; 3], 8, &EMPTY), "there is memory");
            copy.wipe(0);
            assert_eq!(copy.bytes(), expected);
        }
    }

    /// Freed memory is given to the next allocation.
    #[cfg(target_os = "linux")]
    #[test]
    fn memory_is_wiped_before_it_is_freed_if_the_pool_wipes() {
        use std::{fs::File, os::unix::fs::FileExt};

        let process = File::open("/proc/self/mem").expect("a process reads its own");
        for wipes in [true, false] {
            let mut copy = HeapCopy::new(wipes);
            assert!(copy.put(&[7; 128], 128, &EMPTY), "there is memory");
            // An allocator may write its own data to the first bytes of what is free.
            let at = copy.bytes[64..].as_ptr().addr();
            let at = u64::try_from(at).expect("an address");
            drop(copy);
            let mut memory = [1; 64];
            process.read_exact_at(&mut memory, at).expect("mapped");
            // Without the wipe an allocator usually leaves the bytes as they are, so this test can see them.
            let kept = memory.contains(&7);
            assert!(!wipes || !kept, "{memory:?}");
        }
    }
}
