//! What must hold, whatever the figures: asserted in a few seconds.

use crate::{
    measurement::measure,
    network::Network,
    relay::Relay,
    scenario::{Arrival, Cut, Length, Scenario},
};
use std::io;

/// Fails unless every relay delivers every datagram to each of five viewers, in order and with the right bytes, however
/// datagrams arrive and wherever a frame is cut.
pub(crate) fn check(network: &Network) -> io::Result<()> {
    println!("on {network}");
    let mut delivered = 0;
    let mut times = 0;
    for arrival in [Arrival::Joined, Arrival::Single] {
        for cut in Cut::ALL.into_iter().filter(|cut| network.can(*cut)) {
            let scenario = Scenario {
                viewers: 5,
                cut,
                arrival,
            };
            for relay in Relay::ALL {
                let measured = measure(network, &scenario, relay, Length::Short)?;
                if measured.delivered != measured.due {
                    let message = format!("{scenario}, {relay}: {measured}");
                    return Err(io::Error::other(message));
                }
                delivered += measured.delivered;
                times += 1;
            }
        }
    }
    println!("{delivered} datagrams were delivered, every one and in order, in {times} runs");
    Ok(())
}
