//! A reader and a writer that follow a script, one step at each call.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(crate) enum Step {
    Bytes(&'static [u8]),
    /// Pending, at this call.
    Pending,
    Error,
}

/// Reads as the script says. After the last step comes the end.
#[derive(Default)]
pub(crate) struct Script(VecDeque<Step>);

impl Script {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Script(steps.into_iter().collect())
    }

    /// How many steps were not taken.
    pub(crate) fn left(&self) -> usize {
        self.0.len()
    }
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.0.pop_front() {
            None => Poll::Ready(Ok(())),
            Some(Step::Error) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Some(Step::Pending) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::Bytes(bytes)) => {
                let (now, later) = bytes.split_at(bytes.len().min(into.remaining()));
                into.put_slice(now);
                if !later.is_empty() {
                    self.0.push_front(Step::Bytes(later));
                }
                Poll::Ready(Ok(()))
            }
        }
    }
}

/// Takes at most `most` bytes at each call, and is pending at every second call if `pauses`.
pub(crate) struct Slow {
    pub(crate) written: Vec<u8>,
    pub(crate) most: usize,
    pub(crate) pauses: bool,
    pub(crate) vectored: bool,
    /// The number of slices in each call that wrote something.
    pub(crate) slices: Vec<usize>,
    pub(crate) shut_down: bool,
    paused: bool,
}

impl Slow {
    pub(crate) fn new(most: usize) -> Self {
        Slow {
            written: Vec::new(),
            most,
            pauses: false,
            vectored: true,
            slices: Vec::new(),
            shut_down: false,
            paused: false,
        }
    }

    fn take(&mut self, slices: &[&[u8]]) -> Poll<io::Result<usize>> {
        self.paused = self.pauses && !self.paused;
        if self.paused {
            return Poll::Pending;
        }
        self.slices.push(slices.len());
        let before = self.written.len();
        for slice in slices {
            let room = self.most - (self.written.len() - before);
            self.written
                .extend_from_slice(&slice[..slice.len().min(room)]);
        }
        Poll::Ready(Ok(self.written.len() - before))
    }
}

impl AsyncWrite for Slow {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.take(&[bytes])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let slices: Vec<&[u8]> = slices.iter().map(|slice| &**slice).collect();
        self.take(&slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.vectored
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut_down = true;
        Poll::Ready(Ok(()))
    }
}
