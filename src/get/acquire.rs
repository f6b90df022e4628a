//! Getting samples: what a get does at each poll, and what dropping it gives back.
//!
//! | stage     | owns                  | left by                                                        |
//! |-----------|-----------------------|----------------------------------------------------------------|
//! | `New`     | nothing               | first poll: a hit, the line, or `Refused`                      |
//! | `InLine`  | a ticket              | told: `InHand` or `Refused`; drop: leaves, its slots travel on |
//! | `InHand`  | its slots             | Tokio's cooperative budget: `Done`; drop: its slots travel on  |
//! | `Refused` | an error              | Tokio's cooperative budget: `Done`                             |
//! | `Done`    | nothing               | polling again panics                                           |
//!
//! The budget is asked for only once the result is known, so running out of it never loses a place. Errors spend it
//! as samples do: a task that asks again after each error would otherwise keep its thread from the task that ends
//! the reason of the error.
//!
//! A future that was never polled has no place, and a hit never touches the lock.

#![forbid(unsafe_code)]

use crate::{
    core::{engine::Engine, take::Found},
    slot::{list::SlotList, owned::OwnedSlot},
    sync::{coop::spend, events, user_code},
    values::error::GetBufferError,
    wait::{
        node::{Outcome, Ticket, Timer},
        request::{Wanted, Why},
    },
};
use std::{
    mem,
    panic::Location,
    task::{Context, Poll},
};

/// Where a get stands.
#[derive(Debug)]
pub(crate) enum Acquire {
    New(Wanted),
    InLine(Ticket),
    InHand(SlotList),
    Refused(GetBufferError),
    Done,
}

impl Acquire {
    /// The first poll of a get that wants one slot: the slot, if one is home and the task has budget left. The caller
    /// [finishes](Acquire::finish) the get when it has made a sample of it. Without an answer
    /// [`begin`](Acquire::begin) or [`go_on`](Acquire::go_on) goes on from here.
    #[inline]
    pub(crate) fn poll_hit(&mut self, engine: &Engine, cx: &mut Context<'_>) -> Option<OwnedSlot> {
        let Acquire::New(_) = self else {
            return None;
        };
        let slot = engine.take_free()?;
        let (slot, has_budget) =
            user_code::holding(slot, || spend(cx), |slot| self.keep_in_hand(slot));
        if has_budget {
            return Some(slot);
        }
        self.keep_in_hand(slot);
        None
    }

    /// The get has what it wanted. Inlined behind all that is not, so that the compiler sees that a drop has nothing
    /// to give back.
    #[inline(always)]
    pub(crate) fn finish(&mut self) {
        *self = Acquire::Done;
    }

    /// The task has used up its budget: it yields, and its waker is woken at once.
    #[cold]
    fn keep_in_hand(&mut self, slot: OwnedSlot) {
        slot.mark_used();
        let mut slots = SlotList::default();
        slots.push(slot);
        *self = Acquire::InHand(slots);
    }

    /// Polls for the slots that are wanted.
    pub(crate) fn poll(
        &mut self,
        engine: &Engine,
        cx: &mut Context<'_>,
    ) -> Poll<Result<SlotList, GetBufferError>> {
        match *self {
            Acquire::New(wanted) => self.begin(engine, wanted, cx),
            _ => self.go_on(engine, cx),
        }
    }

    /// The first poll of a get that is `New(wanted)`: takes that, or joins the line.
    // Always, here and below: called, they hand on what they got through memory, at each hand-over.
    #[inline(always)]
    pub(crate) fn begin(
        &mut self,
        engine: &Engine,
        wanted: Wanted,
        cx: &mut Context<'_>,
    ) -> Poll<Result<SlotList, GetBufferError>> {
        match engine.take_or_join(wanted, cx.waker()) {
            Ok(Found::Place(ticket)) => {
                *self = Acquire::InLine(ticket);
                Poll::Pending
            }
            Ok(Found::Slots(slots)) => self.hand_over(slots, cx),
            Err(error) => self.refuse(error, cx),
        }
    }

    /// Every later poll.
    #[inline(always)]
    pub(crate) fn go_on(
        &mut self,
        engine: &Engine,
        cx: &mut Context<'_>,
    ) -> Poll<Result<SlotList, GetBufferError>> {
        match self {
            Acquire::InLine(ticket) => {
                let told = ticket.take_outcome();
                let told = told.or_else(|| engine.wait_on(ticket, cx.waker()));
                let Some(outcome) = told else {
                    return Poll::Pending;
                };
                if let Acquire::InLine(ticket) = mem::replace(self, Acquire::Done) {
                    engine.wait_ended(&ticket);
                    events::wait_ended(engine.name(), ticket.number().get(), outcome.name());
                    ticket.give_back();
                }
                match outcome {
                    Outcome::Slots(slots) => self.hand_over(slots, cx),
                    Outcome::Failed(error) => self.refuse(error, cx),
                }
            }
            Acquire::InHand(slots) => {
                let slots = mem::take(slots);
                self.hand_over(slots, cx)
            }
            Acquire::Refused(error) => {
                let error = *error;
                self.refuse(error, cx)
            }
            Acquire::New(_) | Acquire::Done => panic!("a get was polled after it had resolved"),
        }
    }

    /// Resolves if the task has budget left; otherwise the slots stay in hand until the next poll.
    #[inline]
    fn hand_over(
        &mut self,
        slots: SlotList,
        cx: &mut Context<'_>,
    ) -> Poll<Result<SlotList, GetBufferError>> {
        let keep = |slots| *self = Acquire::InHand(slots);
        let (slots, has_budget) = user_code::holding(slots, || spend(cx), keep);
        if has_budget {
            *self = Acquire::Done;
            return Poll::Ready(Ok(slots));
        }
        *self = Acquire::InHand(slots);
        Poll::Pending
    }

    /// Fails if the task has budget left; otherwise the error stays here until the next poll.
    #[cold]
    fn refuse(
        &mut self,
        error: GetBufferError,
        cx: &mut Context<'_>,
    ) -> Poll<Result<SlotList, GetBufferError>> {
        // Before the budget is asked for: the waker may panic.
        *self = Acquire::Refused(error);
        if !spend(cx) {
            return Poll::Pending;
        }
        *self = Acquire::Done;
        Poll::Ready(Err(error))
    }

    /// The timer of a get that is in line.
    pub(crate) fn timer(&mut self) -> Option<&mut Option<Timer>> {
        match self {
            Acquire::InLine(ticket) => Some(ticket.timer()),
            _ => None,
        }
    }

    /// Writes down which line of the program made a get that is in line, if holders are tracked.
    #[inline]
    pub(crate) fn locate(&self, engine: &Engine, location: &'static Location<'static>) {
        if engine.tracks_holders() {
            if let Acquire::InLine(ticket) = self {
                ticket.set_location(location);
            }
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Acquire::Done)
    }

    /// Gives up, and gives back what the get had. Called when its future is dropped.
    #[inline]
    pub(crate) fn cancel(&mut self, engine: &Engine) {
        if let Acquire::InLine(_) | Acquire::InHand(_) = self {
            self.put_back(engine);
        }
    }

    #[cold]
    #[inline(never)]
    fn put_back(&mut self, engine: &Engine) {
        if let Ok(unclaimed) = self.give_up(engine, Why::Cancelled) {
            engine.put_back(unclaimed);
        }
    }

    /// Gives up because the time is over. A get that was handed its slots meanwhile has them, and one
    /// that was told of a failure fails with that.
    pub(crate) fn time_out(&mut self, engine: &Engine) -> Result<(), GetBufferError> {
        let slots = self.give_up(engine, Why::TimedOut)?;
        if slots.len() == 0 {
            return Err(GetBufferError::TimedOut);
        }
        *self = Acquire::InHand(slots);
        Ok(())
    }

    /// Leaves the line. The answer is the slots that were handed over already, or the failure that it
    /// was told of.
    #[cold]
    fn give_up(&mut self, engine: &Engine, why: Why) -> Result<SlotList, GetBufferError> {
        match mem::replace(self, Acquire::Done) {
            Acquire::InLine(ticket) => engine.leave_line(ticket, why),
            Acquire::InHand(slots) => {
                engine.count(why);
                Ok(slots)
            }
            Acquire::Refused(error) => Err(error),
            Acquire::New(_) | Acquire::Done => Ok(SlotList::default()),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{Pool, wait::request::Rank};
    use std::task::Waker;
    use tokio::task::coop;

    const ONE: Wanted = Wanted {
        slots: 1,
        rank: Rank::Ordinary,
    };

    /// A get of the one slot of `pool`, which is out.
    fn in_line(pool: &Pool) -> Acquire {
        let mut acquire = Acquire::New(ONE);
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(acquire.poll(pool.engine(), cx).is_pending());
        acquire
    }

    /// The timer can fire between the poll that found nothing and the look at it.
    #[test]
    fn a_get_that_was_told_of_a_failure_does_not_time_out() {
        let pool = Pool::builder().buffers(1).build().unwrap();
        let _held = pool.try_get_buffer().unwrap();
        let mut acquire = in_line(&pool);
        pool.decommit();
        let told = acquire.time_out(pool.engine());
        assert_eq!(told, Err(GetBufferError::NotCommitted));
        assert_eq!(pool.status().timed_out, 0);
    }

    #[test]
    fn a_get_that_was_handed_its_slot_does_not_time_out() {
        let pool = Pool::builder().buffers(1).build().unwrap();
        let held = pool.try_get_buffer().unwrap();
        let mut acquire = in_line(&pool);
        drop(held);
        assert_eq!(acquire.time_out(pool.engine()), Ok(()));
        acquire.cancel(pool.engine());
        let status = pool.status();
        assert_eq!((status.timed_out, status.cancelled, status.free), (0, 1, 1));
    }

    /// The timer can fire after the poll that had no budget for the error.
    #[tokio::test]
    async fn a_get_that_was_refused_without_budget_does_not_time_out() {
        let pool = Pool::builder().buffers(1).build().unwrap();
        pool.set_flushing(true);
        while coop::has_budget_remaining() {
            coop::consume_budget().await;
        }
        let mut acquire = Acquire::New(ONE);
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(acquire.poll(pool.engine(), cx).is_pending());
        assert!(acquire.timer().is_none(), "it does not wait for a sample");
        let told = acquire.time_out(pool.engine());
        assert_eq!(told, Err(GetBufferError::Flushing));
        assert_eq!(pool.status().timed_out, 0);
    }
}
