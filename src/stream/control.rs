//! What Linux writes beside the bytes of a message: the address of its sender, and control messages.
//!
//! Both are read as bytes, so that nothing here needs `unsafe`. The layouts are those of `sockaddr_in`, `sockaddr_in6` and
//! `cmsghdr`. A message that is not complete is ignored.

#![forbid(unsafe_code)]

use super::datagram_batch::Ecn;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// What the control messages of one message say. Those that are unknown are ignored.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Control {
    /// The size of each datagram but the last, if there are several.
    pub(super) segment_size: Option<usize>,
    pub(super) to: Option<IpAddr>,
    pub(super) ecn: Option<Ecn>,
}

const WORD: usize = size_of::<usize>();
/// Length, level and type of a control message.
const HEADER: usize = WORD + 8;

/// Reads the control messages of one message.
pub(super) fn parse(mut bytes: &[u8]) -> Control {
    let mut control = Control::default();
    while let Some(length) = word(bytes) {
        if length < HEADER || length > bytes.len() {
            break;
        }
        let level = int(&bytes[WORD..]).unwrap_or(-1);
        let kind = int(&bytes[WORD + 4..]).unwrap_or(-1);
        let data = &bytes[HEADER..length];
        match (level, kind) {
            (libc::SOL_UDP, libc::UDP_GRO) => {
                let size = int(data).and_then(|size| usize::try_from(size).ok());
                control.segment_size = size.filter(|size| *size > 0);
            }
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // After the number of the interface and the local address.
                let address: Option<[u8; 4]> = array(data, 8);
                control.to = address.map(|octets| Ipv4Addr::from(octets).into());
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let address: Option<[u8; 16]> = array(data, 0);
                control.to = address.map(|octets| Ipv6Addr::from(octets).into());
            }
            (libc::IPPROTO_IP, libc::IP_TOS) => {
                control.ecn = data.first().copied().map(Ecn::from_bits);
            }
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                control.ecn = int(data).map(|class| Ecn::from_bits(class as u8));
            }
            _ => {}
        }
        // The next one is aligned like a word.
        bytes = bytes
            .get(length.next_multiple_of(WORD)..)
            .unwrap_or_default();
    }
    control
}

/// The address in a `sockaddr_in` or `sockaddr_in6`; the unspecified one if it is neither.
pub(super) fn address(name: &[u8]) -> SocketAddr {
    parse_address(name).unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into())
}

fn parse_address(name: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(array(name, 0)?);
    let port = u16::from_be_bytes(array(name, 2)?);
    match i32::from(family) {
        libc::AF_INET => {
            let octets: [u8; 4] = array(name, 4)?;
            Some((octets, port).into())
        }
        libc::AF_INET6 => {
            let flow = u32::from_ne_bytes(array(name, 4)?);
            let octets: [u8; 16] = array(name, 8)?;
            let scope = u32::from_ne_bytes(array(name, 24)?);
            Some(SocketAddrV6::new(octets.into(), port, flow, scope).into())
        }
        _ => None,
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn word(bytes: &[u8]) -> Option<usize> {
    array(bytes, 0).map(usize::from_ne_bytes)
}

fn int(bytes: &[u8]) -> Option<i32> {
    array(bytes, 0).map(i32::from_ne_bytes)
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    /// One control message, padded as the system pads it.
    fn message(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = (HEADER + data.len()).to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(WORD), 0xff);
        bytes
    }

    /// Messages of options that the user set on the socket stand between those that are looked for.
    #[test]
    fn messages_are_found_behind_unknown_ones_of_any_length() {
        for unknown in 0..20 {
            let mut bytes = message(libc::SOL_SOCKET, 1234, &vec![9; unknown]);
            bytes.extend(message(
                libc::SOL_UDP,
                libc::UDP_GRO,
                &1200_i32.to_ne_bytes(),
            ));
            bytes.extend(message(libc::IPPROTO_IP, libc::IP_TOS, &[0xbb]));
            let control = parse(&bytes);
            assert_eq!(
                (control.segment_size, control.ecn),
                (Some(1200), Some(Ecn::Ce))
            );
            assert_eq!(control.to, None);
        }
    }

    /// A buffer that was too small ends in the middle of a message, and bytes of an earlier call may be behind it.
    #[test]
    fn a_message_that_was_cut_off_or_has_an_impossible_length_ends_the_search() {
        let whole = message(libc::SOL_UDP, libc::UDP_GRO, &1200_i32.to_ne_bytes());
        for end in 0..HEADER + 4 {
            assert_eq!(parse(&whole[..end]), Control::default(), "{end}");
        }
        // The last message may end without the bytes that align the next one.
        assert_eq!(parse(&whole[..HEADER + 4]).segment_size, Some(1200));
        for length in [0, HEADER - 1, whole.len() + 1, usize::MAX] {
            let mut bytes = whole.clone();
            bytes[..WORD].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(parse(&bytes), Control::default(), "{length}");
        }
        for impossible in [-1_i32, 0] {
            let size = message(libc::SOL_UDP, libc::UDP_GRO, &impossible.to_ne_bytes());
            assert_eq!(parse(&size).segment_size, None, "{impossible}");
        }
    }

    /// A socket of another family has no IP address, and its datagrams must not be lost for that.
    #[test]
    fn an_address_that_is_no_ip_address_is_the_unspecified_one() {
        let unspecified = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        assert_eq!(address(&[]), unspecified);
        assert_eq!(address(&(libc::AF_UNIX as u16).to_ne_bytes()), unspecified);
        let mut cut = (libc::AF_INET6 as u16).to_ne_bytes().to_vec();
        cut.resize(27, 1);
        assert_eq!(address(&cut), unspecified);
    }
}
