//! Who takes part: the channels, their sources and their viewers.
//!
//! Two cores carry it with more than half of their time left, the load generator included, so what is
//! measured is the server and not the want of a third core.

use std::{fmt, time::Duration};

/// Frames a second of each source.
pub(crate) const RATE: u32 = 25;

/// The time between two of them.
pub(crate) fn interval() -> Duration {
    Duration::from_secs(1) / RATE
}

/// How a source leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaves {
    Never,
    /// As a camera that is switched off: its request ends.
    Ends,
    /// As a camera whose plug is pulled: in the middle of a frame.
    Vanishes,
}

impl fmt::Display for Leaves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Leaves::Never => "stays",
            Leaves::Ends => "ends and returns",
            Leaves::Vanishes => "vanishes in the middle of a frame and returns",
        })
    }
}

/// How long a source that comes and goes is there, and then is not.
pub(crate) const PRESENT: Duration = Duration::from_secs(3);
pub(crate) const ABSENT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) name: &'static str,
    pub(crate) frame_bytes: usize,
    pub(crate) leaves: Leaves,
    /// Who read as fast as they can.
    pub(crate) healthy: usize,
    pub(crate) slow: usize,
}

impl Channel {
    const fn new(name: &'static str, kibibytes: usize, leaves: Leaves) -> Self {
        Channel {
            name,
            frame_bytes: kibibytes * 1024,
            leaves,
            healthy: 0,
            slow: 0,
        }
    }

    const fn watched_by(mut self, healthy: usize, slow: usize) -> Self {
        (self.healthy, self.slow) = (healthy, slow);
        self
    }

    pub(crate) fn is_steady(&self) -> bool {
        self.leaves == Leaves::Never
    }
}

/// The slow ones watch the largest frames: what the kernel keeps for each (416 KiB as it counts, beside what the viewer's
/// own side keeps) takes as long to fill as the channel takes to send it, and only then does the server see that they are
/// slow.
pub(crate) const CHANNELS: [Channel; 6] = [
    Channel::new("north", 60, Leaves::Never).watched_by(60, 60),
    Channel::new("east", 48, Leaves::Never).watched_by(140, 40),
    Channel::new("south", 24, Leaves::Never).watched_by(300, 0),
    Channel::new("west", 20, Leaves::Never).watched_by(300, 0),
    Channel::new("gate", 32, Leaves::Ends).watched_by(50, 0),
    Channel::new("yard", 32, Leaves::Vanishes).watched_by(50, 0),
];

pub(crate) const LARGEST: usize = CHANNELS[0].frame_bytes;

/// All viewers, healthy and slow.
pub(crate) const VIEWERS: usize = {
    let (mut all, mut at) = (0, 0);
    while at < CHANNELS.len() {
        all += CHANNELS[at].healthy + CHANNELS[at].slow;
        at += 1;
    }
    all
};

/// How a viewer is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Reads all the time, less than is sent.
    Trickles,
    /// Reads for a second, then does nothing for some.
    Pauses,
    /// Reads for a second, then nothing until the server must have closed it.
    Stops,
}

impl Habit {
    pub(crate) const ALL: [Habit; 3] = [Habit::Trickles, Habit::Pauses, Habit::Stops];

    /// Of five slow viewers two trickle, two pause and one stops.
    pub(crate) fn of(slow_viewer: u32) -> Self {
        match slow_viewer % 5 {
            0 | 1 => Habit::Trickles,
            2 | 3 => Habit::Pauses,
            _ => Habit::Stops,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_a_thousand_viewers_and_a_tenth_of_them_is_slow() {
        let slow: usize = CHANNELS.iter().map(|channel| channel.slow).sum();
        assert_eq!((VIEWERS, slow), (1000, 100));
        assert!(CHANNELS.iter().all(|it| it.frame_bytes <= LARGEST));
    }
}
