//! The bytes of a begun frame while no buffer has them.

use crate::{
    sample::Sample,
    sample_properties::{EMPTY, SampleProperties},
    wiped,
};
use bytes::{BufMut, Bytes};
use std::{hint, mem};

/// How much memory is kept for the next frame by a reader that waits for its source.
const KEPT: usize = 4096;

/// A copy of what was read, and of the properties of the sample that it was read into.
pub(super) struct Aside {
    bytes: Vec<u8>,
    properties: SampleProperties,
    /// Whether the memory is overwritten before it is freed or used again.
    wipes: bool,
}

impl Aside {
    pub(super) fn new(wipes: bool) -> Self {
        Aside {
            bytes: Vec::new(),
            properties: EMPTY.clone(),
            wipes,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Copies `bytes`, which are at most a buffer of `size`, and the properties of their sample. `false`, and nothing was
    /// copied, if memory for so many is refused: the size of a buffer is the user's, and must not abort the process.
    #[must_use]
    pub(super) fn put(&mut self, bytes: &[u8], size: usize, properties: &SampleProperties) -> bool {
        self.clear();
        if bytes.len() > self.bytes.capacity() {
            // Not `reserve`: it may move old bytes, and what it leaves behind could not be wiped.
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

    /// Moves the bytes into `sample`, as many as fit, with the properties; the rest stays.
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

    /// The properties, once; `None` if nothing was set.
    pub(super) fn take_properties(&mut self) -> Option<SampleProperties> {
        let properties = mem::replace(&mut self.properties, EMPTY.clone());
        (properties != EMPTY).then_some(properties)
    }

    /// Keeps the memory for the next frame.
    pub(super) fn clear(&mut self) {
        self.wipe(0);
        self.bytes.clear();
        self.properties = EMPTY.clone();
    }

    /// Frees memory that a large frame needed, if nothing is in it.
    pub(super) fn shrink(&mut self) {
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT {
            self.bytes = Vec::new();
        }
    }

    /// The bytes, which are wiped when the caller drops the last handle to them, if that was asked for.
    pub(super) fn into_bytes(mut self) -> Bytes {
        wiped::into_bytes(mem::take(&mut self.bytes), self.wipes)
    }

    /// Overwrites the bytes from `first` on, if that was asked for.
    fn wipe(&mut self, first: usize) {
        if self.wipes {
            self.bytes[first..].fill(0);
            // As far as the compiler knows the zeroes are read here, so it must write them.
            hint::black_box(&mut self.bytes);
        }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.wipe(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of a megabyte must not leave a megabyte with each idle connection.
    #[test]
    fn memory_of_a_large_frame_is_freed_and_that_of_a_small_one_is_kept() {
        let mut aside = Aside::new(false);
        for (len, kept) in [(10, true), (KEPT, true), (KEPT + 1, false)] {
            assert!(
                aside.put(&vec![7; len], usize::MAX, &EMPTY),
                "there is memory"
            );
            aside.shrink();
            assert_eq!(aside.bytes().len(), len, "it is in use");
            aside.clear();
            aside.shrink();
            assert_eq!(aside.bytes.capacity() > 0, kept, "{len}");
        }
    }

    /// More than a buffer's size would be more than is promised.
    #[test]
    fn the_memory_is_not_larger_than_a_buffer() {
        let mut aside = Aside::new(false);
        assert!(aside.put(&[7; 100], 120, &EMPTY), "there is memory");
        assert!(aside.bytes.capacity() <= 120);
        assert!(aside.put(&[7; 119], 120, &EMPTY), "there is memory");
        assert!(aside.bytes.capacity() <= 120);
    }

    /// What was set for a frame goes with it, and not with the next one.
    #[test]
    fn properties_are_taken_once() {
        let mut properties = SampleProperties::default();
        properties.set_user(7);
        let mut aside = Aside::new(false);
        assert!(aside.put(b"one", 8, &properties), "there is memory");
        assert_eq!(aside.take_properties(), Some(properties.clone()));
        assert_eq!(aside.take_properties(), None);
        assert!(aside.put(b"two", 8, &properties), "there is memory");
        assert!(aside.put(b"three", 8, &EMPTY), "there is memory");
        assert_eq!(aside.take_properties(), None);
    }

    /// A pool may get smaller buffers meanwhile. What was moved must not stay behind the rest.
    #[test]
    fn what_does_not_fit_into_a_sample_stays_and_what_did_is_wiped() {
        let pool = crate::Pool::builder()
            .buffers(1)
            .size(3)
            .align(1)
            .build()
            .unwrap();
        let mut sample = pool.try_get_buffer().unwrap();
        let mut aside = Aside::new(true);
        assert!(aside.put(b"12345", 5, &EMPTY));
        aside.move_to(&mut sample);
        assert_eq!((&sample[..], aside.bytes()), (&b"123"[..], &b"45"[..]));
        aside.bytes.resize(5, 7);
        sample.clear();
        aside.move_to(&mut sample);
        assert_eq!(
            (&sample[..], aside.bytes()),
            (&[b'4', b'5', 7][..], &[7, 7][..])
        );
    }

    /// Whoever asked for it relies on it.
    #[test]
    fn only_a_pool_that_wipes_pays_for_it() {
        for (wipes, expected) in [(true, [0; 3]), (false, [7; 3])] {
            let mut aside = Aside::new(wipes);
            assert!(aside.put(&[7; 3], 8, &EMPTY), "there is memory");
            aside.wipe(0);
            assert_eq!(aside.bytes(), expected);
        }
    }
}
