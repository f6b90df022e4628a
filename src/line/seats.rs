//! The seats of the line, and the two queues in which they stand: who waits, and which seats were left.
//!
//! A seat is in one queue at a time, so both are linked through the same two numbers, and moving a
//! seat from one to the other allocates nothing.

#![forbid(unsafe_code)]

use super::{Rank, Wanted};
use crate::raw::{
    chain::Chain,
    waiter::{OwnedWaiter, Ticket},
};
use std::{
    num::{NonZeroU32, NonZeroU64},
    task::Waker,
    time::{Duration, Instant},
};

/// Which seat: one more than its index, so that no seat at all needs no more room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeatNumber(NonZeroU32);

impl SeatNumber {
    #[inline]
    pub(super) fn of(ticket: &Ticket) -> Self {
        SeatNumber(ticket.seat())
    }

    #[inline]
    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// One waiter's, on a cache line of its own: each is joined and served by other threads than its
/// neighbours.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Seat {
    pub(super) waiter: OwnedWaiter,
    /// Of the future that waits here; `None` if nobody does.
    pub(super) waker: Option<Waker>,
    pub(super) gathered: Chain,
    ahead: Option<SeatNumber>,
    behind: Option<SeatNumber>,
    /// How many slots it waits for; no more than a pool has.
    pub(super) wanted: u32,
    pub(super) rank: Rank,
    /// One more than the nanoseconds since [`Seats::born`], if its wait is measured.
    joined: Option<NonZeroU64>,
}

#[cfg(all(target_pointer_width = "64", not(all(test, loom))))]
const _: () = assert!(size_of::<Seat>() == 64);

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Seats {
    seats: Vec<Seat>,
    born: Instant,
}

impl Seats {
    pub(super) fn new(born: Instant) -> Self {
        Seats {
            seats: Vec::new(),
            born,
        }
    }

    #[inline]
    pub(super) fn at(&self, number: SeatNumber) -> &Seat {
        &self.seats[number.index()]
    }

    #[inline]
    pub(super) fn at_mut(&mut self, number: SeatNumber) -> &mut Seat {
        &mut self.seats[number.index()]
    }

    /// Another seat, which is in no queue yet.
    #[cold]
    pub(super) fn add(&mut self) -> SeatNumber {
        let next = u32::try_from(self.seats.len() + 1).ok();
        let number = next
            .and_then(NonZeroU32::new)
            .expect("fewer than u32::MAX wait");
        self.seats.push(Seat {
            waiter: OwnedWaiter::new(number),
            waker: None,
            gathered: Chain::default(),
            ahead: None,
            behind: None,
            wanted: 0,
            rank: Rank::Ordinary,
            joined: None,
        });
        SeatNumber(number)
    }

    /// Lets a future wait on the seat, which nobody has.
    #[inline]
    pub(super) fn take(
        &mut self,
        number: SeatNumber,
        wanted: Wanted,
        gathered: Chain,
        joined: Option<Instant>,
        waker: Waker,
    ) -> Ticket {
        let joined = joined.and_then(|joined| self.stamp(joined));
        let seat = self.at_mut(number);
        seat.wanted = u32::try_from(wanted.slots).expect("at most u32::MAX slots");
        seat.rank = wanted.rank;
        seat.gathered = gathered;
        seat.joined = joined;
        seat.waker = Some(waker);
        seat.waiter.ticket()
    }

    fn stamp(&self, at: Instant) -> Option<NonZeroU64> {
        let nanos = at.saturating_duration_since(self.born).as_nanos();
        NonZeroU64::new(u64::try_from(nanos).unwrap_or(u64::MAX - 1) + 1)
    }

    /// When the seat's waiter joined, if its wait is measured.
    #[inline]
    pub(super) fn joined(&self, number: SeatNumber) -> Option<Instant> {
        let joined = self.at(number).joined?;
        Some(self.born + Duration::from_nanos(joined.get() - 1))
    }

    /// How long the seat's waiter has waited, once, if that is measured.
    #[inline]
    pub(super) fn waited(&mut self, number: SeatNumber) -> Option<Duration> {
        let joined = self.joined(number)?;
        self.at_mut(number).joined = None;
        Some(joined.elapsed())
    }

    pub(super) fn into_wakers(self) -> impl Iterator<Item = Waker> {
        self.seats.into_iter().filter_map(|seat| seat.waker)
    }
}

/// Some of the seats, in order.
#[derive(Debug, Default)]
pub(super) struct Queue {
    front: Option<SeatNumber>,
    back: Option<SeatNumber>,
}

impl Queue {
    #[inline]
    pub(super) fn front(&self) -> Option<SeatNumber> {
        self.front
    }

    /// Adds a seat that is in no queue.
    #[inline]
    pub(super) fn push_back(&mut self, seats: &mut Seats, number: SeatNumber) {
        let ahead = self.back.replace(number);
        match ahead {
            Some(ahead) => seats.at_mut(ahead).behind = Some(number),
            None => self.front = Some(number),
        }
        let seat = seats.at_mut(number);
        seat.ahead = ahead;
        seat.behind = None;
    }

    /// Writes down that those without a time joined at `now`.
    pub(super) fn stamp_all(&self, seats: &mut Seats, now: Instant) {
        let stamp = seats.stamp(now);
        let mut next = self.front;
        while let Some(number) = next {
            let seat = seats.at_mut(number);
            seat.joined = seat.joined.or(stamp);
            next = seat.behind;
        }
    }

    #[inline]
    pub(super) fn pop_front(&mut self, seats: &mut Seats) -> Option<SeatNumber> {
        let front = self.front?;
        self.remove(seats, front);
        Some(front)
    }

    /// Takes a seat of this queue out of it.
    #[inline]
    pub(super) fn remove(&mut self, seats: &mut Seats, number: SeatNumber) {
        let seat = seats.at(number);
        let (ahead, behind) = (seat.ahead, seat.behind);
        match ahead {
            Some(ahead) => seats.at_mut(ahead).behind = behind,
            None => self.front = behind,
        }
        match behind {
            Some(behind) => seats.at_mut(behind).ahead = ahead,
            None => self.back = ahead,
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    /// Zero stands for a wait that is not measured, so a wait that begins with the pool must not be zero.
    #[test]
    fn every_time_has_a_stamp() {
        let born = Instant::now();
        let seats = Seats::new(born);
        let stamp = |after| seats.stamp(born + after).map(NonZeroU64::get);
        assert_eq!(stamp(Duration::ZERO), Some(1));
        assert_eq!(stamp(Duration::from_nanos(41)), Some(42));
        let six_centuries = Duration::from_secs(600 * 366 * 24 * 3600);
        assert_eq!(
            stamp(six_centuries),
            Some(u64::MAX),
            "more than it can tell"
        );
    }
}
