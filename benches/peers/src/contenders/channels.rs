//! Channels used as pools: the free buffers are in the channel.
//!
//! A buffer is returned without waiting, as the drop of a guard would: the channel has room for all of them.

use super::{Contender, Limited};

/// Buffers in a bounded channel of kanal.
pub(crate) struct Kanal {
    sender: kanal::AsyncSender<Vec<u8>>,
    receiver: kanal::AsyncReceiver<Vec<u8>>,
}

impl Contender for Kanal {
    type Buffer<'a> = Vec<u8>;

    fn with_buffers(buffers: usize, size: usize) -> Self {
        let (sender, receiver) = kanal::bounded_async(buffers);
        let pool = Kanal { sender, receiver };
        (0..buffers).for_each(|_| pool.give_back(Vec::with_capacity(size)));
        pool
    }

    #[inline]
    async fn get(&self) -> Vec<u8> {
        self.receiver.recv().await.expect("open")
    }

    #[inline]
    fn give_back(&self, buffer: Vec<u8>) {
        assert!(self.sender.try_send(buffer).expect("open"), "no room");
    }

    fn assert_all_free(&self) {
        assert_eq!(self.receiver.len(), self.receiver.capacity());
    }
}

impl Limited for Kanal {
    #[inline]
    fn try_get(&self) -> Option<Vec<u8>> {
        self.receiver.try_recv().expect("open")
    }

    fn blocking_get(&self) -> Vec<u8> {
        self.receiver.as_sync().recv().expect("open")
    }
}

/// Buffers in a bounded channel of flume.
pub(crate) struct Flume {
    sender: flume::Sender<Vec<u8>>,
    receiver: flume::Receiver<Vec<u8>>,
}

impl Contender for Flume {
    type Buffer<'a> = Vec<u8>;

    fn with_buffers(buffers: usize, size: usize) -> Self {
        let (sender, receiver) = flume::bounded(buffers);
        let pool = Flume { sender, receiver };
        (0..buffers).for_each(|_| pool.give_back(Vec::with_capacity(size)));
        pool
    }

    #[inline]
    async fn get(&self) -> Vec<u8> {
        self.receiver.recv_async().await.expect("open")
    }

    #[inline]
    fn give_back(&self, buffer: Vec<u8>) {
        self.sender.try_send(buffer).expect("open, and room for it");
    }

    fn assert_all_free(&self) {
        assert!(self.receiver.is_full());
    }
}

/// Buffers in a bounded channel of async-channel.
pub(crate) struct AsyncChannel {
    sender: async_channel::Sender<Vec<u8>>,
    receiver: async_channel::Receiver<Vec<u8>>,
}

impl Contender for AsyncChannel {
    type Buffer<'a> = Vec<u8>;

    fn with_buffers(buffers: usize, size: usize) -> Self {
        let (sender, receiver) = async_channel::bounded(buffers);
        let pool = AsyncChannel { sender, receiver };
        (0..buffers).for_each(|_| pool.give_back(Vec::with_capacity(size)));
        pool
    }

    #[inline]
    async fn get(&self) -> Vec<u8> {
        self.receiver.recv().await.expect("open")
    }

    #[inline]
    fn give_back(&self, buffer: Vec<u8>) {
        self.sender.try_send(buffer).expect("open, and room for it");
    }

    fn assert_all_free(&self) {
        assert!(self.receiver.is_full());
    }
}
