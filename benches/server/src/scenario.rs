//! What is sent, how fast, and to how many.

use std::time::Duration;

/// How fast the source sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// So many frames each second, like a camera.
    PerSecond(u32),
    /// The next frame as soon as all viewers have the one [`UNDER_WAY`] before it, so that as much is
    /// sent as the server can deliver, to everybody, and none is skipped.
    Saturated,
}

/// How many frames are under way at once when saturated. The server lets a viewer lag by four.
pub(crate) const UNDER_WAY: u64 = 3;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// How many read as fast as they can.
    pub(crate) viewers: usize,
    /// How many more read at most 3.2 MB a second.
    pub(crate) slow: usize,
    pub(crate) frame_bytes: usize,
    pub(crate) pace: Pace,
}

impl Scenario {
    const fn new(name: &'static str, viewers: usize, kibibytes: usize, pace: Pace) -> Self {
        let (slow, frame_bytes) = (0, kibibytes * 1024);
        Scenario {
            name,
            viewers,
            slow,
            frame_bytes,
            pace,
        }
    }

    const fn with_a_slow_one(mut self, name: &'static str) -> Self {
        self.name = name;
        self.slow = 1;
        self
    }

    /// The time between two frames, if the clock gives it.
    pub(crate) fn interval(&self) -> Option<Duration> {
        match self.pace {
            Pace::PerSecond(frames) => Some(Duration::from_secs(1) / frames),
            Pace::Saturated => None,
        }
    }
}

const PACED_10: Scenario = Scenario::new("paced-10", 10, 64, Pace::PerSecond(100));
const SATURATED_10: Scenario = Scenario::new("saturated-10", 10, 64, Pace::Saturated);

/// Two cores carry each of the paced ones, load generator included.
pub(crate) const SCENARIOS: [Scenario; 11] = [
    Scenario::new("paced-1", 1, 64, Pace::PerSecond(100)),
    PACED_10,
    PACED_10.with_a_slow_one("paced-10-slow"),
    Scenario::new("paced-100", 100, 64, Pace::PerSecond(100)),
    Scenario::new("paced-1000", 1000, 4, Pace::PerSecond(20)),
    Scenario::new("saturated-1", 1, 64, Pace::Saturated),
    SATURATED_10,
    SATURATED_10.with_a_slow_one("saturated-10-slow"),
    Scenario::new("saturated-100", 100, 64, Pace::Saturated),
    Scenario::new("saturated-1000", 1000, 4, Pace::Saturated),
    Scenario::new("saturated-1-large", 1, 1024, Pace::Saturated),
];
