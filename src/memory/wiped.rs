//! Copies of the bytes of samples, from a pool that overwrites released bytes with zeroes.

#![forbid(unsafe_code)]

use bytes::Bytes;
use std::hint;

/// Converts a copy of a sample's bytes into `Bytes`. If the pool `wipes`, the copy is overwritten with zeroes when its
/// last handle is dropped.
///
/// A release does not overwrite it, because the copy is not in the pool's memory.
pub(crate) fn into_bytes(copy: Vec<u8>, wipes: bool) -> Bytes {
    match wipes && !copy.is_empty() {
        true => Bytes::from_owner(Wiped(copy)),
        false => copy.into(),
    }
}

/// The owner of a copy, which overwrites it when it is dropped.
struct Wiped(Vec<u8>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.fill(0);
        // Without this the compiler may remove the writes above as dead: it must assume that this reads them.
        hint::black_box(&mut self.0);
    }
}
