//! The room in the quota of one get, which it needs before it asks the pool.
//!
//! | state     | owns                                        | left by                                              |
//! |-----------|---------------------------------------------|------------------------------------------------------|
//! | `None`    | nothing                                     | try or first poll: `Charged` if there is room, else after a poll `Waiting` |
//! | `Waiting` | its wait in the account's queue, or an error | admitted: `Charged`; error or timeout: `None`        |
//! | `Charged` | its room in the quota                       | its samples carry it, or the pool fails: `None`      |

#![forbid(unsafe_code)]

use super::Quota;
use crate::{
    core::handle::Pool,
    get::source::SealedSource,
    quota::{admission::Admission, get::charge_each},
    sample::exclusive::Sample,
    values::error::GetBufferError,
    wait::{charge::Charge, node::Timer, request::Rank},
};
use std::{
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The state of a get's room; see the table in the module's documentation. Dropping it gives back what it owns.
#[derive(Debug, Default)]
pub(crate) enum Room {
    /// No room was requested yet, or it was returned.
    #[default]
    None,
    /// Waits for room.
    Waiting(Admission),
    /// Has its room, and no samples yet.
    Charged(Charge),
}

impl Room {
    #[cold]
    #[inline(never)]
    fn poll_slowly(
        &mut self,
        quota: &Quota,
        count: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), GetBufferError>> {
        if let Room::None = self {
            *self = Room::Waiting(Admission::new(quota, count));
        }
        if let Room::Waiting(admission) = self {
            let admitted = ready!(Pin::new(admission).poll(cx));
            self.end_of_wait(admitted)?;
        }
        Poll::Ready(Ok(()))
    }

    fn end_of_wait(
        &mut self,
        admitted: Result<Charge, GetBufferError>,
    ) -> Result<(), GetBufferError> {
        // The admission is `Done`, so its drop leaves no queue and counts nothing.
        *self = Room::None;
        *self = Room::Charged(admitted?);
        Ok(())
    }
}

impl SealedSource for Quota {
    type Room = Room;

    const IS_LIMITED: bool = true;

    #[inline]
    fn try_room(&self, room: &Room) -> Option<Charge> {
        match room {
            Room::None => self.account.try_charge(1),
            Room::Waiting(_) | Room::Charged(_) => None,
        }
    }

    #[inline]
    fn keep_room(room: &mut Room, charge: Charge) {
        *room = Room::Charged(charge);
    }

    fn may_try(&self) -> bool {
        // A get of high priority may take buffers that are kept for it, which only its poll finds.
        self.account.rank() == Rank::Ordinary && self.account.limit() > 0
    }

    fn reserve_room(&self, room: &mut Room) -> bool {
        if let Some(charge) = self.try_room(room) {
            Self::keep_room(room, charge);
        }
        matches!(room, Room::Charged(_))
    }

    #[inline]
    fn pool(&self) -> &Pool {
        &self.pool
    }

    #[inline]
    fn rank(&self) -> Rank {
        self.account.rank()
    }

    #[inline]
    fn poll_room(
        &self,
        room: &mut Room,
        count: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), GetBufferError>> {
        if let Room::None = room {
            if let Some(charge) = self.account.try_charge(count) {
                // Stored in the future, and not on the stack, so that the drop of the future returns it if a waker
                // panics.
                *room = Room::Charged(charge);
                return Poll::Ready(Ok(()));
            }
        }
        room.poll_slowly(self, count, cx)
    }

    fn timer(room: &mut Room) -> Option<&mut Option<Timer>> {
        match room {
            Room::Waiting(admission) => admission.timer(),
            Room::None | Room::Charged(_) => None,
        }
    }

    fn time_out(room: &mut Room) -> Option<Result<(), GetBufferError>> {
        let Room::Waiting(admission) = room else {
            return None;
        };
        let admitted = admission.time_out();
        Some(room.end_of_wait(admitted))
    }

    #[inline]
    fn charge(room: &mut Room, samples: &mut [Sample]) {
        if let Room::Charged(charge) = mem::take(room) {
            charge_each(charge, samples);
        }
    }
}
