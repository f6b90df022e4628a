//! Whole frames again. The broker keeps the order of one origin's messages, and may lose any of them: so a message is
//! either the next one of the frame that has begun, or the first of another, or what is left of a frame that is lost.

use crate::label::{Label, Place};

/// What to do with a message's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A frame begins with it; what there is of another is lost.
    Begin {
        /// Whether it is all of the frame.
        whole: bool,
    },
    /// The frame goes on with it.
    GoOn {
        /// Whether it is the last of the frame.
        whole: bool,
    },
    /// Something before it is missing: it, and what there is of the frame, is lost.
    Lost,
}

/// The frame that comes in, if one does.
#[derive(Debug, Default)]
pub struct Order {
    /// The last message of the frame that has come; others follow.
    last: Option<Label>,
}

impl Order {
    /// Looks at a message, and says what it is.
    pub fn take(&mut self, label: &Label) -> Step {
        let begins = label.piece.index == 0 && label.part.index == 0;
        let goes_on = self.last.is_some_and(|last| is_next(&last, label));
        let whole = label.piece.is_last() && label.part.is_last();
        self.last = ((begins || goes_on) && !whole).then_some(*label);
        match (begins, goes_on) {
            (true, _) => Step::Begin { whole },
            (false, true) => Step::GoOn { whole },
            (false, false) => Step::Lost,
        }
    }

    /// Whether a frame has begun of which something is missing.
    #[must_use]
    pub fn is_in_a_frame(&self) -> bool {
        self.last.is_some()
    }

    /// Gives the frame up: what follows of it is [`Step::Lost`].
    pub fn give_up(&mut self) {
        self.last = None;
    }
}

/// Whether `next` is what an origin sends after `last`, which is not the end of its frame.
fn is_next(last: &Label, next: &Label) -> bool {
    let expected = if last.part.is_last() {
        let piece = Place {
            index: last.piece.index + 1,
            ..last.piece
        };
        // How many parts a piece has, only its own messages tell.
        let part = Place {
            index: 0,
            ..next.part
        };
        Label {
            piece,
            part,
            ..*last
        }
    } else {
        let part = Place {
            index: last.part.index + 1,
            ..last.part
        };
        Label { part, ..*last }
    };
    expected == *next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::Kind;

    fn label(sequence: u64, piece: (u16, u16), part: (u16, u16)) -> Label {
        let place = |(index, of)| Place { index, of };
        Label {
            origin: 1,
            stream: 1,
            kind: Kind::Mp4,
            sequence,
            piece: place(piece),
            part: place(part),
            sync: true,
            time: None,
        }
    }

    /// The messages of a frame: of two parts, of one, and of three.
    fn frame(sequence: u64) -> Vec<Label> {
        [
            (0, (0, 2)),
            (0, (1, 2)),
            (1, (0, 1)),
            (2, (0, 3)),
            (2, (1, 3)),
            (2, (2, 3)),
        ]
        .map(|(piece, part)| label(sequence, (piece, 3), part))
        .to_vec()
    }

    /// The numbers of the frames that come out whole.
    fn whole(messages: &[Label]) -> Vec<u64> {
        let mut order = Order::default();
        let mut came = Vec::new();
        let mut out = Vec::new();
        for message in messages {
            let is_whole = match order.take(message) {
                Step::Begin { whole } => {
                    came = vec![*message];
                    whole
                }
                Step::GoOn { whole } => {
                    came.push(*message);
                    whole
                }
                Step::Lost => {
                    came.clear();
                    false
                }
            };
            if is_whole {
                assert_eq!(came, frame(message.sequence), "all of it, in order");
                out.push(message.sequence);
            }
            assert_eq!(order.is_in_a_frame(), !is_whole && !came.is_empty());
        }
        out
    }

    #[test]
    fn frames_of_which_every_message_comes_are_whole() {
        let messages = [frame(1), frame(2), frame(3)].concat();
        assert_eq!(whole(&messages), [1, 2, 3]);
    }

    /// Half a fragment, or one with a hole, would break a player.
    #[test]
    fn a_frame_of_which_any_message_is_lost_is_lost_and_no_other() {
        let messages = [frame(1), frame(2), frame(3)].concat();
        for lost in 0..messages.len() {
            let mut rest = messages.clone();
            let lost = rest.remove(lost).sequence;
            let expected: Vec<u64> = (1..=3).filter(|&number| number != lost).collect();
            assert_eq!(whole(&rest), expected);
        }
    }

    /// As when the connection to the broker was gone for a while.
    #[test]
    fn a_gap_over_the_ends_of_frames_joins_no_halves() {
        let messages = [frame(1), frame(2), frame(3)].concat();
        for from in 0..messages.len() {
            for to in from..messages.len() {
                let rest = [&messages[..from], &messages[to..]].concat();
                for number in whole(&rest) {
                    let came = rest.iter().filter(|label| label.sequence == number);
                    assert_eq!(came.count(), frame(number).len());
                }
            }
        }
    }

    #[test]
    fn another_stream_or_origin_does_not_go_on_with_a_frame() {
        for change in [
            (|label| label.origin += 1) as fn(&mut Label),
            |label| label.stream += 1,
            |label| label.kind = Kind::Jpeg,
            |label| label.sync = false,
            |label| label.piece.of += 1,
            |label| label.part.of += 1,
        ] {
            for changed in 1..frame(1).len() {
                let mut messages = frame(1);
                change(&mut messages[changed]);
                assert!(whole(&messages).is_empty(), "{messages:?}");
            }
        }
    }

    #[test]
    fn what_follows_of_a_frame_that_was_dropped_is_lost() {
        let mut order = Order::default();
        let messages = frame(1);
        assert_eq!(order.take(&messages[0]), Step::Begin { whole: false });
        order.give_up();
        for message in &messages[1..] {
            assert_eq!(order.take(message), Step::Lost);
        }
    }
}
