//! What a get asks for, and why it is given up.

#![forbid(unsafe_code)]

/// Who overtakes whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Rank {
    #[default]
    Ordinary,
    /// Served before the others, and from the reserve too.
    HighPriority,
}

/// What a get wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) slots: usize,
    pub(crate) rank: Rank,
}

/// Why a get is given up.
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
