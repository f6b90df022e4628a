//! What is built on Tokio's semaphore by hand.
//!
//! A permit is forgotten when it is taken and added again by hand, which costs what the drop of a guard costs and lets
//! a buffer travel to another task without a counted semaphore.

use super::{ArrayQueuePool, Contender, Limited};
use bytes::BytesMut;
use std::{mem, sync::Arc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The semaphore alone: it hands off the right to go on, and no buffer.
pub(crate) struct BareSemaphore {
    semaphore: Semaphore,
    permits: usize,
}

impl BareSemaphore {
    #[inline]
    async fn acquire(&self) {
        self.semaphore.acquire().await.expect("open").forget();
    }
}

impl Contender for BareSemaphore {
    type Buffer<'a> = ();

    fn with_buffers(buffers: usize, _size: usize) -> Self {
        BareSemaphore {
            semaphore: Semaphore::new(buffers),
            permits: buffers,
        }
    }

    #[inline]
    async fn get(&self) {
        self.acquire().await;
    }

    #[inline]
    fn give_back(&self, (): ()) {
        self.semaphore.add_permits(1);
    }

    fn assert_all_free(&self) {
        assert_eq!(self.semaphore.available_permits(), self.permits);
    }
}

/// Permits for the buffers of a queue.
pub(crate) struct SemaphoreAndQueue {
    semaphore: BareSemaphore,
    queue: ArrayQueuePool,
}

impl Contender for SemaphoreAndQueue {
    type Buffer<'a> = Vec<u8>;

    fn with_buffers(buffers: usize, size: usize) -> Self {
        SemaphoreAndQueue {
            semaphore: BareSemaphore::with_buffers(buffers, size),
            queue: ArrayQueuePool::with_buffers(buffers, size),
        }
    }

    #[inline]
    async fn get(&self) -> Vec<u8> {
        self.semaphore.acquire().await;
        self.queue.pop()
    }

    #[inline]
    fn give_back(&self, buffer: Vec<u8>) {
        self.queue.give_back(buffer);
        self.semaphore.give_back(());
    }

    fn assert_all_free(&self) {
        self.semaphore.assert_all_free();
        self.queue.assert_all_free();
    }
}

impl Limited for SemaphoreAndQueue {
    #[inline]
    fn try_get(&self) -> Option<Vec<u8>> {
        self.semaphore.semaphore.try_acquire().ok()?.forget();
        Some(self.queue.pop())
    }
}

/// Permits for buffers that are allocated when they are taken.
pub(crate) struct SemaphoreAndBytesMut {
    semaphore: BareSemaphore,
    size: usize,
}

impl Contender for SemaphoreAndBytesMut {
    type Buffer<'a> = BytesMut;

    fn with_buffers(buffers: usize, size: usize) -> Self {
        SemaphoreAndBytesMut {
            semaphore: BareSemaphore::with_buffers(buffers, size),
            size,
        }
    }

    #[inline]
    async fn get(&self) -> BytesMut {
        self.semaphore.acquire().await;
        BytesMut::with_capacity(self.size)
    }

    #[inline]
    fn give_back(&self, buffer: BytesMut) {
        drop(buffer);
        self.semaphore.give_back(());
    }

    fn assert_all_free(&self) {
        self.semaphore.assert_all_free();
    }
}

/// Permits that own their semaphore, for the buffers of a queue.
#[derive(Clone)]
pub(crate) struct OwnedPermitAndQueue {
    semaphore: Arc<Semaphore>,
    queue: Arc<ArrayQueuePool>,
    buffers: usize,
}

/// A buffer that owns what it returns to.
pub(crate) struct OwnedBuffer {
    buffer: Vec<u8>,
    queue: Arc<ArrayQueuePool>,
    /// Dropped after the buffer is in the queue.
    _permit: OwnedSemaphorePermit,
}

impl Drop for OwnedBuffer {
    #[inline]
    fn drop(&mut self) {
        self.queue.give_back(mem::take(&mut self.buffer));
    }
}

impl OwnedPermitAndQueue {
    pub(crate) fn with_buffers(buffers: usize, size: usize) -> Self {
        OwnedPermitAndQueue {
            semaphore: Arc::new(Semaphore::new(buffers)),
            queue: Arc::new(ArrayQueuePool::with_buffers(buffers, size)),
            buffers,
        }
    }

    #[inline]
    pub(crate) async fn get(&self) -> OwnedBuffer {
        let permit = Arc::clone(&self.semaphore).acquire_owned().await;
        OwnedBuffer {
            _permit: permit.expect("open"),
            buffer: self.queue.pop(),
            queue: Arc::clone(&self.queue),
        }
    }

    pub(crate) fn assert_all_free(&self) {
        assert_eq!(self.semaphore.available_permits(), self.buffers);
        self.queue.assert_all_free();
    }
}
