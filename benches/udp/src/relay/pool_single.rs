//! One call for each datagram, in samples: what the pool costs or saves without the batches.

use super::{Sockets, until};
use futures::StreamExt;
use sample_pool::{Pool, stream::DatagramReceiver};
use std::io;

const BUFFERS: usize = 64;

/// What a device of Ethernet carries.
const SIZE: usize = 1500;

pub(super) async fn relay(
    sockets: Sockets,
    end: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    let Sockets {
        inbound,
        outbound,
        viewers,
    } = sockets;
    let pool = Pool::builder()
        .buffers(BUFFERS)
        .size(SIZE)
        .build()
        .map_err(io::Error::other)?;
    let mut receiver = DatagramReceiver::new(inbound, &pool);
    until(end, async {
        while let Some(datagram) = receiver.next().await {
            let datagram = datagram.map_err(io::Error::other)?.sample.freeze();
            for viewer in &viewers {
                outbound.send_to(&datagram, viewer).await?;
            }
        }
        Err(io::Error::other("the stream never ends"))
    })
    .await?;
    match pool.free_count() {
        BUFFERS => Ok(()),
        free => Err(io::Error::other(format!(
            "{free} of {BUFFERS} buffers are free"
        ))),
    }
}
