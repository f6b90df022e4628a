//! One scenario with one relay.

use crate::{
    network::Network,
    pattern::DATAGRAM,
    process::Process,
    relay::Relay,
    scenario::{DATAGRAMS, Length, Scenario},
    source::Source,
    viewers::Viewers,
};
use std::{fmt, io, time::Duration};
use tokio::{runtime, time::sleep};

/// A relay that delivers less has done less work.
const LEAST_DELIVERED: f64 = 0.99;

/// The relay does something more after the last datagram, and the time that a thread has run is known when it waits.
const SETTLE: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) cpu_seconds: f64,
    /// Datagrams to deliver.
    pub(crate) due: u64,
    pub(crate) delivered: u64,
    pub(crate) frames: u64,
    /// Frames that were not sent at their time.
    pub(crate) held_back: u64,
}

impl Measured {
    pub(crate) fn cpu_seconds_per_gb(&self) -> f64 {
        self.cpu_seconds / (self.delivered as f64 * DATAGRAM as f64 / 1e9)
    }

    pub(crate) fn delivered_share(&self) -> f64 {
        self.delivered as f64 / self.due as f64
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.3} CPU seconds per GB, {:.2} % delivered, {} of {} frames held back",
            self.cpu_seconds_per_gb(),
            self.delivered_share() * 100.0,
            self.held_back,
            self.frames
        )
    }
}

/// Fails if a byte is wrong or a datagram comes out of order, if less than 99 % is delivered, or if the relay fails.
pub(crate) fn measure(
    network: &Network,
    scenario: &Scenario,
    relay: Relay,
    length: Length,
) -> io::Result<Measured> {
    network.set_cut(scenario.cut)?;
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(run(network, scenario, relay, length))
}

async fn run(
    network: &Network,
    scenario: &Scenario,
    relay: Relay,
    length: Length,
) -> io::Result<Measured> {
    let outer = network.outer_address();
    let mut viewers = Viewers::new(scenario.viewers, outer, scenario.cut).await?;
    let process = Process::start(network, relay, &viewers.addresses)?;
    let mut source = Source::new(outer, process.address).await?;
    let arrivals = viewers.arrivals.clone();
    let measured = async {
        let (warm_up, frames) = scenario.frames(length);
        source.send(scenario, 0..warm_up, &arrivals).await?;
        sleep(SETTLE).await;
        let (cpu, come) = (process.cpu_seconds()?, arrivals.datagrams());
        let all = warm_up..warm_up + frames;
        let held_back = source.send(scenario, all, &arrivals).await?;
        sleep(SETTLE).await;
        Ok(Measured {
            cpu_seconds: process.cpu_seconds()? - cpu,
            due: frames * (DATAGRAMS * scenario.viewers) as u64,
            delivered: arrivals.datagrams() - come,
            frames,
            held_back,
        })
    };
    let measured = tokio::select! {
        measured = measured => measured,
        failure = viewers.failure() => Err(failure),
    }
    .map_err(|error| io::Error::other(format!("{scenario}, {relay}: {error}")))?;
    process.end()?;
    if measured.delivered_share() < LEAST_DELIVERED {
        let message = format!("{scenario}, {relay}: too little was delivered: {measured}");
        return Err(io::Error::other(message));
    }
    Ok(measured)
}
