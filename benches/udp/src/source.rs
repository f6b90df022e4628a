//! The sender of frames.

use crate::{
    pattern::{DATAGRAM, Frame},
    scenario::{Arrival, DATAGRAMS, Scenario},
    viewers::Arrivals,
};
use quinn_udp::{Transmit, UdpSocketState};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    ops::Range,
    time::Duration,
};
use tokio::{
    io::Interest,
    net::UdpSocket,
    time::{Instant, sleep_until},
};

pub(crate) struct Source {
    socket: UdpSocket,
    state: UdpSocketState,
    to: SocketAddr,
    frame: Frame,
}

impl Source {
    pub(crate) async fn new(address: IpAddr, to: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind((address, 0)).await?;
        Ok(Source {
            state: UdpSocketState::new((&socket).into())?,
            socket,
            to,
            frame: Frame::new(),
        })
    }

    /// Sends frames at the pace of the scenario, and waits for the last one. Returns how many came too late because the
    /// relay was not ready for them.
    ///
    /// A frame is sent at its time, but not before all viewers have the one before it. So no buffer of a socket can
    /// overflow, however long a process waits for a core.
    pub(crate) async fn send(
        &mut self,
        scenario: &Scenario,
        frames: Range<u64>,
        arrivals: &Arrivals,
    ) -> io::Result<u64> {
        let period = Duration::from_secs(1) / scenario.pace();
        let mut time = Instant::now();
        let mut held_back = 0;
        for frame in frames {
            sleep_until(time).await;
            self.send_frame(scenario.arrival, frame).await?;
            let deliveries = DATAGRAMS as u64 * (frame + 1) * scenario.viewers as u64;
            arrivals.wait(deliveries).await;
            time += period;
            if Instant::now() > time {
                held_back += 1;
                time = Instant::now();
            }
        }
        Ok(held_back)
    }

    async fn send_frame(&mut self, arrival: Arrival, number: u64) -> io::Result<()> {
        let contents = self.frame.numbered(number);
        match arrival {
            Arrival::Joined => {
                let transmit = Transmit {
                    destination: self.to,
                    ecn: None,
                    contents,
                    segment_size: Some(DATAGRAM),
                    src_ip: None,
                };
                let (socket, state) = (&self.socket, &self.state);
                let send = || state.try_send(socket.into(), &transmit);
                socket.async_io(Interest::WRITABLE, send).await
            }
            Arrival::Single => {
                for datagram in contents.chunks(DATAGRAM) {
                    self.socket.send_to(datagram, self.to).await?;
                }
                Ok(())
            }
        }
    }
}
