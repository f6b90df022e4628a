//! Which frames can be shown after some were lost, and how many they were.

/// The numbers of the frames of a channel that were shown.
#[derive(Debug, Default)]
pub struct Numbers {
    last: Option<Shown>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shown {
    stream: u64,
    number: u64,
}

impl Numbers {
    /// Whether a whole frame is to be shown; if so, how many are missing between the last one shown and it.
    ///
    /// With `alone` it can be shown without another. One that cannot is shown after the one before it, of the same
    /// stream, and after no other: it would be a broken picture. What is not newer than what was shown came twice.
    pub fn admit(&mut self, stream: u64, number: u64, alone: bool) -> Option<u64> {
        let shown = Shown { stream, number };
        let Some(last) = self.last else {
            self.last = alone.then_some(shown);
            return alone.then_some(0);
        };
        if number <= last.number {
            if number == last.number && alone {
                // An origin that follows its channel anew begins with a frame that it has sent before.
                self.last = Some(shown);
            }
            return None;
        }
        let missing = number - last.number - 1;
        let follows = missing == 0 && stream == last.stream;
        if !alone && !follows {
            return None;
        }
        self.last = Some(shown);
        Some(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(frames: &[(u64, u64, bool)]) -> Vec<Option<u64>> {
        let mut numbers = Numbers::default();
        let admit = |&(stream, number, alone)| numbers.admit(stream, number, alone);
        frames.iter().map(admit).collect()
    }

    #[test]
    fn pictures_are_shown_whatever_is_lost_and_what_is_missing_is_counted() {
        let pictures = [5, 6, 9, 10, 20].map(|number| (1, number, true));
        assert_eq!(
            admit(&pictures),
            [Some(0), Some(0), Some(2), Some(0), Some(9)]
        );
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
        assert_eq!(
            admit(&fragments),
            [None, Some(0), Some(0), None, None, Some(4), Some(0)]
        );
    }

    #[test]
    fn what_needs_another_is_not_shown_after_one_of_another_stream() {
        let fragments = [(1, 4, true), (2, 5, false), (2, 6, true), (2, 7, false)];
        assert_eq!(admit(&fragments), [Some(0), None, Some(1), Some(0)]);
    }

    /// The publisher connects anew, and begins with the newest frame that can be shown alone.
    #[test]
    fn a_stream_that_begins_with_what_was_shown_goes_on_without_a_hole() {
        let fragments = [(1, 4, true), (2, 4, true), (2, 5, false), (2, 6, false)];
        assert_eq!(admit(&fragments), [Some(0), None, Some(0), Some(0)]);
    }

    #[test]
    fn nothing_is_shown_twice_or_after_a_newer_one() {
        assert_eq!(
            admit(&[(1, 5, true), (1, 5, true), (1, 4, true), (1, 6, true)]),
            [Some(0), None, None, Some(0)]
        );
    }

    #[test]
    fn the_highest_number_is_a_number() {
        assert_eq!(
            admit(&[(1, 0, true), (1, u64::MAX, true), (1, 0, true)]),
            [Some(0), Some(u64::MAX - 1), None]
        );
    }
}
