//! How many viewers there are, how datagrams arrive at the relay, and where what it sends is cut.

use std::fmt;

/// Datagrams of a frame.
pub(crate) const DATAGRAMS: usize = 50;

/// Where a frame that was sent by one call becomes datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The device takes the frame whole. It is cut at the viewer, whose socket takes single datagrams.
    Device,
    /// The device takes single datagrams, so the kernel cuts the frame before it.
    Kernel,
    /// Nowhere: the device takes the frame whole, and so does the viewer's socket (`UDP_GRO`).
    Nowhere,
}

impl Cut {
    pub(crate) const ALL: [Cut; 3] = [Cut::Device, Cut::Kernel, Cut::Nowhere];
}

/// How the source sends a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// By one call. A receiver that asks for it gets the datagrams joined.
    Joined,
    /// By one call for each datagram. Nothing is joined.
    Single,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scenario {
    pub(crate) viewers: usize,
    pub(crate) cut: Cut,
    pub(crate) arrival: Arrival,
}

/// How long a measurement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    Short,
    Long,
}

impl Scenario {
    pub(crate) fn all() -> impl Iterator<Item = Scenario> {
        let joined = Cut::ALL.into_iter().flat_map(|cut| {
            [1, 20, 200].map(|viewers| Scenario {
                viewers,
                cut,
                arrival: Arrival::Joined,
            })
        });
        let single = [Cut::Device, Cut::Kernel].map(|cut| Scenario {
            viewers: 20,
            cut,
            arrival: Arrival::Single,
        });
        joined.chain(single)
    }

    /// Frames a second. Every relay can do more.
    pub(crate) fn pace(&self) -> u32 {
        match self.viewers {
            ..10 => 300,
            10..100 => 100,
            100.. => 10,
        }
    }

    /// Frames before the measurement, and in it.
    pub(crate) fn frames(&self, length: Length) -> (u64, u64) {
        let second = u64::from(self.pace());
        let measured = match length {
            Length::Short => second / 10,
            Length::Long => second / 2,
        };
        (second.div_ceil(20), measured)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrival = match self.arrival {
            Arrival::Joined => "joined",
            Arrival::Single => "single",
        };
        let cut = match self.cut {
            Cut::Device => "device",
            Cut::Kernel => "kernel",
            Cut::Nowhere => "nowhere",
        };
        let viewers = match self.viewers {
            1 => "1 viewer".to_owned(),
            several => format!("{several} viewers"),
        };
        write!(f, "{viewers}, {arrival}, cut: {cut}")
    }
}
