//! What a get asks for, and why it ended without a result.

#![forbid(unsafe_code)]

/// The rank of a get: which waiters it overtakes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Rank {
    #[default]
    Ordinary,
    /// Served before the ordinary ones, and from the priority buffers too.
    HighPriority,
}

/// What a get wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) slots: usize,
    pub(crate) rank: Rank,
}

/// Why a get ended without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Cancelled,
    TimedOut,
}

impl Why {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Why::Cancelled => "cancelled",
            Why::TimedOut => "timed out",
        }
    }
}
