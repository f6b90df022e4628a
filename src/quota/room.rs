//! The room that a get of a quota is given before it asks the pool.
//!
//! | stage     | owns                            | left by                                              |
//! |-----------|---------------------------------|------------------------------------------------------|
//! | `None`    | nothing                         | first poll: `Charged`, or `Asked`                    |
//! | `Asked`   | a place in the account's queue, or an error | admitted: `Charged`; refused or timed out: `None` |
//! | `Charged` | a charge                        | its samples take it, or the pool refuses: `None`     |

#![forbid(unsafe_code)]

use super::Quota;
use crate::quota::admission::{Admission, Charge};
use crate::{
    core::handle::Pool,
    get::source::Asked,
    sample::exclusive::Sample,
    values::error::GetBufferError,
    wait::{node::Timer, request::Rank},
};
use std::{
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// See the module's documentation. What it owns is given back when it is dropped.
#[derive(Debug, Default)]
pub(crate) enum Room {
    #[default]
    None,
    Asked(Admission),
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
            *self = Room::Asked(Admission::new(quota, count));
        }
        if let Room::Asked(admission) = self {
            let admitted = ready!(Pin::new(admission).poll(cx));
            self.end_of_wait(admitted)?;
        }
        Poll::Ready(Ok(()))
    }

    fn end_of_wait(
        &mut self,
        admitted: Result<Charge, GetBufferError>,
    ) -> Result<(), GetBufferError> {
        // The admission is over, so its drop leaves no queue.
        *self = Room::None;
        *self = Room::Charged(admitted?);
        Ok(())
    }
}

impl Asked for Quota {
    type Room = Room;

    const HAS_ROOM: bool = true;

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
            if let Some(charge) = self.charge_at_once(count) {
                // In the room, and not on the stack: the waker that the pool is asked with may panic.
                *room = Room::Charged(charge);
                return Poll::Ready(Ok(()));
            }
        }
        room.poll_slowly(self, count, cx)
    }

    fn timer(room: &mut Room) -> Option<&mut Option<Timer>> {
        match room {
            Room::Asked(admission) => admission.timer(),
            Room::None | Room::Charged(_) => None,
        }
    }

    fn time_out(room: &mut Room) -> Option<Result<(), GetBufferError>> {
        let Room::Asked(admission) = room else {
            return None;
        };
        let admitted = admission.time_out();
        Some(room.end_of_wait(admitted))
    }

    #[inline]
    fn charge(room: &mut Room, samples: &mut [Sample]) {
        if let Room::Charged(charge) = mem::take(room) {
            charge.onto_each(samples);
        }
    }
}
