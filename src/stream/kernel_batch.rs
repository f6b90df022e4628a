//! `recvmmsg` straight into samples, and the options of a socket that decide what it delivers. Linux only.
//!
//! One call receives up to [`MAX_MESSAGES`] messages, each into a sample of its own. With `UDP_GRO` a message is several
//! datagrams of one sender. `libc` is used for it, because the crates that wrap the call want initialised memory, or do
//! not report that a message was truncated.
//!
//! # Invariants
//!
//! - **K1** While the system call runs, each pointer of a header leads to memory that the caller has borrowed exclusively,
//!   and no other pointer leads there: the spare bytes of its sample, its `MessageInfo`, its element of `vectors`.
//!   `stream::batches::each_message_of_one_call_has_its_own_bytes_and_address`
//! - **K2** The system has written the first `msg_len` of the spare bytes that it was given.
//!   `stream::batches::a_short_message_after_a_long_one_shows_nothing_of_it`
//! - **K3** The value of a socket option is one `c_int`, which outlives the call.
//!   `stream::joined_batches::a_receiver_sets_the_options_that_it_documents_and_no_other`

#![allow(unsafe_code, reason = "listed in scripts/layers")]

use super::{
    control::{self, Control},
    datagram_batch::DatagramBatch,
};
use crate::sample::exclusive::Sample;
use bytes::BufMut;
use libc::c_int;
use std::{
    io, mem,
    os::fd::{AsRawFd, RawFd},
    ptr,
};
use tokio::{io::Interest, net::UdpSocket};

/// How many messages one call receives at most.
pub(super) const MAX_MESSAGES: usize = 16;

/// How many datagrams the system joins at most. Received ones are joined up to 64; one send of the same machine can be
/// 128 since Linux 6.9.
pub(super) const MAX_SEGMENTS: usize = 128;

/// Enough for what can be asked for here, which is 144 bytes, and some options of the user's.
const CONTROL_LEN: usize = 512;
/// The size of a `sockaddr_in6`.
const NAME_LEN: usize = 28;

/// What the system writes beside the bytes of one message. It begins with zeroes, so all of it is initialised at any time.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct MessageInfo {
    control: [u8; CONTROL_LEN],
    name: [u8; NAME_LEN],
    control_len: usize,
    name_len: usize,
    flags: c_int,
}

/// The infos of the messages of one call. They are allocated once for each receiver.
pub(super) struct MessageInfos(Box<[MessageInfo]>);

impl MessageInfos {
    pub(super) fn new() -> Self {
        let empty = MessageInfo {
            control: [0; CONTROL_LEN],
            name: [0; NAME_LEN],
            control_len: 0,
            name_len: 0,
            flags: 0,
        };
        MessageInfos(vec![empty; MAX_MESSAGES].into_boxed_slice())
    }
}

/// Receives the messages that are waiting, each into one of the first samples, which are empty. Takes these samples out of
/// `samples`, and returns how many they were.
pub(super) fn receive(
    socket: &UdpSocket,
    samples: &mut Vec<Sample>,
    infos: &mut MessageInfos,
    mut received: impl FnMut(DatagramBatch),
) -> io::Result<usize> {
    let fd = socket.as_raw_fd();
    let call = || receive_messages(fd, samples, &mut infos.0);
    let count = socket.try_io(Interest::READABLE, call)?;
    for (sample, info) in samples.drain(..count).zip(&infos.0) {
        received(info.batch_of(sample));
    }
    Ok(count)
}

impl MessageInfo {
    fn batch_of(&self, sample: Sample) -> DatagramBatch {
        let name = self.name.get(..self.name_len).unwrap_or(&self.name);
        let known = self.control.get(..self.control_len);
        let Control {
            segment_size,
            to,
            ecn,
        } = control::parse(known.unwrap_or(&self.control));
        DatagramBatch {
            from: control::address(name),
            to,
            ecn,
            segment_size: segment_size.unwrap_or(sample.len()).max(1),
            // Without all control messages, the segment size may be unknown: then nothing in the sample can be trusted.
            truncated: self.flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0,
            sample,
        }
    }
}

fn receive_messages(
    fd: RawFd,
    samples: &mut [Sample],
    infos: &mut [MessageInfo],
) -> io::Result<usize> {
    let count = samples.len().min(infos.len()).min(MAX_MESSAGES);
    let mut vectors = [const { empty_vector() }; MAX_MESSAGES];
    // SAFETY: a header is numbers and raw pointers, for all of which zero is a valid value.
    let mut headers: [libc::mmsghdr; MAX_MESSAGES] = unsafe { mem::zeroed() };
    let all = headers.iter_mut().zip(&mut vectors);
    for ((header, vector), (sample, place)) in all.zip(samples.iter_mut().zip(infos.iter_mut())) {
        let spare = sample.spare_capacity_mut();
        vector.iov_base = spare.as_mut_ptr().cast();
        vector.iov_len = spare.len();
        let header = &mut header.msg_hdr;
        header.msg_iov = vector;
        header.msg_iovlen = 1;
        header.msg_name = place.name.as_mut_ptr().cast();
        header.msg_namelen = NAME_LEN as libc::socklen_t;
        header.msg_control = place.control.as_mut_ptr().cast();
        header.msg_controllen = CONTROL_LEN as _;
    }
    let received = loop {
        let headers = headers.as_mut_ptr();
        // SAFETY: the first `count` headers were filled above, and each leads to memory that is borrowed here alone (K1).
        // A timeout may be null.
        let status =
            unsafe { libc::recvmmsg(fd, headers, count as libc::c_uint, 0, ptr::null_mut()) };
        match usize::try_from(status) {
            Ok(received) => break received,
            Err(_negative) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    };
    let filled = headers.iter().zip(samples.iter_mut().zip(infos));
    for (header, (sample, place)) in filled.take(received) {
        // SAFETY: the system wrote as many bytes to the start of the spare ones (K2). That there are as many is checked.
        unsafe { sample.advance_mut(header.msg_len as usize) };
        place.control_len = header.msg_hdr.msg_controllen as _;
        place.name_len = header.msg_hdr.msg_namelen as usize;
        place.flags = header.msg_hdr.msg_flags;
    }
    Ok(received)
}

const fn empty_vector() -> libc::iovec {
    libc::iovec {
        iov_base: ptr::null_mut(),
        iov_len: 0,
    }
}

/// Makes the system join datagrams, or stop doing so. Returns whether it joins them now.
pub(super) fn set_gro(socket: &UdpSocket, on: bool) -> bool {
    // An old system has no such option, and then joins nothing.
    set_option(socket, libc::SOL_UDP, libc::UDP_GRO, on.into()).is_ok() && on
}

/// Returns whether the system joins datagrams.
pub(super) fn gro(socket: &UdpSocket) -> bool {
    option(socket, libc::SOL_UDP, libc::UDP_GRO).is_ok_and(|value| value != 0)
}

/// Makes the system report the address that a datagram was sent to.
pub(super) fn report_to(socket: &UdpSocket) -> io::Result<()> {
    match socket.local_addr()?.is_ipv4() {
        true => set_option(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
        // An IPv4 address is reported by this option, too, as an IPv4-mapped one.
        false => set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
    }
}

/// Makes the system report the ECN mark of a datagram.
pub(super) fn report_ecn(socket: &UdpSocket) -> io::Result<()> {
    if !socket.local_addr()?.is_ipv4() {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1)?;
    }
    // A socket of IPv6 receives datagrams of IPv4, too, unless it was bound otherwise; the option is accepted in both cases.
    set_option(socket, libc::IPPROTO_IP, libc::IP_RECVTOS, 1)
}

fn set_option(socket: &UdpSocket, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    let (fd, value) = (socket.as_raw_fd(), (&raw const value).cast());
    let size = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the value is a `c_int` on this stack frame, and has that size (K3).
    let status = unsafe { libc::setsockopt(fd, level, name, value, size) };
    match status {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn option(socket: &UdpSocket, level: c_int, name: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut size = size_of::<c_int>() as libc::socklen_t;
    let (fd, place) = (socket.as_raw_fd(), (&raw mut value).cast());
    // SAFETY: value and size are on this stack frame, and the size is that of the value (K3).
    let status = unsafe { libc::getsockopt(fd, level, name, place, &raw mut size) };
    match status {
        0 => Ok(value),
        _ => Err(io::Error::last_os_error()),
    }
}
