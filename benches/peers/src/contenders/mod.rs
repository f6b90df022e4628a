//! Who is measured: each of them as a pool from which a buffer is taken and to which it returns.

mod allocator;
mod channels;
#[cfg(feature = "commonware")]
mod commonware;
mod pools;
mod queue;
mod sample_pool;
mod semaphores;

pub(crate) use self::{
    allocator::FreshBytesMut,
    channels::{AsyncChannel, Flume, Kanal},
    pools::{Deadpool, ObjectPool, Opool, ZeroPool},
    queue::ArrayQueuePool,
    sample_pool::SamplePool,
    semaphores::{BareSemaphore, OwnedPermitAndQueue, SemaphoreAndBytesMut, SemaphoreAndQueue},
};

#[cfg(feature = "commonware")]
pub(crate) use self::commonware::Commonware;

use std::future::Future;

/// What a pool counted since it was made.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Counters {
    /// Buffers that were taken.
    pub(crate) taken: u64,
    /// Gets that waited.
    pub(crate) waited: u64,
    /// Gets that may not wait and found no buffer.
    pub(crate) missed: u64,
}

/// A pool of buffers, as its users see it.
pub(crate) trait Contender: Send + Sync + 'static {
    /// What stands for one buffer that is out.
    type Buffer<'a>: Send
    where
        Self: 'a;

    /// A pool of `buffers` buffers of `size` bytes, all of them free.
    fn with_buffers(buffers: usize, size: usize) -> Self;

    /// Takes a buffer, and waits for one if the pool can wait.
    fn get(&self) -> impl Future<Output = Self::Buffer<'_>> + Send;

    /// Gives a buffer back. Where a guard does this when it is dropped, this drops it.
    fn give_back(&self, buffer: Self::Buffer<'_>);

    /// Asserts that every buffer is free.
    fn assert_all_free(&self);

    /// How many buffers were taken so far, if it counts them.
    fn gets(&self) -> Option<u64> {
        None
    }
}

/// A pool that bounds how many buffers are held: at the limit a get waits or fails.
pub(crate) trait Limited: Contender {
    /// Takes a buffer if one is free.
    fn try_get(&self) -> Option<Self::Buffer<'_>>;

    /// Takes a buffer, and blocks the thread until there is one.
    fn blocking_get(&self) -> Self::Buffer<'_> {
        futures_executor::block_on(self.get())
    }

    /// Gives all of these back and keeps the allocation of the list.
    #[inline]
    fn give_back_all<'a>(&'a self, buffers: &mut Vec<Self::Buffer<'a>>) {
        for buffer in buffers.drain(..) {
            self.give_back(buffer);
        }
    }

    /// What it counted, if it counts.
    fn counters(&self) -> Option<Counters> {
        None
    }
}
