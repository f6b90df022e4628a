//! The crate itself.

use super::Contender;
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
