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
    semaphores::{BareSemaphore, SemaphoreAndBytesMut, SemaphoreAndQueue},
};

#[cfg(feature = "commonware")]
pub(crate) use self::commonware::Commonware;

use std::future::Future;

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
