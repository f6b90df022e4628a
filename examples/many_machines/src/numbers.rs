//! Which frames can be shown after some were lost, how many they were, and under which numbers.

/// The numbers of the frames of a channel that were shown.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    last: Option<Last>,
    /// What the numbers of this origin are higher by than it says: an earlier one had come further.
    ahead: u64,
}

/// The frame that was shown last, as its origin numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Frame {
        stream: u64,
        number: u64,
    },
    /// The one of another origin, as it was shown.
    OfAnother {
        shown: u64,
    },
}

/// A frame that can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The number to show it under: the origin's own, unless that would go back.
    pub number: u64,
    /// How many frames are missing between the last one shown and it.
    pub missing: u64,
}

impl Numbers {
    /// What comes now is from another origin, or from one that has begun anew and counts from 1 again.
    ///
    /// The numbers that are shown go on, and are the new origin's plus the same for each, so that what is missing can
    /// still be seen.
    pub fn of_another_origin(&mut self) {
        if let Some(Last::Frame { number, .. }) = self.last {
            let shown = number.saturating_add(self.ahead);
            self.last = Some(Last::OfAnother { shown });
        }
    }

    /// Whether a whole frame is to be shown.
    ///
    /// With `alone` it can be shown without another. One that cannot is shown after the one before it, of the same
    /// stream, and after no other: it would be a broken picture. What is not newer than what was shown came twice.
    pub fn admit(&mut self, stream: u64, number: u64, alone: bool) -> Option<Admitted> {
        let this = Last::Frame { stream, number };
        let missing = match self.last {
            None | Some(Last::OfAnother { .. }) if !alone => return None,
            None => 0,
            Some(Last::OfAnother { shown }) => {
                self.ahead = shown.saturating_add(1).saturating_sub(number);
                0
            }
            Some(Last::Frame { number: last, .. }) if number <= last => {
                if number == last && alone {
                    // An origin that follows its channel anew begins with a frame that it has sent before.
                    self.last = Some(this);
                }
                return None;
            }
            Some(Last::Frame {
                stream: of,
                number: last,
            }) => {
                let missing = number - last - 1;
                if !alone && (missing > 0 || of != stream) {
                    return None;
                }
                missing
            }
        };
        self.last = Some(this);
        let number = number.saturating_add(self.ahead);
        Some(Admitted { number, missing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number under which each frame is shown, and how many are missing before it.
    fn admit(numbers: &mut Numbers, frames: &[(u64, u64, bool)]) -> Vec<Option<(u64, u64)>> {
        let mut admit = |&(stream, number, alone): &(u64, u64, bool)| {
            let admitted = numbers.admit(stream, number, alone)?;
            Some((admitted.number, admitted.missing))
        };
        frames.iter().map(&mut admit).collect()
    }

    fn admitted(frames: &[(u64, u64, bool)]) -> Vec<Option<(u64, u64)>> {
        admit(&mut Numbers::default(), frames)
    }

    #[test]
    fn pictures_are_shown_whatever_is_lost_and_what_is_missing_is_counted() {
        let pictures = [5, 6, 9, 10, 20].map(|number| (1, number, true));
        let expected = [(5, 0), (6, 0), (9, 2), (10, 0), (20, 9)].map(Some);
        assert_eq!(admitted(&pictures), expected);
    }

    #[test]
    fn what_needs_another_is_shown_only_after_it() {
        let fragments = [
            (1, 3, false),
            (1, 4, true),
            (1, 5, false),
            (1, 7, false),
            (1, 8, false),
            (1, 10, true),
            (1, 11, false),
        ];
        let shown = [(4, 0), (5, 0), (10, 4), (11, 0)].map(Some);
        let [a, b, c, d] = shown;
        assert_eq!(admitted(&fragments), [None, a, b, None, None, c, d]);
    }

    #[test]
    fn what_needs_another_is_not_shown_after_one_of_another_stream() {
        let fragments = [(1, 4, true), (2, 5, false), (2, 6, true), (2, 7, false)];
        let expected = [Some((4, 0)), None, Some((6, 1)), Some((7, 0))];
        assert_eq!(admitted(&fragments), expected);
    }

    /// The publisher connects anew, and begins with the newest frame that can be shown alone.
    #[test]
    fn a_stream_that_begins_with_what_was_shown_goes_on_without_a_hole() {
        let fragments = [(1, 4, true), (2, 4, true), (2, 5, false), (2, 6, false)];
        let expected = [Some((4, 0)), None, Some((5, 0)), Some((6, 0))];
        assert_eq!(admitted(&fragments), expected);
    }

    #[test]
    fn nothing_is_shown_twice_or_after_a_newer_one() {
        let pictures = [(1, 5, true), (1, 5, true), (1, 4, true), (1, 6, true)];
        let expected = [Some((5, 0)), None, None, Some((6, 0))];
        assert_eq!(admitted(&pictures), expected);
    }

    /// A viewer of an edge takes a number that goes back for nonsense; a hole must still be one.
    #[test]
    fn an_origin_that_begins_anew_goes_on_with_the_numbers_and_its_holes_are_seen() {
        let mut numbers = Numbers::default();
        admit(&mut numbers, &[(1, 40, true), (1, 41, true)]);
        numbers.of_another_origin();
        let after = [(1, 1, false), (1, 3, true), (1, 4, false), (1, 6, true)];
        let expected = [None, Some((42, 0)), Some((43, 0)), Some((45, 1))];
        assert_eq!(admit(&mut numbers, &after), expected);
        numbers.of_another_origin();
        let expected = [Some((46, 0)), Some((47, 0))];
        assert_eq!(
            admit(&mut numbers, &[(1, 1, true), (1, 2, false)]),
            expected
        );
    }

    #[test]
    fn an_origin_whose_numbers_are_higher_keeps_them() {
        let mut numbers = Numbers::default();
        admit(&mut numbers, &[(1, 40, true)]);
        numbers.of_another_origin();
        let expected = [Some((500, 0)), Some((501, 0))];
        assert_eq!(
            admit(&mut numbers, &[(1, 500, true), (1, 501, true)]),
            expected
        );
    }

    #[test]
    fn the_highest_number_is_a_number() {
        let pictures = [(1, 0, true), (1, u64::MAX, true), (1, 0, true)];
        let expected = [Some((0, 0)), Some((u64::MAX, u64::MAX - 1)), None];
        assert_eq!(admitted(&pictures), expected);
    }
}
