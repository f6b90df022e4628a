//! A new buffer each time. Nothing bounds how many there are.

use bytes::{Buf, Bytes, BytesMut};
use original::GetBufferError;

pub(crate) type Buffer = BytesMut;

#[derive(Clone, Debug)]
pub(crate) struct Buffers {
    capacity: usize,
}

impl Buffers {
    pub(crate) fn new(_buffers: usize, capacity: usize) -> Self {
        Buffers { capacity }
    }

    pub(crate) async fn get(&self) -> Result<Buffer, GetBufferError> {
        Ok(BytesMut::with_capacity(self.capacity))
    }
}

pub(crate) fn freeze(buffer: Buffer, start: usize) -> Bytes {
    let mut bytes = buffer.freeze();
    bytes.advance(start);
    bytes
}
