//! When the batches of one receive are joined by a copy.
//!
//! Where datagrams arrive one by one, each is a batch. A copy of 1,200 bytes is less than a system call, and there is one
//! for each viewer. Both relays that send batches do the same.

/// Batches of one receive: more than the datagrams of the largest frame that one call sends.
pub(super) const MOST_BATCHES: usize = 64;

/// No call sends more bytes than an IPv4 packet has.
const MOST_BYTES: usize = 65_507;

/// Returns `true` if a batch can be sent behind `len` bytes of datagrams with `segment` bytes, in one call.
pub(super) fn fits(len: usize, segment: usize, next_len: usize, next_segment: usize) -> bool {
    // All but the last datagram of a call have one size.
    next_segment == segment && len.is_multiple_of(segment) && len + next_len <= MOST_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A datagram that is cut at another place is another datagram.
    #[test]
    fn what_is_joined_is_cut_again_where_it_was() {
        assert!(fits(1200, 1200, 2400, 1200));
        assert!(fits(1200, 1200, 1300, 1200), "the last may be short");
        assert!(!fits(1300, 1200, 1200, 1200), "nothing comes after that");
        assert!(!fits(1200, 1200, 700, 700));
        assert!(!fits(60_000, 1200, 6000, 1200));
    }
}
