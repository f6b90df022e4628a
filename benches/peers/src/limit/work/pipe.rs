//! *Pipe*: producers get a buffer and send it; consumers drop what they receive, one by one or in bursts.

use super::{Taken, Travelling};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    runtime::Runtime,
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
};

/// Each consumer has a channel of its own. The pool bounds what is in the channels, so they have no bound.
///
/// `consumers` times `burst` must not be more than the pool has, or consumers could hold all of it while they wait for more.
pub(in crate::limit) fn by_tasks<C: Travelling<B>, B: Send + 'static>(
    pool: &Arc<C>,
    runtime: &Runtime,
    producers: usize,
    consumers: usize,
    burst: usize,
    gets: u64,
) -> (Taken, Duration) {
    let each = gets.div_ceil(producers as u64);
    let begin = Instant::now();
    let received = runtime.block_on(async {
        let mut senders = Vec::new();
        let mut consuming = Vec::new();
        for _ in 0..consumers {
            let (sender, receiver) = mpsc::unbounded_channel();
            senders.push(sender);
            consuming.push(tokio::spawn(consume(Arc::clone(pool), receiver, burst)));
        }
        for number in 0..producers {
            let sender = senders[number % consumers].clone();
            tokio::spawn(produce(Arc::clone(pool), sender, each));
        }
        // The last producer closes the channel.
        drop(senders);
        let mut received = 0;
        for consumer in consuming {
            received += consumer.await.expect("a task that is measured");
        }
        received
    });
    let elapsed = begin.elapsed();
    assert_eq!(received, each * producers as u64);
    let taken = Taken {
        taken: received,
        missed: 0,
    };
    (taken, elapsed)
}

async fn produce<C: Travelling<B>, B>(pool: Arc<C>, sender: UnboundedSender<B>, gets: u64) {
    for _ in 0..gets {
        let buffer = pool.get().await;
        assert!(sender.send(buffer).is_ok(), "the consumer takes all");
    }
}

async fn consume<C: Travelling<B>, B>(
    pool: Arc<C>,
    mut receiver: UnboundedReceiver<B>,
    burst: usize,
) -> u64 {
    let mut received = 0;
    let mut held = Vec::with_capacity(burst);
    while let Some(buffer) = receiver.recv().await {
        received += 1;
        held.push(buffer);
        if held.len() == burst {
            pool.give_back_all(&mut held);
        }
    }
    pool.give_back_all(&mut held);
    received
}
