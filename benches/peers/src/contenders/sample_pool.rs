//! The crate itself.

use super::{Contender, Counters, Limited};
use sample_pool::{Pool, Sample};

/// A pool whose gets borrow it.
pub(crate) struct SamplePool(pub(crate) Pool);

impl Contender for SamplePool {
    type Buffer<'a> = Sample;

    fn with_buffers(buffers: usize, size: usize) -> Self {
        let pool = Pool::builder().buffers(buffers).size(size).build();
        SamplePool(pool.expect("memory for the pool"))
    }

    #[inline]
    async fn get(&self) -> Sample {
        self.0.get_buffer().await.expect("the pool is committed")
    }

    #[inline]
    fn give_back(&self, buffer: Sample) {
        drop(buffer);
    }

    fn assert_all_free(&self) {
        let status = self.0.status();
        assert_eq!(self.0.free_count(), self.0.properties().buffers);
        assert_eq!(status.acquired, status.released);
    }

    fn gets(&self) -> Option<u64> {
        Some(self.0.status().acquired)
    }
}

impl Limited for SamplePool {
    #[inline]
    fn try_get(&self) -> Option<Sample> {
        self.0.try_get_buffer().ok()
    }

    fn blocking_get(&self) -> Sample {
        self.0.blocking_get_buffer().expect("the pool is committed")
    }

    #[inline]
    fn give_back_all(&self, buffers: &mut Vec<Sample>) {
        Sample::release_all(buffers);
    }

    fn counters(&self) -> Option<Counters> {
        let status = self.0.status();
        Some(Counters {
            taken: status.acquired,
            waited: status.waited,
            missed: status.exhausted,
        })
    }
}
