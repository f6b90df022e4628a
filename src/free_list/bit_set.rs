//! A set of word numbers that counts its members and finds the lowest one.

#![forbid(unsafe_code)]

use std::collections::TryReserveError;

/// A set of small numbers, with one bit for each number that it may have.
#[derive(Clone, Debug, Default)]
pub(crate) struct BitSet {
    bits: Vec<u64>,
    len: usize,
}

impl BitSet {
    /// An empty set for the numbers below `bound`.
    ///
    /// `bound` follows from a number that the user chose, so an allocation that fails is an error and does not abort
    /// the process.
    pub(crate) fn with_bound(bound: usize) -> Result<Self, TryReserveError> {
        let words = bound.div_ceil(64);
        let mut bits = Vec::new();
        bits.try_reserve_exact(words)?;
        bits.resize(words, 0);
        Ok(BitSet { bits, len: 0 })
    }

    /// The set of all numbers below `bound`. Fails as [`with_bound`](BitSet::with_bound) does.
    pub(crate) fn full(bound: usize) -> Result<Self, TryReserveError> {
        let mut set = BitSet::with_bound(bound)?;
        set.bits[..bound / 64].fill(u64::MAX);
        if bound % 64 > 0 {
            set.bits[bound / 64] = bit(bound) - 1;
        }
        set.len = bound;
        Ok(set)
    }

    /// Removes all members, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bits.fill(0);
        self.len = 0;
    }

    /// How many members the set has.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether `number` is a member.
    pub(crate) fn contains(&self, number: usize) -> bool {
        self.bits[number / 64] & bit(number) != 0
    }

    /// Adds `number`, if it is not a member.
    pub(crate) fn insert(&mut self, number: usize) {
        self.len += usize::from(!self.contains(number));
        self.bits[number / 64] |= bit(number);
    }

    /// Removes `number`, if it is a member.
    pub(crate) fn remove(&mut self, number: usize) {
        self.len -= usize::from(self.contains(number));
        self.bits[number / 64] &= !bit(number);
    }

    /// The lowest member that is not below `from`.
    pub(crate) fn next(&self, from: usize) -> Option<usize> {
        if self.len == 0 {
            return None;
        }
        let mut at = from / 64;
        let mut bits = *self.bits.get(at)? & (u64::MAX << (from % 64));
        while bits == 0 {
            at += 1;
            bits = *self.bits.get(at)?;
        }
        Some(at * 64 + bits.trailing_zeros() as usize)
    }

    /// The members, lowest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        std::iter::successors(self.next(0), |&number| self.next(number + 1))
    }
}

/// The mask of a number in its element of `bits`.
fn bit(number: usize) -> u64 {
    1 << (number % 64)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::BitSet;

    #[test]
    fn a_full_set_has_every_number_below_its_bound() {
        for bound in [0, 1, 63, 64, 65, 200] {
            let set = BitSet::full(bound).unwrap();
            assert_eq!(set.len(), bound);
            assert!(set.iter().eq(0..bound), "bound {bound}");
        }
    }

    #[test]
    fn members_are_found_lowest_first_and_counted_once() {
        let mut set = BitSet::with_bound(130).unwrap();
        for number in [129, 3, 64, 3] {
            set.insert(number);
        }
        assert_eq!(set.len(), 3);
        assert!(set.iter().eq([3, 64, 129]));
        assert_eq!(set.next(65), Some(129));
        set.remove(64);
        set.remove(64);
        assert_eq!(set.len(), 2);
        assert_eq!(set.next(4), Some(129));
        set.remove(129);
        assert_eq!(set.next(4), None);
        set.clear();
        assert_eq!((set.len(), set.next(0)), (0, None));
        set.insert(129);
        assert_eq!(set.next(0), Some(129));
    }

    /// The bound follows from the user's number of buffers, and an allocation that fails would otherwise abort the
    /// process. On a 32-bit target the largest bound needs half a gigabyte, which can be allocated.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_set_that_memory_cannot_hold_is_an_error() {
        assert!(BitSet::with_bound(usize::MAX).is_err());
        assert!(BitSet::full(usize::MAX).is_err());
    }
}
