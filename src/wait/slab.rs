//! The seats of the line, and the two queues in which they stand: who waits, and which seats were left.
//!
//! A seat is in one queue at a time, so both are linked through the same two numbers, and moving a
//! seat from one to the other allocates nothing.
//!
//! Seats lie side by side. When one is removed, the last one takes its place, so what a crowd needed is freed as it
//! leaves. A seat is told by its *index*, which changes then, and a waiter by the *number* of its node, which stays.

#![forbid(unsafe_code)]

use crate::{
    slot::list::Chain,
    wait::{
        clock::Stamp,
        node::{OwnedWaiter, Ticket},
        request::{Rank, Wanted},
    },
};
use std::{num::NonZeroU32, task::Waker};

/// Tells the waiters of a line apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeatNumber(NonZeroU32);

/// Where a seat is: one more than that, so that no seat at all needs no more room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SeatIndex(NonZeroU32);

impl SeatIndex {
    fn at(index: usize) -> Self {
        let next = u32::try_from(index + 1).ok();
        SeatIndex(
            next.and_then(NonZeroU32::new)
                .expect("fewer than u32::MAX wait"),
        )
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
    ahead: Option<SeatIndex>,
    behind: Option<SeatIndex>,
    /// How many slots it waits for; no more than a pool has.
    pub(super) wanted: u32,
    pub(super) rank: Rank,
}

#[cfg(all(target_pointer_width = "64", not(all(test, loom))))]
const _: () = assert!(size_of::<Seat>() == 64);

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Seats {
    seats: Vec<Seat>,
    /// How many nodes were ever made, as long as that fits.
    made: u32,
}

impl Seats {
    #[inline]
    pub(super) fn at(&self, index: SeatIndex) -> &Seat {
        &self.seats[index.index()]
    }

    #[inline]
    pub(super) fn at_mut(&mut self, index: SeatIndex) -> &mut Seat {
        &mut self.seats[index.index()]
    }

    /// The seat that has the node of `ticket`; `None` if it was removed.
    #[inline]
    pub(super) fn of(&self, ticket: &Ticket) -> Option<SeatIndex> {
        let index = SeatIndex(NonZeroU32::new(ticket.seat())?);
        let seat = self.seats.get(index.index())?;
        // Of a node without a seat the index is an old one, and another seat may have it by now.
        seat.waiter.is_of(ticket).then_some(index)
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.seats.len()
    }

    #[cfg(all(test, not(any(loom, shuttle))))]
    pub(super) fn room(&self) -> usize {
        self.seats.capacity()
    }

    /// Another seat, which is in no queue yet.
    #[cold]
    pub(super) fn add(&mut self) -> SeatIndex {
        let index = SeatIndex::at(self.seats.len());
        self.made = self.made.wrapping_add(1);
        let number = NonZeroU32::new(self.made).unwrap_or(NonZeroU32::MAX);
        self.seats.push(Seat {
            waiter: OwnedWaiter::new(number, index.0.get()),
            waker: None,
            gathered: Chain::default(),
            ahead: None,
            behind: None,
            wanted: 0,
            rank: Rank::Ordinary,
        });
        index
    }

    /// Takes out a seat that is in no queue. The answer is its node, and which seat has its index now: the one
    /// that was the last, whose neighbours are linked to it here.
    #[cold]
    pub(super) fn remove(&mut self, index: SeatIndex) -> (OwnedWaiter, Option<SeatIndex>) {
        let removed = self.seats.swap_remove(index.index());
        debug_assert!(removed.waker.is_none() && removed.gathered.len() == 0);
        let last = SeatIndex::at(self.seats.len());
        if last != index {
            let seat = self.at(index);
            seat.waiter.set_seat(index.0.get());
            let (ahead, behind) = (seat.ahead, seat.behind);
            if let Some(ahead) = ahead {
                self.at_mut(ahead).behind = Some(index);
            }
            if let Some(behind) = behind {
                self.at_mut(behind).ahead = Some(index);
            }
        }
        // A quarter, so that the next removal that moves all of them is far away.
        if self.seats.len() < self.seats.capacity() / 4 {
            self.seats.shrink_to(2 * self.seats.len());
        }
        (removed.waiter, (last != index).then_some(last))
    }

    /// Tells the seat's waiter apart from the others in line.
    pub(super) fn number(&self, index: SeatIndex) -> SeatNumber {
        SeatNumber(self.at(index).waiter.number())
    }

    /// Lets a future wait on the seat, which nobody has.
    #[inline]
    pub(super) fn take(
        &mut self,
        index: SeatIndex,
        wanted: Wanted,
        gathered: Chain,
        joined: Option<Stamp>,
        waker: Waker,
    ) -> Ticket {
        let seat = self.at_mut(index);
        seat.wanted = u32::try_from(wanted.slots).expect("at most u32::MAX slots");
        seat.rank = wanted.rank;
        seat.gathered = gathered;
        seat.waker = Some(waker);
        seat.waiter.ticket(joined)
    }

    /// When the seat's waiter joined, if its wait is measured.
    #[inline]
    pub(super) fn joined(&self, index: SeatIndex) -> Option<Stamp> {
        self.at(index).waiter.joined()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Seat> {
        self.seats.iter()
    }

    pub(super) fn into_wakers(self) -> impl Iterator<Item = Waker> {
        self.seats.into_iter().filter_map(|seat| seat.waker)
    }
}

/// Some of the seats, in order.
#[derive(Debug, Default)]
pub(super) struct Queue {
    front: Option<SeatIndex>,
    back: Option<SeatIndex>,
}

impl Queue {
    #[inline]
    pub(super) fn front(&self) -> Option<SeatIndex> {
        self.front
    }

    /// Adds a seat that is in no queue.
    #[inline]
    pub(super) fn push_back(&mut self, seats: &mut Seats, index: SeatIndex) {
        let ahead = self.back.replace(index);
        match ahead {
            Some(ahead) => seats.at_mut(ahead).behind = Some(index),
            None => self.front = Some(index),
        }
        let seat = seats.at_mut(index);
        seat.ahead = ahead;
        seat.behind = None;
    }

    /// Writes down that those without a time joined at `now`.
    pub(super) fn stamp_all(&self, seats: &Seats, now: Stamp) {
        let mut next = self.front;
        while let Some(index) = next {
            let seat = seats.at(index);
            seat.waiter.joined_no_later_than(now);
            next = seat.behind;
        }
    }

    #[inline]
    pub(super) fn pop_front(&mut self, seats: &mut Seats) -> Option<SeatIndex> {
        let front = self.front?;
        self.remove(seats, front);
        Some(front)
    }

    /// The seat that was at `from` is at `to` now, if it is in this queue.
    #[cold]
    pub(super) fn move_seat(&mut self, from: SeatIndex, to: SeatIndex) {
        for end in [&mut self.front, &mut self.back] {
            if *end == Some(from) {
                *end = Some(to);
            }
        }
    }

    /// Takes a seat of this queue out of it.
    #[inline]
    pub(super) fn remove(&mut self, seats: &mut Seats, index: SeatIndex) {
        let seat = seats.at(index);
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
