//! Whether a target was reached, computed from the rounds' ratios.

use crate::{
    run::{Figures, Measured},
    statistics,
    table::{Base, Bound, Target},
};

/// A target beside what was measured.
pub(crate) struct Verdict {
    pub(crate) met: bool,
    /// What was asked for, in words.
    pub(crate) asked: String,
    /// What was found, in the same terms.
    pub(crate) found: String,
}

impl Verdict {
    pub(crate) fn new(measured: &Measured, target: &Target) -> Self {
        let (ratio, base) = match target.base {
            Base::Row(base) => {
                let ratio = ratio_to(measured.row(target.subject), measured.row(base));
                (ratio, base.to_owned())
            }
            Base::FastestPeer => {
                let (ratio, peer) = fastest_peer(measured);
                (ratio, format!("the fastest of the others, here {peer}"))
            }
        };
        let Bound::AtMost(times) = target.bound;
        Verdict {
            met: ratio <= times,
            asked: format!("at most {times} times {base}"),
            found: format!("{ratio:.2} times"),
        }
    }
}

/// The median of the rounds' ratios.
pub(crate) fn ratio_to(subject: &Figures, base: &Figures) -> f64 {
    statistics::ratio(&subject.rounds, &base.rounds)
}

/// The peer that the crate looks worst beside, each held against the crate with the same allocator.
pub(crate) fn fastest_peer(measured: &Measured) -> (f64, &str) {
    let peers = measured.peers().map(|peer| {
        (
            ratio_to(measured.ours_beside(peer), peer),
            peer.name.as_str(),
        )
    });
    peers
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .expect("a peer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        profile::Profile,
        table::{OURS, Outcome, Table},
    };

    const PEER: &str = "peer";
    const SLOW: &str = "slow";
    const REFERENCE: &str = "reference";

    fn measured() -> Measured {
        let nothing = || |_| Outcome::constant(0.0);
        let table = Table::new("scenario", "case")
            .reference(REFERENCE, nothing)
            .row(OURS, nothing)
            .row(PEER, nothing)
            .row(SLOW, nothing);
        let rounds = [
            [10.0, 10.0, 10.0],
            [12.0, 11.0, 90.0],
            [10.0, 10.0, 10.0],
            [50.0; 3],
        ];
        Measured::with_rounds(table, rounds.map(Vec::from).into())
    }

    fn verdict(base: Base, bound: Bound) -> Verdict {
        Verdict::new(
            &measured(),
            &Target {
                subject: OURS,
                base,
                bound,
                profile: Profile::THIS,
            },
        )
    }

    /// A verdict that cannot be *missed* says nothing.
    #[test]
    fn a_target_is_met_up_to_its_bound_and_missed_above_it() {
        assert!(verdict(Base::Row(PEER), Bound::AtMost(1.2)).met);
        assert!(!verdict(Base::Row(PEER), Bound::AtMost(1.1)).met);
        assert_eq!(
            verdict(Base::Row(PEER), Bound::AtMost(1.1)).found,
            "1.20 times"
        );
    }

    /// Being faster than the slowest is not enough, and a reference is no rival.
    #[test]
    fn the_fastest_peer_is_the_one_that_counts() {
        let verdict = verdict(Base::FastestPeer, Bound::AtMost(1.0));
        assert!(!verdict.met);
        assert!(verdict.asked.ends_with("here peer"), "{}", verdict.asked);
    }
}
