//! Where the buffers of a server come from.

use serde::{Deserialize, Serialize};
use std::{fmt, io, str::FromStr};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Contender {
    SamplePool,
    BytesMut,
    Deadpool,
}

impl Contender {
    pub(crate) const ALL: [Contender; 3] = [
        Contender::SamplePool,
        Contender::BytesMut,
        Contender::Deadpool,
    ];

    /// As it is named on the command line.
    pub(crate) fn argument(self) -> &'static str {
        match self {
            Contender::SamplePool => "sample_pool",
            Contender::BytesMut => "bytes_mut",
            Contender::Deadpool => "deadpool",
        }
    }

    pub(crate) fn serve(self, buffers: usize, size: usize) -> io::Result<()> {
        match self {
            Contender::SamplePool => with_sample_pool::serve(buffers, size),
            Contender::BytesMut => with_bytes_mut::serve(buffers, size),
            Contender::Deadpool => with_deadpool::serve(buffers, size),
        }
    }
}

/// As readers know it.
impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Contender::SamplePool => "sample-pool",
            Contender::BytesMut => "fresh BytesMut",
            Contender::Deadpool => "deadpool",
        })
    }
}

impl FromStr for Contender {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let named = |contender: &Contender| contender.argument() == name;
        Contender::ALL.into_iter().find(named).ok_or(())
    }
}
