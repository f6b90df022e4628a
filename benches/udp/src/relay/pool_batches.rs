//! Batches in samples: `BatchReceiver` and `DatagramSender`.

use super::{
    Sockets,
    run_of_batches::{MOST_BATCHES, fits},
    until,
};
use crate::pattern::DATAGRAM;
use bytes::BufMut;
use sample_pool::{
    Pool,
    stream::{BatchReceiver, DatagramBatch, DatagramSender},
};
use std::io;

/// For the batches of one receive, and some more that one call asks for.
const BUFFERS: usize = MOST_BATCHES + 16;

pub(super) async fn relay(
    sockets: Sockets,
    end: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    let pool = Pool::builder()
        .buffers(BUFFERS)
        .size(BatchReceiver::buffer_size(DATAGRAM))
        .build()
        .map_err(io::Error::other)?;
    let mut receiver = BatchReceiver::new(sockets.inbound, &pool, DATAGRAM);
    let mut sender = DatagramSender::new(sockets.outbound)?;
    let mut batches = Vec::with_capacity(MOST_BATCHES);
    until(end, async {
        loop {
            let receive = receiver.receive_many(&mut batches, MOST_BATCHES);
            receive.await.map_err(io::Error::other)?;
            let mut rest = batches.drain(..).peekable();
            while let Some(mut batch) = rest.next() {
                while let Some(next) = rest.next_if(|next| follows(&batch, next)) {
                    batch.sample.put_slice(&next.sample);
                }
                let segment = batch.segment_size;
                let frame = batch.sample.freeze();
                for &viewer in &sockets.viewers {
                    sender.send_to(&frame, segment, viewer).await?;
                }
            }
        }
    })
    .await?;
    match pool.free_count() {
        BUFFERS => Ok(()),
        free => Err(io::Error::other(format!(
            "{free} of {BUFFERS} buffers are free"
        ))),
    }
}

fn follows(batch: &DatagramBatch, next: &DatagramBatch) -> bool {
    let (len, next_len) = (batch.sample.len(), next.sample.len());
    fits(len, batch.segment_size, next_len, next.segment_size)
}
