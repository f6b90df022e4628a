//! The states of a get: what it does at each poll, and what its drop gives back.
//!
//! | state     | owns      | left by                                                                           |
//! |-----------|-----------|-----------------------------------------------------------------------------------|
//! | `New`     | nothing   | try that takes a sample: `Done`; first poll: `Done` with a result and budget; a result without budget: `Handed` or `Failed`; no result: `Queued` |
//! | `Queued`  | its node  | outcome: as for `New`; timeout: `Done`, or `Handed` if the outcome came before; drop: leaves the queue, its slots go to the next waiter |
//! | `Handed`  | its slots | poll with cooperative budget: `Done`; drop: its slots go to the next waiter        |
//! | `Failed`  | an error  | poll with cooperative budget: `Done`                                              |
//! | `Done`    | nothing   | polling again panics                                                              |
//!
//! Tokio's cooperative budget is spent only after the result is known. So a task that runs out of it keeps its
//! position. Errors spend the budget as samples do: otherwise a task that asks again after each error would never
//! yield, and the task that ends the reason of the error could not run on its thread.
//!
//! A future that was never polled is not queued. The fast path does not take the lock.

#![forbid(unsafe_code)]

use crate::{
    core::{engine::Engine, take::TakenOrQueued},
    slot::{list::SlotList, owned::OwnedSlot},
    sync::{coop::spend, events, user_code},
    values::error::GetBufferError,
    wait::{
        node::{NodeRef, Outcome, Timer},
        request::{Wanted, Why},
    },
};
use std::{
    mem,
    panic::Location,
    task::{Context, Poll},
};

/// The state of a get; see the table in the module's documentation.
#[derive(Debug)]
pub(crate) enum Acquire {
    /// Not polled yet.
    New(Wanted),
    /// In the wait queue. Its outcome may be in the node already.
    Queued(NodeRef),
    /// It owns its slots, but the task had no cooperative budget to return them.
    Handed(SlotList),
    /// It has failed, but the task had no cooperative budget to return the error.
    Failed(GetBufferError),
    /// Resolved or cancelled.
    Done,
}

impl Acquire {
    /// The fast path of the first poll of a get of one slot: the slot, if one is free and the task has cooperative
    /// budget left. The caller calls [`finish`](Acquire::finish) when it has made a sample of the slot. After `None` it
    /// calls [`begin`](Acquire::begin) or [`go_on`](Acquire::go_on).
    #[inline]
    pub(crate) fn poll_fast(&mut self, engine: &Engine, cx: &mut Context<'_>) -> Option<OwnedSlot> {
        let Acquire::New(_) = self else {
            return None;
        };
        let slot = engine.take_free()?;
        // `spend` calls the waker, which is user code: if it panics, the slot must not be lost.
        let (slot, has_budget) =
            user_code::holding(slot, || spend(cx), |slot| self.keep_slot(slot));
        if has_budget {
            return Some(slot);
        }
        self.keep_slot(slot);
        None
    }

    /// The get has resolved. `always`: inlined after calls that are not, it shows the compiler that the drop has
    /// nothing to give back.
    #[inline(always)]
    pub(crate) fn finish(&mut self) {
        *self = Acquire::Done;
    }

    /// Keeps the slot: the task has no cooperative budget left. The caller goes on with the slow path, which returns
    /// `Pending`. Tokio has woken the waker, so the task is polled again soon.
    #[cold]
    fn keep_slot(&mut self, slot: OwnedSlot) {
        slot.mark_used();
        let mut slots = SlotList::default();
        slots.push(slot);
        *self = Acquire::Handed(slots);
    }

    /// Polls for the wanted slots.
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

    /// The first poll of a get that is `New(wanted)`: takes the slots, or joins the wait queue.
    // `always`, here and for `go_on`: calls would return their results through memory, at each hand-off.
    #[inline(always)]
    pub(crate) fn begin(
        &mut self,
        engine: &Engine,
        wanted: Wanted,
        cx: &mut Context<'_>,
    ) -> Poll<Result<SlotList, GetBufferError>> {
        match engine.take_or_join(wanted, cx.waker()) {
            Ok(TakenOrQueued::Queued(node_ref)) => {
                *self = Acquire::Queued(node_ref);
                Poll::Pending
            }
            Ok(TakenOrQueued::Slots(slots)) => self.resolve(slots, cx),
            Err(error) => self.fail(error, cx),
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
            Acquire::Queued(node_ref) => {
                let outcome = node_ref.take_outcome();
                // No outcome yet: register the waker under the lock, then look again, so that no wake-up is lost.
                let outcome = outcome.or_else(|| engine.wait_on(node_ref, cx.waker()));
                let Some(outcome) = outcome else {
                    return Poll::Pending;
                };
                if let Acquire::Queued(node_ref) = mem::replace(self, Acquire::Done) {
                    engine.wait_ended(&node_ref);
                    events::wait_ended(engine.name(), node_ref.number().get(), outcome.name());
                    node_ref.give_back();
                }
                match outcome {
                    Outcome::Slots(slots) => self.resolve(slots, cx),
                    Outcome::Failed(error) => self.fail(error, cx),
                }
            }
            Acquire::Handed(slots) => {
                let slots = mem::take(slots);
                self.resolve(slots, cx)
            }
            Acquire::Failed(error) => {
                let error = *error;
                self.fail(error, cx)
            }
            Acquire::New(_) | Acquire::Done => panic!("a get was polled after it had resolved"),
        }
    }

    /// Resolves if the task has cooperative budget left; otherwise keeps the slots until the next poll.
    #[inline]
    fn resolve(
        &mut self,
        slots: SlotList,
        cx: &mut Context<'_>,
    ) -> Poll<Result<SlotList, GetBufferError>> {
        // The waker may panic: then the slots are kept, and the drop of the future passes them on.
        let keep = |slots| *self = Acquire::Handed(slots);
        let (slots, has_budget) = user_code::holding(slots, || spend(cx), keep);
        if has_budget {
            *self = Acquire::Done;
            return Poll::Ready(Ok(slots));
        }
        *self = Acquire::Handed(slots);
        Poll::Pending
    }

    /// Fails if the task has cooperative budget left; otherwise keeps the error until the next poll.
    #[cold]
    fn fail(
        &mut self,
        error: GetBufferError,
        cx: &mut Context<'_>,
    ) -> Poll<Result<SlotList, GetBufferError>> {
        // Stored before `spend`, which calls the waker: if that panics, the error is kept.
        *self = Acquire::Failed(error);
        if !spend(cx) {
            return Poll::Pending;
        }
        *self = Acquire::Done;
        Poll::Ready(Err(error))
    }

    /// The timer of a get that is queued.
    pub(crate) fn timer(&mut self) -> Option<&mut Option<Timer>> {
        match self {
            Acquire::Queued(node_ref) => Some(node_ref.timer()),
            _ => None,
        }
    }

    /// Records the source line of a get that is queued, if holders are tracked.
    #[inline]
    pub(crate) fn record_location(&self, engine: &Engine, location: &'static Location<'static>) {
        if engine.tracks_holders() {
            if let Acquire::Queued(node_ref) = self {
                node_ref.set_location(location);
            }
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Acquire::Done)
    }

    /// Ends the get, and gives back what it had. Called when its future is dropped.
    #[inline]
    pub(crate) fn cancel(&mut self, engine: &Engine) {
        if let Acquire::Queued(_) | Acquire::Handed(_) = self {
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

    /// Ends the wait because of the timeout. A get that was handed its slots before has them (`Ok`), and a get that has
    /// failed before returns that error.
    pub(crate) fn time_out(&mut self, engine: &Engine) -> Result<(), GetBufferError> {
        let slots = self.give_up(engine, Why::TimedOut)?;
        if slots.len() == 0 {
            return Err(GetBufferError::TimedOut);
        }
        *self = Acquire::Handed(slots);
        Ok(())
    }

    /// Leaves the wait queue. Returns the slots that the get was handed, or the error with which it failed. If it still
    /// waited, the list is empty, and what it had gathered is put back.
    #[cold]
    fn give_up(&mut self, engine: &Engine, why: Why) -> Result<SlotList, GetBufferError> {
        match mem::replace(self, Acquire::Done) {
            Acquire::Queued(node_ref) => engine.leave_queue(node_ref, why),
            Acquire::Handed(slots) => {
                engine.count(why);
                Ok(slots)
            }
            Acquire::Failed(error) => Err(error),
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

    /// A queued get of the one slot of `pool`, which is outstanding.
    fn queued(pool: &Pool) -> Acquire {
        let mut acquire = Acquire::New(ONE);
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(acquire.poll(pool.engine(), cx).is_pending());
        acquire
    }

    /// The decommit can come after the poll that returned `Pending` and before the timer is seen.
    #[test]
    fn a_get_that_was_notified_of_a_failure_does_not_time_out() {
        let pool = Pool::builder().buffers(1).build().unwrap();
        let _held = pool.try_get_buffer().unwrap();
        let mut acquire = queued(&pool);
        pool.decommit();
        let result = acquire.time_out(pool.engine());
        assert_eq!(result, Err(GetBufferError::NotCommitted));
        assert_eq!(pool.status().timed_out, 0);
    }

    /// The hand-off can come after the poll that returned `Pending` and before the timer is seen.
    #[test]
    fn a_get_that_was_handed_its_slot_does_not_time_out() {
        let pool = Pool::builder().buffers(1).build().unwrap();
        let held = pool.try_get_buffer().unwrap();
        let mut acquire = queued(&pool);
        drop(held);
        assert_eq!(acquire.time_out(pool.engine()), Ok(()));
        acquire.cancel(pool.engine());
        let status = pool.status();
        assert_eq!((status.timed_out, status.cancelled, status.free), (0, 1, 1));
    }

    /// The timer can fire after the poll that had no cooperative budget for the error.
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
        let result = acquire.time_out(pool.engine());
        assert_eq!(result, Err(GetBufferError::Flushing));
        assert_eq!(pool.status().timed_out, 0);
    }
}
