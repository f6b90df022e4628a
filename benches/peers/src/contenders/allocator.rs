//! No pool at all: the allocator of the process, under a `BytesMut`.

use super::Contender;
use bytes::BytesMut;

/// A fresh `BytesMut` for each get. Nothing bounds how many there are.
pub(crate) struct FreshBytesMut {
    size: usize,
}

impl Contender for FreshBytesMut {
    type Buffer<'a> = BytesMut;

    fn with_buffers(_buffers: usize, size: usize) -> Self {
        FreshBytesMut { size }
    }

    #[inline]
    async fn get(&self) -> BytesMut {
        BytesMut::with_capacity(self.size)
    }

    #[inline]
    fn give_back(&self, buffer: BytesMut) {
        drop(buffer);
    }

    fn assert_all_free(&self) {}
}
