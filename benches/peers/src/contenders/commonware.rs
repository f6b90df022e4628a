//! The buffer pool of commonware's runtime, which has caches per thread and cannot be waited on.

use super::Contender;
use commonware_runtime::{
    BufferPool, BufferPoolConfig, BufferPooler, IoBufMut, Runner,
    tokio::{Config, Runner as Runtime},
};
use std::num::{NonZeroU32, NonZeroUsize};

/// commonware-runtime's pool for network buffers, with its caches as it sizes them for two threads.
pub(crate) struct Commonware {
    pool: BufferPool,
    size: usize,
}

impl Contender for Commonware {
    type Buffer<'a> = IoBufMut;

    fn with_buffers(buffers: usize, size: usize) -> Self {
        let of_size = NonZeroUsize::new(size).expect("a size");
        let buffers = u32::try_from(buffers).ok().and_then(NonZeroU32::new);
        let class = (of_size, buffers.expect("a number of buffers"));
        let settings = BufferPoolConfig::for_network()
            .with_size_classes([class])
            .with_parallelism(NonZeroUsize::new(2).expect("two"))
            .with_prefill(true);
        // A pool is only to be had from a runtime, and outlives it.
        let runtime = Runtime::new(Config::new().with_network_buffer_pool_config(settings));
        let pool = runtime.start(|context| async move { context.network_buffer_pool().clone() });
        Commonware { pool, size }
    }

    #[inline]
    async fn get(&self) -> IoBufMut {
        self.pool.try_alloc(self.size).expect("a buffer is free")
    }

    #[inline]
    fn give_back(&self, buffer: IoBufMut) {
        drop(buffer);
    }

    /// What is in the caches of threads is not counted by it.
    fn assert_all_free(&self) {}
}
