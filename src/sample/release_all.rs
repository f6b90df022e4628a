//! Releasing a batch of samples.

#![forbid(unsafe_code)]

use crate::{core::release, sample::exclusive::Sample};

impl Sample {
    /// Releases all samples of `samples`, and leaves it empty with its capacity.
    ///
    /// It does what [`samples.clear()`](Vec::clear) does, in the same order, with fewer atomic operations. It is for
    /// loops that fill one `Vec` again and again, with [`Pool::get_buffers_into`](crate::Pool::get_buffers_into) for
    /// example. It needs no handle to a pool: each sample returns to its own pool, and the samples may be of several
    /// pools.
    ///
    /// Samples that are neighbours in `samples` and in the pool's free list, as those of one get are, are freed together
    /// by one atomic operation. These are released one by one, as drops would be:
    ///
    /// - samples of a pool with a waiter, a release callback or a future of [`released`](crate::Pool::released), or of a
    ///   pool that drains or flushes or has no handle left;
    /// - samples that count against a [`Quota`](crate::Quota).
    ///
    /// So each waiter is served in its turn, and the callback is called once for each sample, when that sample and all
    /// before it are released. A callback or waker that panics does not prevent the other releases.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{Pool, Sample};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().buffers(64).build()?;
    /// let mut batch = Vec::with_capacity(32);
    /// for _ in 0..3 {
    ///     pool.get_buffers_into(&mut batch, 32).await?;
    ///     // Fill them, and send them.
    ///     Sample::release_all(&mut batch);
    /// }
    /// assert_eq!(pool.free_count(), 64);
    /// assert!(batch.is_empty() && batch.capacity() >= 32);
    /// # Ok(())
    /// # }
    /// ```
    pub fn release_all(samples: &mut Vec<Sample>) {
        release::release_all(samples.drain(..).map(Sample::into_slot));
    }
}
