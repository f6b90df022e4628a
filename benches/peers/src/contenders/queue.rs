//! A lock-free queue of buffers, which cannot be waited on.

use super::Contender;
use crossbeam_queue::ArrayQueue;

/// Buffers in a queue of crossbeam.
pub(crate) struct ArrayQueuePool(ArrayQueue<Vec<u8>>);

impl ArrayQueuePool {
    #[inline]
    pub(super) fn pop(&self) -> Vec<u8> {
        self.0.pop().expect("a buffer is free")
    }
}

impl Contender for ArrayQueuePool {
    type Buffer<'a> = Vec<u8>;

    fn with_buffers(buffers: usize, size: usize) -> Self {
        let queue = ArrayQueue::new(buffers);
        for _ in 0..buffers {
            queue.push(Vec::with_capacity(size)).expect("room for it");
        }
        ArrayQueuePool(queue)
    }

    #[inline]
    async fn get(&self) -> Vec<u8> {
        self.pop()
    }

    #[inline]
    fn give_back(&self, buffer: Vec<u8>) {
        self.0.push(buffer).expect("room for it");
    }

    fn assert_all_free(&self) {
        assert!(self.0.is_full());
    }
}
