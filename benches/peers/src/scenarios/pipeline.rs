//! *Pipeline*: task A takes a buffer, fills 1,400 bytes and sends it through a bounded channel; task B drops it.

use super::hand_off::runtime;
use crate::{
    contenders::{AsyncChannel, Contender, Deadpool, SamplePool, SemaphoreAndBytesMut},
    table::{Base, Bound, OURS, Outcome, Table},
};
use bytes::{BufMut, BytesMut};
use deadpool::unmanaged::Object;
use sample_pool::Sample;
use std::{sync::Arc, time::Instant};
use tokio::sync::mpsc;

const BUFFERS: usize = 64;
const SIZE: usize = 2048;
const IN_FLIGHT: usize = 32;
const PACKET: [u8; 1400] = [0x47; 1400];

pub(crate) fn tables() -> Vec<Table> {
    let table = Table::new("pipeline", "two tasks, two workers")
        .row(OURS, pipeline::<SamplePool, _>)
        .row_for_each_allocator("Semaphore + BytesMut", pipeline::<SemaphoreAndBytesMut, _>)
        .row("deadpool", pipeline::<Deadpool, _>)
        .row("async-channel", pipeline::<AsyncChannel, _>)
        .target(OURS, Base::FastestPeer, Bound::AtMost(1.0));
    vec![table]
}

/// A buffer that can travel, with what is written into it.
trait Packet: Send + 'static {
    fn write(&mut self, packet: &[u8]);
    fn written(&self) -> usize;
}

impl Packet for Sample {
    fn write(&mut self, packet: &[u8]) {
        self.put_slice(packet);
    }

    fn written(&self) -> usize {
        self.len()
    }
}

impl Packet for BytesMut {
    fn write(&mut self, packet: &[u8]) {
        self.put_slice(packet);
    }

    fn written(&self) -> usize {
        self.len()
    }
}

/// A `Vec` comes from a pool as it was left.
impl Packet for Vec<u8> {
    fn write(&mut self, packet: &[u8]) {
        self.clear();
        self.extend_from_slice(packet);
    }

    fn written(&self) -> usize {
        self.len()
    }
}

impl Packet for Object<Vec<u8>> {
    fn write(&mut self, packet: &[u8]) {
        Vec::write(self, packet);
    }

    fn written(&self) -> usize {
        self.len()
    }
}

fn pipeline<C, B>() -> impl FnMut(u64) -> Outcome
where
    C: for<'a> Contender<Buffer<'a> = B>,
    B: Packet,
{
    let runtime = runtime(2);
    let pool = Arc::new(C::with_buffers(BUFFERS, SIZE));
    move |packets| {
        let begin = Instant::now();
        let bytes = runtime.block_on(async {
            let (sender, receiver) = mpsc::channel(IN_FLIGHT);
            let producer = tokio::spawn(produce(Arc::clone(&pool), sender, packets));
            let consumer = tokio::spawn(consume(Arc::clone(&pool), receiver));
            producer.await.expect("task A");
            consumer.await.expect("task B")
        });
        let elapsed = begin.elapsed();
        assert_eq!(bytes, packets as usize * PACKET.len());
        pool.assert_all_free();
        Outcome::per_operation(elapsed, packets)
    }
}

async fn produce<C, B>(pool: Arc<C>, sender: mpsc::Sender<B>, packets: u64)
where
    C: for<'a> Contender<Buffer<'a> = B>,
    B: Packet,
{
    for _ in 0..packets {
        let mut buffer = pool.get().await;
        buffer.write(&PACKET);
        assert!(
            sender.send(buffer).await.is_ok(),
            "task B takes all of them"
        );
    }
}

async fn consume<C, B>(pool: Arc<C>, mut receiver: mpsc::Receiver<B>) -> usize
where
    C: for<'a> Contender<Buffer<'a> = B>,
    B: Packet,
{
    let mut bytes = 0;
    while let Some(buffer) = receiver.recv().await {
        bytes += buffer.written();
        pool.give_back(buffer);
    }
    bytes
}
