//! Other crates that call themselves pools.

use super::{Contender, Limited};
use deadpool::unmanaged;
use object_pool::Reusable;
use opool::{PoolAllocator, RefGuard};
use zeropool::BufUninit;

/// deadpool without a manager, which waits on a semaphore.
pub(crate) struct Deadpool(unmanaged::Pool<Vec<u8>>);

impl Contender for Deadpool {
    type Buffer<'a> = unmanaged::Object<Vec<u8>>;

    fn with_buffers(buffers: usize, size: usize) -> Self {
        let filled = (0..buffers).map(|_| Vec::with_capacity(size));
        Deadpool(unmanaged::Pool::from(filled.collect::<Vec<_>>()))
    }

    #[inline]
    async fn get(&self) -> unmanaged::Object<Vec<u8>> {
        self.0.get().await.expect("open")
    }

    #[inline]
    fn give_back(&self, buffer: unmanaged::Object<Vec<u8>>) {
        drop(buffer);
    }

    fn assert_all_free(&self) {
        let status = self.0.status();
        assert_eq!(status.available, status.size);
    }
}

impl Limited for Deadpool {
    #[inline]
    fn try_get(&self) -> Option<unmanaged::Object<Vec<u8>>> {
        self.0.try_get().ok()
    }
}

/// object-pool, which cannot be waited on.
pub(crate) struct ObjectPool {
    pool: object_pool::Pool<Vec<u8>>,
    buffers: usize,
}

impl Contender for ObjectPool {
    type Buffer<'a> = Reusable<'a, Vec<u8>>;

    fn with_buffers(buffers: usize, size: usize) -> Self {
        ObjectPool {
            pool: object_pool::Pool::new(buffers, || Vec::with_capacity(size)),
            buffers,
        }
    }

    #[inline]
    async fn get(&self) -> Reusable<'_, Vec<u8>> {
        self.pool.try_pull().expect("a buffer is free")
    }

    #[inline]
    fn give_back(&self, buffer: Reusable<'_, Vec<u8>>) {
        drop(buffer);
    }

    fn assert_all_free(&self) {
        assert_eq!(self.pool.len(), self.buffers);
    }
}

/// How opool makes a buffer.
pub(crate) struct OfSize(usize);

impl PoolAllocator<Vec<u8>> for OfSize {
    fn allocate(&self) -> Vec<u8> {
        Vec::with_capacity(self.0)
    }
}

/// opool, which cannot be waited on: it allocates when it is empty.
pub(crate) struct Opool(opool::Pool<OfSize, Vec<u8>>);

impl Contender for Opool {
    type Buffer<'a> = RefGuard<'a, OfSize, Vec<u8>>;

    fn with_buffers(buffers: usize, size: usize) -> Self {
        Opool(opool::Pool::new_prefilled(buffers, OfSize(size)))
    }

    #[inline]
    async fn get(&self) -> RefGuard<'_, OfSize, Vec<u8>> {
        self.0.get()
    }

    #[inline]
    fn give_back(&self, buffer: RefGuard<'_, OfSize, Vec<u8>>) {
        drop(buffer);
    }

    fn assert_all_free(&self) {
        assert_eq!(self.0.len(), self.0.capacity());
    }
}

/// zeropool, by its fast path, which does not wipe the buffer. It keeps caches per thread and cannot be waited on.
pub(crate) struct ZeroPool {
    pool: zeropool::ZeroPool,
    size: usize,
}

impl Contender for ZeroPool {
    type Buffer<'a> = BufUninit<'a>;

    fn with_buffers(buffers: usize, size: usize) -> Self {
        let pool = zeropool::ZeroPool::new().max_buffers_per_class(buffers);
        pool.warm(buffers, size);
        ZeroPool { pool, size }
    }

    #[inline]
    async fn get(&self) -> BufUninit<'_> {
        self.pool.alloc_uninit(self.size)
    }

    #[inline]
    fn give_back(&self, buffer: BufUninit<'_>) {
        drop(buffer);
    }

    /// What is in the caches of threads is not counted by it.
    fn assert_all_free(&self) {}
}
