//! The sources: those that stay, and those that come and go.

use super::plan::{self, ABSENT, Channel, Leaves, PRESENT};
use crate::{
    footage::Footage,
    server,
    source::{Due, Source},
};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How long the server may take to see that a source is gone.
const LIMIT: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

/// What a channel was fed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fed {
    /// The number of the last frame.
    pub(crate) last: u64,
    /// How often its source has left and come back.
    pub(crate) returns: u64,
}

/// Feeds a channel until it is stopped.
pub(crate) fn feed(
    channel: &Channel,
    port: u16,
    footage: &Arc<Footage>,
    stop: &AtomicBool,
) -> io::Result<Fed> {
    let stopped = || stop.load(Ordering::Relaxed);
    let due = Due::Each(plan::interval());
    let mut fed = Fed {
        last: 0,
        returns: 0,
    };
    loop {
        let mut source = Source::open(port, channel.name, footage.clone(), fed.last + 1)?;
        let leaves = Instant::now() + PRESENT;
        source.send_until(&due, || {
            stopped() || (!channel.is_steady() && Instant::now() >= leaves)
        })?;
        if stopped() {
            fed.last += source.finish()?;
            return Ok(fed);
        }
        fed.last += match channel.leaves {
            Leaves::Vanishes => source.vanish()?,
            Leaves::Never | Leaves::Ends => source.finish()?,
        };
        wait_until_gone(channel.name, port, fed.last)?;
        let back = Instant::now() + ABSENT;
        while !stopped() && Instant::now() < back {
            thread::sleep(LOOK);
        }
        fed.returns += 1;
    }
}

/// Until another source may feed the channel. All whole frames of the last one must be in it, and no more.
fn wait_until_gone(name: &str, port: u16, last: u64) -> io::Result<()> {
    let limit = Instant::now() + LIMIT;
    loop {
        let status = server::status(port)?;
        match status.channel(name) {
            Some(channel) if !channel.live && channel.sequence == last => return Ok(()),
            Some(channel) if Instant::now() > limit => {
                let text = format!("the source of {name} left after {last} frames: {channel:?}");
                return Err(io::Error::other(text));
            }
            None => return Err(io::Error::other(format!("there is no channel {name}"))),
            Some(_) => thread::sleep(LOOK),
        }
    }
}
