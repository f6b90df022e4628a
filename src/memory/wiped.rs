//! Copies of the bytes of a pool that wipes.

#![forbid(unsafe_code)]

use bytes::Bytes;
use std::hint;

/// A copy that is overwritten with zeroes when its last handle is dropped, if the pool `wipes`. No release does that: the
/// copy is not in the pool's memory.
pub(crate) fn into_bytes(copy: Vec<u8>, wipes: bool) -> Bytes {
    match wipes && !copy.is_empty() {
        true => Bytes::from_owner(Wiped(copy)),
        false => copy.into(),
    }
}

struct Wiped(Vec<u8>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.fill(0);
        // As far as the compiler knows the zeroes are read here, so it must write them.
        hint::black_box(&mut self.0);
    }
}
