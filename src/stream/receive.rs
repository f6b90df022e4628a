//! Receiving a datagram into the spare bytes of a [`Sample`].

#![allow(unsafe_code, reason = "listed in scripts/layers")]

use crate::sample::exclusive::Sample;
use bytes::BufMut;
use socket2::{MaybeUninitSlice, RecvFlags, SockAddr, SockRef};
use std::io;

impl Sample {
    /// Appends one datagram, or as much of it as there is room for.
    pub(crate) fn receive_from(
        &mut self,
        socket: SockRef<'_>,
    ) -> io::Result<(RecvFlags, SockAddr)> {
        let mut spare = [MaybeUninitSlice::new(self.bytes_mut().spare_mut())];
        let (count, flags, from) = socket.recv_from_vectored(&mut spare)?;
        // SAFETY: the system wrote as many bytes to the start of the spare ones, which it was given alone; that there are as
        // many is checked (S4).
        unsafe { self.advance_mut(count) };
        Ok((flags, from))
    }
}
