//! The line: who waits for samples, and in what order they are served.
//!
//! | state   | in line | owns slots          | left by                                                  |
//! |---------|---------|---------------------|----------------------------------------------------------|
//! | waiting | yes     | what it gathered    | the last slot it wants: told; decommit, flush: told; drop |
//! | told    | no      | all it wanted, or none | poll: done; drop: the slots go to the next in line    |
//!
//! A release that goes under the lock gives its slot to the front of the line directly. The front is
//! filled until it has what it wants, so a large request is not starved by small ones behind it.
//! Whoever joins parked every word of the free list first, in the same hold of the lock.
//!
//! # Invariants, true whenever the lock is free
//!
//! - **L1** No slot is home while anyone waits. loom `no_slot_is_home_while_anyone_waits`
//! - **L2** Home + outstanding = committed; slots that were gathered or handed over are outstanding.
//!   `tests/model`
//! - **L3** No foreign code runs under the lock: waiters are told under it, woken and dropped after.
//!   `reentrancy: *`
//! - **L4** Only the front gathers: every other seat in line has no slot. `many: *`
//!
//! # Why not one `Notify` for all, or a `Semaphore`
//!
//! One `Notify` remembers one permit, so two releases between a waiter's look and its registration
//! wake one waiter; newcomers overtake, and a woken loser joins at the end again. A `Semaphore` takes
//! its lock on every release even when nobody waits, and cannot hand over a particular slot. Here each
//! waiter has a `Notify` of its own, and the slot is in its hands before it is woken.
//!
//! # Why a mutex
//!
//! A waiter must be able to leave from the middle when its future is dropped, and a release must see
//! the line and move its slot in one step. Without a waiter nobody takes it.

#![forbid(unsafe_code)]

use crate::{
    error::GetBufferError,
    raw::{
        chain::Chain,
        slot::OwnedSlot,
        waiter::{Outcome, OwnedWaiter, Returned, Ticket, WaiterRef},
    },
};
use std::{
    mem,
    time::{Duration, Instant},
};

/// The waiters, first come first served.
#[derive(Debug, Default)]
pub(crate) struct Line {
    seats: Vec<Seat>,
    /// Seats that nobody sits on.
    vacant: Vec<usize>,
    front: Option<usize>,
    back: Option<usize>,
    len: usize,
    waits: Waits,
}

/// How long those have waited who joined with the time at which they did, whatever came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waits {
    pub(crate) total: Duration,
    pub(crate) longest: Duration,
}

#[derive(Debug)]
struct Seat {
    waiter: OwnedWaiter,
    ahead: Option<usize>,
    behind: Option<usize>,
    waiting: bool,
    wanted: usize,
    gathered: Chain,
    joined: Option<Instant>,
}

/// What came of offering a slot to the front.
#[derive(Debug)]
pub(crate) enum Offer {
    /// Nobody is in line.
    Refused(OwnedSlot),
    /// The front has it, and wants more.
    Gathered,
    /// The front has all it wanted, and is to be woken once the lock is free.
    Served(WaiterRef),
}

/// What somebody leaves behind who gives up waiting.
#[derive(Debug)]
pub(crate) enum Left {
    /// It was in line, with what it had gathered.
    Waiting(Chain),
    /// It had been told already.
    Told(Outcome),
}

impl Line {
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn waits(&self) -> Waits {
        self.waits
    }

    /// Joins the back of the line, with what was gathered already.
    pub(crate) fn join(
        &mut self,
        returned: &Returned,
        wanted: usize,
        gathered: Chain,
        joined: Option<Instant>,
    ) -> Ticket {
        let number = self.vacant_seat(returned);
        let ahead = self.back.replace(number);
        match ahead {
            Some(ahead) => self.seats[ahead].behind = Some(number),
            None => self.front = Some(number),
        }
        self.len += 1;
        let seat = &mut self.seats[number];
        seat.ahead = ahead;
        seat.behind = None;
        seat.waiting = true;
        seat.wanted = wanted;
        seat.gathered = gathered;
        seat.joined = joined;
        seat.waiter.share().ticket()
    }

    fn vacant_seat(&mut self, returned: &Returned) -> usize {
        if self.vacant.is_empty() {
            returned.take(|number| self.vacant.push(number));
        }
        self.vacant.pop().unwrap_or_else(|| {
            let number = self.seats.len();
            self.seats.push(Seat {
                waiter: OwnedWaiter::new(number),
                ahead: None,
                behind: None,
                waiting: false,
                wanted: 0,
                gathered: Chain::default(),
                joined: None,
            });
            // Room for every seat, so that taking the nodes back never allocates.
            self.vacant.reserve(self.seats.len());
            number
        })
    }

    /// Gives `slot` to the front of the line.
    pub(crate) fn offer(&mut self, slot: OwnedSlot) -> Offer {
        let Some(front) = self.front else {
            return Offer::Refused(slot);
        };
        let seat = &mut self.seats[front];
        seat.gathered.push(slot);
        if seat.gathered.len() < seat.wanted {
            return Offer::Gathered;
        }
        Offer::Served(self.unseat(front, Outcome::Slots))
    }

    /// Takes a seat out of the line and tells its waiter what `outcome` makes of what it gathered.
    fn unseat(&mut self, number: usize, outcome: impl FnOnce(Chain) -> Outcome) -> WaiterRef {
        let gathered = self.unlink(number);
        let waiter = self.seats[number].waiter.share();
        waiter.tell(outcome(gathered));
        waiter
    }

    fn unlink(&mut self, number: usize) -> Chain {
        let seat = &mut self.seats[number];
        let (ahead, behind) = (seat.ahead.take(), seat.behind.take());
        seat.waiting = false;
        if let Some(waited) = seat.joined.take().map(|joined| joined.elapsed()) {
            self.waits.total += waited;
            self.waits.longest = self.waits.longest.max(waited);
        }
        let gathered = mem::take(&mut seat.gathered);
        match ahead {
            Some(ahead) => self.seats[ahead].behind = behind,
            None => self.front = behind,
        }
        match behind {
            Some(behind) => self.seats[behind].ahead = ahead,
            None => self.back = ahead,
        }
        self.len -= 1;
        gathered
    }

    /// Gives up waiting.
    pub(crate) fn leave(&mut self, ticket: &mut Ticket) -> Left {
        let number = ticket.seat();
        if self.seats[number].waiting {
            return Left::Waiting(self.unlink(number));
        }
        let Some(outcome) = ticket.take_outcome() else {
            unreachable!("who is not waiting any more was told why");
        };
        Left::Told(outcome)
    }

    /// Tells everybody in line that it failed. The answer is who is to be woken once the lock is
    /// free, and the slots that unfinished requests had gathered.
    pub(crate) fn fail_all(&mut self, error: GetBufferError) -> (Vec<WaiterRef>, Chain) {
        let mut failed = Vec::with_capacity(self.len);
        let mut orphans = Chain::default();
        while let Some(front) = self.front {
            let waiter = self.unseat(front, |mut gathered| {
                while let Some(slot) = gathered.pop() {
                    orphans.push(slot);
                }
                Outcome::Failed(error)
            });
            failed.push(waiter);
        }
        (failed, orphans)
    }
}
