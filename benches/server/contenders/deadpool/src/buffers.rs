//! Buffers that deadpool keeps. Its `Object` cannot become `Bytes` by itself: it needs an owner, which
//! is `Wrapped`, and `Bytes::from_owner` allocates a place for it.

use bytes::{Bytes, BytesMut};
use deadpool::unmanaged::{Object, Pool};
use original::GetBufferError;

pub(crate) type Buffer = Object<BytesMut>;

#[derive(Clone, Debug)]
pub(crate) struct Buffers {
    pool: Pool<BytesMut>,
}

impl Buffers {
    pub(crate) fn new(buffers: usize, capacity: usize) -> Self {
        let fresh = || BytesMut::with_capacity(capacity);
        let all: Vec<BytesMut> = std::iter::repeat_with(fresh).take(buffers).collect();
        Buffers {
            pool: Pool::from(all),
        }
    }

    pub(crate) async fn get(&self) -> Result<Buffer, GetBufferError> {
        let closed = |_closed| GetBufferError::NotCommitted;
        let mut buffer = self.pool.get().await.map_err(closed)?;
        buffer.clear();
        Ok(buffer)
    }

    pub(crate) fn free(&self) -> usize {
        self.pool.status().available
    }
}

struct Wrapped {
    buffer: Buffer,
    start: usize,
}

impl AsRef<[u8]> for Wrapped {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[self.start..]
    }
}

pub(crate) fn freeze(buffer: Buffer, start: usize) -> Bytes {
    Bytes::from_owner(Wrapped { buffer, start })
}
