//! What a client may cost, so that none can cost the others their service.
//!
//! | what | limit | then |
//! |---|---|---|
//! | connections together | `--connections` | 503, and closed |
//! | connections from one address; for IPv6, from one /64 | `--per-address` | 503, and closed |
//! | a request's first line and headers, bytes | [`MOST_HEADER_BYTES`] | 431, and closed |
//! | headers of a request | [`MOST_HEADERS`] | 431, and closed |
//! | time for a request's headers, an idle connection's wait for the next request included | [`HEADER_TIME`] | closed |
//! | time in which a client takes no byte of what is there for it | [`WRITE_TIME`] | closed |
//! | time in which a client's machine does not say that it is there | [`SILENCE`], and some [`PROBES`] | closed |
//! | what the kernel keeps for a client that is slow, bytes | twice [`SEND_BUFFER`] | the rest waits here |
//! | time from one picture of a source to the next | `--source-timeout` | 408, and its channel is free |
//! | time from one fragment to the next | three times that | 408, and its channel is free |
//! | time that a source waits for a viewer that does not read at once | [`crate::pace::PATIENCE`], once | it skips |
//! | a picture, bytes | `--size` | 413 |
//! | a fragment, bytes | eight times `--size` | 413 |
//! | an init segment, a fragment's `moof`, bytes | [`crate::mp4`] | 413 |
//! | what comes before the first picture, bytes | [`crate::jpeg::parser`] | 415 |
//! | a channel's name | 1 to 32 characters of `a-z`, `0-9`, `_`, `-` | 400 |
//! | buffers that channels may hold | half of `--buffers`; see [`crate::memory`] | 503 |
//! | samples that a source takes | the share of its channel and those that viewers hold; see [`crate::memory`] | it waits |
//! | samples that viewers hold | one each, half of the buffers together | the oldest are closed |
//! | the rest of a body that was refused | 1 MiB, half a second | closed |
//! | the end of the server | [`END_TIME`], in which each viewer is sent the rest of its frame | closed |
//!
//! Who may do what: without the token in the environment ([`crate::token`]), if there is one, a channel cannot be fed:
//! 401. A page of another site cannot feed one in any case, 403, and its scripts can read what is shown only with
//! `--allow-origin`. What a source sends is shown as it came, and must not become a page: whatever a route answers, but for
//! the page itself, tells browsers to run nothing of it and not to guess what it is (`life.rs`).
//!
//! Who watches, with addresses, and who holds samples is shown to every client that can connect. Names are not checked: a page that makes
//! its own name point here (DNS rebinding) can read what is shown, and a proxy that looks at `Host` prevents it. A channel keeps
//! its share until it is removed, which who may feed it can do, or the server ends.
//!
//! Not limited: how long a viewer watches, how many frames a source sends, how often `/status` is asked for. There is
//! no encryption. A server for the public needs a proxy in front.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The default. Each costs a descriptor, of which a process often has 1024, and some ten KiB.
const MOST_CONNECTIONS: usize = 900;

/// The default. A house behind one address; not a proxy with all the world behind it.
const MOST_FROM_ONE_ADDRESS: usize = 300;

/// Browsers send about one KiB.
pub(crate) const MOST_HEADER_BYTES: usize = 16 * 1024;
pub(crate) const MOST_HEADERS: usize = 64;
pub(crate) const HEADER_TIME: Duration = Duration::from_secs(10);

/// Longer than viewers have, who are closed with more regard; see [`crate::viewers::STALL_LIMIT`].
pub(crate) const WRITE_TIME: Duration = Duration::from_secs(10);

/// A client that waits for a frame says nothing, and one whose machine has vanished says as little. So it is asked, after
/// this long and then this often.
pub(crate) const SILENCE: Duration = Duration::from_secs(30);
pub(crate) const PROBES: Duration = Duration::from_secs(10);

/// As much as Linux grants by default. Left to itself it keeps several MiB for each client that was fast once.
/// That is memory that no pool counts, and seconds of a live picture; and as it takes more only when a third of that is free,
/// a client that has become slow would look like one that takes nothing.
pub(crate) const SEND_BUFFER: usize = 208 * 1024;

/// How long a source may take for a picture, by default: the slowest camera that makes sense in a live picture.
/// Waiting for a buffer does not count.
pub(crate) const SOURCE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long it may take for a fragment: longer, because one is often as long as the distance between two key frames.
pub(crate) const fn fragment_time(source_timeout: Duration) -> Duration {
    source_timeout.saturating_mul(3)
}

/// How long the end may take: for connections to finish, and then for samples to be returned.
pub(crate) const END_TIME: Duration = Duration::from_secs(2);

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    pub(crate) per_address: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: MOST_CONNECTIONS,
            per_address: MOST_FROM_ONE_ADDRESS,
        }
    }
}

/// How many connections there are.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: Limits,
    from: Mutex<HashMap<IpAddr, usize>>,
}

/// The right to be connected, until it is dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Admission {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Admission {
            limits,
            from: Mutex::default(),
        })
    }

    /// Lets one more in, unless there are too many.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Admitted> {
        let address = household(address);

        let mut from = self.lock();
        let together: usize = from.values().sum();
        let alike = from.get(&address).copied().unwrap_or(0);
        if together >= self.limits.connections || alike >= self.limits.per_address {
            return None;
        }
        from.insert(address, alike + 1);
        drop(from);
        let admission = self.clone();
        Some(Admitted { admission, address })
    }

    /// Nothing that panics runs under this lock.
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.from.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who has one address of IPv6 has all that begin like it.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut from = self.admission.lock();
        if let Some(alike) = from.get_mut(&self.address) {
            *alike -= 1;
            if *alike == 0 {
                from.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_and_all_together_are_limited_and_a_viewer_that_leaves_makes_room() {
        let limits = Limits {
            connections: 9,
            per_address: 3,
        };
        let admission = Admission::new(limits);
        let from = |last| IpAddr::from([10, 0, 0, last]);
        let mut admitted: Vec<_> = (0..limits.per_address)
            .map(|_| admission.admit(from(1)).expect("there is room"))
            .collect();
        assert!(admission.admit(from(1)).is_none());
        admitted.pop();
        admitted.push(admission.admit(from(1)).expect("one has left"));
        for address in 2..=3 {
            let more = (0..limits.per_address).map(|_| admission.admit(from(address)));
            admitted.extend(more.flatten());
        }
        assert_eq!(admitted.len(), limits.connections);
        assert!(admission.admit(from(4)).is_none());
        drop(admitted);
        assert!(
            admission.lock().is_empty(),
            "nothing is kept of those who left"
        );
    }

    #[test]
    fn a_household_has_many_addresses_of_ipv6_and_one_of_ipv4() {
        let admission = Admission::new(Limits {
            connections: 9,
            per_address: 1,
        });
        let admit = |address: &str| admission.admit(address.parse().unwrap());
        let _first = admit("2001:db8:0:1::1").expect("there is no other");
        assert!(admit("2001:db8:0:1:ffff::2").is_none());
        let _neighbour = admit("2001:db8:0:2::1").expect("another house");
        // As they are seen by a socket that listens for both.
        let _mapped = admit("::ffff:10.0.0.1").expect("there is no other");
        assert!(admit("10.0.0.1").is_none());
        let _other = admit("::ffff:10.0.0.2").expect("another house");
    }
}
